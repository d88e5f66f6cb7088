"""What a model says, for any task, and what is decided from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from geartrain.domain.clause import Scalar
from geartrain.domain.task import Task

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """A model's answers for *n* rows.

    Attributes:
        task: What kind of answer.
        classes: The classes in the order of the columns of `values`; empty for regression.
        values: Shape (n, len(classes)) of probabilities, or (n, 1) of predicted values.
    """

    task: Task
    classes: tuple[str, ...]
    values: Floats

    def __len__(self) -> int:
        return int(self.values.shape[0])

    def of(self, name: str) -> Floats:
        """The probability of the class *name*, shape (n,)."""
        column: Floats = self.values[:, self.classes.index(name)]
        return column


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """One answer of the product, with an id that an outcome can join.

    A struct and no dataclass: a server makes ten thousand a second, and keeps as many. The journal
    has its fields in their order, without names: a new one comes last.

    Attributes:
        id: Unique over the product's life; the outcome names it.
        action: What is to be done; `abstained` and `fallback` say if the model chose it.
        probabilities: The model's answer, class by class (or the single `value`); empty
            where no model answered.
        reasons: Why, in words, the strongest first; only where they were asked for.
        arm: The rollout arm that answered: `champion`, `canary`, `fallback`.
        expected_cost: What the action is expected to cost under the model's probabilities.
    """

    id: str
    product: str
    release: str
    key: str
    decided_at: datetime
    action: str
    probabilities: tuple[tuple[str, float], ...]
    expected_cost: float
    abstained: bool = False
    fallback: bool = False
    doubt: str = ""
    arm: str = "champion"
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The truth about one decision, known late. An outcome may be corrected by a later one."""

    decision: str
    label: str
    happened_at: datetime
    arrived_at: datetime
    by: str = ""


Row = tuple[tuple[str, Scalar], ...]
