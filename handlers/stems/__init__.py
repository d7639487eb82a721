"""Stems: whole pieces of music made from a style and a seed."""
