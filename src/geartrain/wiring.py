"""The composition root: settings to adapters to engine."""
