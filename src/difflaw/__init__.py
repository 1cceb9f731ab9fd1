"""difflaw measures how discrete diffusion language models scale, on your data."""

__version__ = "0.1.0"
