"""Decisions and what they cost: act so that the expected cost is least.

With c[a, y] the cost of action a when the truth is y, the rule is
argmin_a sum_y p(y) c[a, y]; with two classes this is the threshold
p >= (c_FP - c_TN) / (c_FP - c_TN + c_FN - c_TP) (Elkan 2001, "The foundations of
cost-sensitive learning", section 2). Costs may differ from row to row, and then so does
the threshold. Where the contract allows it, groups may have thresholds of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.columns import numbers, texts
from geartrain.domain.contract import CostTerms
from geartrain.domain.expression import Columns, Expression, Values, parse
from geartrain.domain.prediction import Floats, Predictions
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task

#: The action index of a row about which the model must not decide.
ABSTAINED = -1

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decided:
    """What the rule does with *n* predictions.

    Attributes:
        actions: Indices into the rule's actions, `ABSTAINED` where it must not decide.
        expected_cost: What that action costs under the model's probabilities, shape (n,).
    """

    actions: Indices
    expected_cost: Floats


def threshold_of(
    *, false_negative: float, false_positive: float, true_positive: float = 0.0, true_negative: float = 0.0
) -> float:
    """The probability of the positive class from which acting is cheaper."""
    over = false_positive - true_negative
    return over / (over + false_negative - true_positive)


def cost_tensor(
    costs: CostTerms, *, actions: tuple[str, ...], classes: tuple[str, ...], columns: Columns, rows: int
) -> Floats:
    """c[i, a, y] for each row, shape (rows, actions, classes); (1, ...) where no cost reads a column.

    A wrong cell that the contract does not name costs `otherwise`, a right one 0.
    """
    cells = prices_of(costs, actions=actions, classes=classes)
    height = rows if _read_columns(cells) else 1
    tensor = np.zeros((height, len(actions), len(classes)))
    for (a, y), cell in cells.items():
        if cell is not None:
            # Text where a price should be is a price that nobody knows.
            tensor[:, a, y] = numbers(cell.evaluate(columns, rows=height))
    return tensor


def prices_of(
    costs: CostTerms, *, actions: tuple[str, ...], classes: tuple[str, ...]
) -> dict[tuple[int, int], Expression | None]:
    """What an action costs under a truth, by their places; None where it is right and nobody named a price."""
    named = {(entry.action, entry.truth): parse(entry.cost) for entry in costs.entries}
    otherwise = parse(costs.otherwise)
    return {
        (a, y): named.get((action, truth), None if a == y or action == actions[y] else otherwise)
        for a, action in enumerate(actions)
        for y, truth in enumerate(classes)
    }


def _read_columns(cells: Mapping[tuple[int, int], Expression | None]) -> bool:
    return any(cell is not None and cell.columns for cell in cells.values())


def constant_costs(rule: DecisionRule) -> Floats | None:
    """The `cost_tensor` of a rule whose costs read no column, shape (1, actions, classes); None for any other."""
    cells = prices_of(rule.costs, actions=rule.actions, classes=rule.classes)
    if rule.task is Task.REGRESSION or _read_columns(cells):
        return None
    return cost_tensor(rule.costs, actions=rule.actions, classes=rule.classes, columns={}, rows=1)


def decide(
    rule: DecisionRule, predictions: Predictions, columns: Columns, *, costs: Floats | None = None
) -> Decided:
    """Take the cheapest action in expectation for each row, or abstain where the rule says so.

    *columns* are the raw columns of the rows that cost expressions read. A regression's
    single action is its prediction; its expected cost is not known and is 0. *costs* are the rule's
    `constant_costs`, for who decides often by one rule.
    """
    rows = len(predictions)
    if rule.task is Task.REGRESSION:
        return Decided(actions=np.zeros(rows, dtype=np.int64), expected_cost=np.zeros(rows))
    tensor = costs
    if tensor is None:
        tensor = cost_tensor(
            rule.costs, actions=rule.actions, classes=rule.classes, columns=columns, rows=rows
        )
    weighted = predictions.values
    if rule.class_weights or rule.group_weights:
        weighted = weighted * weights_of_rows(rule, columns, rows)
        weighted = weighted / weighted.sum(axis=1, keepdims=True)
    if len(tensor) == 1:
        expected = np.einsum("ay,iy->ia", tensor[0], weighted)
    else:
        expected = np.einsum("iay,iy->ia", tensor, weighted)
    # A cost that is missing for a row cannot decide: such a row goes to whoever stands in.
    unknown = np.isnan(expected).any(axis=1)
    actions = np.argmin(expected, axis=1)
    if unknown.any():
        actions[unknown] = ABSTAINED
    taken = expected[np.arange(rows), np.maximum(actions, 0)]
    if rule.abstain is not None:
        doubtful = unknown
        if rule.abstain.below_confidence is not None:
            doubtful = doubtful | (predictions.values.max(axis=1) < rule.abstain.below_confidence)
        stand_in = numbers(parse(rule.abstain.cost).evaluate(columns, rows=rows))
        if rule.abstain.when_cheaper:
            # A price that is missing is no reason to hand over: the comparison is then false.
            doubtful = doubtful | (stand_in < taken)
        actions = np.where(doubtful, ABSTAINED, actions)
        taken = np.where(doubtful, stand_in, taken)
    return Decided(actions=actions.astype(np.int64), expected_cost=taken)


def realised_cost(rule: DecisionRule, actions: Indices, truth: Indices, columns: Columns) -> Floats:
    """What the actions cost once the truth (class indices, shape (n,)) is known, shape (n,).

    An abstention costs what the contract says. A rule that never abstains still cannot decide a row
    of which a cost is missing: then the fallback acts, here as in serving, and what that costs
    is known for such a row or NaN. It is never free.
    """
    rows = len(actions)
    tensor = cost_tensor(rule.costs, actions=rule.actions, classes=rule.classes, columns=columns, rows=rows)
    table = np.broadcast_to(tensor, (rows, *tensor.shape[1:]))
    cost = table[np.arange(rows), np.maximum(actions, 0), truth]
    if rule.abstain is not None:
        stand_in = numbers(parse(rule.abstain.cost).evaluate(columns, rows=rows))
    elif rule.fallback in rule.actions:
        stand_in = table[np.arange(rows), rule.actions.index(rule.fallback), truth]
    else:
        stand_in = np.full(rows, np.nan)
    return np.where(actions == ABSTAINED, stand_in, cost)


def group_labels(groups: tuple[str, ...], columns: Columns, rows: int) -> Values:
    """Each row's group as text, shape (rows,), None where any part of it is missing.

    One expression gives its own value; several are crossed: `sex` and `age >= 60` give
    `sex f, age >= 60 true`. A name of a column that is no expression stands for the column.
    """
    parts = []
    for group in groups:
        column = columns.get(group)
        parts.append(texts(parse(group).evaluate(columns, rows=rows) if column is None else column))
    if len(parts) == 1:
        return parts[0]
    crossed = np.empty(rows, dtype=object)
    for row, values in enumerate(zip(*parts, strict=True)):
        if all(value is not None for value in values):
            crossed[row] = ", ".join(f"{name} {value}" for name, value in zip(groups, values, strict=True))
    return crossed


def weights_of_rows(rule: DecisionRule, columns: Columns, rows: int) -> Floats:
    """What multiplies each row's probabilities before deciding, shape (rows, classes) or (1, classes)."""
    common = np.asarray(rule.class_weights or (1.0,) * len(rule.classes))[None, :]
    if not rule.group_weights:
        return common
    labels = group_labels(rule.groups, columns, rows)
    weights = np.repeat(common, rows, axis=0)
    for name, own in rule.group_weights:
        weights[labels == name] = own
    return weights


