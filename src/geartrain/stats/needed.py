"""How many rows would settle a promise, if what was seen stayed as it is.

"About": the answer assumes that the rate does not move, so it is a plan, not a guarantee.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from geartrain.domain.finding import MOST_ROWS
from geartrain.stats.intervals import CONFIDENCE, clopper_pearson, normal_quantile


def relevant_for_proportion(rate: float, bound: float, *, confidence: float = CONFIDENCE) -> int | None:
    """The fewest relevant rows whose exact interval lies wholly on the rate's side of the bound.

    With rate >= bound the smallest n with Clopper-Pearson's low end >= bound, else the
    smallest n with its high end < bound; successes are rate * n, not rounded. None where
    the rate stands on the bound, or no number that anyone could collect is enough.

    A promise "recall >= 0.97" that is kept without a single miss needs
    n = ln(0.025) / ln(0.97):

    >>> relevant_for_proportion(1.0, 0.97)
    122
    """
    if not (0.0 <= rate <= 1.0 and 0.0 <= bound <= 1.0) or rate == bound:
        return None
    if rate > bound:
        return _fewest(lambda n: clopper_pearson(rate * n, n, confidence=confidence)[0] >= bound)
    return _fewest(lambda n: clopper_pearson(rate * n, n, confidence=confidence)[1] < bound)


def rows_for_mean(
    value: float, bound: float, *, deviation: float, confidence: float = CONFIDENCE
) -> int | None:
    """The rows from which a mean's interval clears the bound: (z * deviation / distance)^2.

    *deviation* is the standard deviation of one row, in the units of value and bound.
    """
    distance = abs(value - bound)
    if distance <= 0.0 or not math.isfinite(distance) or not math.isfinite(deviation):
        return None
    z = normal_quantile(0.5 + confidence / 2.0)
    needed = (z * deviation / distance) ** 2
    return None if needed > MOST_ROWS else max(1, math.ceil(needed))


def relevant_for_width(rate: float, half_width: float, *, confidence: float = CONFIDENCE) -> int:
    """The relevant rows for an interval of rate -+ half_width: z^2 rate (1 - rate) / half_width^2.

    >>> relevant_for_width(0.95, 0.03)
    203
    """
    z = normal_quantile(0.5 + confidence / 2.0)
    return math.ceil(z * z * rate * (1.0 - rate) / half_width**2)


def _fewest(enough: Callable[[int], bool]) -> int | None:
    high = 1
    while not enough(high):
        high *= 2
        if high > MOST_ROWS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
