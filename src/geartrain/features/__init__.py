"""The room `features`."""
