"""Clauses measured so that one may look at any time: means of bounded rows, in the order in which they became known.

A live clause is looked at every day. An interval for one look would then be wrong now and
then, and a promise would be called broken that is not. Rates, Brier scores, costs whose range the
contract fixes and gaps between groups are means of bounded values, which have confidence sequences
(Waudby-Smith and Ramdas 2023): all their intervals hold together. So do a cost as a fraction of a fixed
baseline's and an AUC, by pairs, and calibration, in fixed bins or among rows that were near a threshold when they
came. F1 is a share of the rows involved, seen through a curve. Baselines that learn, averages of precision,
errors of numbers and costs that read a column without bounds keep the interval of one look.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from geartrain.domain.clause import Clause
from geartrain.domain.finding import Guarantee, Measurement
from geartrain.domain.prediction import Floats
from geartrain.domain.task import Task
from geartrain.errors import ExpressionInvalid
from geartrain.evaluation.action_metrics import (
    Counted,
    Parameters,
    decided_right,
    f1_of,
    involved,
    macro,
    named_class,
    precise,
    recalled,
    reshaped,
    spared,
)
from geartrain.evaluation.baselines import ALWAYS, baseline_costs
from geartrain.evaluation.evidence import Evidence, Mask, Measured, Unmeasured
from geartrain.evaluation.fairness import COST_PARITY, fairness
from geartrain.evaluation.prices import price_range
from geartrain.evaluation.score_metrics import confidence_and_truth, turning_rows
from geartrain.stats.bounded import Scale, over_time
from geartrain.stats.bounded_pairs import (
    CALIBRATION_BINS,
    auc_over_time,
    calibration_at_over_time,
    calibration_over_time,
    ratio_over_time,
)
from geartrain.stats.calibration import LOG_FLOOR, log_losses
from geartrain.stats.deciding import ABSTAINED

#: Shares among the rows of one class, or decided for it.
_PER_CLASS: Mapping[str, Callable[[Evidence, int], Counted]] = {
    "recall": recalled,
    "specificity": spared,
    "precision": precise,
    "f1": involved,
}
_COSTS = {"expected_cost": 1.0, "cost_per_1000": 1000.0}


def at_all_times(evidence: Evidence, clause: Clause) -> Measured | None:
    """The clause's quantity with an interval that holds at all times at once; None where it has no such form.

    The rows stand in the order in which their truth became known: what comes later is only added.
    """
    parameters = dict(clause.parameters)
    try:
        mask = evidence.slice(clause.where)
        seen = (
            _gap(evidence, clause.metric, mask, parameters)
            if clause.section == "fairness"
            else _against(evidence, clause, mask)
            if clause.relative_to
            else _mean(evidence, clause.metric, mask, parameters)
        )
    except ExpressionInvalid as error:
        return Unmeasured(reason=f"an expression cannot be read: {error.message}")
    return replace(seen, guarantee=Guarantee.AT_ALL_TIMES) if isinstance(seen, Measurement) else seen


def _against(evidence: Evidence, clause: Clause, mask: Mask) -> Measured | None:
    """The cost as a fraction of a baseline's that decides each row without a look at other rows' labels."""
    name, scale = clause.relative_to or "", price_range(evidence.contract, evidence.rule, evidence.columns)
    own = any(one.name == name and one.rule is not None for one in evidence.contract.baselines)
    if clause.metric not in _COSTS or scale is None or not (own or name.startswith(ALWAYS)):
        return None
    base = baseline_costs(evidence, name)
    if isinstance(base, Unmeasured):
        return base
    known = mask & np.isfinite(evidence.costs) & np.isfinite(base)
    if not known.any():
        return Unmeasured(reason="no row has a known cost")
    most = max(2.0, 2 * clause.bound)
    return ratio_over_time(
        evidence.costs[known], base[known], scale=scale, confidence=evidence.confidence, most=most
    )


def _auc(evidence: Evidence, mask: Mask, parameters: Parameters) -> Measured:
    """How well one class is told from the rest; the mean over all of several, whose sequences divide alpha."""
    of = named_class(evidence, parameters)
    if isinstance(of, Unmeasured):
        return of
    if of is not None:
        return _ranked(evidence, mask, of, confidence=evidence.confidence)
    level = 1 - (1 - evidence.confidence) / len(evidence.rule.classes)
    each = {
        name: _ranked(evidence, mask, place, confidence=level)
        for place, name in enumerate(evidence.rule.classes)
    }
    return _macro(evidence, each, mask)


def _ranked(evidence: Evidence, mask: Mask, of: int, *, confidence: float) -> Measured:
    scores, own = evidence.predictions.values[mask, of], evidence.truth[mask] == of
    seen = auc_over_time(scores, own, confidence=confidence)
    return (
        Unmeasured(reason=f"every row is, or none is, of class `{evidence.rule.classes[of]}`")
        if seen is None
        else seen
    )


def _near_threshold(evidence: Evidence, mask: Mask, parameters: Parameters) -> Measured:
    turning = turning_rows(evidence, mask, parameters)
    if isinstance(turning, Unmeasured):
        return turning
    seen = calibration_at_over_time(
        turning.said,
        turning.came.astype(np.float64),
        distance=np.abs(turning.said - turning.thresholds),
        confidence=evidence.confidence,
    )
    return replace(seen, note=turning.with_lost(seen.note))


def _calibration(evidence: Evidence, mask: Mask, parameters: Parameters) -> Measured:
    pair = confidence_and_truth(evidence, mask, parameters)
    if isinstance(pair, Unmeasured):
        return pair
    if not len(pair[0]):
        return Unmeasured(reason="no row of the slice has a value")
    bins = parameters.get("bins")
    count = int(bins) if isinstance(bins, int | float) else CALIBRATION_BINS
    said, came = (np.asarray(one, dtype=np.float64) for one in pair)
    return calibration_over_time(said, came, confidence=evidence.confidence, bins=count)


def _gap(evidence: Evidence, definition: str, mask: Mask, parameters: Parameters) -> Measured | None:
    scale = (
        price_range(evidence.contract, evidence.rule, evidence.columns)
        if definition == COST_PARITY
        else Scale()
    )
    return None if scale is None else fairness(evidence, definition, mask, parameters, scale=scale)


def _mean(evidence: Evidence, metric: str, mask: Mask, parameters: Parameters) -> Measured | None:
    if metric in _COSTS:
        return _cost(evidence, mask, times=_COSTS[metric])
    if not evidence.rule.task.has_classes:
        return None
    if metric in _PER_CLASS:
        return _per_class(evidence, metric, mask, parameters)
    match metric:
        case "accuracy":
            return _share(evidence, mask, decided_right(evidence), confidence=evidence.confidence)
        case "abstention_rate":
            abstained = evidence.decided.actions == ABSTAINED
            return _share(evidence, mask, (evidence.everything, abstained), confidence=evidence.confidence)
        case "coverage":
            decided = evidence.decided.actions != ABSTAINED
            return _share(evidence, mask, (evidence.everything, decided), confidence=evidence.confidence)
        case "auc":
            return _auc(evidence, mask, parameters)
        case "calibration_error":
            return _calibration(evidence, mask, parameters)
        case "calibration_at_threshold":
            return _near_threshold(evidence, mask, parameters)
        case "log_loss":
            losses = log_losses(evidence.predictions.values, evidence.truth)
            return _bounded(losses[mask], evidence, Scale(high=1e-9 - math.log(LOG_FLOOR)))
        case "brier":
            errors, most = _squared_errors(evidence)
            return _bounded(errors[mask], evidence, Scale(high=most))
        case _:
            return None


def _per_class(evidence: Evidence, metric: str, mask: Mask, parameters: Parameters) -> Measured:
    """One class's share, or the mean over all classes, whose sequences divide alpha among them."""
    of = named_class(evidence, parameters)
    if isinstance(of, Unmeasured):
        return of
    names = evidence.rule.classes
    if of is not None:
        return _of_class(evidence, metric, mask, of, confidence=evidence.confidence)
    level = 1 - (1 - evidence.confidence) / len(names)
    shares = {
        name: _of_class(evidence, metric, mask, place, confidence=level) for place, name in enumerate(names)
    }
    return _macro(evidence, shares, mask)


