"""Is the world still the one that the release was judged in? Alarms with a stated guarantee.

In: the profile stored with the release, rows and costs of live decisions, arrivals of
feeds, the contract's monitoring terms. Out: signals with evidence that may be looked at
any time, live measurements for clauses, and incidents with a cause and an owner.

- `profile`: one pass over rows gives counts that add up; `drift` compares two of them.
- `losses`: costs of matured decisions against what was promised.
- `estimating`: what decisions will have cost before labels come, checked when they do.
- `feeds`: sources and labels that say nothing.
- `triage`: one incident, not fifty alerts.

    >>> import pyarrow as pa
    >>> from geartrain.monitoring.profiling import build, observe
    >>> before = build(pa.table({"age": [31.0, 40.0, 52.0], "city": ["Bern", "Bern", "Oslo"]}))
    >>> observe(before, pa.table({"age": [None, 33.0], "city": ["Rome", "Bern"]})).categories[0].other
    1
"""
