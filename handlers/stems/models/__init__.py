"""The models that stems can be made with: what they are, which of their weights are here, how the rest arrives. Light."""
