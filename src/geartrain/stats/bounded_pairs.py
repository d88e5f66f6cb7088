"""Figures that are no means of all rows but rest on some, for any number of looks: a ratio of costs, an AUC, calibration.

All are made of bounded values whose mean is known where the hypothesis is true, so they have confidence
sequences (Waudby-Smith and Ramdas 2023) by inverting a test.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.finding import Guarantee, Measurement
from geartrain.stats.bounded import ConfidenceSequence, Scale, extend, over_time

Floats = NDArray[np.float64]

#: Ratios at which the test is made, as steps of the most that is of interest.
_STEPS = 400
#: Bins of equal width of a calibration error.
CALIBRATION_BINS = 10
#: The share of rows that is near a threshold, as at one look.
NEAR = 0.1


def ratio_over_time(
    costs: Floats, base: Floats, *, scale: Scale, confidence: float, most: float
) -> Measurement | None:
    """mean(*costs*) / mean(*base*) of the same rows, shape (n,) with n > 0, both within *scale*, in their order.

    At the true ratio r the rows' differences costs - r base have the mean 0. So the interval is made of
    the r in [0, *most*] whose sequence of differences holds 0, with a step of the grid on either side; it is
    open upwards where *most* is among them. Pairs make it narrow: what is dear for both says nothing.
    None where the base costs nothing, or a cost may be negative.

    >>> dear, half = np.tile([0.0, 1.0], 500), np.tile([0.0, 0.5], 500)
    >>> seen = ratio_over_time(half, dear, scale=Scale(), confidence=0.95, most=2.0)
    >>> seen.value, seen.low > 0.3, seen.high < 0.7
    (0.5, True, True)
    """
    if scale.low < 0 or float(base.mean()) <= 0:
        return None
    value = float(costs.mean() / base.mean())
    grid = np.linspace(0.0, most, _STEPS + 1)
    held = [
        place for place, ratio in enumerate(grid) if _holds_zero(costs, base, float(ratio), scale, confidence)
    ]
    if held:
        low = grid[max(0, held[0] - 1)]
        high = math.inf if held[-1] == _STEPS else grid[held[-1] + 1]
    else:
        # The true ratio lies beyond the grid, or between two of its places.
        step = most / _STEPS
        low, high = (most, math.inf) if value > most else (max(0.0, value - step), value + step)
    return Measurement(
        value=value,
        low=min(float(low), value),
        high=max(float(high), value),
        confidence=confidence,
        rows=len(costs),
        method="paired empirical-Bernstein confidence sequence",
        guarantee=Guarantee.AT_ALL_TIMES,
    )


def _holds_zero(costs: Floats, base: Floats, ratio: float, scale: Scale, confidence: float) -> bool:
    """Whether 0 is in the sequence of costs - ratio * base."""
    range_ = Scale(low=scale.low - ratio * scale.high, high=scale.high - ratio * scale.low)
    seen = extend(ConfidenceSequence(alpha=1 - confidence), range_.to_unit(costs - ratio * base))
    return range_.from_unit(seen.low) <= 0 <= range_.from_unit(seen.high)


def auc_over_time(scores: Floats, positive: NDArray[np.bool_], *, confidence: float) -> Measurement | None:
    """The AUC of *scores*, shape (n,), for the *positive* rows, in their order; None while one kind is missing.

    The rows are cut where both kinds have come since the last cut. Given the labels, the share of such a
    piece's pairs in which the positive row is above (a tie counts half) has the AUC as its mean, and
    pieces share no rows: bounded values with a sequence. It is wider than an interval of one look, since pairs
    across pieces are not used.
    """
    shares: list[float] = []
    kinds: tuple[list[float], list[float]] = ([], [])
    for score, is_positive in zip(scores.tolist(), positive.tolist(), strict=True):
        kinds[is_positive].append(score)
        if kinds[0] and kinds[1]:
            others, own = np.asarray(kinds[0])[:, None], np.asarray(kinds[1])[None, :]
            shares.append(float(((own > others) + 0.5 * (own == others)).mean()))
            kinds = ([], [])
    if not shares:
        return None
    return over_time(np.asarray(shares), confidence=confidence, rows=len(scores))


def calibration_over_time(
    said: Floats, came: Floats, *, confidence: float, bins: int = CALIBRATION_BINS
) -> Measurement:
    """How far probabilities are from what came, over *bins* of equal width; shapes (n,) with n > 0, in their order.

    In each bin the mean of came - said has a sequence at its part of alpha; the error is the sum of their sizes, each
    bin weighted by its share of the rows so far. One more is for all rows: the error is never less than their mean is
    far from 0, so probabilities that are all too low are found where each bin alone holds too few. The bins do not move with the rows, so this is not the debiased
    error over equal-mass bins of one look: `value` is not debiased, its ends need not be.

    >>> chance = np.random.default_rng(1)
    >>> said = np.repeat([0.2, 0.8], 2000)
    >>> seen = calibration_over_time(said, (chance.uniform(size=4000) < said).astype(float), confidence=0.95)
    >>> seen.low, seen.high < 0.1
    (0.0, True)
    """
    places = np.minimum((said * bins).astype(np.int64), bins - 1)
    level = 1 - (1 - confidence) / (bins + 1)
    whole = over_time(came - said, confidence=level, scale=Scale(low=-1.0))
    value = low = high = 0.0
    for place in np.unique(places):
        inside = places == place
        apart, weight = came[inside] - said[inside], float(inside.mean())
        seen = over_time(apart, confidence=level, scale=Scale(low=-1.0))
        value += weight * abs(seen.value)
        low += weight * max(0.0, seen.low, -seen.high)
        high += weight * max(seen.high, -seen.low)
    return Measurement(
        value=value,
        low=min(max(low, whole.low, -whole.high), value),
        high=max(high, value),
        confidence=confidence,
        rows=len(said),
        method=f"empirical-Bernstein confidence sequences in {bins} fixed bins",
        guarantee=Guarantee.AT_ALL_TIMES,
    )


def calibration_at_over_time(
    said: Floats, came: Floats, *, distance: Floats, confidence: float, share: float = NEAR
) -> Measurement:
    """Seen minus said among the rows that came nearest to where the decision turns; shapes (n,) with n > 0, in their order.

    *distance* is how far a row's probability lies from its threshold. A row counts where its distance was among the
    nearest *share* of the rows up to it, ties with them: whether it does is known before its truth is, and later rows
    do not change it. One look takes the nearest of all rows instead, so the two values differ a little.

    >>> chance = np.random.default_rng(1)
    >>> said = chance.uniform(size=5000)
    >>> came = (chance.uniform(size=5000) < said + 0.3 * (np.abs(said - 0.5) < 0.1)).astype(float)
    >>> seen = calibration_at_over_time(said, came, distance=np.abs(said - 0.5), confidence=0.95)
    >>> seen.low > 0.1, 490 < seen.relevant < 530
    (True, True)
    """
    near = near_so_far(distance, share=share)
    seen = over_time(came[near] - said[near], confidence=confidence, scale=Scale(low=-1.0), rows=len(said))
    return replace(
        seen, note=f"the {seen.relevant} rows that were among the nearest {share:.0%} when they came"
    )


def near_so_far(distance: Floats, *, share: float) -> NDArray[np.bool_]:
    """For each row whether fewer than a *share* of the rows up to it, itself among them, lie nearer, shape (n,).

    >>> near_so_far(np.array([0.4, 0.5, 0.1, 0.2, 0.1]), share=0.2).tolist()
    [True, False, True, False, True]
    """
    before: list[float] = []
    near = np.zeros(len(distance), dtype=bool)
    for place, one in enumerate(distance.tolist(), start=1):
        near[place - 1] = bisect_left(before, one) < share * place
        insort(before, one)
    return near
