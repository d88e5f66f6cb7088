"""Between two groups: how far apart two rates may be, as a difference and as a ratio.

Both take the two rates' own intervals and join them (MOVER, "method of variance estimates
recovery"), so that any interval can stand behind a rate: Wilson's, an exact one, a bootstrap's.

MOVER's ends assume two independent rates at one look. `apart` and `alike` need neither: wherever in their
own intervals the two rates lie, the gap lies between the ends, so intervals that hold at all times stay so.
"""

from __future__ import annotations

import math

from geartrain.domain.finding import Measurement


def difference(one: Measurement, two: Measurement) -> Measurement:
    """|one - two|; low = d - sqrt((a - l_a)^2 + (u_b - b)^2), high = d + sqrt((u_a - a)^2 + (b - l_b)^2).

    With Wilson's intervals it is Newcombe's method 10 (1998, "Interval estimation for the difference
    between independent proportions"). An interval that holds 0 begins at 0.
    """
    apart = one.value - two.value
    low = apart - math.hypot(one.value - one.low, two.high - two.value)
    high = apart + math.hypot(one.high - one.value, two.value - two.low)
    crossing = low <= 0 <= high
    return Measurement(
        value=abs(apart),
        low=0.0 if crossing else min(abs(low), abs(high)),
        high=max(abs(low), abs(high)),
        confidence=one.confidence,
        rows=one.rows + two.rows,
        method=one.method if one.method == "Newcombe" else f"difference of {one.method}",
    )


def quotient(one: Measurement, two: Measurement) -> Measurement | None:
    """The smaller rate over the larger one, at most 1; None where the larger is 0 or a rate is negative.

    For r = a / b with ends l and u: low = (ab - sqrt((ab)^2 - l_a u_b (2a - l_a)(2b - u_b))) / (u_b (2b - u_b)),
    high = (ab + sqrt((ab)^2 - u_a l_b (2a - u_a)(2b - l_b))) / (l_b (2b - l_b)) (Donner and Zou 2012, "Closed-form
    confidence intervals for functions of the normal mean and standard deviation", section 2). Which of the
    two is smaller is not known beforehand: an end above 1 is cut there.
    """
    a, b = (one, two) if one.value <= two.value else (two, one)
    if b.value <= 0 or a.value < 0 or a.low < 0 or b.low < 0:
        return None
    product = a.value * b.value
    # The far end of the larger rate can pass twice its value where that is near 0; the low end is then 0.
    under = b.high * (2 * b.value - b.high)
    low = 0.0
    if under > 0:
        root = product**2 - a.low * b.high * (2 * a.value - a.low) * (2 * b.value - b.high)
        low = (product - math.sqrt(max(0.0, root))) / under
    over = b.low * (2 * b.value - b.low)
    high = 1.0
    if over > 0:
        root = product**2 - a.high * b.low * (2 * a.value - a.high) * (2 * b.value - b.low)
        high = (product + math.sqrt(max(0.0, root))) / over
    value = a.value / b.value
    return Measurement(
        value=value,
        low=min(value, max(0.0, low)),
        high=max(value, min(1.0, high)),
        confidence=one.confidence,
        rows=one.rows + two.rows,
        method=f"ratio of {one.method}" if one.method != "Newcombe" else "ratio of Wilson's",
    )


def apart(one: Measurement, two: Measurement) -> Measurement:
    """|one - two|, whose ends hold whenever both intervals do (a union bound), whatever their dependence.

    >>> half, all_ = (Measurement(value=v, low=v - 0.1, high=v + 0.1) for v in (0.5, 0.9))
    >>> gap = apart(half, all_)
    >>> round(gap.low, 3), round(gap.value, 3), round(gap.high, 3)
    (0.2, 0.4, 0.6)
    """
    return Measurement(
        value=abs(one.value - two.value),
        low=max(0.0, one.low - two.high, two.low - one.high),
        high=max(one.high - two.low, two.high - one.low),
        confidence=one.confidence,
        rows=one.rows + two.rows,
        method=one.method,
    )


def alike(one: Measurement, two: Measurement) -> Measurement | None:
    """The smaller over the larger, at most 1, whose ends hold whenever both intervals do; None as in `quotient`."""
    smaller, larger = sorted((one.value, two.value))
    if larger <= 0 or smaller < 0 or one.low < 0 or two.low < 0:
        return None
    low = min(a.low / b.high for a, b in ((one, two), (two, one)) if b.high > 0)
    high = min([1.0, *(a.high / b.low for a, b in ((one, two), (two, one)) if b.low > 0)])
    return Measurement(
        value=smaller / larger,
        low=min(smaller / larger, low),
        high=max(smaller / larger, high),
        confidence=one.confidence,
        rows=one.rows + two.rows,
        method=one.method,
    )