def _of_class(evidence: Evidence, metric: str, mask: Mask, of: int, *, confidence: float) -> Measured:
    counted, name = _PER_CLASS[metric](evidence, of), evidence.rule.classes[of]
    share = _share(evidence, mask, counted, f" for class `{name}`", confidence=confidence)
    return reshaped(share, f1_of) if metric == "f1" and isinstance(share, Measurement) else share


def _macro(evidence: Evidence, each: Mapping[str, Measured], mask: Mask) -> Measured:
    seen = macro(each, rows=int(mask.sum()))
    return seen if isinstance(seen, Unmeasured) else replace(seen, confidence=evidence.confidence)


def _share(evidence: Evidence, mask: Mask, counted: Counted, of: str = "", *, confidence: float) -> Measured:
    relevant, hits = counted
    chosen = mask & relevant
    if not chosen.any():
        return Unmeasured(reason=f"none of {int(mask.sum())} rows counts{of}")
    handed = int((evidence.decided.actions[mask] == ABSTAINED).sum())
    seen = over_time(hits[chosen].astype(np.float64), confidence=confidence, rows=int(mask.sum()))
    note = f"{handed} of {int(mask.sum())} rows handed over to people or a rule" if handed else ""
    return replace(seen, note=note)


def _cost(evidence: Evidence, mask: Mask, *, times: float) -> Measured | None:
    scale = price_range(evidence.contract, evidence.rule, evidence.columns)
    if scale is None:
        return None
    seen = _bounded(evidence.costs[mask & np.isfinite(evidence.costs)], evidence, scale)
    if isinstance(seen, Unmeasured):
        return seen
    return replace(seen, value=times * seen.value, low=times * seen.low, high=times * seen.high)


def _bounded(values: Floats, evidence: Evidence, scale: Scale) -> Measurement | Unmeasured:
    if not len(values):
        return Unmeasured(reason="no row of the slice has a value")
    return over_time(values, confidence=evidence.confidence, scale=scale)


def _squared_errors(evidence: Evidence) -> tuple[Floats, float]:
    """Each row's part of the Brier score, and the most that it can be."""
    values = evidence.predictions.values
    came = np.eye(len(evidence.rule.classes))[evidence.truth]
    if evidence.rule.task is Task.BINARY:
        return (values[:, 1] - came[:, 1]) ** 2, 1.0
    return ((values - came) ** 2).sum(axis=1), 2.0
