"""Reasons: what the answer would have been had one feature been typical.

Exact occlusion, one feature at a time: the feature is set to its reference (its median
in training, or missing where no reference is known), the model answers again, and the
change is the feature's weight. It is exact about that one question and nothing else:
interactions are counted with every feature that takes part.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from geartrain.domain.prediction import Floats, Predictions
from geartrain.domain.task import Task
from geartrain.serving.runtime import MISSING_SIGNAL, ColumnWords, Matrix, Served

#: More reasons than this nobody reads.
TOP: Final = 3
#: A change below this is not a reason.
LEAST_CHANGE: Final = 1e-6


def reasons_of(served: Served, matrix: Matrix, predictions: Predictions) -> tuple[tuple[str, ...], ...]:
    """For each row the strongest reasons in words, at most `TOP`."""
    return tuple(_row_reasons(served, matrix[i], predictions, i) for i in range(len(predictions)))


def _row_reasons(served: Served, row: Matrix, predictions: Predictions, place: int) -> tuple[str, ...]:
    groups = _groups(served.columns)
    occluded = np.repeat(row[None, :], len(groups), axis=0)
    for i, group in enumerate(groups):
        for column in group:
            occluded[i, column] = _reference(served, column)
    target = _target(served, predictions.values[place])
    change = float(predictions.values[place, target]) - served.predict(occluded).values[:, target]
    strongest = np.argsort(-np.abs(change), kind="stable")[:TOP]
    return tuple(
        _sentence(served, row, groups[i][0], float(change[i]), target)
        for i in strongest.tolist()
        if abs(change[i]) > LEAST_CHANGE
    )


def _groups(columns: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    """Each feature's columns: its value and, if it has one, its missing-signal."""
    places = {name: i for i, name in enumerate(columns)}
    groups: list[tuple[int, ...]] = []
    for name, place in places.items():
        if name.endswith(MISSING_SIGNAL) and name.removesuffix(MISSING_SIGNAL) in places:
            continue
        signal = places.get(name + MISSING_SIGNAL)
        groups.append((place,) if signal is None else (place, signal))
    return tuple(groups)


def _reference(served: Served, column: int) -> float:
    name = served.columns[column]
    if not name.endswith(MISSING_SIGNAL):
        return served.wording[column].reference
    value = served.columns.index(name.removesuffix(MISSING_SIGNAL)) if _has_value(served, name) else None
    if value is None:
        return served.wording[column].reference
    return float(math.isnan(served.wording[value].reference))


def _has_value(served: Served, signal: str) -> bool:
    return signal.removesuffix(MISSING_SIGNAL) in served.columns


def _target(served: Served, values: Floats) -> int:
    """The output that reasons speak of: the positive class, the likeliest class, or the value."""
    if served.task is Task.BINARY and served.positive in served.rule.classes:
        return served.rule.classes.index(served.positive)
    return int(np.argmax(values)) if served.task.has_classes else 0


def _sentence(served: Served, row: Matrix, column: int, change: float, target: int) -> str:
    words = served.wording[column]
    what = f"the probability of {served.outputs[target]}" if served.task.has_classes else "the value"
    verb = "raises" if change > 0 else "lowers"
    said = f"{words.label or words.column} {_value(words, float(row[column]))}".rstrip()
    against = "" if math.isnan(words.reference) else f" (typical: {_value(words, words.reference)})"
    return f"{said} {verb} {what} by {abs(change):.3g}{against}"


def _value(words: ColumnWords, value: float) -> str:
    if math.isnan(value):
        return "is missing and"
    if words.categories and 0 <= int(value) < len(words.categories):
        return words.categories[int(value)]
    return f"{value:.4g} {words.unit}".rstrip()
