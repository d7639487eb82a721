"""The `textures` handler: pads cut from the steadiest regions of recordings, and looped."""
