"""What each aggregation says about the events of a window, for one window or for many at once.

`of_one` serves the online side and `of_many` the offline side. Both state the same
mathematics with the same roundings, so they agree bit for bit: sums are exact
(`features.exact`), a mean is one division, and the weights of a decayed sum use nothing
but multiplication, addition and powers of two, which IEEE 754 fixes on every machine.

Values are those that count, in event order (event time, then id); absent history is
None (NaN or None in an array) for all but `count` and `distinct`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import numpy as np

from geartrain.domain.features import Aggregation, WindowFeature
from geartrain.features.exact import Floats, Ints, exact_sum

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
            return _told(values[0])
        case Aggregation.LAST:
            return _told(values[-1])
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


def _finite(value: float) -> float | None:
    return value if -np.inf < value < np.inf else None


def _told(value: float | str | None) -> float | str | None:
    """A value, or None where a table's row has none."""
    return None if value is None or value != value else value  # noqa: PLR0124 - NaN is not itself
