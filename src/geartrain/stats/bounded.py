"""Means of bounded losses: scaling costs to [0, 1], an upper bound, a confidence sequence.

A guarantee about a mean needs a bound on what one row can do. So costs are scaled by a
stated range and cut there; what was cut is counted and told.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.finding import Guarantee, Measurement

Floats = NDArray[np.float64]

#: The share of reference costs below the upper end of their scale.
SCALE_QUANTILE = 0.999
_SHARES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The range of costs that a guarantee counts in full; beyond it they are cut."""

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"a scale needs a finite low below its high, not {self.low!r} to {self.high!r}")

    @property
    def width(self) -> float:
        """From the lowest to the highest cost that is counted in full."""
        return self.high - self.low

    def to_unit(self, costs: Floats) -> Floats:
        """Costs as losses in [0, 1], cut at the ends."""
        unit: Floats = np.clip((np.asarray(costs, dtype=np.float64) - self.low) / self.width, 0.0, 1.0)
        return unit

    def from_unit(self, loss: float) -> float:
        """The cost that a loss in [0, 1] stands for."""
        return self.low + loss * self.width

    def beyond(self, costs: Floats) -> int:
        """How many costs are cut."""
        return int(((costs < self.low) | (costs > self.high)).sum())


def scale_of(costs: Floats) -> Scale:
    """A scale that holds all but the most extreme thousandth of reference *costs*, shape (n,).

    Zero is always inside. Where nothing cost anything, one unit is the scale.

    >>> scale_of(np.array([0.0, 1.0, 50.0]))
    Scale(low=0.0, high=50.0)
    """
    known = np.asarray(costs, dtype=np.float64)
    known = known[np.isfinite(known)]
    low = min(0.0, float(np.quantile(known, 1 - SCALE_QUANTILE, method="lower"))) if known.size else 0.0
    high = max(0.0, float(np.quantile(known, SCALE_QUANTILE, method="higher"))) if known.size else 0.0
    return Scale(low=low, high=high if high > low else low + 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpperBound:
    """A bound that the true mean exceeds with a probability of at most `alpha`."""

    mean: float
    value: float
    alpha: float
    rows: int
    method: str


def upper_bound(losses: Floats, *, alpha: float, worth: float = 1.0) -> UpperBound:
    """Bound the mean of losses in [0, 1] from above, shape (n,), at a fixed *n*.

    Losses that are all 0 or 1 have the exact bound (Clopper-Pearson); others the
    betting bound: the means m against which a mixture of bets "the mean is below m"
    wins 1/alpha are refused (Waudby-Smith and Ramdas 2023).
    Each row counts as *worth* independent ones (`dependence.row_worth`).
    Without rows the bound is 1: nothing is known.
    """
    losses = np.asarray(losses, dtype=np.float64)
    rows = losses.size
    if not rows:
        return UpperBound(mean=math.nan, value=1.0, alpha=alpha, rows=0, method="no rows")
    mean = float(losses.mean())
    if bool(((losses == 0) | (losses == 1)).all()):
        from scipy.special import betainccinv

        ones, others = worth * float(losses.sum()), worth * (rows - float(losses.sum()))
        exact = 1.0 if others <= 0 else float(betainccinv(ones + 1, others, alpha))
        return UpperBound(mean=mean, value=exact, alpha=alpha, rows=rows, method="Clopper-Pearson")
    needed = -math.log(alpha) + math.log(len(_SHARES))
    low, high = mean, 1.0
    if _log_win(losses, high, worth) < needed:
        return UpperBound(mean=mean, value=1.0, alpha=alpha, rows=rows, method="betting")
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if _log_win(losses, middle, worth) >= needed else (middle, high)
    return UpperBound(mean=mean, value=high, alpha=alpha, rows=rows, method="betting")


def _log_win(losses: Floats, mean: float, worth: float) -> float:
    """What bets on "the mean is below *mean*" win; grows with *mean*, for every bet."""
    won = [worth * float(np.log1p(share * (mean - losses)).sum()) for share in _SHARES]
    return float(np.logaddexp.reduce(np.asarray(won)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceSequence:
    """Intervals that all hold at once: the mean lies in every one with probability 1 - alpha.

    Predictable plug-in empirical Bernstein (Waudby-Smith and Ramdas 2023, theorem 2).
    Where the mean moves, the interval is for its weighted average so far.
    """

    alpha: float = 0.05
    rows: int = 0
    total: float = 0.0
    squares: float = 0.0
    weight: float = 0.0
    weighted: float = 0.0
    doubt: float = 0.0

    @property
    def mean(self) -> float | None:
        """The plain mean so far, or None before the first row."""
        return self.total / self.rows if self.rows else None

    @property
    def low(self) -> float:
        """The lower end now."""
        return max(0.0, self._centre - self._radius)

    @property
    def high(self) -> float:
        """The upper end now."""
        return min(1.0, self._centre + self._radius)

    @property
    def _centre(self) -> float:
        return self.weighted / self.weight if self.weight else 0.5

    @property
    def _radius(self) -> float:
        return (math.log(2 / self.alpha) + self.doubt) / self.weight if self.weight else 1.0


def extend(seen: ConfidenceSequence, losses: Floats) -> ConfidenceSequence:
    """Take the next *losses* in [0, 1], shape (n,), in their order.

    Raises:
        ValueError: A loss is not a number in [0, 1].
    """
    losses = np.asarray(losses, dtype=np.float64)
    if not losses.size:
        return seen
    if not ((losses >= 0) & (losses <= 1)).all():
        raise ValueError("losses must be numbers in [0, 1]; scale them first")
    index = np.arange(seen.rows + 1, seen.rows + losses.size + 1, dtype=np.float64)
    totals = seen.total + np.cumsum(losses)
    means = (0.5 + totals) / (index + 1)
    means_before = np.concatenate([[(0.5 + seen.total) / index[0]], means[:-1]])
    squares = seen.squares + np.cumsum((losses - means) ** 2)
    squares_before = np.concatenate([[seen.squares], squares[:-1]])
    variance_before = (0.25 + squares_before) / index
    sizes = np.minimum(
        0.5, np.sqrt(2 * math.log(2 / seen.alpha) / (variance_before * index * np.log1p(index)))
    )
    psi = (-np.log1p(-sizes) - sizes) / 4
    return ConfidenceSequence(
        alpha=seen.alpha,
        rows=seen.rows + losses.size,
        total=float(totals[-1]),
        squares=float(squares[-1]),
        weight=seen.weight + float(sizes.sum()),
        weighted=seen.weighted + float((sizes * losses).sum()),
        doubt=seen.doubt + float((4 * (losses - means_before) ** 2 * psi).sum()),
    )


def measured_so_far(seen: ConfidenceSequence, scale: Scale) -> Measurement | None:
    """The mean of costs on *scale* with the interval of now, which may be read at any time; None before the first row."""
    if seen.mean is None:
        return None
    return Measurement(
        value=scale.from_unit(seen.mean),
        low=scale.from_unit(min(seen.low, seen.mean)),
        high=scale.from_unit(max(seen.high, seen.mean)),
        confidence=1 - seen.alpha,
        rows=seen.rows,
        method="empirical-Bernstein confidence sequence",
        guarantee=Guarantee.AT_ALL_TIMES,
    )


def over_time(
    values: Floats, *, confidence: float, scale: Scale | None = None, rows: int | None = None
) -> Measurement:
    """The mean of *values*, shape (n,) with n > 0, in the order in which they became known, for any number of looks.

    The intervals of all n hold together with probability *confidence*. Where the expected value
    moves they are for the weighted average so far.

    Raises:
        ValueError: A value lies outside of *scale*, by default [0, 1].
    """
    scale = scale or Scale()
    seen = measured_so_far(
        extend(ConfidenceSequence(alpha=1 - confidence), (values - scale.low) / scale.width), scale
    )
    assert seen is not None
    return replace(
        seen, confidence=confidence, rows=len(values) if rows is None else rows, relevant=len(values)
    )
