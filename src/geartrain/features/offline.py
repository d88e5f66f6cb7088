"""Training sets as known then: one row for each decision, one column for each feature.

The rule is that of `domain.features`, on both clocks. A stream is cut into parts by
entity, so that what is held at once is bounded and parts can run beside each other; the
events of a part are sorted once by (entity, event time, id), a window is two binary
searches, and `features.kernel` says what many windows hold at once. Windows that hold
something not yet arrived or already corrected are gathered event by event, a bounded
number at a time, and reduced by the same kernel.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl

from geartrain.domain.columns import EVENT_TIME, microseconds_of
from geartrain.domain.expression import Values
from geartrain.domain.features import FeatureSet, FeatureType, FunctionFeature, RequestFeature
from geartrain.errors import FeatureInvalid
from geartrain.features.checking import columns_read
from geartrain.features.exact import Ints
from geartrain.features.functions import call_on_frame
from geartrain.features.history import History, history_of, required
from geartrain.features.parts import Asked, read_part
from geartrain.features.plan import Stream, streams
from geartrain.features.terms import term_of_frame

#: How many events, and about how many decisions, one part holds; memory follows it, values do not.
EVENTS_AT_ONCE = 1_000_000

_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio (Knuth, TAOCP 3, 6.4: multiplicative hashing)


def point_in_time(
    features: FeatureSet,
    decisions: pl.DataFrame,
    sources: Mapping[str, pl.DataFrame],
    *,
    keys: Mapping[str, str] | None = None,
    at: str = EVENT_TIME,
    known_at: str | None = None,
    events_at_once: int = EVENTS_AT_ONCE,
) -> pl.DataFrame:
    """Every feature at every decision, from what had happened and had arrived by then.

    Args:
        features: What to compute, in the order of the result's columns.
        decisions: The rows decided about: *at*, the entities, and what requests carried.
        sources: The events of each source with `_event_time`, `_arrival_time` and its
            key; a frame without columns is a source without events.
        keys: The column that names a row, for each source that a window reads.
        at: The column with the decision's time, from which windows reach back.
        known_at: The column with the time by which events must have arrived; *at* if None.
        events_at_once: How many events a part holds; entities are never torn apart.

    Returns:
        As many rows as *decisions*, in their order; Float64 or String, null where missing.

    Raises:
        FeatureInvalid: A source, key, entity or time column is not there.
    """
    found: dict[str, pl.Series] = {}
    plan = streams(features)
    if plan:
        at_us = _clock(decisions, at, "decisions")
        known_us = None if known_at is None else _clock(decisions, known_at, "decisions")
        for stream in plan:
            found.update(_read(stream, decisions, sources, keys or {}, at_us, known_us, events_at_once))
    return assembled(features, decisions, found)


def assembled(features: FeatureSet, decisions: pl.DataFrame, found: Mapping[str, pl.Series]) -> pl.DataFrame:
    """Every feature in order, where those made of past events are *found* already.

    Args:
        features: The definitions.
        decisions: The rows decided about.
        found: Window and lookup features by name, in the rows' order.

    Raises:
        FeatureInvalid: A function is not loaded, or fails.
    """
    columns: dict[str, pl.Series] = {}
    for one in features.features:
        if isinstance(one, RequestFeature):
            read = features.made_before(one).intersection(columns_read(one.expression))
            rows = decisions
            if read:
                rows = decisions.with_columns(columns[name].alias(name) for name in sorted(read))
            columns[one.name] = _column(one.type, term_of_frame(one.expression, one.type, rows))
        elif isinstance(one, FunctionFeature):
            columns[one.name] = call_on_frame(one, columns, decisions)
        else:
            columns[one.name] = found[one.name]
    return pl.DataFrame(columns)


def _read(
    stream: Stream,
    decisions: pl.DataFrame,
    sources: Mapping[str, pl.DataFrame],
    keys: Mapping[str, str],
    at_us: Ints,
    known_us: Ints | None,
    events_at_once: int,
) -> dict[str, pl.Series]:
    """The stream's features at each decision."""
    history, codes = history_of(stream, sources, keys, required(decisions, stream.entity, "decisions"))
    asked = Asked(code=codes, at_us=at_us, known_us=known_us)
    numbers: list[Values] = [
        np.empty(codes.size, dtype=np.int64 if history.textual(feature, slot) else np.float64)
        for feature, slot in stream.features
    ]
    parts = _parts(history, asked, events_at_once)

    def read(part: tuple[Ints | slice, Ints | slice]) -> None:
        events, rows = part
        for whole, values in zip(numbers, read_part(history, events, asked.take(rows)), strict=True):
            whole[rows] = values

    if len(parts) == 1:
        read(parts[0])
    else:
        with ThreadPoolExecutor(max_workers=min(len(parts), os.cpu_count() or 1)) as pool:
            list(pool.map(read, parts))
    return {
        feature.name: history.told(slot, values) if history.textual(feature, slot) else _numbers(values)
        for (feature, slot), values in zip(stream.features, numbers, strict=True)
    }


def _parts(history: History, asked: Asked, at_once: int) -> list[tuple[Ints | slice, Ints | slice]]:
    """Events and decisions that belong together, by entity."""
    count = -(-max(history.code.size, asked.code.size) // max(at_once, 1))
    if count <= 1:
        return [(slice(None), slice(None))]
    bits = min((count - 1).bit_length(), 16)
    events = _grouped(history.code, bits)
    rows = _grouped(asked.code, bits)
    return list(zip(events, rows, strict=True))


def _grouped(code: Ints, bits: int) -> list[Ints]:
    part = ((code.view(np.uint64) * _MIX) >> np.uint64(64 - bits)).astype(np.uint16)
    order = np.argsort(part, kind="stable")
    return np.split(order, np.cumsum(np.bincount(part, minlength=1 << bits))[:-1])


def _clock(frame: pl.DataFrame, name: str, where: str) -> Ints:
    times = required(frame, name, where)
    if times.null_count():
        raise FeatureInvalid(
            "a decision has no time, so nothing can be said of what was known then",
            where=f"{where}.{name}",
            found=f"{times.null_count()} rows without a time",
            hint="leave those rows out, or name another column with `at=`",
        )
    return microseconds_of(times).to_numpy()


def _column(kind: FeatureType, values: Values) -> pl.Series:
    if kind is FeatureType.NUMBER:
        return _numbers(values)
    return pl.Series(values.tolist(), dtype=pl.String)


def _numbers(values: Values) -> pl.Series:
    return pl.Series(values, dtype=pl.Float64, nan_to_null=True)
