"""The room `compression`."""
