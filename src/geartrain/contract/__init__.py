"""The room `contract`."""
