"""What each aggregation says about very many windows at once, on NumPy arrays.

Events stand sorted by (key, time, id); a window is a slice `low:high` of them, found by
binary search. Windows stand sorted by (key, time of the decision), so that both ends
only ever move forward; every aggregation then costs the number of events plus the
number of windows, however wide a window is:

- count, first, last, last_n, time_since: by index.
- sum, mean: exact integer prefix sums (`features.exact`); ratio: a running count.
- min, max: a sparse table, one doubling at a time; where windows hold little, by walking.
- distinct: an event is new to a window where its value's previous event of the key lies
  before the window, and is lost from it where the next one lies behind; a running sum
  over the moving window counts both.

Only a decayed sum needs every (window, event) pair, because the weights depend on the
decision's time; a bounded number of pairs is held at once.

The values are those of `geartrain.features.algebra`, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

import numpy as np

from geartrain.domain.expression import Values
from geartrain.domain.features import Aggregation, WindowFeature
from geartrain.features.algebra import SECOND_US, weights
from geartrain.features.exact import ExactSums, Floats, Ints, exact_sums, is_short, walked

_MOST_PAIRS = 2_000_000  # (window, event) pairs held at once


class Events:
    """The events that count for one slot, sorted by (key, time, id); what is derived of them is made once.

    Args:
        key: Which entity, as ascending integers, shape (n,).
        time: Microseconds, ascending within a key, shape (n,).
        values: float64, or for text one integer for each different value, shape (n,).
    """

    __slots__ = ("_neighbours", "_nonzero", "_sums", "key", "time", "values")

    def __init__(self, key: Ints, time: Ints, values: Values) -> None:
        self.key, self.time, self.values = key, time, values
        self._sums: ExactSums | None = None
        self._nonzero: Ints | None = None
        self._neighbours: tuple[Ints, Ints] | None = None

    @property
    def sums(self) -> ExactSums:
        """Exact prefix sums of the values."""
        if self._sums is None:
            self._sums = ExactSums(self.values)
        return self._sums

    @property
    def nonzero(self) -> Ints:
        """How many of the first i values are not 0, shape (n + 1,)."""
        if self._nonzero is None:
            self._nonzero = np.concatenate([[0], np.cumsum(self.values != 0, dtype=np.int64)])
        return self._nonzero

    @property
    def neighbours(self) -> tuple[Ints, Ints]:
        """The previous and the next event of the same key and value, shape (n,); -1 and n where there is none."""
        if self._neighbours is None:
            self._neighbours = _neighbours(self.key, self.values)
        return self._neighbours


def reduce_windows(
    features: Sequence[WindowFeature], events: Events, low: Ints, high: Ints, at_us: Ints
) -> list[Values]:
    """The value of each feature over the windows `low:high`, each of shape (m,).

    Args:
        features: Different aggregations of the same events over the same windows.
        events: What is aggregated.
        low: First event of each window, shape (m,), never falling.
        high: One past its last event, shape (m,), never falling.
        at_us: The decisions' times, shape (m,).

    Returns:
        float64 with NaN where there is no history; of textual values their integers, -1 where there is none.
    """
    summed = any(one.aggregation in {Aggregation.SUM, Aggregation.MEAN} for one in features)
    sums = events.sums.of(low, high) if summed else np.zeros(0)
    return [_reduced(one, events, low, high, at_us, sums) for one in features]


def _reduced(  # noqa: PLR0912 - one branch for each aggregation
    feature: WindowFeature, events: Events, low: Ints, high: Ints, at_us: Ints, sums: Floats
) -> Values:
    count = high - low
    some = count > 0
    match feature.aggregation:
        case Aggregation.COUNT:
            return count.astype(np.float64)
        case Aggregation.DISTINCT:
            return _distinct(events, low, high)
        case Aggregation.SUM:
            return _known(sums, some)
        case Aggregation.MEAN:
            return _known(sums / np.maximum(count, 1), some)
        case Aggregation.MIN:
            return _known(extremes(np.minimum, events.values, low, high, empty=np.nan), some)
        case Aggregation.MAX:
            return _known(extremes(np.maximum, events.values, low, high, empty=np.nan), some)
        case Aggregation.RATIO:
            return _known((events.nonzero[high] - events.nonzero[low]) / np.maximum(count, 1), some)
        case Aggregation.FIRST:
            return _taken(events.values, low, some)
        case Aggregation.LAST:
            return _taken(events.values, high - 1, some)
        case Aggregation.LAST_N:
            back = feature.n or 1
            return _taken(events.values, high - back, count >= back)
        case Aggregation.TIME_SINCE:
            last = np.zeros(high.shape, dtype=np.int64)
            last[some] = events.time[high[some] - 1]
            return _known((at_us - last) / SECOND_US, some)
        case Aggregation.DECAYED_SUM:
            return _known(_decayed(feature.half_life_us or 1, events, low, high, at_us), some)
        case _:
            assert_never(feature.aggregation)


def extremes(operation: np.ufunc, values: Values, low: Ints, high: Ints, *, empty: float) -> Values:
    """The least or greatest of each slice `values[low:high]`; *empty* for an empty one.

    A slice of length l is covered by two runs of length 2^floor(log2 l). Runs are doubled
    one step at a time, so only one row of the sparse table is held (Bender and
    Farach-Colton, "The LCA problem revisited", LATIN 2000, section 3).
    """
    result = np.full(low.shape, empty, dtype=values.dtype)
    if not low.size or not values.size:
        return result
    if is_short(values, low, high):
        np.copyto(result, walked(operation, values, low, high), where=high > low)
        return result
    doubling = np.frexp((high - low).astype(np.float64))[1] - 1
    runs, length = values, 1
    for step in range(int(doubling.max(initial=-1)) + 1):
        here = np.flatnonzero(doubling == step)
        if here.size:
            result[here] = operation(runs[low[here]], runs[high[here] - length])
        runs, length = operation(runs[:-length], runs[length:]), 2 * length
    return result


def chunks(low: Ints, high: Ints) -> Iterator[slice]:
    """Runs of windows that hold a bounded number of events together."""
    ends = np.cumsum(high - low)
    start = 0
    while start < low.size:
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _MOST_PAIRS, side="right")))
        yield slice(start, stop)
        start = stop


def pairs(low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """Every (window, event) pair of the windows: which window, and the event's index."""
    length = high - low
    window = np.repeat(np.arange(low.size), length)
    return window, np.arange(window.size) + np.repeat(low - (np.cumsum(length) - length), length)


