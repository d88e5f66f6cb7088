"""Metrics of the scores themselves: ranking and calibration, the positive class or class by class."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from geartrain.domain.columns import texts, truths
from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.evaluation.action_metrics import Parameters, macro, named_class
from geartrain.evaluation.evidence import Evidence, Mask, Measured, Unmeasured
from geartrain.evaluation.limits import limit_of
from geartrain.stats import calibration, ranking
from geartrain.stats.deciding import row_thresholds


def auc(evidence: Evidence, mask: Mask, parameters: Parameters) -> Measured:
    """The area under the ROC curve; one class against the rest, averaged, where none is named."""
    return _ranked(evidence, mask, parameters, precision=False)


def average_precision(evidence: Evidence, mask: Mask, parameters: Parameters) -> Measured:
    """The area under the precision-recall steps; averaged over classes where none is named."""
    return _ranked(evidence, mask, parameters, precision=True)


def calibration_error(evidence: Evidence, mask: Mask, parameters: Parameters) -> Measured:
    """How far probabilities are from what came, over equal-mass bins, debiased.

    Several classes and none named: of the largest probability against "it was right".
    """
    pair = confidence_and_truth(evidence, mask, parameters)
    if isinstance(pair, Unmeasured):
        return pair
    said, came = pair
    bins = parameters.get("bins")
    return calibration.calibration_error(
        said,
        came,
        seed=evidence.seed,
        bins=int(bins) if isinstance(bins, int | float) else None,
        groups=evidence.groups_in(mask),
        confidence=evidence.confidence,
    )


def calibration_at_threshold(evidence: Evidence, mask: Mask, parameters: Parameters) -> Measured:
    """The gap between what came and what was said where the decision turns: each row's own threshold.

    Where costs differ by row the thresholds do too, and the rows nearest *their* threshold are
    looked at. A row for which nothing turns the decision (a missing cost, an action that is
    always or never cheaper) is left out and counted.
    """
    turning = turning_rows(evidence, mask, parameters)
    if isinstance(turning, Unmeasured):
        return turning
    distinct = np.unique(turning.thresholds)
    seen = calibration.calibration_at(
        turning.said,
        turning.came,
        threshold=float(distinct[0]) if len(distinct) == 1 else turning.thresholds,
        groups=evidence.groups_in(turning.rows),
        confidence=evidence.confidence,
    )
    return replace(seen, note=turning.with_lost(seen.note))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Turning:
    """The rows whose decision turns at some probability, each shape (n,).

    Attributes:
        rows: Which of the evidence they are, shape (rows of the evidence,).
        said: The probability of the class.
        came: Whether it came.
        thresholds: The probability at which the row's decision turns.
        lost: Rows of the slice whose decision nothing turns.
    """

    rows: Mask
    said: Floats
    came: Mask
    thresholds: Floats
    lost: int

    def with_lost(self, note: str) -> str:
        """*note*, and how many rows are left out."""
        return f"{note}; {self.lost} rows left out whose decision nothing turns" if self.lost else note


def turning_rows(evidence: Evidence, mask: Mask, parameters: Parameters) -> Turning | Unmeasured:
    """The rows of *mask* whose decision some probability turns, or why there are none."""
    pair = confidence_and_truth(evidence, mask, parameters)
    if isinstance(pair, Unmeasured):
        return pair
    rule, of = evidence.rule, named_class(evidence, parameters)
    if len(rule.classes) != 2 or rule.actions[0] == rule.actions[1] or not isinstance(of, int):
        return Unmeasured(reason="there is no threshold: it parts two classes with two actions")
    thresholds = row_thresholds(rule, evidence.columns, len(evidence), positive=of)
    turns = np.isfinite(thresholds) & (thresholds > 0)
    rows = mask & turns
    if not rows.any():
        return Unmeasured(
            reason=f"nothing turns the decision of any of {int(mask.sum())} rows: a cost is missing, or one"
            " action is always the cheaper one"
        )
    return Turning(
        rows=rows,
        said=pair[0][turns[mask]],
        came=pair[1][turns[mask]],
        thresholds=thresholds[rows],
        lost=int((mask & ~turns).sum()),
    )


def brier(evidence: Evidence, mask: Mask, parameters: Parameters) -> Measured:
    """The mean squared error of the probabilities; (p - y)^2 for two classes, summed over more."""
    del parameters
    if (reason := _unfit(evidence, mask)) is not None:
        return reason
    return calibration.brier(
        evidence.predictions.values[mask],
        evidence.truth[mask],
        seed=evidence.seed,
        groups=evidence.groups_in(mask),
        confidence=evidence.confidence,
    )


def log_loss(evidence: Evidence, mask: Mask, parameters: Parameters) -> Measured:
    """The mean of -ln p(truth), in nats."""
    del parameters
    if (reason := _unfit(evidence, mask)) is not None:
        return reason
    return calibration.log_loss(
        evidence.predictions.values[mask],
        evidence.truth[mask],
        seed=evidence.seed,
        groups=evidence.groups_in(mask),
        confidence=evidence.confidence,
    )


def precision_at_capacity(evidence: Evidence, mask: Mask, parameters: Parameters) -> Measured:
    """The share of right ones among the k highest-scored entities of each period.

    Parameters: `k`, `period` in seconds, `entity` a column; the contract's capacity where
    they are silent. `known` names a column of yes and no: rows of entities known
    before are not looked at. Equal to the Fraud Detection Handbook's card precision@k.
    """
    if (reason := _unfit(evidence, mask)) is not None:
        return reason
    limit = limit_of(evidence, parameters)
    if isinstance(limit, Unmeasured):
        return limit
    known = parameters.get("known")
    absent = [name for name in (limit.entity, known) if name is not None and name not in evidence.columns]
    if absent:
        return Unmeasured(reason=f"there is no column `{absent[0]}`")
    rows = mask if known is None else mask & ~truths(evidence.columns[str(known)])
    if not rows.any():
        return Unmeasured(reason="every row is of an entity that was known before")
    of = _of_capacity(evidence, parameters)
    if isinstance(of, Unmeasured):
        return of
    return ranking.precision_at(
        evidence.predictions.values[rows, of],
        evidence.truth[rows] == of,
        limit.periods[rows],
        k=limit.most,
        entities=None if limit.entity is None else texts(evidence.columns[limit.entity][rows]).astype(str),
        confidence=evidence.confidence,
    )


def confidence_and_truth(
    evidence: Evidence, mask: Mask, parameters: Parameters
) -> tuple[np.ndarray, np.ndarray] | Unmeasured:
    """What was said and whether it came: of the class named, the positive one, or the likeliest."""
    if (reason := _unfit(evidence, mask)) is not None:
        return reason
    of = named_class(evidence, parameters)
    if isinstance(of, Unmeasured):
        return of
    values, truth = evidence.predictions.values[mask], evidence.truth[mask]
    if of is None:
        return values.max(axis=1), values.argmax(axis=1) == truth
    return values[:, of], truth == of


def _ranked(evidence: Evidence, mask: Mask, parameters: Parameters, *, precision: bool) -> Measured:
    if (reason := _unfit(evidence, mask)) is not None:
        return reason
    of = named_class(evidence, parameters)
    if isinstance(of, Unmeasured):
        return of
    if of is not None:
        return _ranked_class(evidence, mask, of, precision=precision)
    each = {
        name: _ranked_class(evidence, mask, index, precision=precision)
        for index, name in enumerate(evidence.rule.classes)
    }
    return macro(each, rows=int(mask.sum()))


def _ranked_class(evidence: Evidence, mask: Mask, of: int, *, precision: bool) -> Measured:
    scores, positive = evidence.predictions.values[mask, of], evidence.truth[mask] == of
    groups, name = evidence.groups_in(mask), evidence.rule.classes[of]
    if not positive.any() or positive.all():
        which = "no row" if not positive.any() else "every row"
        return Unmeasured(reason=f"{which} of {len(positive)} is of class `{name}`, so nothing can be ranked")
    seen: Measurement
    if precision:
        seen = ranking.average_precision(
            scores, positive, seed=evidence.seed, groups=groups, confidence=evidence.confidence
        )
    else:
        seen = ranking.auc(
            scores, positive, groups=groups, seed=evidence.seed, confidence=evidence.confidence
        )
    return seen


def _of_capacity(evidence: Evidence, parameters: Parameters) -> int | Unmeasured:
    capacity = evidence.contract.decision.capacity
    if capacity is not None and "class" not in parameters and capacity.action in evidence.rule.actions:
        return evidence.rule.actions.index(capacity.action)
    of = named_class(evidence, parameters)
    return evidence.positive if of is None else of


def _unfit(evidence: Evidence, mask: Mask) -> Unmeasured | None:
    if not evidence.rule.task.has_classes:
        return Unmeasured(reason=f"a {evidence.rule.task} product has no probabilities")
    return None if mask.any() else Unmeasured(reason="no row is in the slice")
