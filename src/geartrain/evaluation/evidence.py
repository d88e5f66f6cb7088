"""Evidence: what a model said about rows whose truth is known, and what was done about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.columns import truths
from geartrain.domain.contract import Contract
from geartrain.domain.expression import Columns, parse
from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats, Predictions
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.stats.deciding import Decided, Indices, cost_tensor, decide, realised_cost, regression_cost
from geartrain.stats.intervals import CONFIDENCE

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmeasured:
    """Why a quantity has no value here, as the end of the sentence "not measured, ..."."""

    reason: str


Measured = Measurement | Unmeasured


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """Labels of earlier rows, for baselines that learn: when each row happened, and its truth.

    Attributes:
        truth: Class indices (int64) or values (float64), shape (m,), as in `Evidence`.
        times_us: When each row happened, int64 microseconds, or None where nobody knows.
    """

    truth: NDArray[Any]
    times_us: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """A model's answers for *n* rows with known truth, and all that a clause may be held against.

    Attributes:
        truth: Indices into `rule.classes` (int64), or values (float64) for regression, shape (n,).
        columns: Raw columns and features by name, each of shape (n,): for slices, costs, groups.
        groups: What repeats (a patient, a card), shape (n,); intervals then count entities.
        times_us: When each row happened, int64 microseconds since 1970 UTC, shape (n,).
        seed: Every resampling starts from it.
        confidence: Of every interval made from it; stricter the more often sealed rows were looked at.
        simplest: What the simplest model says about the same rows, for its baseline.
        history: Labels known before these rows.
        acted: What was really done, as indices into the rule's actions, where that is not what the rule
            does with the answers: in doubt, or when the fallback decided.
        decided: What was done, else what the rule does with the answers; follows from the rest.
        costs: What that cost each row once the truth was known, NaN where a cost column is missing.

    Raises:
        ValueError: Lengths differ, or a row has no truth or no answer: it is no evidence.
    """

    contract: Contract
    rule: DecisionRule
    predictions: Predictions
    truth: NDArray[Any]
    columns: Columns
    groups: NDArray[Any] | None = None
    times_us: NDArray[np.int64] | None = None
    seed: int = 0
    confidence: float = CONFIDENCE
    simplest: Predictions | None = None
    history: History | None = None
    acted: Indices | None = None
    decided: Decided = field(init=False)
    costs: Floats = field(init=False)

    def __post_init__(self) -> None:
        rows = len(self.predictions)
        beside = {
            "truth": self.truth,
            "groups": self.groups,
            "times_us": self.times_us,
            "acted": self.acted,
        }
        lengths = {name: len(values) for name, values in beside.items() if values is not None}
        lengths |= {name: len(values) for name, values in self.columns.items()}
        wrong = {name: length for name, length in lengths.items() if length != rows}
        if wrong:
            raise ValueError(f"{rows} predictions, but lengths differ: {wrong}")
        if self.rule.task.has_classes:
            outside = (self.truth < 0) | (self.truth >= len(self.rule.classes))
        else:
            outside = ~np.isfinite(self.truth.astype(np.float64))
        silent = ~np.isfinite(self.predictions.values).all(axis=1)
        if outside.any() or silent.any():
            raise ValueError(
                f"{int(outside.sum())} rows without a known truth and {int(silent.sum())} without an answer"
                " are no evidence; leave them out before"
            )
        decided = decide(self.rule, self.predictions, self.columns)
        if self.acted is not None:
            decided = Decided(actions=self.acted, expected_cost=decided.expected_cost)
        object.__setattr__(self, "decided", decided)
        object.__setattr__(self, "costs", self.costs_of(self.predictions, decided))

    def __len__(self) -> int:
        return len(self.predictions)

    def costs_of(self, predictions: Predictions, decided: Decided | None = None) -> Floats:
        """What deciding by *predictions* costs each of these rows under the same rule, shape (n,)."""
        if self.rule.task is Task.REGRESSION:
            values = predictions.values[:, 0]
            return regression_cost(
                self.rule.costs, predicted=values, truth=self.truth.astype(np.float64), columns=self.columns
            )
        taken = decided or decide(self.rule, predictions, self.columns)
        return realised_cost(self.rule, taken.actions, self.truth, self.columns)

    @property
    def everything(self) -> Mask:
        """Every row."""
        return np.ones(len(self), dtype=bool)

    @property
    def positive(self) -> int:
        """The index of the class that the product looks for; the last one where nobody said."""
        named = self.contract.decision.positive
        classes = self.rule.classes
        return classes.index(named) if named in classes else len(classes) - 1

    def slice(self, where: str | None) -> Mask:
        """The rows for which the expression *where* holds; a missing value does not.

        Raises:
            ExpressionInvalid: It reads a column that is not among the evidence.
        """
        if where is None:
            return self.everything
        return truths(parse(where).evaluate(self.columns, rows=len(self)))

    def groups_in(self, mask: Mask) -> NDArray[Any] | None:
        """The entities of the rows in *mask*, or None where rows stand for themselves."""
        return None if self.groups is None else self.groups[mask]


def cost_threshold(rule: DecisionRule, positive: int) -> float | None:
    """The probability of the positive class from which the rule acts, in the model's own scale.

    None where there are not two classes with two actions, a cost reads a column, groups have
    thresholds of their own, or no probability turns the decision.
    """
    if len(rule.classes) != 2 or rule.actions[0] == rule.actions[1] or rule.group_weights:
        return None
    read = [entry.cost for entry in rule.costs.entries] + [rule.costs.otherwise]
    if any(parse(text).columns for text in read):
        return None
    tensor = cost_tensor(rule.costs, actions=rule.actions, classes=rule.classes, columns={}, rows=1)[0]
    other = 1 - positive
    over = tensor[positive, other] - tensor[other, other]
    under = tensor[other, positive] - tensor[positive, positive]
    if over <= 0 or under <= 0:
        return None
    if rule.class_weights:
        over, under = over * rule.class_weights[other], under * rule.class_weights[positive]
    return float(over / (over + under))
