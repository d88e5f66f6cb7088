"""Decisions and what they cost: act so that the expected cost is least.

With c[a, y] the cost of action a when the truth is y, the rule is
argmin_a sum_y p(y) c[a, y]; with two classes this is the threshold
p >= (c_FP - c_TN) / (c_FP - c_TN + c_FN - c_TP) (Elkan 2001, "The foundations of
cost-sensitive learning", section 2). Costs may differ from row to row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.contract import CostTerms
from geartrain.domain.expression import Columns, parse
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
    named = {(entry.action, entry.truth): parse(entry.cost) for entry in costs.entries}
    otherwise = parse(costs.otherwise)
    cells = {
        (a, y): named.get((action, truth), None if a == y or action == actions[y] else otherwise)
        for a, action in enumerate(actions)
        for y, truth in enumerate(classes)
    }
    varies = any(cell is not None and cell.columns for cell in cells.values())
    height = rows if varies else 1
    tensor = np.zeros((height, len(actions), len(classes)))
    for (a, y), cell in cells.items():
        if cell is not None:
            tensor[:, a, y] = cell.evaluate(columns, rows=height)
    return tensor


def decide(rule: DecisionRule, predictions: Predictions, columns: Columns) -> Decided:
    """Take the cheapest action in expectation for each row, or abstain where the rule says so.

    *columns* are the raw columns of the rows that cost expressions read. A regression's
    single action is its prediction; its expected cost is not known and is 0.
    """
    rows = len(predictions)
    if rule.task is Task.REGRESSION:
        return Decided(actions=np.zeros(rows, dtype=np.int64), expected_cost=np.zeros(rows))
    tensor = cost_tensor(rule.costs, actions=rule.actions, classes=rule.classes, columns=columns, rows=rows)
    weighted = predictions.values
    if rule.class_weights:
        weighted = weighted * np.asarray(rule.class_weights)
        weighted = weighted / weighted.sum(axis=1, keepdims=True)
    expected = np.einsum("iay,iy->ia", np.broadcast_to(tensor, (rows, *tensor.shape[1:])), weighted)
    # A cost that is missing for a row cannot decide: such a row goes to whoever stands in.
    unknown = np.isnan(expected).any(axis=1)
    actions = np.where(unknown, ABSTAINED, np.argmin(np.nan_to_num(expected), axis=1))
    taken = np.take_along_axis(expected, np.maximum(actions, 0)[:, None], axis=1)[:, 0]
    if rule.abstain is not None:
        doubtful = unknown
        if rule.abstain.below_confidence is not None:
            doubtful = doubtful | (predictions.values.max(axis=1) < rule.abstain.below_confidence)
        stand_in = parse(rule.abstain.cost).evaluate(columns, rows=rows).astype(np.float64)
        actions = np.where(doubtful, ABSTAINED, actions)
        taken = np.where(doubtful, stand_in, taken)
    return Decided(actions=actions.astype(np.int64), expected_cost=taken)


def realised_cost(rule: DecisionRule, actions: Indices, truth: Indices, columns: Columns) -> Floats:
    """What the actions cost once the truth (class indices, shape (n,)) is known, shape (n,).

    An abstention costs what the contract says; where it says nothing, nothing.
    """
    rows = len(actions)
    tensor = cost_tensor(rule.costs, actions=rule.actions, classes=rule.classes, columns=columns, rows=rows)
    table = np.broadcast_to(tensor, (rows, *tensor.shape[1:]))
    cost = table[np.arange(rows), np.maximum(actions, 0), truth]
    abstaining = "0" if rule.abstain is None else rule.abstain.cost
    stand_in = parse(abstaining).evaluate(columns, rows=rows).astype(np.float64)
    return np.where(actions == ABSTAINED, stand_in, cost)


def regression_cost(costs: CostTerms, *, predicted: Floats, truth: Floats, columns: Columns) -> Floats:
    """What each prediction costs, shape (n,); the absolute error where the contract says nothing."""
    names = {**columns, "truth": truth, "prediction": predicted, "error": predicted - truth}
    expression = parse(costs.error or "abs(error)")
    return np.asarray(expression.evaluate(names, rows=len(truth)), dtype=np.float64)