def bounds(window: Ints, windows: int) -> tuple[Ints, Ints]:
    """Where each window begins and ends in pairs that are sorted by window."""
    ends = np.cumsum(np.bincount(window, minlength=windows))
    return np.concatenate([[0], ends[:-1]]), ends


def _distinct(events: Events, low: Ints, high: Ints) -> Floats:
    windows, count = low.size, events.values.size
    if not count or not windows:
        return np.zeros(low.shape)
    before, after = events.neighbours
    place = np.arange(count)
    entered = np.cumsum(np.bincount(high, minlength=count + 1))[
        :count
    ]  # the first window that ends behind it
    inside = np.flatnonzero(entered < windows)
    start = low[entered[inside]]
    new = (inside >= start) & (before[inside] < start)
    gained = np.bincount(entered[inside[new]], minlength=windows)
    left = np.cumsum(np.bincount(low, minlength=count + 1))[:count]  # the first window that begins behind it
    gone = np.flatnonzero((left < windows) & (left > 0))
    end = high[left[gone] - 1]
    last = (place[gone] < end) & (after[gone] >= end)
    lost = np.bincount(left[gone[last]], minlength=windows)
    return np.cumsum(gained - lost).astype(np.float64)


def _neighbours(key: Ints, values: Values) -> tuple[Ints, Ints]:
    count = values.size
    before = np.full(count, -1, dtype=np.int64)
    after = np.full(count, count, dtype=np.int64)
    if count < 2:
        return before, after
    codes = values if values.dtype.kind == "i" else values.view(np.int64)
    order = _ordered(key, codes)
    same = (key[order[1:]] == key[order[:-1]]) & (codes[order[1:]] == codes[order[:-1]])
    before[order[1:][same]] = order[:-1][same]
    after[order[:-1][same]] = order[1:][same]
    return before, after


def _ordered(key: Ints, codes: Ints) -> Ints:
    """The places in order of (key, code, place); one sort of plain integers where all three fit into one."""
    least = int(codes.min())
    bits = (int(codes.max()) - least).bit_length()
    place = int(codes.size - 1).bit_length()
    first = int(key[0])
    if (int(key[-1]) - first).bit_length() + bits + place > 62:
        return np.lexsort((codes, key))
    packed = ((((key - first) << bits) | (codes - least)) << place) | np.arange(codes.size)
    packed.sort()
    return packed & ((1 << place) - 1)


def _decayed(half_life_us: int, events: Events, low: Ints, high: Ints, at_us: Ints) -> Floats:
    result = np.zeros(low.shape)
    for part in chunks(low, high):
        window, event = pairs(low[part], high[part])
        products = events.values[event] * weights(at_us[part][window] - events.time[event], half_life_us)
        result[part] = exact_sums(products, *bounds(window, low[part].size))
    return result


def _taken(values: Values, index: Ints, there: Values) -> Values:
    result = np.full(index.shape, -1 if values.dtype.kind == "i" else np.nan, dtype=values.dtype)
    result[there] = values[index[there]]
    return result


def _known(values: Values, there: Values) -> Floats:
    return np.where(there & np.isfinite(values), values, np.nan)
