"""Reasons: which features spoke for an answer and which against it, in words.

Of tree models the reasons are exact contributions (TreeSHAP): what each feature adds to
the raw score, beside all others; together they are the whole score. Of other models a
reason is exact occlusion, one feature at a time: the feature is set to its reference (its
mean in training, or missing where no reference is known), the model answers again, and
the change is the feature's weight. That is exact about that one question and nothing
else: interactions are counted with every feature that takes part.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from geartrain.domain.prediction import Floats, Predictions
from geartrain.domain.task import Task
from geartrain.domain.wording import class_in_words
from geartrain.serving.runtime import MISSING_SIGNAL, ColumnWords, Matrix, Served, Spread

#: More reasons than this nobody reads.
TOP: Final = 3
#: A change below this is not a reason.
LEAST_CHANGE: Final = 1e-6
#: Nearer to the middle than this a value is not called high or low.
ORDINARY: Final = 0.6


def reasons_of(served: Served, matrix: Matrix, predictions: Predictions) -> tuple[tuple[str, ...], ...]:
    """For each row the strongest reasons in words, at most `TOP`."""
    if served.contribute is not None:
        exact = served.contribute(matrix)
        return tuple(_exact_reasons(served, matrix[i], predictions, exact[i], i) for i in range(len(matrix)))
    return tuple(_row_reasons(served, matrix[i], predictions, i) for i in range(len(predictions)))


def _exact_reasons(
    served: Served, row: Matrix, predictions: Predictions, exact: Floats, place: int
) -> tuple[str, ...]:
    """The strongest of a row's contributions, *exact* of shape (outputs, d)."""
    target = _target(served, predictions.values[place])
    groups = _groups(served.columns)
    # Two classes have one raw score, which speaks for the second of them.
    towards = exact[0] * (1.0 if target == 1 else -1.0) if _is_pair(served, exact) else exact[target]
    weights = np.array([float(towards[list(group)].sum()) for group in groups])
    return tuple(
        _spoken(served, row, groups[i][0], float(weights[i]), target)
        for i in np.argsort(-np.abs(weights), kind="stable")[:TOP].tolist()
        if abs(weights[i]) > LEAST_CHANGE
    )


def _is_pair(served: Served, exact: Floats) -> bool:
    return served.task.has_classes and exact.shape[0] == 1


def _spoken(served: Served, row: Matrix, column: int, weight: float, target: int) -> str:
    words, value = served.wording[column], float(row[column])
    said = words.label or words.column
    if math.isnan(value):
        told = f"{said} is missing"
    else:
        told = f"{said} is {_value(words, value)}"
        rank = rank_in_words(words.spread, value)
        told += f", {rank}" if rank else ""
    if not served.task.has_classes:
        return f"{told}: {'raises' if weight > 0 else 'lowers'} the value"
    return f"{told}: speaks {'for' if weight > 0 else 'against'} {_answer(served, target)}"


def _answer(served: Served, target: int) -> str:
    return class_in_words(served.label, served.outputs[target])


def rank_in_words(spread: Spread | None, value: float) -> str:
    """Where *value* lies among the reference rows, such as `higher than for 97 % of cases`; empty in the middle.

    Rows with the same value are neither higher nor lower, and a share is never rounded up.

    >>> spread = Spread(lows=(0.0, 1.0, 4.0), highs=(0.0, 2.0, 4.0), reached=(0, 48, 97, 100))
    >>> rank_in_words(spread, 3.5), rank_in_words(spread, 1.5), rank_in_words(spread, -1.0)
    ('higher than for 97 % of cases', '', 'lower than in all known cases')
    """
    if spread is None or not (rows := spread.reached[-1]):
        return ""
    lower, higher = spread.lower(value), spread.higher(value)
    if lower == rows:
        return "higher than in all known cases"
    if higher == rows:
        return "lower than in all known cases"
    if lower >= ORDINARY * rows:
        return f"higher than for {100 * lower // rows} % of cases"
    if higher >= ORDINARY * rows:
        return f"lower than for {100 * higher // rows} % of cases"
    return ""


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
    what = f"the probability of {_answer(served, target)}" if served.task.has_classes else "the value"
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
