"""Champion against challenger on the same rows, with evidence that may be looked at any time.

The bet is on the difference of costs, champion minus challenger, as a share of `cap`:
a difference beyond it counts as the cap, so that one enormous row cannot decide alone.
While the challenger is no better (its expected capped cost on each row, given the rows
before, is not lower), it is promoted with a probability of at most `alpha`, however
often one looks. Shown worse, or not proven by the horizon, the champion stays. Evidence
counts as it stands when it is acted on: a lead that was lost again promotes nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.events import ChallengeDecided
from geartrain.stats.eprocess import Purse, bet

Floats = NDArray[np.float64]

#: The quantile of absolute cost differences or costs that `cap_of` takes.
CAP_QUANTILE = 0.999


class Verdict(StrEnum):
    """What the evidence says so far."""

    RUNNING = "running"
    PROMOTE = "promote"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeTerms:
    """The rules of one test, fixed before it begins.

    Attributes:
        cap: The largest difference of costs on one row that is counted in full.
        alpha: The probability of promoting a challenger that is not better (or, with a
            margin, worse by more than it).
        horizon_rows: Rows after which an open test ends with "not proven".
        margin: Zero asks the challenger to be better; above zero asks it not to be worse
            by more than this cost per decision, for challengers with another merit.
    """

    cap: float
    alpha: float = 0.05
    horizon_rows: int = 10_000
    margin: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.cap < float("inf") and 0 < self.alpha < 1 and self.horizon_rows > 0):
            raise ValueError(f"a challenge needs a finite cap, an alpha in (0, 1) and a horizon: {self!r}")
        if not 0 <= self.margin < self.cap:
            raise ValueError(
                f"the margin must lie between 0 and the cap of {self.cap!r}, not at {self.margin!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """The state of a test.

    Attributes:
        better: The evidence that the challenger is better (or not worse by the margin).
        worse: The evidence that it is worse (by the margin).
        capped: Rows whose difference was beyond the cap.
        unknown: Rows whose cost is not known for both; they are not counted.
    """

    better: Purse = field(default_factory=Purse)
    worse: Purse = field(default_factory=Purse)
    champion_cost: float = 0.0
    challenger_cost: float = 0.0
    capped: int = 0
    unknown: int = 0

    @property
    def rows(self) -> int:
        """Rows on which both were judged."""
        return self.better.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What a test says now, with the evidence for the challenger and mean costs per 1000 decisions."""

    verdict: Verdict
    evidence: float
    rows: int
    cost_per_1000_champion: float
    cost_per_1000_challenger: float
    reason: str


def cap_of(costs: Floats) -> float:
    """A cap that leaves all but the most extreme thousandth of reference costs whole, shape (n,).

    One unit where nothing cost anything.
    """
    known = np.abs(np.asarray(costs, dtype=np.float64))
    known = known[np.isfinite(known)]
    return (float(np.quantile(known, CAP_QUANTILE, method="higher")) if known.size else 0.0) or 1.0


def meet(terms: ChallengeTerms, seen: Challenge, *, champion: Floats, challenger: Floats) -> Challenge:
    """Take what both cost on the next rows, shape (n,) each, in the order of the decisions.

    Raises:
        ValueError: The two have different numbers of rows.
    """
    ours, theirs = np.asarray(champion, dtype=np.float64), np.asarray(challenger, dtype=np.float64)
    if ours.shape != theirs.shape:
        raise ValueError(f"costs of {ours.size} and {theirs.size} rows cannot be paired")
    known = np.isfinite(ours) & np.isfinite(theirs)
    ours, theirs = ours[known], theirs[known]
    # Rows after the horizon come too late to count.
    room = max(0, terms.horizon_rows - seen.rows)
    ours, theirs = ours[:room], theirs[:room]
    gains = (ours - theirs) / terms.cap
    clipped = np.clip(gains, -1.0, 1.0)
    null, bound = -terms.margin / terms.cap, 1 / terms.alpha
    return Challenge(
        better=bet(seen.better, clipped, null=null, bound=bound),
        worse=bet(seen.worse, -clipped, null=min(-null, 0.25), bound=bound),
        champion_cost=seen.champion_cost + float(ours.sum()),
        challenger_cost=seen.challenger_cost + float(theirs.sum()),
        capped=seen.capped + int((np.abs(gains) > 1).sum()),
        unknown=seen.unknown + int((~known).sum()),
    )


def ruling(terms: ChallengeTerms, seen: Challenge) -> Ruling:
    """What the test says now, by the evidence as it stands now."""
    better, worse, bar = seen.better.standing, seen.worse.standing, 1 / terms.alpha
    asked = "better" if terms.margin == 0 else f"not worse by more than {terms.margin:g} per decision"
    weight = f"(e = {better:.3g} of {bar:.3g})"
    if better >= bar:
        verdict = Verdict.PROMOTE
        reason = f"proven {asked} on {seen.rows:,} rows {weight}"
    elif worse >= bar:
        verdict = Verdict.REFUSE
        reason = f"shown worse on {seen.rows:,} rows (e = {worse:.3g}); the champion stays"
    elif seen.rows >= terms.horizon_rows:
        verdict = Verdict.REFUSE
        reason = f"not proven {asked} within {terms.horizon_rows:,} rows {weight}; the champion stays"
    else:
        verdict = Verdict.RUNNING
        reason = f"{seen.rows:,} of {terms.horizon_rows:,} rows {weight}"
    if seen.capped:
        reason += f"; {seen.capped:,} differences beyond {terms.cap:.4g} counted as that"
    return Ruling(
        verdict=verdict,
        evidence=better,
        rows=seen.rows,
        cost_per_1000_champion=1000 * seen.champion_cost / max(1, seen.rows),
        cost_per_1000_challenger=1000 * seen.challenger_cost / max(1, seen.rows),
        reason=reason,
    )


def decided(
    terms: ChallengeTerms, seen: Challenge, *, product: str, champion: str, challenger: str
) -> ChallengeDecided | None:
    """The event that ends the test, or None while it is running."""
    found = ruling(terms, seen)
    if found.verdict is Verdict.RUNNING:
        return None
    return ChallengeDecided(
        product=product,
        champion=champion,
        challenger=challenger,
        promoted=found.verdict is Verdict.PROMOTE,
        evidence=found.evidence,
        rows=found.rows,
        cost_per_1000_champion=found.cost_per_1000_champion,
        cost_per_1000_challenger=found.cost_per_1000_challenger,
        reason=found.reason,
    )
