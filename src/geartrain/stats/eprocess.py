"""Anytime-valid tests: evidence that may be looked at after every row.

All of them bet against the hypothesis "all is well" with play money. While it is
true nobody can expect to win, so wealth is evidence, and looking often costs nothing.

- *page*: the chance that wealth **ever** reaches 1/alpha while the mean loss is at
  most `level` is at most alpha (Ville's inequality). New bets start at each block
  with weights 6 / (pi^2 b^2), which sum to one, so a change after years is still seen.
- *trigger* (e-SR, Shin, Ramdas and Rinaldo 2023, "E-detectors", NEJSDS): one new unit
  is staked before each row; the mean run length to a false alarm is at least `bound`.
  Much faster than a page, and false alarms will come.
  The tolerated mean is fixed, or learned (`Learning`), or not needed at all (`Unchanged`).
- *paired*: bets on bounded differences, for champion against challenger
  (Waudby-Smith and Ramdas 2023, "Estimating means of bounded random variables by betting", JRSSB).

States are frozen and small; updating with two halves of the rows or with all of them
gives the same state. Logarithms carry the wealth, so nothing overflows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Marks = NDArray[np.int64]

#: Fractions of the largest safe bet, mixed in equal parts: small ones find small changes.
BETS = (0.05, 0.1, 0.2, 0.4)
#: The same for a trigger, which must see small and large changes alike soon.
TRIGGER_BETS = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8)
#: The same for a trigger that needs no level (`Unchanged`): small bets weigh more, since small changes take longest.
UNCHANGED_BETS = (0.03, 0.03, 0.06, 0.15)
#: A learned level is tightest after so many times the rows of its reference.
_TIGHTEST = 10
#: Rows between the starts of new bets of a page.
BLOCK = 250
#: Stakes on bounded differences, mixed in equal parts.
STAKES = (0.01, 0.03, 0.1, 0.25, 0.5, 0.8)
#: Evidence is shown no larger than this.
MOST_EVIDENCE = 1e300


class Form(StrEnum):
    """What a detector guarantees: a bound on ever ringing falsely, or a mean time between false rings."""

    PAGE = "page"
    TRIGGER = "trigger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """How a trigger's level sinks as quiet rows show the mean more exactly than the reference did.

    The level before each row is an upper bound of the mean of the reference and all rows so
    far, and a relative rise of `smallest` above that. The bound holds at all rows at once but
    with probability `alpha`, so a level that is too low is no more likely than that (the one-sided
    normal mixture of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2021, "Time-uniform central
    limit theory and asymptotic confidence sequences"; as the name says, for many rows).

    Attributes:
        rows: Of the reference, with the sum of their losses and of their squares.
        offset: Where a cost of nothing lies below a loss of 0, in units of the scale.
    """

    rows: int
    total: float
    squares: float
    alpha: float
    smallest: float = 0.0
    offset: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged:
    """A trigger against "the mean is what it always was", without knowing what it was.

    Each bet is on the mean of the reference and all rows so far, taken as it is, without a bound
    above it. What it wins is divided by what the one mean that explains all rows since the
    reference best would have won (universal inference, Wasserman, Ramdas and Balakrishnan 2020,
    PNAS). So whatever the mean is, if only it does not change, the mean run between false
    alarms is at least the bound: for any number of rows, and with no probability that a level was learned
    too low. The price is half a logarithm of rows over reference rows, paid exactly.

    Losses that lie between 0 and 1 count as if drawn 0 or 1 with that mean, which is valid (the
    likelihood is convex in the loss) and slow: made for losses that are 0 or 1.

    Attributes:
        rows: Of the reference, with the sum of their losses.
    """

    rows: int
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """A bet that the mean of losses in [0, 1] has risen above `level`.

    Attributes:
        level: The largest mean loss that is still tolerated, strictly between 0 and 1.
        bound: Alarm when the wealth reaches it: 1/alpha for a page, the mean number of
            rows between false alarms for a trigger.
        bets: Fractions of the largest safe bet 1/level.
        worth: How many independent rows one row is worth, in (0, 1]: the power to which
            each step of wealth is raised (`dependence.row_worth`).
        learning: Where given, the level before each row is the lower of `level` and what was learned.
    """

    form: Form
    level: float
    bound: float
    bets: tuple[float, ...] = BETS
    block: int = BLOCK
    worth: float = 1.0
    learning: Learning | Unchanged | None = None

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise ValueError(f"the tolerated mean loss must lie between 0 and 1, not at {self.level!r}")
        if (
            self.bound <= 1
            or self.block < 1
            or not 0 < self.worth <= 1
            or not all(0 < bet < 1 for bet in self.bets)
            or (isinstance(self.learning, Unchanged) and self.form is not Form.TRIGGER)
        ):
            raise ValueError(f"no such detector: {self!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What a detector has seen so far.

    Attributes:
        total: The sum of the losses, and `squares` that of their squares.
        log_wealth: The logarithm of each bet's wealth; empty before the first row.
        climbs: For each bet the largest log wealth over all starting rows, at least 0.
        starts: For each bet the row from which that climb began, counted from 0.
        start_marks: The caller's marks (such as times) of those rows.
        price: The logarithm by which the wealth is divided, since the mean is not known (`Unchanged`).
        peak: The largest logarithm of the evidence ever.
        alarm_row: The first row at which the alarm rang, or None. It stays.
        onset_row: The estimate, made at the alarm, of where the change began.
    """

    rows: int = 0
    total: float = 0.0
    squares: float = 0.0
    log_wealth: tuple[float, ...] = ()
    climbs: tuple[float, ...] = ()
    starts: tuple[int, ...] = ()
    start_marks: tuple[int, ...] = ()
    price: float = 0.0
    peak: float | None = None
    alarm_row: int | None = None
    alarm_mark: int | None = None
    onset_row: int | None = None
    onset_mark: int | None = None

    @property
    def evidence(self) -> float:
        """The present wealth; for a page an e-value, 0 before the first row."""
        return to_evidence(_log_sum(self.log_wealth) - self.price) if self.log_wealth else 0.0

    @property
    def alarmed(self) -> bool:
        """Whether the alarm has rung."""
        return self.alarm_row is not None


def watch(detector: Detector, seen: Watch, losses: Floats, marks: Marks | None = None) -> Watch:
    """Take the next *losses*, shape (n,), in their order; *marks* name rows (times in microseconds).

    >>> page = Detector(form=Form.PAGE, level=0.1, bound=100.0)
    >>> calm = watch(page, Watch(), np.zeros(500))
    >>> watch(page, calm, np.ones(20)).alarm_row
    505

    Raises:
        ValueError: A loss is not a number in [0, 1].
    """
    losses = np.asarray(losses, dtype=np.float64)
    if not losses.size:
        return seen
    if not ((losses >= 0) & (losses <= 1)).all():
        raise ValueError("losses must be numbers in [0, 1]; scale them first")
    rows = np.arange(seen.rows, seen.rows + losses.size)
    marks = rows if marks is None else np.asarray(marks, dtype=np.int64)
    levels, bets = learned_levels(detector, seen, losses), np.asarray(detector.bets)[:, None]
    prices = np.zeros(losses.size)
    if isinstance(detector.learning, Unchanged):
        raised = levels + bets * (1 - levels)
        steps = losses * np.log(raised / levels) + (1 - losses) * np.log((1 - raised) / (1 - levels))
        prices = _prices(detector, seen, losses, levels)
    else:
        steps = np.log1p(bets * (losses / levels - 1))
    steps = detector.worth * steps
    walk = np.concatenate([np.zeros((bets.size, 1)), np.cumsum(steps, axis=1)], axis=1)
    head = np.asarray(seen.log_wealth or (-np.inf,) * bets.size)
    staked = _log_stakes(detector, rows)[None, :] - math.log(bets.size) - walk[:, :-1]
    wealth = np.logaddexp.accumulate(np.concatenate([head[:, None], staked], axis=1), axis=1) + walk
    total = np.logaddexp.reduce(wealth[:, 1:], axis=0) - prices
    after = replace(
        _climb(seen, walk, marks),
        rows=seen.rows + losses.size,
        total=seen.total + float(losses.sum()),
        squares=seen.squares + float((losses**2).sum()),
        log_wealth=tuple(map(float, wealth[:, -1])),
        price=float(prices[-1]),
        peak=max(float(total.max()), -math.inf if seen.peak is None else seen.peak),
    )
    crossed = np.flatnonzero(total >= math.log(detector.bound))
    if seen.alarmed or not crossed.size:
        return after
    at = int(crossed[0])
    then = _climb(seen, walk[:, : at + 2], marks)
    best = int(np.argmax(then.climbs))
    return replace(
        after,
        alarm_row=int(rows[at]),
        alarm_mark=int(marks[at]),
        onset_row=then.starts[best],
        onset_mark=then.start_marks[best],
    )


def learned_levels(detector: Detector, seen: Watch, losses: Floats) -> Floats:
    """The tolerated mean before each row of *losses*, from the rows before it; the fixed one where none is learned."""
    learning = detector.learning
    if learning is None:
        return np.full(losses.size, detector.level)
    if isinstance(learning, Unchanged):
        before = np.concatenate([[0.0], np.cumsum(losses[:-1])])
        mean = (learning.total + seen.total + before + 0.5) / (
            learning.rows + seen.rows + np.arange(losses.size) + 1.0
        )
        return np.minimum(detector.level, mean)
    count = learning.rows + seen.rows + np.arange(1.0, losses.size + 1)
    total, squares = (
        0.5 + given + before + np.concatenate([[0.0], np.cumsum(values[:-1])])
        for given, before, values in (
            (learning.total, seen.total, losses),
            (learning.squares, seen.squares, losses**2),
        )
    )
    mean = total / count
    spread = np.maximum(squares / count - mean**2, 0.0)
    known = count * detector.worth
    # The mixture is tightest where the rows are ten times those of the reference.
    doubt = -2 * math.log(2 * learning.alpha)
    scaled = known * (doubt + math.log(doubt + 1)) / (_TIGHTEST * learning.rows * detector.worth)
    high = mean + np.sqrt(
        spread * (scaled + 1) / (scaled * known) * (np.log(scaled + 1) - 2 * math.log(2 * learning.alpha))
    )
    levels: Floats = np.minimum(detector.level, high + learning.smallest * np.abs(high + learning.offset))
    return levels


def _prices(detector: Detector, seen: Watch, losses: Floats, levels: Floats) -> Floats:
    """After each row, how much better the best single mean explains all rows than the levels before them did."""
    told = losses * np.log(levels) + (1 - losses) * np.log1p(-levels)
    ahead = _best_likelihood(np.float64(seen.rows), np.float64(seen.total)) - seen.price / detector.worth
    rows, total = seen.rows + np.arange(1.0, losses.size + 1), seen.total + np.cumsum(losses)
    prices: Floats = detector.worth * (_best_likelihood(rows, total) - ahead - np.cumsum(told))
    return prices


def _best_likelihood(rows: Floats | np.float64, total: Floats | np.float64) -> Floats:
    """The logarithm of the likelihood of so many rows under their own mean; 0 without any."""
    from scipy.special import xlogy

    rest = np.maximum(rows - total, 0.0)
    best: Floats = xlogy(total, total) + xlogy(rest, rest) - xlogy(rows, rows)
    return best


def _log_stakes(detector: Detector, rows: Marks) -> Floats:
    """The logarithm of the fresh money staked before each row."""
    if detector.form is Form.TRIGGER:
        return np.zeros(rows.size)
    block, into = np.divmod(rows, detector.block)
    weights = np.log(6.0 / math.pi**2) - 2.0 * np.log1p(block)
    return np.where(into == 0, weights, -np.inf)


def _climb(seen: Watch, walk: Floats, marks: Marks) -> Watch:
    """Follow, for each bet, the start from which its wealth would be largest now."""
    bets = walk.shape[0]
    climbs = seen.climbs or (0.0,) * bets
    starts = seen.starts or (0,) * bets
    start_marks = seen.start_marks or (int(marks[0]),) * bets
    found: list[tuple[float, int, int]] = []
    for bet in range(bets):
        # The last lowest point: everything before it only lost money.
        low = walk.shape[1] - 1 - int(np.argmin(walk[bet, ::-1]))
        end = float(walk[bet, -1])
        if -climbs[bet] < walk[bet, low]:
            found.append((end + climbs[bet], starts[bet], start_marks[bet]))
        else:
            found.append((end - float(walk[bet, low]), seen.rows + low, int(marks[min(low, len(marks) - 1)])))
    return replace(
        seen,
        climbs=tuple(one[0] for one in found),
        starts=tuple(one[1] for one in found),
        start_marks=tuple(one[2] for one in found),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """The wealth of bets on paired differences.

    Attributes:
        peak: The largest logarithm of the evidence ever; crossing 1/alpha once is enough.
        proven_row: The first row at which it reached the bound asked for, or None.
    """

    rows: int = 0
    log_wealth: tuple[float, ...] = (0.0,) * len(STAKES)
    peak: float = 0.0
    proven_row: int | None = None

    @property
    def evidence(self) -> float:
        """The largest wealth so far, an e-value in the sense of "ever reached"."""
        return to_evidence(self.peak)

    @property
    def standing(self) -> float:
        """The present wealth: an e-value at whatever row one looks."""
        return to_evidence(_log_sum(self.log_wealth) - math.log(len(self.log_wealth)))


def bet(purse: Purse, gains: Floats, *, null: float = 0.0, bound: float) -> Purse:
    """Bet that the mean of *gains* in [-1, 1] is above *null*, until 1/alpha = *bound* is reached.

    While the conditional mean of each gain is at most *null*, the chance of ever
    reaching *bound* is at most 1/bound.

    Raises:
        ValueError: A gain is not a number in [-1, 1], or *null* is not in (-1, 0.25].
    """
    gains = np.asarray(gains, dtype=np.float64)
    if not -1 < null <= 0.25 or not (np.abs(gains) <= 1).all():
        raise ValueError("gains must be numbers in [-1, 1] and the null in (-1, 0.25]")
    if not gains.size:
        return purse
    steps = np.log1p(np.asarray(STAKES)[:, None] * (gains - null))
    wealth = np.asarray(purse.log_wealth)[:, None] + np.cumsum(steps, axis=1)
    total = np.logaddexp.reduce(wealth, axis=0) - math.log(len(STAKES))
    crossed = np.flatnonzero(total >= math.log(bound))
    first = purse.rows + int(crossed[0]) if crossed.size else None
    return Purse(
        rows=purse.rows + gains.size,
        log_wealth=tuple(map(float, wealth[:, -1])),
        peak=max(purse.peak, float(total.max())),
        proven_row=purse.proven_row if purse.proven_row is not None else first,
    )


def restart_weight(look: int) -> float:
    """The share of the money that a page stakes afresh at its *look*-th look, from 1; they sum to one."""
    return 6.0 / (math.pi * look) ** 2


def to_evidence(log_wealth: float) -> float:
    """Wealth from its logarithm, cut at `MOST_EVIDENCE`."""
    return math.exp(min(log_wealth, math.log(MOST_EVIDENCE)))


def _log_sum(logs: tuple[float, ...]) -> float:
    return float(np.logaddexp.reduce(np.asarray(logs)))
