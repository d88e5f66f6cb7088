"""The room `release`."""
