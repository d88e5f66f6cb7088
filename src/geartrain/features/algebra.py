"""What each aggregation says about the events of a window, for one window or for many at once.

`of_one` serves the online side and `of_many` the offline side. Both state the same
mathematics with the same roundings, so they agree bit for bit: sums are exact
(`features.exact`), a mean is one division, and the weights of a decayed sum use nothing
but multiplication, addition and powers of two, which IEEE 754 fixes on every machine.

Values are those that count, in event order (event time, then id); absent history is
None (NaN or None in an array) for all but `count` and `distinct`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

import numpy as np

from geartrain.domain.expression import Values
from geartrain.domain.features import Aggregation, WindowFeature
from geartrain.features.exact import Floats, Ints, exact_sum, exact_sums

SECOND_US = 1_000_000

_LN2 = 0.6931471805599453
_TERMS = 18  # 0.7^18 / 18! is below a tenth of the last bit
_MOST_PAIRS = 2_000_000  # (window, event) pairs held at once


def of_one(  # noqa: PLR0912 - one branch for each aggregation
    feature: WindowFeature, values: Sequence[float] | Sequence[str], times: Sequence[int], at_us: int
) -> float | str | None:
    """The feature's value over one window.

    Args:
        feature: What to say.
        values: The events' values; for `count` and `time_since` anything of their number.
        times: The events' times in microseconds.
        at_us: The decision's time.
    """
    count = len(times)
    match feature.aggregation:
        case Aggregation.COUNT:
            return float(count)
        case Aggregation.DISTINCT:
            return float(len(set(values)))
    if not count:
        return None
    match feature.aggregation:
        case Aggregation.SUM:
            return _finite(exact_sum(values))  # type: ignore[arg-type]
        case Aggregation.MEAN:
            return _finite(exact_sum(values) / count)  # type: ignore[arg-type]
        case Aggregation.MIN:
            return min(values)
        case Aggregation.MAX:
            return max(values)
        case Aggregation.RATIO:
            return sum(1 for value in values if value) / count
        case Aggregation.FIRST:
            return values[0]
        case Aggregation.LAST:
            return values[-1]
        case Aggregation.LAST_N:
            back = feature.n or 1
            return values[-back] if back <= count else None
        case Aggregation.TIME_SINCE:
            return (at_us - times[-1]) / SECOND_US
        case Aggregation.DECAYED_SUM:
            ages = at_us - np.asarray(times, dtype=np.int64)
            return _finite(
                exact_sum((np.asarray(values) * weights(ages, feature.half_life_us or 1)).tolist())
            )
        case _:
            assert_never(feature.aggregation)


def of_many(  # noqa: PLR0912 - one branch for each aggregation
    feature: WindowFeature, values: Values, times: Ints, low: Ints, high: Ints, at_us: Ints
) -> Values:
    """The feature's value over the windows `low:high`, shape (m,); NaN or None where there is no history.

    Args:
        feature: What to say.
        values: Shape (n,): float64, an object array of text, or for `distinct` one
            integer for each different value; unused by `count` and `time_since`.
        times: The events' times in microseconds, shape (n,).
        low: First event of each window, shape (m,).
        high: One past its last event, shape (m,).
        at_us: The decisions' times, shape (m,).
    """
    count = high - low
    some = count > 0
    match feature.aggregation:
        case Aggregation.COUNT:
            return count.astype(np.float64)
        case Aggregation.DISTINCT:
            return _distinct(values, low, high)
        case Aggregation.SUM:
            return _known(exact_sums(values, low, high), some)
        case Aggregation.MEAN:
            return _known(exact_sums(values, low, high) / np.maximum(count, 1), some)
        case Aggregation.MIN:
            return _known(reduce_slices(np.minimum, values, low, high, empty=np.nan), some)
        case Aggregation.MAX:
            return _known(reduce_slices(np.maximum, values, low, high, empty=np.nan), some)
        case Aggregation.RATIO:
            running = np.concatenate([[0], np.cumsum(values != 0)])
            return _known((running[high] - running[low]) / np.maximum(count, 1), some)
        case Aggregation.FIRST:
            return _taken(values, low, some)
        case Aggregation.LAST:
            return _taken(values, high - 1, some)
        case Aggregation.LAST_N:
            back = feature.n or 1
            return _taken(values, high - back, count >= back)
        case Aggregation.TIME_SINCE:
            last = _taken(times, high - 1, some)
            return _known((at_us - last) / SECOND_US, some)
        case Aggregation.DECAYED_SUM:
            return _known(_decayed(feature.half_life_us or 1, values, times, low, high, at_us), some)
        case _:
            assert_never(feature.aggregation)


def weights(ages: Ints, half_life_us: int) -> Floats:
    """`2 ** -(age / half-life)` in operations that every IEEE 754 machine rounds alike.

    >>> weights(np.array([0, 10, 20]), 10).tolist()
    [1.0, 0.5, 0.25]
    """
    halvings, rest = np.divmod(ages, half_life_us)
    x = (rest / half_life_us) * -_LN2
    power = np.ones(x.shape)
    for term in range(_TERMS, 0, -1):
        power = power * x / term + 1.0
    return np.ldexp(power, -np.minimum(halvings, 4000).astype(np.int32))


def reduce_slices(operation: np.ufunc, values: Values, low: Ints, high: Ints, *, empty: float) -> Values:
    """`operation` over each slice `values[low:high]`; *empty* for an empty one. For min and max only."""
    result = np.full(low.shape, empty, dtype=values.dtype)
    some = np.flatnonzero(high > low)
    if some.size:
        edges = np.column_stack([low[some], high[some]]).ravel()
        padded = np.append(values, values[-1:])  # the last edge may be one past the end
        result[some] = operation.reduceat(padded, edges)[::2]
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


def _decayed(half_life_us: int, values: Floats, times: Ints, low: Ints, high: Ints, at_us: Ints) -> Floats:
    result = np.zeros(low.shape)
    for part in chunks(low, high):
        window, event = pairs(low[part], high[part])
        products = values[event] * weights(at_us[part][window] - times[event], half_life_us)
        result[part] = exact_sums(products, *bounds(window, low[part].size))
    return result


def _distinct(codes: Ints, low: Ints, high: Ints) -> Floats:
    result = np.zeros(low.shape)
    kinds = int(codes.max()) + 1 if codes.size else 1
    for part in chunks(low, high):
        window, event = pairs(low[part], high[part])
        seen = np.unique(window * kinds + codes[event])
        result[part] = np.bincount(seen // kinds, minlength=low[part].size)
    return result


def _taken(values: Values, index: Ints, there: Values) -> Values:
    missing = None if values.dtype == object else np.nan
    result = np.full(index.shape, missing, dtype=values.dtype if values.dtype == object else np.float64)
    if values.dtype == np.int64:
        whole = np.zeros(index.shape, dtype=np.int64)
        whole[there] = values[index[there]]
        return whole
    result[there] = values[index[there]]
    return result


def _known(values: Floats, there: Values) -> Floats:
    return np.where(there & np.isfinite(values), values, np.nan)


def _finite(value: float) -> float | None:
    return value if -np.inf < value < np.inf else None
