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

    fixed = np.sort(before)
    under, upto = np.searchsorted(fixed, values, "left"), np.searchsorted(fixed, values, "right")
    known: list[float] = []
    for index, value in enumerate(values.tolist()):
        under[index] += bisect_left(known, value)
        upto[index] += bisect_right(known, value)
        insort(known, value)
    lots = np.random.default_rng(seed).random(len(values))
    count = len(fixed) + np.arange(len(values))
    found: Floats = (count - upto + lots * (upto - under + 1)) / (count + 1)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Risen:
    """How far a martingale's wealth has risen.

    Attributes:
        peak: The largest logarithm of it, at least 0.
        since: The rank, from 0, at which the rise to the peak began.
    """

    peak: float
    since: int


def rises(ranks: Floats) -> tuple[Risen, ...]:
    """What `jump` reaches for each column of *ranks*, shape (n, d), NaN where a row has no rank: the row is passed over.

    All columns step together, so that many cost little more than one.
    """
    rows, columns = ranks.shape
    rates, sides = np.asarray(JUMPS)[:, None], np.asarray(SIDES)
    wealth = np.full((columns, len(JUMPS), len(SIDES)), 1 / (len(JUMPS) * len(SIDES)))
    logs = np.zeros((rows + 1, columns))
    for index in range(rows):
        row = ranks[index]
        known = ~np.isnan(row)
        moved = (1 - rates) * wealth + rates / len(SIDES) * wealth.sum(axis=2, keepdims=True)
        moved *= 1 + sides * np.where(known, row - 0.5, 0.0)[:, None, None]
        total = moved.sum(axis=(1, 2))
        logs[index + 1] = logs[index] + np.where(known, np.log(total), 0.0)
        wealth = np.where(known[:, None, None], moved / total[:, None, None], wealth)
    peaks = logs.argmax(axis=0)
    return tuple(
        Risen(peak=float(logs[peak, place]), since=int(logs[: peak + 1, place].argmin()))
        for place, peak in enumerate(peaks.tolist())
    )


def evidence_of(peak: float) -> float:
    """The e-value of a wealth whose logarithm once reached *peak*: half its root.

    The highest wealth ever is none, and wealths of columns whose ranks do not follow one another may
    not be combined as they stand; both are mended by an adjuster A with the integral of A(y)/y^2 from 1
    at most 1, here sqrt(y)/2 (Choe and Ramdas 2024, "Combining evidence across filtrations").

    >>> round(evidence_of(math.log(10_000.0)), 9)
    50.0
    """
    from geartrain.stats.eprocess import to_evidence

    return to_evidence(peak / 2 - math.log(2))


def wealth_of(seen: Jumper) -> float:
    """The logarithm of the present wealth, an e-value at any stopping time."""
    return float(np.logaddexp.reduce(np.asarray(seen.logs)))
