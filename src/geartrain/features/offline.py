"""Training sets as known then: one row for each decision, one column for each feature.

The rule is that of `domain.features`, on both clocks. A stream is sorted once by
(entity, event time, id); a window is two binary searches; a window all of whose
deliveries are visible at the decision, and that is nearly every one, is reduced where it lies.
Only windows that hold something not yet arrived or already corrected are gathered event
by event, a bounded number at a time, and reduced by the same functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from geartrain.domain.columns import ARRIVAL_TIME, EVENT_TIME, microseconds_of, texts_of
from geartrain.domain.expression import Values
from geartrain.domain.features import Aggregation, FeatureSet, FeatureType, RequestFeature, WindowFeature
from geartrain.errors import FeatureInvalid
from geartrain.features.algebra import bounds, chunks, of_many, pairs, reduce_slices
from geartrain.features.exact import Ints
from geartrain.features.plan import Slot, Stream, key_of, streams
from geartrain.features.terms import term_of_frame

FOREVER = int(np.iinfo(np.int64).max)

_TIME = pl.Datetime("us", "UTC")


def point_in_time(
    features: FeatureSet,
    decisions: pl.DataFrame,
    sources: Mapping[str, pl.DataFrame],
    *,
    keys: Mapping[str, str] | None = None,
    at: str = EVENT_TIME,
    known_at: str | None = None,
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

    Returns:
        As many rows as *decisions*, in their order; Float64 or String, null where missing.

    Raises:
        FeatureInvalid: A source, key, entity or time column is not there.
    """
    found: dict[str, Values] = {
        one.name: term_of_frame(one.expression, one.type, decisions)
        for one in features.features
        if isinstance(one, RequestFeature)
    }
    if features.windows:
        at_us = _clock(decisions, at, "decisions")
        known_us = None if known_at is None else _clock(decisions, known_at, "decisions")
        for stream in streams(features):
            history = _history(stream, sources, keys or {})
            entities = texts_of(_required(decisions, stream.entity, "decisions"))
            found.update(_read(history, entities, at_us, known_us))
    return pl.DataFrame({one.name: _column(one.type, found[one.name]) for one in features.features})


@dataclass(frozen=True, slots=True, kw_only=True)
class _History:
    """Deliveries sorted by entity, event time and id; one is visible from `arrival` until before `until`.

    Attributes:
        rows: Where each delivery stands in `frame`.
        codes: Each entity's number, by its text.
        moments: The distinct event times, sorted.
        place: Entity and event time as one ascending number.
    """

    stream: Stream
    frame: pl.DataFrame
    rows: Ints
    codes: pl.DataFrame
    time: Ints
    arrival: Ints
    until: Ints
    moments: Ints
    place: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counting:
    """The deliveries of a history that count for one slot, with the slot's values."""

    place: Ints
    time: Ints
    arrival: Ints
    until: Ints
    values: Values


def _history(stream: Stream, sources: Mapping[str, pl.DataFrame], keys: Mapping[str, str]) -> _History:
    if stream.source not in sources:
        raise FeatureInvalid(
            "a window reads a source that was not given",
            where=stream.source,
            found="sources: " + (", ".join(sources) or "none"),
            hint="pass its events in `sources`; a source without events is an empty frame",
        )
    frame = sources[stream.source]
    if not frame.width:
        frame = pl.DataFrame(schema={stream.entity: pl.String, EVENT_TIME: _TIME, ARRIVAL_TIME: _TIME})
        frame = frame.with_columns(pl.lit(None, pl.String).alias(key_of(stream.source, keys)))
    deliveries = _deliveries(stream, frame, key_of(stream.source, keys))
    names = deliveries["entity"].unique(maintain_order=True)
    codes = pl.DataFrame({"entity": names, "code": np.arange(names.len(), dtype=np.int64)})
    coded = deliveries.join(codes, on="entity", how="left", maintain_order="left")
    time = coded["time"].to_numpy()
    moments = np.unique(time)
    return _History(
        stream=stream,
        frame=frame,
        rows=coded["row"].to_numpy(),
        codes=codes,
        time=time,
        arrival=coded["arrival"].to_numpy(),
        until=coded["until"].to_numpy(),
        moments=moments,
        place=coded["code"].to_numpy() * (moments.size + 1) + np.searchsorted(moments, time),
    )


def _deliveries(stream: Stream, frame: pl.DataFrame, key: str) -> pl.DataFrame:
    """Who, when, seen when and until when: sorted, without what never was visible."""
    deliveries = pl.DataFrame(
        {
            "id": texts_of(_required(frame, key, stream.source)),
            "entity": texts_of(_required(frame, stream.entity, stream.source)),
            "time": microseconds_of(_required(frame, EVENT_TIME, stream.source)),
            "arrival": microseconds_of(_required(frame, ARRIVAL_TIME, stream.source)),
            "row": np.arange(frame.height, dtype=np.int64),
        }
    )
    deliveries = deliveries.drop_nulls(["id", "time", "arrival"])
    forever = pl.lit(FOREVER, pl.Int64)
    if deliveries["id"].n_unique() == deliveries.height:
        deliveries = deliveries.with_columns(until=forever)
    else:
        again = pl.col("id").shift(-1) == pl.col("id")
        deliveries = (
            deliveries.sort("id", "arrival", "row")
            .with_columns(until=pl.when(again).then(pl.col("arrival").shift(-1)).otherwise(forever))
            .filter(pl.col("until") > pl.col("arrival"))
        )
    length = pl.col("id").str.len_chars()
    return deliveries.drop_nulls("entity").sort("entity", "time", length, "id")


