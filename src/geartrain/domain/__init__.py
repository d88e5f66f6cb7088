"""The nouns: frozen values that flow between rooms, their invariants, their digests; no I/O.

In: nothing but each other. Out: contract and clauses, findings, batches and
snapshots, feature definitions, predictions and decisions, trials and models,
releases, incidents, and the ledger's events.

    >>> from geartrain.domain.digest import digest
    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
"""