def row_thresholds(rule: DecisionRule, columns: Columns, rows: int, *, positive: int) -> Floats:
    """The probability of class *positive* from which its action costs less, for each row, shape (rows,).

    0 where acting is always cheaper, infinite where it never is, NaN where there is no such place:
    a cost is missing, or a row for which being wrong costs no more than being right both ways.
    In the model's own scale: class and group weights are taken out again.

    Raises:
        ValueError: There are not two classes with two actions.
    """
    if len(rule.classes) != 2 or rule.actions[0] == rule.actions[1]:
        raise ValueError("a threshold parts two classes with two actions")
    tensor = cost_tensor(rule.costs, actions=rule.actions, classes=rule.classes, columns=columns, rows=rows)
    other = 1 - positive
    weights = weights_of_rows(rule, columns, rows)
    over = (tensor[:, positive, other] - tensor[:, other, other]) * weights[:, other]
    under = (tensor[:, other, positive] - tensor[:, positive, positive]) * weights[:, positive]
    over, under = np.broadcast_to(over, (rows,)), np.broadcast_to(under, (rows,))
    found = np.full(rows, np.nan)
    turns = (over > 0) & (under > 0)
    found[turns] = over[turns] / (over[turns] + under[turns])
    found[(over <= 0) & (under > 0)] = 0.0
    found[(over > 0) & (under <= 0)] = np.inf
    return found


def regression_cost(costs: CostTerms, *, predicted: Floats, truth: Floats, columns: Columns) -> Floats:
    """What each prediction costs, shape (n,); the absolute error where the contract says nothing."""
    names = {**columns, "truth": truth, "prediction": predicted, "error": predicted - truth}
    expression = parse(costs.error or "abs(error)")
    return numbers(expression.evaluate(names, rows=len(truth)))
