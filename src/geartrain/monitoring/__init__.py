"""The room `monitoring`."""
