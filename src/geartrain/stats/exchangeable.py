"""Have the values changed? Evidence from values alone, without labels and without a model of them.

A conformal test martingale bets that values are not exchangeable: each one's rank among
itself and all before it is uniform and independent of the earlier ranks while they are
(with ties drawn by lot), whatever their distribution. So the wealth ever reaches 1/alpha
with a probability of at most alpha (Ville's inequality), and no level must be estimated.

The weakness of it: rows after a change join the ranks that later rows are compared with,
so evidence that did not come soon may never come. A wealth that was reached stays in `peak`.

Source: Vovk, Petej, Nouretdinov, Ahlberg, Carlsson and Gammerman 2021, "Retrain or not
retrain: conformal test martingales for change-point detection" (the Simple Jumper and its
mixture over jumping rates, the Composite Jumper).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Rates at which the Simple Jumpers of the mixture change their bets.
JUMPS = (1.0, 0.1, 0.01, 0.001)
#: Bets: ranks run low, as they should, or high.
SIDES = (-1.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Jumper:
    """The wealth of a Composite Jumper.

    Attributes:
        logs: The logarithm of the wealth for each of `JUMPS` and, within it, of `SIDES`.
        peak: The largest logarithm of the whole wealth so far.
        peak_rank: After how many ranks it was reached.
    """

    ranks: int = 0
    logs: tuple[float, ...] = (math.log(1 / (len(JUMPS) * len(SIDES))),) * (len(JUMPS) * len(SIDES))
    peak: float = 0.0
    peak_rank: int = 0


def ranks_of(values: Floats, *, before: Floats, seed: int) -> Floats:
    """Each value's conformal p-value among all before it, shape (n,): uniform while nothing changes.

    *before* are earlier values, shape (m,). Among equal values the place is drawn with *seed*.
    Rows without a value must be left out.
    """
    from bisect import bisect_left, bisect_right, insort

    known = sorted(before.tolist())
    lots = np.random.default_rng(seed).random(len(values))
    found = np.empty(len(values))
    for index, value in enumerate(values.tolist()):
        low, high = bisect_left(known, value), bisect_right(known, value)
        found[index] = (len(known) - high + lots[index] * (high - low + 1)) / (len(known) + 1)
        insort(known, value)
    return found


def jump(seen: Jumper, ranks: Floats) -> Jumper:
    """Bet on the next *ranks* in [0, 1], shape (n,), in their order.

    >>> jump(Jumper(), np.full(100, 0.05)).peak > math.log(1000)
    True

    Raises:
        ValueError: A rank is not a number in [0, 1].
    """
    ranks = np.asarray(ranks, dtype=np.float64)
    if not ((ranks >= 0) & (ranks <= 1)).all():
        raise ValueError("ranks must be numbers in [0, 1]")
    rates, sides = np.asarray(JUMPS)[:, None], np.asarray(SIDES)
    shift = max(seen.logs)
    wealth = np.exp(np.asarray(seen.logs) - shift).reshape(len(JUMPS), len(SIDES))
    peak, peak_rank = seen.peak, seen.peak_rank
    for index, rank in enumerate(ranks.tolist(), start=1):
        wealth = (1 - rates) * wealth + rates / len(SIDES) * wealth.sum(axis=1, keepdims=True)
        wealth *= 1 + sides * (rank - 0.5)
        total = float(wealth.sum())
        log = shift + math.log(total)
        if log > peak:
            peak, peak_rank = log, seen.ranks + index
        # Kept near one, so that nothing overflows.
        wealth /= total
        shift = log
    return replace(
        seen,
        ranks=seen.ranks + ranks.size,
        logs=tuple(float(one) for one in shift + np.log(np.maximum(wealth, 1e-300)).ravel()),
        peak=peak,
        peak_rank=peak_rank,
    )


def wealth_of(seen: Jumper) -> float:
    """The logarithm of the present wealth, an e-value at any stopping time."""
    return float(np.logaddexp.reduce(np.asarray(seen.logs)))
