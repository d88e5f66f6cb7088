"""A source's deliveries as plain arrays: whose, when, seen from when until when, and what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from geartrain.domain.columns import ARRIVAL_TIME, EVENT_TIME, microseconds_of, texts_of
from geartrain.domain.expression import Values
from geartrain.domain.features import Aggregation, WindowFeature
from geartrain.errors import FeatureInvalid
from geartrain.features.exact import Floats, Ints
from geartrain.features.plan import FOREVER, Slot, Stream, key_of

#: An integer entity is its own number where the numbers do not lie too far apart.
_SPARE_CODES = 1_000_000

_TIME = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Held:
    """What a slot holds of each delivery.

    Attributes:
        values: float64, or for text the place in `words`.
        counts: Which deliveries count; None where all do.
        words: The different texts.
    """

    values: Values
    counts: NDArray[np.bool_] | None
    words: pl.Series | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """Deliveries in the order in which they came; one is visible from `arrival` until before `until`.

    Attributes:
        ids: What the deliveries' events are called: text, or integers that order alike.
        code: Each entity's number, by its text.
        arrival: None where every delivery arrived at its event time.
        until: None where nothing was corrected.
        lateness_us: The longest time from an event to its arrival.
    """

    stream: Stream
    ids: pl.Series
    code: Ints
    time: Ints
    arrival: Ints | None
    until: Ints | None
    lateness_us: int
    held: tuple[Held, ...]

    def textual(self, feature: WindowFeature, slot: int) -> bool:
        """Whether the feature's value is a text, so that the kernel gives its number."""
        return feature.aggregation is not Aggregation.DISTINCT and self.held[slot].words is not None

    def told(self, slot: int, numbers: Ints) -> pl.Series:
        """The texts of those numbers; null for -1."""
        words = self.held[slot].words
        assert words is not None
        return words.append(pl.Series([None], dtype=pl.String)).gather(
            pl.Series(np.where(numbers < 0, words.len() - 1, numbers), dtype=pl.Int64)
        )


def history_of(
    stream: Stream, sources: Mapping[str, pl.DataFrame], keys: Mapping[str, str], entities: pl.Series
) -> tuple[History, Ints]:
    """The stream's deliveries, and the number of each decision's entity, -1 for one without events.

    Raises:
        FeatureInvalid: A source, key, entity or time column is not there.
    """
    if stream.source not in sources:
        raise FeatureInvalid(
            "a window reads a source that was not given",
            where=stream.source,
            found="sources: " + (", ".join(sources) or "none"),
            hint="pass its events in `sources`; a source without events is an empty frame",
        )
    frame = sources[stream.source]
    key = key_of(stream.source, keys)
    if not frame.width:
        frame = pl.DataFrame(schema={stream.member: pl.String, EVENT_TIME: _TIME, ARRIVAL_TIME: _TIME})
        frame = frame.with_columns(pl.lit(None, pl.String).alias(key))
    named, ids = _ids(required(frame, key, stream.source))
    owners = required(frame, stream.member, stream.source)
    time = microseconds_of(required(frame, EVENT_TIME, stream.source))
    arrival = microseconds_of(required(frame, ARRIVAL_TIME, stream.source))
    events = _all(named.is_not_null() & time.is_not_null() & arrival.is_not_null())
    keep, until = _visible(named, arrival, events)
    belongs = owners.is_not_null().to_numpy() if owners.null_count() else None
    if belongs is not None:
        keep = belongs if keep is None else keep & belongs
    codes, asked = _codes(owners, entities)
    rows: slice | Ints = slice(None) if keep is None else np.flatnonzero(keep)
    times, arrivals = (one.fill_null(0).to_numpy()[rows] for one in (time, arrival))
    late = arrivals - times
    return History(
        stream=stream,
        ids=ids if keep is None else ids.filter(pl.Series(keep)),
        code=codes[rows],
        time=times,
        arrival=arrivals if late.any() else None,
        until=None if until is None else until[rows],
        lateness_us=int(late.max(initial=-FOREVER)),
        held=tuple(_held(slot, frame, rows) for slot in stream.slots),
    ), asked


def required(frame: pl.DataFrame, name: str, where: str) -> pl.Series:
    """The frame's column *name*.

    Raises:
        FeatureInvalid: There is none.
    """
    if name not in frame.columns:
        raise FeatureInvalid(
            f"there is no column `{name}`", where=where, found="columns: " + ", ".join(frame.columns),
            hint="rows come from the lake with their key, their entities and both clocks",
        )  # fmt: skip
    return frame.get_column(name)


