"""The estimate without labels, adapted to a population that has shifted: density ratios, then the same sums.

The model's probabilities are calibrated anew on reference rows with a known truth, weighted so
that they look like the decisions in question; then costs and rates are summed as in
`estimating`. It follows a shifted population; a changed concept it cannot see either.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.domain.rule import DecisionRule
from geartrain.monitoring.estimating import ASSUMES, FEWEST, Foretold, due_us, is_open
from geartrain.stats.calibrators import Calibrator
from geartrain.stats.deciding import Indices
from geartrain.stats.reweighting import (
    DensityRatio,
    Matrix,
    Recalibrated,
    density_ratio,
    recalibrate,
    widened,
)
from geartrain.stats.unlabelled import METHOD, Reconciled, expected_rates, expected_ratio, reconcile

ADAPTED = f"calibrated anew by density ratio; {METHOD}; the calibrator resampled"
#: Fewer reference rows, or fewer of what they are worth once weighted, calibrate nothing.
FEWEST_REFERENCE = 100
FEWEST_WORTH = 30.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """Rows with a known truth that the model had not learned from.

    Attributes:
        matrix: As the model reads them, shape (n, columns).
        probabilities: What the model said, shape (n, classes).
        truth: Class indices, shape (n,).
        whence: Which rows they are, in words.
        live: Whether they are live decisions themselves: then they cannot check the estimate.
    """

    matrix: Matrix
    probabilities: Floats
    truth: Indices
    whence: str
    live: bool = False

    def __len__(self) -> int:
        return len(self.truth)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapted:
    """The expected cost of decisions with an unknown truth, calibrated for the population that they come from.

    Attributes:
        rows: The decisions that are estimated.
        reference: How many rows it was calibrated on ...
        worth: ... and how many they are worth once they are weighted.
        outside: The share of the decisions that are like hardly any reference row.
        told_apart: How well reference and decisions are told apart: .5 where nothing has shifted.
        whence: Which rows the reference is.
        cost: The expected cost of one decision; None where *reason* says why there is none.
        checked: The same way of estimating, held against decisions whose truth came; None where there are too few.
        unchecked: Why there is no check.
    """

    rows: int = 0
    reference: int = 0
    worth: float = 0.0
    outside: float = 0.0
    told_apart: Measurement | None = None
    whence: str = ""
    cost: Measurement | None = None
    rates: tuple[tuple[str, Measurement], ...] = ()
    checked: Reconciled | None = None
    unchecked: str = ""
    assumes: str = ASSUMES
    reason: str = ""

    @property
    def message(self) -> str:
        """The estimate in one sentence, with what it assumes."""
        if self.cost is None or self.told_apart is None:
            return f"no estimate adapted to the population: {self.reason}"
        outside = (
            f", {100 * self.outside:.2g} % of the decisions are like hardly any of them"
            if self.outside
            else ""
        )
        rates = "".join(f", {name} {one.value:.3g}" for name, one in self.rates)
        return (
            f"adapted to the population: {self.cost.value:.4g} ({self.cost.low:.4g} to {self.cost.high:.4g})"
            f" a decision{rates}; {self.reference:,} {self.whence} are worth {self.worth:,.0f} here"
            f" (told apart with AUC {self.told_apart.value:.2f}){outside}; {self.assumes}"
        )


def adapt(
    rule: DecisionRule,
    told: Foretold,
    matrix: Matrix,
    reference: Reference,
    *,
    positive: int | None,
    now: datetime,
    delay_s: float,
    seed: int,
) -> Adapted:
    """Estimate the decisions in *told* whose truth is not known, and check the same way on those whose truth came.

    *matrix* holds the rows of *told* as the model reads them, shape (n, columns). Only decisions whose
    label delay has passed are checked, as for the plain estimate.
    """
    base = Adapted(reference=len(reference), whence=reference.whence)
    priced = np.isfinite(told.costs).all(axis=1)
    wanted = is_open(told)
    base = replace(base, rows=int(wanted.sum()))
    if base.rows < FEWEST:
        return replace(base, reason=f"{base.rows} decisions have no truth yet, at least {FEWEST} are needed")
    anew = _anew(reference, matrix[wanted], seed=seed)
    if isinstance(anew, str):
        return replace(base, reason=anew)
    ratio, found = anew
    some = told.of(wanted)
    came = np.isfinite(told.realised) & priced & (told.at_us <= due_us(now, delay_s))
    checked, unchecked = _checked(told, matrix, reference, came, seed=seed)

    def probabilities(calibrator: Calibrator) -> Floats:
        return calibrator.apply(some.probabilities)

    cost = expected_ratio(probabilities(found.calibrator), some.costs)
    assert cost is not None, "a mean over rows has a value"

    def rates(calibrator: Calibrator) -> dict[str, Measurement]:
        return dict(expected_rates(rule, some.actions, probabilities(calibrator), of=positive))

    resampled = [rates(one) for one in found.resampled]
    whole = rates(found.calibrator)
    return replace(
        base,
        worth=ratio.worth,
        outside=ratio.outside,
        told_apart=ratio.told_apart,
        cost=widened(
            cost,
            found.spread(lambda one: float((probabilities(one) * some.costs).sum(axis=1).mean())),
            note=ASSUMES,
            method=ADAPTED,
        ),
        rates=tuple(
            (name, _wider_rate(seen, [one.get(name) for one in resampled])) for name, seen in whole.items()
        ),
        checked=checked,
        unchecked=unchecked,
    )


def _anew(reference: Reference, current: Matrix, *, seed: int) -> tuple[DensityRatio, Recalibrated] | str:
    """The ratio and the calibrator for *current*, or why there is none."""
    if len(reference) < FEWEST_REFERENCE:
        return f"{len(reference)} {reference.whence}, at least {FEWEST_REFERENCE} are needed"
    if len(np.unique(reference.truth)) < 2:
        return f"all {len(reference)} {reference.whence} are of one class: nothing can be calibrated on them"
    if current.shape[1] == 0:
        return "the model reads no column: nothing can tell the populations apart"
    ratio = density_ratio(reference.matrix, current, seed=seed)
    if ratio.worth < FEWEST_WORTH:
        return (
            f"the decisions are so unlike the {len(reference):,} {reference.whence}"
            f" that these are worth {ratio.worth:.0f}, at least {FEWEST_WORTH:.0f} are needed"
        )
    return ratio, recalibrate(reference.probabilities, reference.truth, ratio, seed=seed)


def _checked(
    told: Foretold, matrix: Matrix, reference: Reference, came: NDArray[np.bool_], *, seed: int
) -> tuple[Reconciled | None, str]:
    known = told.of(came)
    if reference.live:
        return None, f"the {reference.whence} are the reference themselves"
    if len(known) < FEWEST:
        return (
            None,
            f"the truth of {len(known)} decisions is known that was due, at least {FEWEST} are needed",
        )
    anew = _anew(reference, matrix[came], seed=seed)
    if isinstance(anew, str):
        return None, anew
    _, found = anew
    seen = reconcile(found.calibrator.apply(known.probabilities), known.costs, known.realised)
    spread = found.spread(
        lambda one: float((one.apply(known.probabilities) * known.costs).sum(axis=1).mean())
    )
    wider = widened(seen.difference, spread, note=ASSUMES, method=seen.difference.method)
    return replace(seen, difference=wider), ""


def _wider_rate(seen: Measurement, resampled: list[Measurement | None]) -> Measurement:
    values = [one.value for one in resampled if one is not None]
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    wider = widened(seen, spread, note=ASSUMES, method=ADAPTED)
    return replace(wider, low=max(0.0, wider.low), high=min(1.0, wider.high))
