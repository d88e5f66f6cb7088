"""Rows that a model learns from or is judged on, and where a trial came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.expression import Columns
from geartrain.domain.prediction import Floats, Predictions
from geartrain.domain.rule import DecisionRule
from geartrain.errors import TrainingImpossible
from geartrain.stats.deciding import decide, realised_cost, regression_cost
from geartrain.stats.tree_model import Matrix

Indices = NDArray[np.int64]
#: Pairs of (rows to learn from, rows to judge), as positions in the examples.
Folds = tuple[tuple[Indices, Indices], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examples:
    """The rows of one pool.

    Attributes:
        matrix: What the model reads, float32 of shape (n, d).
        truth: Class indices (int64), or values (float64) for a regression, shape (n,).
        columns: The raw columns that cost expressions read, each of shape (n,).
        weight: How much a row counts in training beside its cost; None for evenly.
    """

    matrix: Matrix
    truth: NDArray[np.int64] | Floats
    columns: Columns
    weight: Floats | None = None

    def __post_init__(self) -> None:
        rows = self.matrix.shape[0]
        lengths = {"truth": len(self.truth), **{name: len(column) for name, column in self.columns.items()}}
        if self.weight is not None:
            lengths["weight"] = len(self.weight)
        odd = {name: length for name, length in lengths.items() if length != rows}
        if odd:
            raise ValueError(f"the matrix has {rows} rows, but {odd}")

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    def take(self, rows: Indices) -> Examples:
        """The examples at *rows*, in that order."""
        return Examples(
            matrix=self.matrix[rows],
            truth=self.truth[rows],
            columns={name: column[rows] for name, column in self.columns.items()},
            weight=None if self.weight is None else self.weight[rows],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What a trial was tried for and on: the ids of contract, snapshot and feature encoding."""

    contract: str
    snapshot: str
    features: str


def row_costs(rule: DecisionRule, predictions: Predictions, examples: Examples) -> Floats:
    """What the decisions taken from *predictions* cost, row by row, once the truth is known."""
    if not rule.task.has_classes:
        return regression_cost(
            rule.costs,
            predicted=predictions.values[:, 0],
            truth=examples.truth.astype(np.float64),
            columns=examples.columns,
        )
    actions = decide(rule, predictions, examples.columns).actions
    return realised_cost(rule, actions, examples.truth.astype(np.int64), examples.columns)


def row_losses(predictions: Predictions, examples: Examples) -> Floats:
    """The log loss (or squared error) of each row: finer than costs where two settings cost the same."""
    if not predictions.task.has_classes:
        return np.asarray((predictions.values[:, 0] - examples.truth) ** 2)
    own = predictions.values[np.arange(len(examples)), examples.truth.astype(np.int64)]
    return np.asarray(-np.log(np.clip(own, 1e-15, 1.0)))


def cost_weights(rule: DecisionRule, examples: Examples) -> Floats:
    """How much worse the dearest action is than the cheapest for each row's truth, mean 1.

    Source: Zadrozny, Langford & Abe (2003), "Cost-sensitive learning by
    cost-proportionate example weighting".

    Raises:
        TrainingImpossible: No error of any row costs anything.
    """
    by_action = _costs_by_action(rule, examples)
    spread = np.nan_to_num(by_action.max(axis=1) - by_action.min(axis=1))
    if not spread.any():
        raise TrainingImpossible(
            "no error costs anything, so costs cannot weigh the rows",
            found=f"{len(examples)} rows, each with the same cost for every action",
            hint="write the costs into the contract, or use weights='even'",
        )
    return np.asarray(spread / spread.mean())


def priced_rows(rule: DecisionRule, examples: Examples) -> Indices:
    """The rows whose costs are known: a row whose amount is missing can teach, but not judge.

    Raises:
        TrainingImpossible: There is none.
    """
    if rule.task.has_classes:
        costs = _costs_by_action(rule, examples).sum(axis=1)
    else:
        still = Predictions(
            task=rule.task, classes=(), values=examples.truth.astype(np.float64).reshape(-1, 1)
        )
        costs = row_costs(rule, still, examples)
    priced = np.flatnonzero(np.isfinite(costs)).astype(np.int64)
    if len(priced) == 0:
        raise TrainingImpossible(
            "no row has a known cost, so no setting can be called better",
            where="costs",
            found=f"{len(examples)} rows",
            hint="the columns that the costs read are missing in every row",
        )
    return priced


def _costs_by_action(rule: DecisionRule, examples: Examples) -> Floats:
    """What each action would cost, shape (n, actions)."""
    truth, rows = examples.truth.astype(np.int64), len(examples)
    each = [
        realised_cost(rule, np.full(rows, action, dtype=np.int64), truth, examples.columns)
        for action in range(len(rule.actions))
    ]
    return np.stack(each, axis=1)
