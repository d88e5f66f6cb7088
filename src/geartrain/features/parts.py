"""One part of a stream: its events sorted once, its windows found and reduced."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from geartrain.domain.expression import Values
from geartrain.domain.features import WindowFeature
from geartrain.features.exact import Ints
from geartrain.features.history import History
from geartrain.features.kernel import Events, bounds, chunks, extremes, pairs, reduce_windows
from geartrain.features.plan import FOREVER

_MOST_BITS = 62


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """Decisions: whose number, when, and what was known by when (None: by then)."""

    code: Ints
    at_us: Ints
    known_us: Ints | None

    def take(self, rows: Ints | slice) -> Asked:
        """The decisions at those places."""
        known = None if self.known_us is None else self.known_us[rows]
        return Asked(code=self.code[rows], at_us=self.at_us[rows], known_us=known)


def read_part(history: History, part: Ints | slice, asked: Asked) -> list[Values]:
    """The features of the history's stream at each decision asked for, from the events in *part*.

    Returns:
        For each feature float64 with NaN for nothing, or for text its number and -1 for nothing.
    """
    code, time = history.code[part], history.time[part]
    axis = _Axis(code, time)
    order = _sorted(axis.places, history, part)
    chosen = order if isinstance(part, slice) else part[order]
    rows = _in_time(asked)
    asked = asked.take(rows)
    found: list[Values | None] = [None] * len(history.stream.features)
    all_count: _Deliveries | None = None
    for slot, held in enumerate(history.held):
        if held.counts is not None:
            counts = held.counts[chosen]
            deliveries = _deliveries(history, chosen[counts], order[counts], axis, code, time, asked)
            values = held.values[chosen[counts]]
        else:
            if all_count is None:
                all_count = _deliveries(history, chosen, order, axis, code, time, asked)
            deliveries, values = all_count, held.values[chosen]
        events = Events(deliveries.key, deliveries.time, values)
        for features, places in _alike(history, slot):
            reduced = _windows(features, events, deliveries, asked, history.lateness_us)
            for place, values in zip(places, reduced, strict=True):
                found[place] = np.empty_like(values)
                found[place][rows] = values  # type: ignore[index]
    return found  # type: ignore[return-value]


class _Axis:
    """Entity and time as one ascending integer; times that leave no room for entities become their ranks."""

    def __init__(self, code: Ints, time: Ints) -> None:
        self.first = int(code.min()) if code.size else 0
        self.last = int(code.max()) if code.size else -1
        self.least = int(time.min()) if time.size else 0
        self.span = (int(time.max()) - self.least if time.size else 0) + 1
        self.bits = self.span.bit_length()
        self.moments: Ints | None = None
        if self.bits + max(0, self.last - self.first).bit_length() > _MOST_BITS:
            self.moments, ranks = np.unique(time, return_inverse=True)
            self.bits = int(self.moments.size).bit_length()
        else:
            ranks = time - self.least
        self.places = ((code - self.first) << self.bits) | ranks

    def of(self, code: Ints, time: Ints) -> Ints:
        """Where events of *code*, which is the code of some event, from *time* on begin."""
        if self.moments is None:
            ranks = np.clip(time - self.least, 0, self.span)
        else:
            ranks = np.searchsorted(self.moments, time)
        return ((code - self.first) << self.bits) | ranks


class _Deliveries:
    """The deliveries that count for a slot, sorted, and where windows begin among them, each edge looked up once."""

    __slots__ = ("_axis", "_begins", "_code", "_places", "above", "arrival", "below", "key", "time", "until")

    def __init__(
        self,
        axis: _Axis,
        places: Ints,
        key: Ints,
        time: Ints,
        arrival: Ints | None,
        until: Ints | None,
        code: Ints,
    ) -> None:
        self._axis, self._places = axis, places
        self.key, self.time, self.arrival, self.until = key, time, arrival, until
        # Entities asked for that no event of this part has lie before or behind all events.
        self.below, self.above = code < axis.first, code > axis.last
        self._code = np.clip(code, axis.first, max(axis.first, axis.last))
        self._begins: dict[tuple[int, int] | None, Ints] = {}

    def begin(self, edge: tuple[int, int] | None, at_us: Ints) -> Ints:
        """The first delivery of each decision's entity at or after its time less the *edge*'s sum; None: its first."""
        found = self._begins.get(edge)
        if found is None:
            if edge is None:
                wanted = (self._code - self._axis.first) << self._axis.bits
            else:
                wanted = self._axis.of(self._code, at_us - sum(edge))
            found = np.searchsorted(self._places, wanted)
            found[self.below] = 0
            found[self.above] = self._places.size
            self._begins[edge] = found
        return found


def _sorted(places: Ints, history: History, part: Ints | slice) -> Ints:
    """The order by (entity, time, id); nothing is sorted that is sorted already."""
    if places.size < 2:
        return np.arange(places.size)
    step = np.diff(places)
    ascending = bool((step >= 0).all())
    order = np.arange(places.size) if ascending else np.argsort(places)
    ties = step == 0 if ascending else np.diff(places[order]) == 0
    if ties.any():
        tied = np.zeros(places.size, dtype=bool)
        tied[1:] |= ties
        tied[:-1] |= ties
        among = order[tied]
        ids = history.ids.gather(among if isinstance(part, slice) else part[among])
        by: list[pl.Expr] = [pl.col("place")]
        if ids.dtype == pl.String:
            by.append(pl.col("id").str.len_chars())
        frame = pl.DataFrame({"place": places[among], "id": ids, "index": among})
        order[tied] = frame.sort(*by, "id")["index"].to_numpy()
    return order


def _in_time(asked: Asked) -> Ints:
    """The order of the decisions by (entity, time): neighbours in time are neighbours in memory."""
    code, at_us = asked.code, asked.at_us
    if not code.size:
        return np.zeros(0, dtype=np.int64)
    least = int(at_us.min())
    bits = (int(at_us.max()) - least).bit_length()
    if bits + int(code.max() + 1).bit_length() > _MOST_BITS:
        return np.lexsort((at_us, code))
    return np.argsort(((code + 1) << bits) | (at_us - least))


def _deliveries(
    history: History, chosen: Ints, order: Ints, axis: _Axis, code: Ints, time: Ints, asked: Asked
) -> _Deliveries:
    return _Deliveries(
        axis,
        axis.places[order],
        code[order],
        time[order],
        None if history.arrival is None else history.arrival[chosen],
        None if history.until is None else history.until[chosen],
        asked.code,
    )


def _alike(history: History, slot: int) -> list[tuple[list[WindowFeature], list[int]]]:
    """The features of a slot by their window, each with its place in the stream."""
    grouped: dict[tuple[int | None, int], tuple[list[WindowFeature], list[int]]] = {}
    for place, (feature, which) in enumerate(history.stream.features):
        if which == slot:
            features, places = grouped.setdefault((feature.width_us, feature.delay_us), ([], []))
            features.append(feature)
            places.append(place)
    return list(grouped.values())


def _windows(
    features: list[WindowFeature], events: Events, deliveries: _Deliveries, asked: Asked, lateness_us: int
) -> list[Values]:
    """The features, all of one window, at each decision."""
    width_us, delay_us = features[0].width_us, features[0].delay_us
    end = asked.at_us - delay_us
    high = deliveries.begin((delay_us, 0), asked.at_us)
    low = deliveries.begin(None if width_us is None else (delay_us, width_us), asked.at_us)
    values = reduce_windows(features, events, low, high, asked.at_us)
    known = asked.at_us if asked.known_us is None else asked.known_us
    hidden = np.zeros(low.shape, dtype=bool)
    if deliveries.arrival is not None and (asked.known_us is not None or lateness_us > delay_us):
        hidden |= extremes(np.maximum, deliveries.arrival, low, high, empty=-FOREVER) > known
    elif deliveries.arrival is None and asked.known_us is not None:  # not all that happened need be known
        hidden |= (asked.known_us < end) & (high > low)
    if deliveries.until is not None:
        hidden |= extremes(np.minimum, deliveries.until, low, high, empty=FOREVER) <= known
    some = np.flatnonzero(hidden)
    for part in chunks(low[some], high[some]):
        rows = some[part]
        for whole, part_values in zip(
            values,
            _seen(features, events, deliveries, low[rows], high[rows], known[rows], asked.at_us[rows]),
            strict=True,
        ):
            whole[rows] = part_values
    return values


def _seen(
    features: list[WindowFeature],
    events: Events,
    deliveries: _Deliveries,
    low: Ints,
    high: Ints,
    known: Ints,
    at_us: Ints,
) -> list[Values]:
    """The features over windows of which only some deliveries are visible."""
    window, event = pairs(low, high)
    then = known[window]
    arrival = events.time if deliveries.arrival is None else deliveries.arrival
    seen = arrival[event] <= then
    if deliveries.until is not None:
        seen &= deliveries.until[event] > then
    window, event = window[seen], event[seen]
    visible = Events(window, events.time[event], events.values[event])
    return reduce_windows(features, visible, *bounds(window, low.size), at_us)
