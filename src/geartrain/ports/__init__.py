"""Protocols for the outside world, one a file.

In: domain nouns. Out: what an adapter must do. An adapter is right when it passes
its conformance suite, such as `geartrain.testing.ledger.check_ledger`.
"""
