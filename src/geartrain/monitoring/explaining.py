"""What is behind an incident: other cases or another concept, which cases, and what it costs a day.

The decisions of the live release before the change are the reference for those after it.
Nothing here opens an incident; it tells triage which of two causes is proven, and the
person who is called where to look.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from geartrain.domain.contract import Cause
from geartrain.domain.incident import Incident, LossSplit, Segment
from geartrain.domain.prediction import Floats
from geartrain.monitoring.estimating import ASSUMES
from geartrain.monitoring.segments import Cases, Mask, cases_of, dearer_segments, grown_segments, in_words
from geartrain.stats import loss_split

#: The latest decisions before and after the change that are looked at.
LATEST = loss_split.MOST
#: Under so many decisions on a side no cost is told.
FEWEST = 30
_DAY_US = 86_400e6

Moments = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Told:
    """Decisions of the live release, *n* rows in any order, as far as they are known.

    Attributes:
        at_us: When each was made, shape (n,).
        features: What the model looked at.
        costs: What it cost; NaN where the truth is not known, shape (n,).
        expected: What it was expected to cost by the probabilities; NaN where no model said, shape (n,).
    """

    at_us: Moments
    features: pl.DataFrame
    costs: Floats
    expected: Floats

    def sides(self, since: datetime) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The places of the latest decisions before *since*, and of those from then on, both in order."""
        since_us = round(since.timestamp() * 1e6)
        order = np.argsort(self.at_us, kind="stable")
        late = self.at_us[order] >= since_us
        return order[~late][-LATEST:], order[late][-LATEST:]


def split_since(told: Told, since: datetime, *, seed: int = 0) -> LossSplit | None:
    """Split what decisions cost more since *since*; None while too few truths of before are known."""
    before, after = told.sides(since)
    before = before[np.isfinite(told.costs[before])]
    if min(len(before), len(after)) < loss_split.FEWEST:
        return None
    cases, first = _cases(told, before, after)
    return loss_split.split_loss(
        cases.matrix[:first],
        told.costs[before],
        cases.matrix[first:],
        told.costs[after],
        seed=seed,
    )


def explain(
    incident: Incident, told: Told, *, now: datetime, split: LossSplit | None = None, seed: int = 0
) -> Incident:
    """The incident with the cases that it falls on, its split and its cost a day, as far as decisions tell."""
    began = min(incident.began_at or incident.opened_at, now)
    before, after = told.sides(began)
    cost, basis = _cost_per_day(told, before, after, began=began, now=now)
    return replace(
        incident,
        split=split if incident.cause in {Cause.POPULATION, Cause.CONCEPT} else None,
        segments=_segments(incident.cause, told, before, after, began=began, split=split, seed=seed),
        cost_per_day=cost if cost is not None else incident.cost_per_day,
        cost_basis=basis,
    )


def split_in_words(split: LossSplit, *, currency: str = "") -> str:
    """The two parts in a sentence, with their intervals."""
    unit = f" {currency}" if currency else ""

    def part(value: float, low: float, high: float) -> str:
        return f"{value:+.3g}{unit} ({low:+.3g} to {high:+.3g})"

    cases = part(split.covariate.value, split.covariate.low, split.covariate.high)
    if split.total is None or split.concept is None:
        return (
            f"other cases than before change the cost of a decision by {cases};"
            " whether the same cases end otherwise is not known before more labels come"
        )
    same = part(split.concept.value, split.concept.low, split.concept.high)
    whole = f"{split.before:.3g} -> {split.before + split.total.value:.3g}{unit}"
    return f"a decision costs {whole}: {cases} because other cases come, {same} because the same cases end otherwise"


def behind(incident: Incident, *, currency: str = "") -> tuple[str, ...]:
    """What is known behind an incident, a line each: the split, the cases, the cost, what changed on our side."""
    lines = []
    if incident.split is not None:
        lines.append(split_in_words(incident.split, currency=currency))
    if incident.segments:
        lines.append(in_words(incident.segments, currency=currency))
    if incident.cost_per_day is not None:
        basis = f" (from {incident.cost_basis})" if incident.cost_basis else ""
        lines.append(
            f"about {incident.cost_per_day:,.3g} {currency} a day more than before{basis}".replace("  ", " ")
        )
    elif incident.cost_basis:
        lines.append(f"its cost is not known: {incident.cost_basis}")
    if incident.side_change:
        lines.append(f"shortly before, {incident.side_change}")
    return tuple(lines)


def _cases(told: Told, before: NDArray[np.int64], after: NDArray[np.int64]) -> tuple[Cases, int]:
    """Both sides as one matrix, so that they are asked the same questions, and where the second begins."""
    chosen = np.concatenate([before, after])
    return cases_of(told.features[chosen]), len(before)


def _segments(
    cause: Cause,
    told: Told,
    before: NDArray[np.int64],
    after: NDArray[np.int64],
    *,
    began: datetime,
    split: LossSplit | None,
    seed: int,
) -> tuple[Segment, ...]:
    """The cases that the change falls on, asked in the way that fits its cause; all, where it falls on all."""
    everyone = (
        Segment(words=f"every decision since {began:%Y-%m-%d %H:%M} UTC", rows=len(after), share=1.0),
    )
    if len(after) == 0:
        return everyone
    found: tuple[Segment, ...] = ()
    match cause:
        case Cause.COLUMN | Cause.POPULATION if len(before):
            cases, first = _cases(told, before, after)
            current: Mask = np.arange(len(before) + len(after)) >= first
            found = grown_segments(cases, current, seed=seed)
        case Cause.CONCEPT | Cause.MODEL:
            found = (
                _dearer(told, before, after, seed=seed) if split is not None or cause is Cause.MODEL else ()
            )
        case _:
            found = ()
    return found or everyone


def _dearer(
    told: Told, before: NDArray[np.int64], after: NDArray[np.int64], *, seed: int
) -> tuple[Segment, ...]:
    """Where decisions cost more than the same cases did before."""
    before = before[np.isfinite(told.costs[before])]
    after = after[np.isfinite(told.costs[after])]
    if min(len(before), len(after)) < loss_split.FEWEST:
        return ()
    cases, first = _cases(told, before, after)
    expected = loss_split.expected_losses(
        cases.matrix[:first], told.costs[before], cases.matrix[first:], seed=seed
    )
    later = Cases(matrix=cases.matrix[first:], questions=cases.questions)
    return dearer_segments(later, told.costs[after] - expected, seed=seed)


def _cost_per_day(
    told: Told, before: NDArray[np.int64], after: NDArray[np.int64], *, began: datetime, now: datetime
) -> tuple[float | None, str]:
    """How much more a day costs than before, from truths where they tell, else from probabilities."""
    if len(after) < FEWEST:
        return None, f"{len(after):,} decisions since then are too few to tell a cost from"
    if len(before) < FEWEST:
        return None, f"{len(before):,} decisions before it are too few to compare with"
    days = (now - began).total_seconds() / 86_400
    # Where only the latest were taken, they tell the pace.
    days = min(days, float(now.timestamp() * 1e6 - told.at_us[after].min()) / _DAY_US)
    per_day = len(after) / max(days, 1.0)
    for values, words in (
        (told.costs, "the truth of {rows:,} decisions since then"),
        (told.expected, f"the probabilities of {{rows:,}} decisions since then; {ASSUMES}"),
    ):
        then, since = (values[side][np.isfinite(values[side])] for side in (before, after))
        if min(len(then), len(since)) >= FEWEST:
            return float(since.mean() - then.mean()) * per_day, words.format(rows=len(since))
    return None, "no truth and no probability of these decisions is known"
