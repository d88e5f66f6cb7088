"""A quantile that may be looked at after every row, such as "99 of 100 answers within so many ms".

That a quantile at *probability* lies above x says that more than 1 - probability of the values
do. So both ends of the interval are tests of a share, and the interval holds the quantile at
all times at once, since each end only fails where the test at the true quantile does.

Values come in bursts: what is slow is slow for a while. The lower end, by which a promise is
called broken, therefore bets on *spells* of time instead of values: a spell's share may be
anything, however its values depend on each other. The upper end counts values, each for what
it is worth (`dependence.row_worth`): by spells, proving a p99 kept would take a hundred times
as long.

Source: betting on a bounded mean, Waudby-Smith and Ramdas 2023 (JRSSB); the beta-binomial
boundary for a fixed quantile, Howard and Ramdas 2022, "Sequential estimation of quantiles with
applications to A/B testing and best-arm identification" (Bernoulli), section 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.finding import Guarantee, Measurement
from geartrain.stats.dependence import row_worth
from geartrain.stats.eprocess import BETS

Floats = NDArray[np.float64]
Spells = NDArray[np.int64]

#: Rows that the prior of the beta-binomial mixture is worth: tightest at about ten times as many.
PRIOR_ROWS = 200.0


def spell_losses(late: Floats, spells: Spells, *, level: float) -> Floats:
    """The share of *late* values of each spell in a form whose mean is at most *level* where the values' is.

    *late*, shape (n,), holds 0 or 1; *spells*, shape (n,), names each value's spell, in order. A spell
    with fewer values than the middle one counts for less in proportion, so that a lone value at
    night is not as much as a thousand by day; one with more counts as the middle one does.
    """
    _, inverse, counts = np.unique(spells, return_inverse=True, return_counts=True)
    shares = np.bincount(inverse.reshape(-1), weights=late) / counts
    weights = np.minimum(1.0, counts / float(np.median(counts)))
    losses: Floats = level + weights * (shares - level)
    return losses


def quantile_over_time(
    values: Floats, spells: Spells, *, probability: float, confidence: float
) -> Measurement:
    """The quantile of *values*, shape (n,) with n > 0, none negative, in their order, with an interval for any number of looks.

    Assumes, for the lower end, that a spell's expected share of values above the true quantile,
    given all before it, is at most 1 - *probability*; for the upper end that what is alike lasts much
    less than a twentieth of the values. The upper end is infinite while there are too few values.

    >>> seen = quantile_over_time(np.arange(5000.0) % 100, np.arange(5000), probability=0.5, confidence=0.95)
    >>> seen.value, seen.low < 49 < seen.high
    (49.0, True)
    """
    alpha = (1 - confidence) / 2
    known = np.unique(values)
    value = float(np.quantile(values, probability, method="inverted_cdf"))
    late = 1 - probability
    worth = row_worth((values > value).astype(np.float64), doubt=alpha / 2)

    def above(bound: float) -> bool:
        losses = spell_losses((values > bound).astype(np.float64), spells, level=late)
        return _log_bets(losses, late) >= -math.log(alpha)

    def below(bound: float) -> bool:
        beyond = worth * float((values > bound).sum())
        return _log_rarer(beyond, worth * len(values), late) >= -math.log(alpha)

    first, last = _first(known, lambda one: not above(one)), _first(known, below)
    # Between two known values nothing changes, so where one is refused the quantile is at least the next.
    low = float(known[first]) if above(-math.inf) else 0.0
    high = float(known[last]) if last < len(known) else math.inf
    return Measurement(
        value=value,
        low=min(low, value),
        high=max(high, value),
        confidence=confidence,
        rows=len(values),
        method="bets on spells below, beta-binomial boundary above",
        guarantee=Guarantee.AT_ALL_TIMES,
    )


def _first(known: Floats, holds: Callable[[float], bool]) -> int:
    """The place of the first of *known* values for which *holds*, which holds for all after it; their number if none."""
    low, high = 0, len(known)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(float(known[middle])) else (middle + 1, high)
    return low


def _log_bets(losses: Floats, level: float) -> float:
    """What bets on "the mean is above *level*" win; it grows with every loss."""
    won = [float(np.log1p(bet * (losses / level - 1)).sum()) for bet in BETS]
    return float(np.logaddexp.reduce(np.asarray(won))) - math.log(len(BETS))


def _log_rarer(hits: float, rows: float, share: float) -> float:
    """What a mixture of bets on shares below *share* wins, where *rows* had *hits*: a Beta prior cut at *share*."""
    from scipy.special import betainc, betaln

    a, b = PRIOR_ROWS * share, PRIOR_ROWS * (1 - share)
    inside = [float(betainc(a + k, b + n - k, share)) for k, n in ((hits, rows), (0.0, 0.0))]
    if inside[0] <= 0:
        return -math.inf
    odds = float(betaln(a + hits, b + rows - hits) - betaln(a, b)) + math.log(inside[0] / inside[1])
    return odds - hits * math.log(share) - (rows - hits) * math.log1p(-share)
