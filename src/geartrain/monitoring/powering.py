"""The cost of decisions from a few labels, and how many more would settle what is open.

Unlike an estimate without labels these numbers do not need the model to be right: it only
makes them narrower. What they need is that somebody knows how the labelled rows were chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.monitoring.estimating import Foretold, is_open
from geartrain.stats.powered import FEWEST_LABELS, half_width, labels_needed, powered_mean

#: Beside every number from labels that came by themselves, and from those that were drawn.
AT_RANDOM = "assumes that the labelled decisions are a random sample of these"
DRAWN = "drawn with known probabilities: needs no model to be right, only the answers"
ANSWERED = "assumes that the asked decisions that were answered are like those that were not"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """Labelled decisions out of those that they speak for.

    Attributes:
        expected: What each of all *N* decisions is expected to cost, shape (N,).
        values: What each labelled one did cost, shape (n,).
        there: What each labelled one was expected to cost, shape (n,).
        implied: The variance of that cost by the model's probabilities, shape (n,).
        inclusion: With which probability each labelled one was drawn, shape (n,).
        asked: How many were drawn, answered or not; 0 where nobody asked.
        which: Which labelled decisions they are, in words.
    """

    expected: Floats
    values: Floats
    there: Floats
    implied: Floats
    inclusion: Floats
    asked: int
    which: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FromLabels:
    """The mean cost of decisions from a few labels, with the model's help.

    Attributes:
        cost: Of decisions like these; None where *reason* says why there is none.
        labels_alone: The same without the model.
        trust: How far the model's expectation counts, 0 to 1.
        labels: How many labelled decisions were used ...
        of: ... for how many decisions they speak ...
        asked: ... and how many were asked for; 0 where labels came by themselves.
        which: Which labelled decisions those are.
        assumes: What must hold for the number to be true.
    """

    cost: Measurement | None = None
    labels_alone: Measurement | None = None
    trust: float = 0.0
    labels: int = 0
    of: int = 0
    asked: int = 0
    which: str = ""
    assumes: str = ""
    reason: str = ""

    @property
    def message(self) -> str:
        """The number in one sentence, with the labelled rows and what it assumes."""
        if self.cost is None or self.labels_alone is None:
            return f"no estimate from a few labels: {self.reason}"
        return (
            f"from {self.labels:,} labels: {self.cost.value:.4g} ({self.cost.low:.4g} to {self.cost.high:.4g})"
            f" a decision of {self.of:,} ({self.which}; the labels alone: {self.labels_alone.low:.4g}"
            f" to {self.labels_alone.high:.4g}); {self.assumes}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """How many labels would settle what is open about the cost of decisions whose truth is not known.

    Attributes:
        about: The clause, or that a change is to be seen.
        bound: The clause's bound; None where the smallest change that matters is the question.
        estimate: The cost as it is estimated now.
        margin: How near the interval must come.
        labels: About how many answers that takes; None where *reason* says why none would do.
        of: The decisions that they would be drawn from.
        reach: How far the interval would then reach to each side.
    """

    about: str = ""
    bound: float | None = None
    estimate: float = 0.0
    margin: float = 0.0
    labels: int | None = None
    of: int = 0
    reach: float = 0.0
    reason: str = ""

    @property
    def message(self) -> str:
        """What to ask for, in one sentence."""
        if self.labels is None:
            return f"no number of labels settles it: {self.reason}"
        what = (
            f"`{self.about}` (bound {self.bound:.4g}, estimated {self.estimate:.4g})"
            if self.bound is not None
            else f"whether the cost left {self.estimate:.4g} by {self.margin:.4g}, the smallest change that matters"
        )
        return f"about {self.labels:,} labels out of {self.of:,} decisions would settle {what}"


def from_labels(sample: Sample) -> FromLabels:
    """The mean cost of all decisions of the sample's population, if there are labels enough for an interval."""
    labels, size = len(sample.values), len(sample.expected)
    base = FromLabels(labels=labels, of=size, asked=sample.asked, which=sample.which)
    if labels < FEWEST_LABELS:
        return _without(base, f"{labels} {sample.which}, at least {FEWEST_LABELS} are needed")
    assumes = AT_RANDOM if not sample.asked else DRAWN if labels == sample.asked else ANSWERED
    answered = labels / sample.asked if sample.asked else 1.0
    found = powered_mean(
        sample.expected,
        values=sample.values,
        predicted_there=sample.there,
        inclusion=np.minimum(1.0, sample.inclusion * answered),
        implied=sample.implied,
        note=assumes,
    )
    return FromLabels(
        cost=found.mean,
        labels_alone=found.labels_alone,
        trust=found.trust,
        labels=labels,
        of=size,
        asked=sample.asked,
        which=sample.which,
        assumes=assumes,
    )


def arrived(told: Foretold, *, due_us: int) -> Sample | str:
    """The labels that came by themselves among decisions made up to *due_us*, or why they are no sample.

    Later decisions are left out: those whose truth comes first are not like the rest.
    """
    ripe = told.of((told.at_us <= due_us) & np.isfinite(told.costs).all(axis=1))
    came = np.isfinite(ripe.realised)
    labels, size = int(came.sum()), len(ripe)
    if size and labels == size:
        return f"all {size:,} decisions whose label was due have one: nothing is left to estimate"
    expected, variance = expected_and_variance(ripe)
    return Sample(
        expected=expected,
        values=ripe.realised[came],
        there=expected[came],
        implied=variance[came],
        inclusion=np.full(labels, labels / max(1, size)),
        asked=0,
        which="labels that were due and came",
    )


def settling(
    told: Foretold, *, about: str, bound: float | None, estimate: float, smallest_change: float
) -> Settling:
    """How many labels of the decisions in *told* whose truth is not known would settle it.

    With a *bound* the interval must clear it, if the estimate is right; without one it must be as near
    as the relative *smallest_change*.
    """
    some = told.of(is_open(told))
    margin = abs(estimate - bound) if bound is not None else abs(smallest_change * estimate)
    base = Settling(about=about, bound=bound, estimate=estimate, margin=margin, of=len(some))
    if len(some) < FEWEST_LABELS:
        return _unsettled(
            base, f"{len(some)} decisions have no truth yet, at least {FEWEST_LABELS} are needed"
        )
    expected, variance = expected_and_variance(some)
    deviations = np.sqrt(variance)
    labels = labels_needed(deviations, expected, margin)
    if labels is None:
        reach = half_width(deviations, expected, len(some))
        why = (
            f"with the truth of all {len(some):,} the interval would reach {reach:.3g} to each side,"
            f" and {margin:.3g} is asked for: wait for more decisions"
        )
        return _unsettled(base, why)
    return Settling(
        about=about,
        bound=bound,
        estimate=estimate,
        margin=margin,
        labels=labels,
        of=len(some),
        reach=half_width(deviations, expected, labels),
    )


def expected_and_variance(told: Foretold) -> tuple[Floats, Floats]:
    """Of each row the expected cost and its variance by the model's probabilities, shapes (n,)."""
    expected = (told.probabilities * told.costs).sum(axis=1)
    variance = (told.probabilities * (told.costs - expected[:, None]) ** 2).sum(axis=1)
    return expected, variance


def _without(base: FromLabels, reason: str) -> FromLabels:
    return FromLabels(labels=base.labels, of=base.of, asked=base.asked, which=base.which, reason=reason)


def _unsettled(base: Settling, reason: str) -> Settling:
    return Settling(
        about=base.about,
        bound=base.bound,
        estimate=base.estimate,
        margin=base.margin,
        of=base.of,
        reason=reason,
    )
