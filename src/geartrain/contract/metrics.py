"""The closed list of metrics that a success clause may promise, and what each understands.

A closed list catches a typing slip at the desk instead of on live traffic, and lets the
program say when a promise points the wrong way.
"""

from __future__ import annotations

from dataclasses import dataclass

from geartrain.domain.clause import Comparison
from geartrain.domain.task import Task

_CLASSES = (Task.BINARY, Task.MULTICLASS)
_EVERY = (Task.BINARY, Task.MULTICLASS, Task.REGRESSION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One measured quantity.

    Attributes:
        name: What the contract calls it.
        words: What it is, as the subject of a sentence.
        good: The comparison that asks for more; None where both directions may.
        low: Its smallest possible value.
        high: Its largest possible value, None where there is none.
        tasks: For which tasks it can be measured.
        parameters: The keys that it understands besides a clause's own.
        relative: Whether it can be a fraction of a baseline's.
    """

    name: str
    words: str
    good: Comparison | None
    low: float | None = 0.0
    high: float | None = 1.0
    tasks: tuple[Task, ...] = _CLASSES
    parameters: tuple[str, ...] = ()
    relative: bool = False


_UP, _DOWN = Comparison.AT_LEAST, Comparison.AT_MOST
_CLASS = ("class",)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(name="expected_cost", words="the cost of a decision", good=_DOWN, low=None, high=None, tasks=_EVERY, relative=True),
        Metric(name="cost_per_1000", words="the cost of 1000 decisions", good=_DOWN, low=None, high=None, tasks=_EVERY, relative=True),
        Metric(name="recall", words="recall", good=_UP, parameters=_CLASS),
        Metric(name="precision", words="precision", good=_UP, parameters=_CLASS),
        Metric(name="specificity", words="specificity", good=_UP, parameters=_CLASS),
        Metric(name="f1", words="the F1 of precision and recall", good=_UP, parameters=_CLASS),
        Metric(name="accuracy", words="accuracy", good=_UP),
        Metric(name="auc", words="the area under the ROC curve", good=_UP, parameters=_CLASS),
        Metric(name="average_precision", words="average precision", good=_UP, parameters=_CLASS),
        Metric(name="precision_at_capacity", words="precision among the cases that can be acted on", good=_UP,
               parameters=("k", "period", "entity", "known", "class")),
        Metric(name="cost_within_capacity", words="the cost of a decision where only so many can be acted on", good=_DOWN,
               low=None, high=None, parameters=("k", "period", "entity")),
        Metric(name="calibration_error", words="calibration error", good=_DOWN, parameters=("bins", "class")),
        Metric(name="calibration_at_threshold", words="the calibration error where the decision turns", good=_DOWN,
               parameters=_CLASS),
        Metric(name="brier", words="the Brier score", good=_DOWN, high=2.0),
        Metric(name="log_loss", words="the logarithmic loss", good=_DOWN, high=None),
        Metric(name="abstention_rate", words="the share of decisions that the model leaves to others", good=None,
               tasks=_EVERY),
        Metric(name="coverage", words="the share of decisions that the model takes itself", good=None, tasks=_EVERY),
        Metric(name="mean_absolute_error", words="the mean absolute error", good=_DOWN, high=None,
               tasks=(Task.REGRESSION,)),
        Metric(name="root_mean_squared_error", words="the root mean squared error", good=_DOWN, high=None,
               tasks=(Task.REGRESSION,)),
        Metric(name="r2", words="the share of variance explained", good=_UP, low=None, tasks=(Task.REGRESSION,)),
    )
}  # fmt: skip

#: Every parameter that some metric understands.
PARAMETERS = ("class", "k", "period", "entity", "known", "bins")


def metrics_for(task: Task) -> tuple[str, ...]:
    """The metrics that can be measured for *task*."""
    return tuple(name for name, metric in METRICS.items() if task in metric.tasks)
