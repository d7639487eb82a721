"""The `beats` handler: tempo, beats, bars, sections and key of recordings, and files for other programs."""
