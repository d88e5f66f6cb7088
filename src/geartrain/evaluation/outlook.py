"""What more rows of the same kind would change about a promised cost, by the learning curve."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from geartrain.domain.clause import Clause, Comparison
from geartrain.domain.prediction import Floats
from geartrain.evaluation.baselines import baseline_costs
from geartrain.evaluation.cost_metrics import unseen_cost
from geartrain.evaluation.evidence import Evidence, Unmeasured
from geartrain.evaluation.prospect import CurveRuns, interval
from geartrain.stats.deciding import cost_tensor, regression_cost
from geartrain.stats.learning_curve import LearningCurve, learning_curve

#: How many times the rows are asked about.
TIMES = (2.0, 10.0)
IN_WORDS = {2.0: "twice the rows", 10.0: "ten times the rows"}
FEWEST_JUDGED = 20


def curve_of(
    quick: Evidence, runs: CurveRuns, *, relative_to: str | None = None, where: str | None = None
) -> LearningCurve | Unmeasured:
    """The curve of the expected cost per decision under the contract's rule, over some rows or against a baseline."""
    reference: Floats | None = None
    if relative_to is not None:
        costs = baseline_costs(quick, relative_to)
        if isinstance(costs, Unmeasured):
            return costs
        reference = costs[runs.judged]
    least = least_costs(quick)[runs.judged]
    known = quick.slice(where)[runs.judged] & np.isfinite(least)
    for each in runs.costs:
        known &= np.isfinite(each).all(axis=0)
    if reference is not None:
        known &= np.isfinite(reference)
    if int(known.sum()) < FEWEST_JUDGED:
        return Unmeasured(reason=f"only {int(known.sum())} judged rows have a known cost")
    if reference is not None and float(reference[known].mean()) <= 0:
        return Unmeasured(reason=f"the baseline `{relative_to}` costs nothing, of which nothing is a share")
    curve = learning_curve(
        runs.sizes,
        [each[:, known] for each in runs.costs],
        least=least[known],
        reference=None if reference is None else reference[known],
        groups=None if quick.groups is None else quick.groups[runs.judged][known],
        seed=quick.seed,
        times=TIMES,
        whole=runs.whole,
    )
    inside = np.zeros(len(quick), dtype=bool)
    inside[runs.judged[known]] = True
    scale = 1.0 if reference is None else float(reference[known].mean())
    return _with_unseen(curve, unseen_cost(quick, inside)[0] / scale)


def _with_unseen(curve: LearningCurve, extra: float) -> LearningCurve:
    """Room in each forecast for errors that no judged row showed; it shrinks like 1 / rows, as in `expected_cost`."""
    forecasts = []
    for one in curve.forecasts:
        seen = one.expected
        high = seen.value + math.hypot(seen.high - seen.value, extra / one.times)
        forecasts.append(replace(one, expected=replace(seen, high=high)))
    return replace(curve, forecasts=tuple(forecasts))


def outlook(clause: Clause, curve: LearningCurve | Unmeasured) -> str:
    """What more rows would do for a promised cost: can with more, not even with ten times, or why nobody can say."""
    if isinstance(curve, Unmeasured):
        return f"whether more rows would help is not known: {curve.reason}"
    if not curve.accepted:
        return f"whether more rows would help is not known: {curve.reason}"
    scale = 1000 if clause.metric == "cost_per_1000" and clause.relative_to is None else 1
    bound = clause.bound / scale
    if clause.comparison is not Comparison.AT_MOST:
        return ""
    for one in curve.forecasts:
        if one.expected.high <= bound:
            return f"with {IN_WORDS[one.times]} it can: {interval(one.expected)} is to be expected"
    last = curve.forecasts[-1]
    if last.expected.low > bound:
        return f"not even {IN_WORDS[last.times]} would do: {interval(last.expected)} is to be expected"
    return f"{IN_WORDS[last.times]} may do or not: {interval(last.expected)} is to be expected"


def least_costs(evidence: Evidence) -> Floats:
    """What each row would cost if its truth were known when it is decided, shape (n,)."""
    rule, rows = evidence.rule, len(evidence)
    if not rule.task.has_classes:
        truth = evidence.truth.astype(np.float64)
        return regression_cost(rule.costs, predicted=truth, truth=truth, columns=evidence.columns)
    tensor = cost_tensor(
        rule.costs, actions=rule.actions, classes=rule.classes, columns=evidence.columns, rows=rows
    )
    table = np.broadcast_to(tensor, (rows, *tensor.shape[1:]))
    return np.asarray(table[np.arange(rows), :, evidence.truth].min(axis=1))