def _ids(column: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The ids for telling them apart, and for ordering: numbers that are not negative order as their texts do."""
    if column.dtype.is_integer() and int(column.min() or 0) >= 0:  # type: ignore[arg-type]
        return column, column
    texts = texts_of(column)
    return texts, texts


def _visible(
    ids: pl.Series, arrival: pl.Series, events: NDArray[np.bool_] | None
) -> tuple[NDArray[np.bool_] | None, Ints | None]:
    """Which deliveries were ever visible (None: all), and until when (None: all of them for ever)."""
    if _different(ids):
        return events, None
    delivered = pl.DataFrame({"id": ids, "arrival": arrival}).with_row_index("row")
    if events is not None:
        delivered = delivered.filter(pl.Series(events))
    delivered = delivered.filter(pl.col("id").is_duplicated()).sort("id", "arrival", "row")
    again = pl.col("id").shift(-1) == pl.col("id")
    delivered = delivered.with_columns(until=pl.when(again).then(pl.col("arrival").shift(-1)))
    delivered = delivered.drop_nulls("until")
    if not delivered.height:
        return events, None
    until = np.full(ids.len(), FOREVER, dtype=np.int64)
    until[delivered["row"].to_numpy()] = delivered["until"].to_numpy()
    keep = np.ones(ids.len(), dtype=bool) if events is None else events.copy()
    keep[delivered.filter(pl.col("until") <= pl.col("arrival"))["row"].to_numpy()] = False
    return keep, until


def _different(ids: pl.Series) -> bool:
    """Whether no id stands there twice."""
    if ids.dtype.is_integer() and ids.len() and not ids.null_count():
        numbers = ids.to_numpy()
        least, span = int(numbers.min()), int(numbers.max()) - int(numbers.min()) + 1
        if span <= 16 * numbers.size + _SPARE_CODES:
            seen = np.zeros(span, dtype=bool)
            seen[numbers - least] = True
            return int(seen.sum()) == numbers.size
    return ids.n_unique() == ids.len()


def _codes(owners: pl.Series, entities: pl.Series) -> tuple[Ints, Ints]:
    """Every owner's number, and that of every decision's entity (-1: it owns no events)."""
    if owners.dtype.is_integer() and entities.dtype.is_integer() and owners.count():
        least, most = int(owners.min()), int(owners.max())  # type: ignore[arg-type]
        if most - least <= 16 * owners.len() + _SPARE_CODES and most < 2**62:
            inside = entities.is_between(least, most).fill_null(value=False).to_numpy()
            asked = entities.cast(pl.Int64, strict=False).fill_null(least).to_numpy()
            owned = owners.fill_null(least).cast(pl.Int64).to_numpy() - least
            return owned, np.where(inside, asked - least, -1)
    if not (owners.dtype.is_integer() and entities.dtype == owners.dtype):
        owners, entities = texts_of(owners), texts_of(entities)
    names = owners.unique(maintain_order=True).drop_nulls()
    told = pl.DataFrame({"entity": names, "code": np.arange(names.len(), dtype=np.int64)})
    coded, asked_for = (
        pl.DataFrame({"entity": one}).join(told, on="entity", how="left", maintain_order="left")["code"]
        for one in (owners, entities)
    )
    return coded.fill_null(-1).to_numpy(), asked_for.fill_null(-1).to_numpy()


def _held(slot: Slot, frame: pl.DataFrame, rows: slice | Ints) -> Held:
    if not slot.textual:
        values: Floats = slot.of_frame(frame)[rows]
        if slot.whole:
            return Held(values=values, counts=None)
        missing = np.isnan(values)
        return Held(values=values, counts=~missing if missing.any() else None)
    texts = slot.texts_of_frame(frame)
    if isinstance(rows, np.ndarray):
        texts = texts.gather(rows)
    words = texts.unique().drop_nulls()
    told = pl.DataFrame({"text": words, "code": np.arange(words.len(), dtype=np.int64)})
    codes = (
        pl.DataFrame({"text": texts})
        .join(told, on="text", how="left", maintain_order="left")["code"]
        .fill_null(-1)
        .to_numpy()
    )
    gaps = not slot.whole and bool(texts.null_count())
    return Held(values=codes, counts=codes >= 0 if gaps else None, words=words.cast(pl.String))


def _all(mask: pl.Series) -> NDArray[np.bool_] | None:
    return None if mask.all() else mask.to_numpy()
