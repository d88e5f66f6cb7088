"""Data: from a delivery of any shape to rows that the contract vouches for, on two clocks.

In: files, documents and tables as Arrow or polars frames, the contract's data section,
and `now`. Out: frames for the lake, `Batch` and `Snapshot` nouns, findings about feeds. Nothing here writes.

    frame = read_rows("payments.csv")
    prepared = prepare_batch("card-fraud", source, frame, content=content, now=now, known=held)
    snapshot, frames = take_snapshot(tables, contract, known_at=now)
    rows = label_rows(frames["payments"], frames.get("labels"), contract, known_at=now)
    findings = judge_feeds(contract, {"payments": state}, now=now)

The modules: `reading`, `documents`, `describing` (what was sent), `door`, `batches`,
`known_keys`, `quarantine` (what is taken), `snapshots`, `labels` (what was known), `feeds` (what is
missing), `storable` (the lake's six types).
"""
