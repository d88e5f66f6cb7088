"""What follows from the evidence, in order: go back, settle the challenge, or ask for a retraining.

This is the whole policy of a live product as a pure function: a replay, a benchmark and a
running product ask it the same question and differ only in how they act on the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.contract import RetrainingTerms
from geartrain.retraining.challenge import (
    Challenge,
    ChallengeTerms,
    Ruling,
    Verdict,
    cap_of,
    meet,
    ruling,
)
from geartrain.retraining.policy import FEWEST_IN_GAP, Occasion, Refusal, Trigger
from geartrain.retraining.window import Choice

Floats = NDArray[np.float64]

#: A test that has proven nothing after so many days of decisions ends.
HORIZON_DAYS = 14
#: The fewest rows that a test is given, however few decisions there are in a day.
FEWEST_ROWS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """A paired test between the champion and another release: its rules and what it has seen."""

    terms: ChallengeTerms
    seen: Challenge = field(default_factory=Challenge)

    @classmethod
    def begin(cls, reference: Floats, *, horizon_rows: int, margin: float = 0.0) -> Contest:
        """A test on the scale of *reference* costs, shape (n,); *margin* is a share of their mean."""
        cap = cap_of(reference)
        mean = float(np.abs(reference).mean()) if len(reference) else 0.0
        return cls(
            terms=ChallengeTerms(
                cap=cap, horizon_rows=max(FEWEST_ROWS, horizon_rows), margin=min(margin * mean, cap / 2)
            )
        )

    def took(self, *, champion: Floats, other: Floats) -> Contest:
        """The test after what both cost on rows whose truth has become known, shape (n,) each."""
        return replace(self, seen=meet(self.terms, self.seen, champion=champion, challenger=other))

    @property
    def ruling(self) -> Ruling:
        """What the test says now."""
        return ruling(self.terms, self.seen)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lately:
    """What each release's decisions cost on the rows whose truth came last.

    Attributes:
        keep: How many rows are kept.
        batches: For rows that came together, the costs by release, shape (n,) each.
    """

    keep: int
    batches: tuple[Mapping[str, Floats], ...] = ()

    def took(self, costs: Mapping[str, Floats]) -> Lately:
        """The same after the next rows; what is older than `keep` rows falls out."""
        batches = [*self.batches, dict(costs)]
        rows = [max((len(one) for one in batch.values()), default=0) for batch in batches]
        while len(rows) > 1 and sum(rows[1:]) >= self.keep:
            del batches[0], rows[0]
        return replace(self, batches=tuple(batches))

    def paired(self, one: str, other: str) -> tuple[Floats, Floats]:
        """What both cost on the last rows about which both were asked, the oldest first."""
        both = [batch for batch in self.batches if one in batch and other in batch]
        if not both:
            return np.zeros(0), np.zeros(0)
        ours = np.concatenate([batch[one] for batch in both])
        theirs = np.concatenate([batch[other] for batch in both])
        return ours[-self.keep :], theirs[-self.keep :]


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBack:
    """A release that stands by is proven to decide cheaper on the last rows."""

    release: str
    ruling: Ruling


@dataclass(frozen=True, slots=True, kw_only=True)
class Promote:
    """The challenger is proven: it moves on as far as signatures, rollout and contract let it."""

    ruling: Ruling


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """The challenger is shown worse, or not proven in time; the champion stays."""

    ruling: Ruling


Move = RollBack | Promote | Drop | Trigger | Refusal | None


def way_back(lately: Lately, champion: str, standbys: Iterable[str], *, reference: Floats) -> RollBack | None:
    """The release that stands by and is surest to be cheaper than the *champion* on the last rows, if any is.

    Stand by should the release that the champion replaced, and the last one that people
    made: going back to it is what keeps a chain of retrainings from ending below never
    having retrained. Each look is a paired test at 5 %, on the scale of *reference* costs,
    on rows that taught none of the two; the looks are not corrected for each other, since
    going back needs no more courage than going on.
    """
    found: list[RollBack] = []
    for name in standbys:
        ours, theirs = lately.paired(champion, name)
        if len(ours) < FEWEST_ROWS:
            continue
        contest = Contest.begin(reference, horizon_rows=lately.keep).took(champion=ours, other=theirs)
        if contest.ruling.verdict is Verdict.PROMOTE:
            found.append(RollBack(release=name, ruling=contest.ruling))
    return max(found, key=lambda one: one.ruling.evidence, default=None)


def next_move(
    challenger: Contest | None, back: RollBack | None, asked: Callable[[], Trigger | Refusal | None]
) -> Move:
    """The one thing to do now; None waits.

    A proven mistake is undone before anything else. While a *challenger* is tested nothing
    new is trained, so *asked* (the policy's answer) is not called then.
    """
    if back is not None:
        return back
    if challenger is None:
        return asked()
    found = challenger.ruling
    match found.verdict:
        case Verdict.PROMOTE:
            return Promote(ruling=found)
        case Verdict.REFUSE:
            return Drop(ruling=found)
        case Verdict.RUNNING:
            return None


def yardstick(own: Floats, before: Floats) -> Floats:
    """The reference costs, shapes (n,) and (m,), that a new champion is watched by: its own, or those *before* if lower.

    A model that was taught amid a change is dear itself; watched by its own costs it would
    make the next change look normal.

    >>> yardstick(np.ones(60), np.zeros(60)).mean()
    np.float64(0.0)
    """
    known = [one[np.isfinite(one)] for one in (own, before)]
    if min(len(one) for one in known) < FEWEST_IN_GAP:
        return own
    return before if known[1].mean() < known[0].mean() else own


def margin_of(terms: RetrainingTerms, occasion: Occasion) -> float:
    """What a challenger may cost more than the champion, as a share of its cost.

    Where the calendar asked, nothing is known to be wrong and newer rows are a merit of
    their own: not worse by the contract's margin is enough. Whoever answers an alarm or a
    loss has to be better.
    """
    return terms.margin if occasion is Occasion.SCHEDULE else 0.0


def not_begun(occasion: Occasion, choice: Choice, champion: float | None) -> str | None:
    """Why nothing is trained after the windows were tried; None where something is.

    Whoever answers an alarm or a loss must be proven better than the *champion*, which cost that per decision on
    the block that the windows were tried on. Where no model was clearly better there, the truths that would teach a
    better one are still too few: training now spends a test, and a cool-down, on a challenger without prospect.
    Asked again it is with the next truths. The reason has no figures, so that the same no is told once.
    """
    if occasion is Occasion.SCHEDULE or choice.promises_more_than(champion):
        return None
    return (
        "no window teaches a model that is clearly cheaper than the champion on the last labelled block;"
        " it is asked again as truths come"
    )
