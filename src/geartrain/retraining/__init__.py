"""The room `retraining`."""
