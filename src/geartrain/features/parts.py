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
    for slot in range(len(history.stream.slots)):
        counting = _counting(history, slot, chosen, axis, order, code, time)
        for features, places in _alike(history, slot):
            reduced = _windows(features, counting, axis, asked, history.lateness_us)
            for place, values in zip(places, reduced, strict=True):
                found[place] = np.empty_like(values)
                found[place][rows] = values  # type: ignore[index]
    return found  # type: ignore[return-value]


class _Axis:
    """Entity and time as one ascending integer; times that leave no room for entities become their ranks."""

    def __init__(self, code: Ints, time: Ints) -> None:
        self.first = int(code.min(initial=FOREVER)) if code.size else 0
        self.least = int(time.min()) if time.size else 0
        self.span = (int(time.max()) - self.least if time.size else 0) + 1
        self.bits = self.span.bit_length()
        self.moments: Ints | None = None
        entities = (int(code.max()) - self.first).bit_length() if code.size else 0
        if self.bits + entities > _MOST_BITS:
            self.moments, ranks = np.unique(time, return_inverse=True)
            self.bits = int(self.moments.size).bit_length()
        else:
            ranks = time - self.least
        self.places = ((code - self.first) << self.bits) | ranks

    def of(self, code: Ints, time: Ints) -> Ints:
        """Where events of *code* from *time* on begin."""
        if self.moments is None:
            ranks = np.clip(time - self.least, 0, self.span)
        else:
            ranks = np.searchsorted(self.moments, time)
        return ((code - self.first) << self.bits) | ranks


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Counting:
    """The deliveries that count for one slot, sorted."""

    places: Ints
    events: Events
    arrival: Ints | None
    until: Ints | None


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


def _counting(
    history: History, slot: int, chosen: Ints, axis: _Axis, order: Ints, code: Ints, time: Ints
) -> _Counting:
    held = history.held[slot]
    if held.counts is not None:
        counts = held.counts[chosen]
        chosen, order = chosen[counts], order[counts]
    return _Counting(
        places=axis.places[order],
        events=Events(code[order], time[order], held.values[chosen]),
        arrival=None if history.arrival is None else history.arrival[chosen],
        until=None if history.until is None else history.until[chosen],
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
    features: list[WindowFeature], counting: _Counting, axis: _Axis, asked: Asked, lateness_us: int
) -> list[Values]:
    """The features, all of one window, at each decision."""
    width_us, delay_us = features[0].width_us, features[0].delay_us
    end = asked.at_us - delay_us
    nobody = asked.code < 0
    high = np.searchsorted(counting.places, axis.of(asked.code, end))
    if width_us is None:
        low = np.searchsorted(counting.places, (asked.code - axis.first) << axis.bits)
    else:
        low = np.searchsorted(counting.places, axis.of(asked.code, end - width_us))
    low[nobody] = high[nobody] = 0
    values = reduce_windows(features, counting.events, low, high, asked.at_us)
    known = asked.at_us if asked.known_us is None else asked.known_us
    hidden = np.zeros(low.shape, dtype=bool)
    if counting.arrival is not None and (asked.known_us is not None or lateness_us > delay_us):
        hidden |= extremes(np.maximum, counting.arrival, low, high, empty=-FOREVER) > known
    elif counting.arrival is None and asked.known_us is not None:  # not all that happened need be known
        hidden |= (asked.known_us < end) & (high > low)
    if counting.until is not None:
        hidden |= extremes(np.minimum, counting.until, low, high, empty=FOREVER) <= known
    some = np.flatnonzero(hidden)
    for part in chunks(low[some], high[some]):
        rows = some[part]
        for whole, part_values in zip(
            values,
            _seen(features, counting, low[rows], high[rows], known[rows], asked.at_us[rows]),
            strict=True,
        ):
            whole[rows] = part_values
    return values


def _seen(
    features: list[WindowFeature], counting: _Counting, low: Ints, high: Ints, known: Ints, at_us: Ints
) -> list[Values]:
    """The features over windows of which only some deliveries are visible."""
    window, event = pairs(low, high)
    then = known[window]
    arrival = counting.events.time if counting.arrival is None else counting.arrival
    seen = arrival[event] <= then
    if counting.until is not None:
        seen &= counting.until[event] > then
    window, event = window[seen], event[seen]
    visible = Events(window, counting.events.time[event], counting.events.values[event])
    return reduce_windows(features, visible, *bounds(window, low.size), at_us)
