"""What decisions cost whose truth is not known yet, and how such estimates fared when it came.

An estimate without labels rests on the model's own probabilities. It cannot see a changed
concept, so it never travels without the sentence that says so, nor without the record of
how earlier ones came out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.domain.rule import DecisionRule
from geartrain.stats.deciding import Indices
from geartrain.stats.intervals import CONFIDENCE
from geartrain.stats.unlabelled import Reconciled, expected_rates, expected_ratio, reconcile

#: Stands beside every number that was made without labels.
ASSUMES = "assumes that P(y|x) has not changed"
#: Under so many rows the normal limit of a mean says nothing.
FEWEST = 30
#: So many windows are shown one by one, the latest.
MOST_WINDOWS = 12

Moments = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Foretold:
    """Decisions with what their model said, *n* rows in the order in which they were made.

    Attributes:
        at_us: When each was made, microseconds since 1970 UTC, shape (n,).
        probabilities: Shape (n, classes).
        actions: What was done, as indices into the rule's actions, shape (n,).
        costs: What that costs if the truth is each class, shape (n, classes).
        realised: What it did cost; NaN where the truth is not known, shape (n,).
    """

    at_us: Moments
    probabilities: Floats
    actions: Indices
    costs: Floats
    realised: Floats

    def __len__(self) -> int:
        return len(self.at_us)

    def of(self, mask: NDArray[np.bool_]) -> Foretold:
        """The rows in *mask*."""
        return Foretold(
            at_us=self.at_us[mask],
            probabilities=self.probabilities[mask],
            actions=self.actions[mask],
            costs=self.costs[mask],
            realised=self.realised[mask],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimated:
    """What the decisions with an unknown truth are expected to cost.

    Attributes:
        since: When the first of them was made; None where there is none.
        rows: How many there are.
        overdue: Of how many the label was due all the same.
        cost: The expected cost of one decision; None where *reason* says why there is none.
        rates: Accuracy, and for two classes recall and precision, by name.
        assumes: What must hold for any of it to be true.
    """

    since: datetime | None = None
    until: datetime | None = None
    rows: int = 0
    overdue: int = 0
    cost: Measurement | None = None
    rates: tuple[tuple[str, Measurement], ...] = ()
    assumes: str = ASSUMES
    reason: str = ""

    @property
    def message(self) -> str:
        """The estimate in one sentence, with what it assumes."""
        if self.cost is None:
            return f"no estimate without labels: {self.reason}"
        late = f", {self.overdue:,} of them overdue" if self.overdue else ""
        rates = "".join(f", {name} {one.value:.3g}" for name, one in self.rates)
        return (
            f"estimated without labels: {self.cost.value:.4g} ({self.cost.low:.4g} to {self.cost.high:.4g})"
            f" a decision{rates}, for {self.rows:,} whose truth is not known{late}; {self.assumes}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One span of decisions whose labels were due: the estimate beside what came.

    Attributes:
        decisions: Made in it by the model, at known prices.
        cost: Per decision, over those whose truth is known; `difference.rows` says how many.
        assumes: What the estimated part assumed.
        message: The comparison in one sentence.
    """

    since: datetime
    until: datetime
    decisions: int
    cost: Reconciled
    agrees: bool
    assumes: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """How estimates without labels came out.

    Attributes:
        whole: All decisions whose labels were due; None where *reason* says why there is none.
        windows: The latest windows, in order; all intervals, with the whole's, hold together.
    """

    whole: Window | None = None
    windows: tuple[Window, ...] = ()
    reason: str = ""


def estimate(
    rule: DecisionRule, told: Foretold, *, positive: int | None, now: datetime, due_s: float
) -> Estimated:
    """The expected cost and rates of the decisions in *told* whose truth is not known.

    *positive* is the class that recall and precision are about; a truth that is not known
    *due_s* seconds after its decision is overdue.
    """
    some = told.of(is_open(told))
    if len(some) < FEWEST:
        return Estimated(
            rows=len(some),
            reason=f"{len(some)} decisions have probabilities, known prices and no truth yet, at least {FEWEST} are needed",
        )
    due = due_us(now, due_s)
    return Estimated(
        since=_moment(some.at_us.min()),
        until=_moment(some.at_us.max()),
        rows=len(some),
        overdue=int((some.at_us <= due).sum()),
        cost=expected_ratio(some.probabilities, some.costs, note=ASSUMES),
        rates=expected_rates(rule, some.actions, some.probabilities, of=positive, note=ASSUMES),
    )


def reconciled(told: Foretold, *, now: datetime, delay_s: float, window_s: float) -> Reconciliation:
    """Hold the estimates of past windows of *window_s* seconds against what was realised.

    Only decisions whose label delay has passed take part: those whose truth comes first are
    not like the rest. Estimate and realised cost are of the same rows, those whose truth is
    known. Intervals are at Bonferroni's level over everything that is shown, so that all of
    them hold together with 95 %.
    """
    ripe = told.of((told.at_us <= due_us(now, delay_s)) & np.isfinite(told.costs).all(axis=1))
    known = int(np.isfinite(ripe.realised).sum())
    if known < FEWEST:
        return Reconciliation(
            reason=f"the truth of {known} decisions is known that was due, at least {FEWEST} are needed"
        )
    length = round(window_s * 1e6)
    first = int(ripe.at_us.min())
    places = (ripe.at_us - first) // length
    ends = due_us(now, delay_s)
    spans = [
        ripe.of(places == place) for place in np.unique(places) if first + (int(place) + 1) * length <= ends
    ]
    shown = [one for one in spans if int(np.isfinite(one.realised).sum()) >= FEWEST][-MOST_WINDOWS:]
    confidence = 1.0 - (1.0 - CONFIDENCE) / (len(shown) + 1)
    return Reconciliation(
        whole=_window(ripe, confidence),
        windows=tuple(_window(one, confidence) for one in shown),
    )


def _window(some: Foretold, confidence: float) -> Window:
    known = some.of(np.isfinite(some.realised))
    cost = reconcile(known.probabilities, known.costs, known.realised, confidence=confidence)
    seen = cost.difference
    if cost.agrees:
        verdict = "nothing speaks against the estimate"
    else:
        word = "low" if seen.value > 0 else "high"
        verdict = f"the estimate was too {word}: P(y|x) has changed, or the probabilities were not calibrated"
    since, until = _moment(some.at_us.min()), _moment(some.at_us.max())
    return Window(
        since=since,
        until=until,
        decisions=len(some),
        cost=cost,
        agrees=cost.agrees,
        assumes=ASSUMES,
        message=(
            f"{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M}, {len(known):,} of {len(some):,} labelled:"
            f" estimated {cost.expected:.4g}, realised {cost.realised:.4g} a decision,"
            f" difference {seen.value:.4g} ({seen.low:.4g} to {seen.high:.4g}); {verdict}"
        ),
    )


def is_open(told: Foretold) -> NDArray[np.bool_]:
    """The rows that are estimated: the truth is not known, the prices are."""
    return np.asarray(np.isnan(told.realised) & np.isfinite(told.costs).all(axis=1), dtype=np.bool_)


def due_us(now: datetime, due_s: float) -> int:
    """Labels of decisions that were made up to this moment are due, in microseconds since 1970 UTC."""
    return round((now.timestamp() - due_s) * 1e6)


def _moment(at_us: np.int64) -> datetime:
    return datetime.fromtimestamp(int(at_us) / 1e6, tz=UTC)
