"""Metrics of a predicted value: regression."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from geartrain.domain.task import Task
from geartrain.evaluation.action_metrics import Parameters
from geartrain.evaluation.evidence import Evidence, Mask, Measured, Unmeasured
from geartrain.stats.intervals import ratio


def mean_absolute_error(evidence: Evidence, mask: Mask, parameters: Parameters) -> Measured:
    """The mean of |prediction - truth|, in the label's unit, with a BCa bootstrap."""
    del parameters
    errors = _errors(evidence, mask)
    if isinstance(errors, Unmeasured):
        return errors
    return ratio(
        np.abs(errors), seed=evidence.seed, groups=evidence.groups_in(mask), confidence=evidence.confidence
    )


def root_mean_squared_error(evidence: Evidence, mask: Mask, parameters: Parameters) -> Measured:
    """The root of the mean of (prediction - truth)^2; the bootstrap's ends are rooted too."""
    del parameters
    errors = _errors(evidence, mask)
    if isinstance(errors, Unmeasured):
        return errors
    seen = ratio(
        errors**2, seed=evidence.seed, groups=evidence.groups_in(mask), confidence=evidence.confidence
    )
    low, value, high = (math.sqrt(max(0.0, one)) for one in (seen.low, seen.value, seen.high))
    return replace(seen, low=low, value=value, high=high)


def r2(evidence: Evidence, mask: Mask, parameters: Parameters) -> Measured:
    """1 - sum(error^2) / sum((truth - mean)^2), paired bootstrap around the mean of these rows.

    Resampling the mean as well changes the ends only to second order.
    """
    del parameters
    errors = _errors(evidence, mask)
    if isinstance(errors, Unmeasured):
        return errors
    truth = evidence.truth[mask].astype(np.float64)
    spread = (truth - truth.mean()) ** 2
    if float(spread.sum()) <= 0.0:
        return Unmeasured(reason="every label has the same value, so there is no variance to explain")
    seen = ratio(
        errors**2, spread, seed=evidence.seed, groups=evidence.groups_in(mask), confidence=evidence.confidence
    )
    return replace(seen, value=1 - seen.value, low=1 - seen.high, high=1 - seen.low)


def _errors(evidence: Evidence, mask: Mask) -> np.ndarray | Unmeasured:
    if evidence.rule.task is not Task.REGRESSION:
        return Unmeasured(reason=f"a {evidence.rule.task} product predicts no value")
    if not mask.any():
        return Unmeasured(reason="no row is in the slice")
    errors: np.ndarray = evidence.predictions.values[mask, 0] - evidence.truth[mask].astype(np.float64)
    return errors
