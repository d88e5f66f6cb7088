"""A threshold for each group, chosen so that the groups are alike at the least cost.

Source: Hardt, Price and Srebro (2016), "Equality of opportunity in supervised learning", section 3.2.
Their derived predictor may toss a coin between two thresholds; here nobody's decision is a
lottery, so equalised odds may be out of reach, and the smallest gap that is in reach is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.clause import Clause, Comparison
from geartrain.domain.expression import Values
from geartrain.domain.prediction import Floats, Predictions
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.stats.deciding import ABSTAINED, Indices, decide, realised_cost
from geartrain.training.examples import Examples
from geartrain.training.mitigating import Mitigation, Untried, allowed, expressions_of, groups_of

#: What a group's positive probabilities may be multiplied by, against the common threshold; 1 is in the middle.
FACTORS = tuple(float(one) for one in np.geomspace(1 / 16, 16, 65))
#: Windows in which all groups' rates must lie begin at so many places at most, for each rate.
MOST_ANCHORS = 120
#: Shares of the tolerance that are aimed at, the whole first: what is aimed at on few rows is missed on others.
AIMS = (1.0, 0.5, 0.25, 0.1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Options:
    """One group's candidates: rates of shape (factors, rates), NaN where there is none; costs (factors,)."""

    rates: Floats
    costs: Floats


def group_thresholds(
    clause: Clause, rule: DecisionRule, predictions: Predictions, examples: Examples, *, aim: float = 1.0
) -> DecisionRule | Untried:
    """The rule with a class weight for each group: the cheapest whose groups differ by at most *aim* times the bound.

    All combinations of 65 weights a group are compared (through windows in which every group's
    rates must lie), at these rows' own costs. Where no combination is within, the tolerance is
    widened until one is. A group that is too small to be judged keeps the common weights.

    The rule reads the group when it decides: only a clause that names `thresholds` among its
    mitigations allows that.
    """
    if Mitigation.THRESHOLDS not in allowed(clause):
        return Untried(reason=f"`{clause.path}` does not allow thresholds by group")
    if rule.task is not Task.BINARY or len(rule.classes) != 2 or rule.actions[0] == rule.actions[1]:
        return Untried(reason="thresholds by group are for two classes with two actions")
    rates = _RATES.get(clause.metric)
    if rates is None:
        return Untried(reason=f"no threshold changes `{clause.metric}`; there are for " + ", ".join(_RATES))
    labels = groups_of(clause, examples)
    names = sorted({one for one in labels.tolist() if one is not None})
    if len(names) < 2:
        return Untried(reason="fewer than two groups are large enough to choose a threshold for")
    common = rule.class_weights or (1.0, 1.0)
    options = [
        _options(rule, common, predictions, examples, np.flatnonzero(labels == name), rates) for name in names
    ]
    if any(np.isnan(one.rates).all(axis=0).any() for one in options):
        return Untried(reason=f"a group has no row by which `{clause.metric}` could be told")
    ratio = clause.comparison is Comparison.AT_LEAST
    slack = (1 - clause.bound if ratio else clause.bound) * aim
    chosen = None
    while chosen is None:
        chosen = _cheapest_within(options, slack, ratio=ratio)
        slack = max(2 * slack, 0.005)
    weights = tuple(
        (name, (common[0], common[1] * FACTORS[place])) for name, place in zip(names, chosen, strict=True)
    )
    return replace(rule, groups=expressions_of(clause), group_weights=weights)


def _options(
    rule: DecisionRule,
    common: tuple[float, ...],
    predictions: Predictions,
    examples: Examples,
    rows: NDArray[np.int64],
    rates: tuple[Callable[[Indices, Indices, Floats], float], ...],
) -> _Options:
    here = examples.take(rows)
    said = replace(predictions, values=predictions.values[rows])
    truth = here.truth.astype(np.int64)
    found, costs = [], []
    for factor in FACTORS:
        own = replace(rule, class_weights=(common[0], common[1] * factor), groups=(), group_weights=())
        actions = decide(own, said, here.columns).actions
        priced = realised_cost(own, actions, truth, here.columns)
        found.append([rate(actions, truth, priced) for rate in rates])
        costs.append(float(np.nansum(priced)))
    return _Options(rates=np.array(found), costs=np.array(costs))


def _cheapest_within(options: list[_Options], slack: float, *, ratio: bool) -> list[int] | None:
    """The place of each group's cheapest candidate, all rates in one window; None where no window holds every group."""
    width = options[0].rates.shape[1]
    anchors = [_anchors(np.concatenate([one.rates[:, d] for one in options])) for d in range(width)]
    grid = np.stack(np.meshgrid(*anchors, indexing="ij"), axis=-1).reshape(-1, width)
    top = grid / max(1e-9, 1 - slack) if ratio else grid + slack
    total = np.zeros(len(grid))
    places = []
    for one in options:
        inside = ((one.rates[None] >= grid[:, None] - 1e-12) & (one.rates[None] <= top[:, None] + 1e-12)).all(
            axis=2
        )
        costs = np.where(inside, one.costs[None], np.inf)
        places.append(costs.argmin(axis=1))
        total += costs.min(axis=1)
    best = int(total.argmin())
    return [int(place[best]) for place in places] if np.isfinite(total[best]) else None


def _anchors(values: Floats) -> Floats:
    known = np.unique(values[np.isfinite(values)])
    if len(known) <= MOST_ANCHORS:
        return known
    return np.unique(np.quantile(known, np.linspace(0, 1, MOST_ANCHORS), method="nearest"))


def _share(hits: Values, among: Values) -> float:
    return float(hits[among].mean()) if among.any() else float("nan")


def _taken(actions: Indices, truth: Indices, costs: Floats) -> float:
    del truth, costs
    return float((actions == 1).mean())


def _recalled(actions: Indices, truth: Indices, costs: Floats) -> float:
    del costs
    # As in evaluation: who is handed to somebody else was not missed.
    return _share((actions == 1) | (actions == ABSTAINED), truth == 1)


def _alarmed(actions: Indices, truth: Indices, costs: Floats) -> float:
    del costs
    return _share(actions == 1, truth == 0)


def _precise(actions: Indices, truth: Indices, costs: Floats) -> float:
    del costs
    return _share(truth == 1, actions == 1)


def _priced(actions: Indices, truth: Indices, costs: Floats) -> float:
    del actions, truth
    return float(np.nanmean(costs)) if np.isfinite(costs).any() else float("nan")


#: The rates that each definition keeps alike, of one group's actions, truth and costs.
_RATES: dict[str, tuple[Callable[[Indices, Indices, Floats], float], ...]] = {
    "demographic_parity": (_taken,),
    "equal_opportunity": (_recalled,),
    "equalised_odds": (_recalled, _alarmed),
    "predictive_parity": (_precise,),
    "cost_parity": (_priced,),
}
