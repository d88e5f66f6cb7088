"""Lift: what the product saves against the cheapest simpler way of deciding, and how many tries that survived.

A figure that was chosen as the best of many is too good by nature. So lift is told with the
number of recorded trials, with what the best of as many without merit would show by luck, and
with a test that knows of all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from geartrain.domain.finding import Measurement
from geartrain.evaluation.baselines import baseline_costs, baseline_names
from geartrain.evaluation.evidence import Evidence, Unmeasured
from geartrain.evaluation.prospect import figure
from geartrain.stats.blocks import ways_to_draw
from geartrain.stats.intervals import normal_quantile
from geartrain.stats.multiplicity import luck_bar
from geartrain.stats.noninferiority import cost_difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What the search tells of its trials.

    Attributes:
        trials: Every recorded trial on these rows or on most of them, on any pool.
        checked: Those among them whose costs on the free rows are known row by row.
        baseline: The cheapest simpler way of deciding on the free rows.
        p_value: Of "none of the checked trials is cheaper than that", by White's reality
            check; None where it could not be made.
        reason: Why not.
    """

    trials: int
    checked: int = 0
    baseline: str = ""
    p_value: float | None = None
    reason: str = ""

    @property
    def sentence(self) -> str:
        """The test over all trials in a plain sentence."""
        if self.p_value is None:
            return f"no test over all {self.trials} trials: {self.reason}"
        word = "are" if self.checked != 1 else "is"
        return (
            f"{self.checked} of {self.trials} recorded trials {word} held against `{self.baseline}` on the free"
            f" rows: were none better, the best would look as good as it does with probability {self.p_value:.2g}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    """What is saved per decision on sealed rows, and what it survived.

    Attributes:
        baseline: The cheapest simpler way of deciding about the same rows.
        saved: The baseline's mean cost less the product's.
        luck_bar: What the best of `tried.trials` that save nothing would show on as many rows.
        look: Which look at these sealed rows it was.
        drawn: What was resampled as one for the interval.
        unit: What costs are counted in.
    """

    baseline: str
    saved: Measurement
    luck_bar: float
    look: int
    drawn: str
    tried: Tried
    unit: str = "errors"

    @property
    def above_luck(self) -> bool:
        """Whether the saving is more than the best of so many tries shows by luck."""
        return self.saved.value > self.luck_bar

    @property
    def sentences(self) -> tuple[str, ...]:
        """The lift, its luck bar and its test in plain sentences."""
        saved, low, high = (1000 * one for one in (self.saved.value, self.saved.low, self.saved.high))
        said = "are saved" if saved >= 0 else "more are spent"
        ends = (low, high) if saved >= 0 else (-high, -low)
        first = (
            f"against `{self.baseline}`, the cheapest simpler way, {figure(abs(saved))} {self.unit} {said} per 1000"
            f" decisions ({figure(ends[0])} to {figure(ends[1])} at {self.saved.confidence:.1%}), seen at look"
            f" {self.look} at these sealed rows"
        )
        second = (
            f"{self.tried.trials} recorded trials came before it; the best of so many without merit would show"
            f" {figure(1000 * self.luck_bar)} by luck, and the saving is {'above' if self.above_luck else 'not above'} that"
        )
        return first, second, self.tried.sentence


def lift_of(evidence: Evidence, tried: Tried, *, look: int) -> Lift | Unmeasured:
    """The lift that *evidence* on sealed rows shows, beside what the search *tried*."""
    known = np.isfinite(evidence.costs)
    costs = {}
    for name in baseline_names(evidence):
        each = baseline_costs(evidence, name)
        if not isinstance(each, Unmeasured) and np.isfinite(each[known]).all():
            costs[name] = each
    if not known.any() or not costs:
        return Unmeasured(reason="no row has a known cost under both the product and a simpler way")
    name = min(costs, key=lambda one: float(costs[one][known].mean()))
    times = None if evidence.times_us is None else evidence.times_us[known]
    seen = [
        (
            cost_difference(
                costs[name][known],
                evidence.costs[known],
                seed=evidence.seed,
                groups=labels,
                confidence=evidence.confidence,
            ),
            word,
        )
        for word, labels in ways_to_draw(evidence.groups_in(known), times)
    ]
    saved, drawn = max(seen, key=lambda one: one[0].high - one[0].low)
    error = (saved.high - saved.low) / (2 * normal_quantile(0.5 + saved.confidence / 2))
    return Lift(
        baseline=name,
        saved=replace(saved, note=f"resampled {drawn}"),
        luck_bar=luck_bar(error, tried.trials),
        look=look,
        drawn=drawn,
        tried=tried,
        unit=evidence.contract.costs.currency if evidence.contract.costs else "errors",
    )