def _read(history: _History, entities: pl.Series, at_us: Ints, known_us: Ints | None) -> dict[str, Values]:
    """The stream's features at each decision."""
    asked = pl.DataFrame({"entity": entities}).join(
        history.codes, on="entity", how="left", maintain_order="left"
    )
    code = asked["code"].fill_null(-1).to_numpy()
    order = np.lexsort((at_us, code))  # neighbours in time are neighbours in memory
    code, at_us = code[order], at_us[order]
    known_us = None if known_us is None else known_us[order]
    slots = {slot: _counting(history, slot) for slot in history.stream.slots}
    numbered: dict[Slot, _Counting] = {}
    found: dict[str, Values] = {}
    for feature, index in history.stream.features:
        slot = history.stream.slots[index]
        counting = slots[slot]
        if feature.aggregation is Aggregation.DISTINCT:
            if slot not in numbered:
                numbered[slot] = replace(counting, values=_numbered(counting.values))
            counting = numbered[slot]
        value = _value(feature, counting, *_window(feature, history, counting, code, at_us), at_us, known_us)
        found[feature.name] = np.empty_like(value)
        found[feature.name][order] = value
    return found


def _counting(history: _History, slot: Slot) -> _Counting:
    values = slot.of_frame(history.frame)[history.rows]
    counts = (
        np.array([value is not None for value in values], dtype=bool) if slot.textual else ~np.isnan(values)
    )
    keep = slice(None) if counts.all() else np.flatnonzero(counts)
    return _Counting(
        place=history.place[keep],
        time=history.time[keep],
        arrival=history.arrival[keep],
        until=history.until[keep],
        values=values[keep],
    )


def _window(
    feature: WindowFeature, history: _History, counting: _Counting, code: Ints, at_us: Ints
) -> tuple[Ints, Ints]:
    """The events in [t - delay - width, t - delay) of each decision's entity, visible or not."""
    first = code * (history.moments.size + 1)
    end = at_us - feature.delay_us
    high = np.searchsorted(counting.place, first + np.searchsorted(history.moments, end))
    if feature.width_us is None:
        low = np.searchsorted(counting.place, first)
    else:
        low = np.searchsorted(
            counting.place, first + np.searchsorted(history.moments, end - feature.width_us)
        )
    nobody = code < 0
    return np.where(nobody, 0, low), np.where(nobody, 0, high)


def _value(
    feature: WindowFeature,
    counting: _Counting,
    low: Ints,
    high: Ints,
    at_us: Ints,
    known_us: Ints | None,
) -> Values:
    corrected = bool((counting.until < FOREVER).any())
    prompt = known_us is None and bool((counting.arrival <= counting.time + feature.delay_us).all())
    known = at_us if known_us is None else known_us
    value = of_many(feature, counting.values, counting.time, low, high, at_us)
    hidden = np.zeros(low.shape, dtype=bool)
    if not prompt:
        hidden |= reduce_slices(np.maximum, counting.arrival, low, high, empty=-FOREVER) > known
    if corrected:
        hidden |= reduce_slices(np.minimum, counting.until, low, high, empty=FOREVER) <= known
    some = np.flatnonzero(hidden)
    for part in chunks(low[some], high[some]):
        chosen = some[part]
        window, event = pairs(low[chosen], high[chosen])
        then = known[chosen][window]
        seen = (counting.arrival[event] <= then) & (counting.until[event] > then)
        window, event = window[seen], event[seen]
        value[chosen] = of_many(
            feature, counting.values[event], counting.time[event], *bounds(window, chosen.size), at_us[chosen]
        )
    return value


def _numbered(values: Values) -> Ints:
    """One number for each different text."""
    if not values.size:
        return np.zeros(0, dtype=np.int64)
    return pl.Series(values.tolist(), dtype=pl.String).rank("dense").cast(pl.Int64).to_numpy()


def _required(frame: pl.DataFrame, name: str, where: str) -> pl.Series:
    if name not in frame.columns:
        raise FeatureInvalid(
            f"there is no column `{name}`", where=where, found="columns: " + ", ".join(frame.columns),
            hint="rows come from the lake with their key, their entities and both clocks",
        )  # fmt: skip
    return frame.get_column(name)


def _clock(frame: pl.DataFrame, name: str, where: str) -> Ints:
    times = _required(frame, name, where)
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
        return pl.Series(values, dtype=pl.Float64, nan_to_null=True)
    return pl.Series(values.tolist(), dtype=pl.String)
