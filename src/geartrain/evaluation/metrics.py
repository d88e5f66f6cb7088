"""The closed list of metrics, and the one way to measure any of them.

Each is pure: `metric(evidence, mask, parameters)` gives a `Measurement`, or `Unmeasured`
with the reason. Nothing returns NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from geartrain.domain.clause import Parameter
from geartrain.domain.task import Task
from geartrain.errors import ExpressionInvalid
from geartrain.evaluation import action_metrics, capacity_metrics, cost_metrics, score_metrics, value_metrics
from geartrain.evaluation.action_metrics import Parameters
from geartrain.evaluation.evidence import Evidence, Mask, Measured, Unmeasured

Metric = Callable[[Evidence, Mask, Parameters], Measured]

METRICS: Mapping[str, Metric] = {
    "expected_cost": cost_metrics.expected_cost,
    "cost_per_1000": cost_metrics.cost_per_1000,
    "cost_within_capacity": capacity_metrics.cost_within_capacity,
    "recall": action_metrics.recall,
    "precision": action_metrics.precision,
    "specificity": action_metrics.specificity,
    "f1": action_metrics.f1,
    "accuracy": action_metrics.accuracy,
    "abstention_rate": action_metrics.abstention_rate,
    "coverage": action_metrics.coverage,
    "auc": score_metrics.auc,
    "average_precision": score_metrics.average_precision,
    "precision_at_capacity": score_metrics.precision_at_capacity,
    "calibration_error": score_metrics.calibration_error,
    "calibration_at_threshold": score_metrics.calibration_at_threshold,
    "brier": score_metrics.brier,
    "log_loss": score_metrics.log_loss,
    "mean_absolute_error": value_metrics.mean_absolute_error,
    "root_mean_squared_error": value_metrics.root_mean_squared_error,
    "r2": value_metrics.r2,
}

#: Metrics that can be a fraction of a baseline's.
RELATIVE = ("expected_cost", "cost_per_1000")

#: What a report shows of any product of that task, promised or not.
USUAL: Mapping[Task, tuple[str, ...]] = {
    Task.BINARY: (
        "expected_cost", "cost_per_1000", "recall", "precision", "specificity", "accuracy", "auc",
        "average_precision", "calibration_error", "calibration_at_threshold", "brier", "log_loss", "abstention_rate",
    ),
    Task.MULTICLASS: (
        "expected_cost", "cost_per_1000", "accuracy", "recall", "precision", "f1", "auc", "calibration_error",
        "brier", "log_loss", "abstention_rate",
    ),
    Task.REGRESSION: ("expected_cost", "cost_per_1000", "mean_absolute_error", "root_mean_squared_error", "r2"),
}  # fmt: skip


def measure(
    evidence: Evidence,
    metric: str,
    *,
    where: str | None = None,
    relative_to: str | None = None,
    parameters: Mapping[str, Parameter] | None = None,
) -> Measured:
    """Measure *metric* over the slice *where*, or say why it has no value there."""
    function = METRICS.get(metric)
    if function is None:
        return Unmeasured(reason=f"there is no metric `{metric}`")
    if relative_to is not None and metric not in RELATIVE:
        return Unmeasured(
            reason=f"`{metric}` has no baseline to be relative to; " + " and ".join(RELATIVE) + " do"
        )
    try:
        mask = evidence.slice(where)
        said = dict(parameters or {})
        if relative_to is not None:
            said["relative_to"] = relative_to
        return function(evidence, mask, said)
    except ExpressionInvalid as error:
        return Unmeasured(reason=f"an expression cannot be read: {error.message}")
