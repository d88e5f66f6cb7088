"""The room `adapters`."""
