"""Snapshots: what was known at a time, named by its content.

The same rows give the same snapshot whatever their order, their batches and the files
they lie in: each source's rows are put in the order of their keys and hashed column
by column.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime

import numpy as np
import polars as pl
import pyarrow as pa

from geartrain.data.batches import BATCH
from geartrain.data.coercing import DTYPES, coerced
from geartrain.data.documents import flat
from geartrain.data.door import door_fields
from geartrain.domain.columns import ARRIVAL_TIME, EVENT_TIME
from geartrain.domain.contract import Contract, DataTerms, SourceTerms
from geartrain.domain.data import Snapshot, SourceVersion
from geartrain.errors import SnapshotEmpty

_EXACT = 2**53


def take_snapshot(
    tables: Mapping[str, pa.Table | pl.DataFrame],
    contract: Contract,
    *,
    known_at: datetime,
    since: datetime | None = None,
) -> tuple[Snapshot, dict[str, pl.DataFrame]]:
    """The rows of every source as they were known at *known_at*, and the name of that view.

    Of rows with one key the last arrival counts. Each frame has the contract's columns in
    their types, `_event_time`, `_arrival_time` and all other columns, in the order of
    event time and key. A source without a table has no rows.

    Raises:
        SnapshotEmpty: No row to decide about was known then.
    """
    terms = contract.data or DataTerms(sources=())
    frames: dict[str, pl.DataFrame] = {}
    versions: list[SourceVersion] = []
    for source in terms.sources:
        frame = as_known(tables.get(source.name, pl.DataFrame()), source, known_at=known_at, since=since)
        frames[source.name] = frame
        content = content_digest(frame)
        versions.append(SourceVersion(source=source.name, rows=frame.height, content=content))
    if not terms.sources or frames[terms.decisions.name].height == 0:
        raise SnapshotEmpty(
            "no row to decide about was known at that time",
            where=f"product {contract.product.name}",
            found=", ".join(f"{one.source}: {one.rows} rows" for one in versions) or "no source",
            hint=f"ingest rows first, or ask for a time after {known_at.isoformat()}",
        )
    snapshot = Snapshot(
        product=contract.product.name, known_at=known_at, sources=tuple(versions), since=since
    )
    return snapshot, frames


def as_known(
    table: pa.Table | pl.DataFrame, source: SourceTerms, *, known_at: datetime, since: datetime | None = None
) -> pl.DataFrame:
    """The rows of one source that had arrived at *known_at*, the last arrival of each key."""
    rows = table if isinstance(table, pl.DataFrame) else pl.DataFrame(pl.from_arrow(table))
    fields = door_fields(source)
    if rows.width == 0:
        empty = {EVENT_TIME: pl.Datetime("us", "UTC"), ARRIVAL_TIME: pl.Datetime("us", "UTC")}
        return pl.DataFrame(schema={**empty, **{terms.name: DTYPES[terms.type] for terms in fields}})
    rows = flat(rows)
    rows = rows.filter(pl.col(ARRIVAL_TIME) <= known_at)
    if since is not None:
        rows = rows.filter(pl.col(EVENT_TIME) >= since)
    rows = rows.with_columns(
        coerced(terms.name, rows.schema[terms.name], terms.type).alias(terms.name)
        if terms.name in rows.columns
        else pl.lit(None, dtype=DTYPES[terms.type]).alias(terms.name)
        for terms in fields
    )
    rows = rows.drop(BATCH, strict=False)
    names = sorted(set(rows.columns) - {source.key, EVENT_TIME, ARRIVAL_TIME})
    # Two arrivals at one moment are ordered by what they hold, so that files and batches cannot matter.
    ties = pl.struct(names).struct.json_encode() if names else pl.lit("")
    if rows[source.key].is_duplicated().any():
        rows = rows.sort(ARRIVAL_TIME, EVENT_TIME, ties).unique(source.key, keep="last", maintain_order=True)
    return rows.sort(EVENT_TIME, source.key)


def content_digest(frame: pl.DataFrame) -> str:
    """The digest of a frame's rows and columns; columns in which nothing is said do not count.

    *frame* must be in a canonical order of rows already. Whole numbers and decimals of the
    same value are the same content, so that widening a column does not rename its history.

    >>> content_digest(pl.DataFrame({"a": [1, 2]})) == content_digest(pl.DataFrame({"b": [None] * 2, "a": [1.0, 2.0]}))
    True
    """
    whole = hashlib.sha256(f"rows:{frame.height}".encode())
    for name in sorted(frame.columns):
        series = frame[name]
        if series.null_count() < len(series):
            whole.update(f"|{len(name)}:{name}".encode())
            whole.update(_column_digest(series))
    return whole.hexdigest()


def _column_digest(series: pl.Series) -> bytes:
    """Type, missing values and values of one column, each without what a file's layout leaves behind."""
    kind, values = _canonical(series)
    hasher = hashlib.sha256(kind.encode())
    hasher.update(series.is_null().to_numpy().tobytes())
    hasher.update(values)
    return hasher.digest()


def _canonical(series: pl.Series) -> tuple[str, bytes]:
    match series.dtype:
        case pl.Boolean():
            return "truth", series.fill_null(value=False).to_numpy().tobytes()
        case pl.Int64():
            bounds = (series.min(), series.max())
            if all(isinstance(one, int) and abs(one) <= _EXACT for one in bounds):
                return _canonical(series.cast(pl.Float64))
            return "whole", series.fill_null(0).to_numpy().tobytes()
        case pl.Float64():
            numbers = series.fill_null(0.0).to_numpy() + 0.0  # -0.0 is 0.0
            numbers[np.isnan(numbers)] = np.nan  # and of the many NaNs one is taken
            return "number", numbers.tobytes()
        case pl.Datetime():
            return "time", series.cast(pl.Int64).fill_null(0).to_numpy().tobytes()
        case pl.Binary():
            return _canonical(series.bin.encode("hex"))
        case _:
            texts = series.cast(pl.String).fill_null("")
            lengths = texts.str.len_bytes().cast(pl.Int64)
            return "text", lengths.to_numpy().tobytes() + "".join(texts.to_list()).encode()
