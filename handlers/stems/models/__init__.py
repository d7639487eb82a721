"""The models that stems can be made with: what they are, which are here, how the rest arrives. Light."""
