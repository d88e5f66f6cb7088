"""geartrain: build and run an AI product together, from one executable contract."""

__version__ = "0.1.0"
