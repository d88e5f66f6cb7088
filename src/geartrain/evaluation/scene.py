"""Rows that a model is asked about: judged ones, whose truth is known, and live ones, whose is not yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.columns import truths
from geartrain.domain.contract import Contract
from geartrain.domain.expression import Columns, parse
from geartrain.domain.rule import DecisionRule
from geartrain.stats.intervals import CONFIDENCE


class Scene(Protocol):
    """What a question about a model needs of the rows: `Evidence` has it, and `Traffic`."""

    def __len__(self) -> int:
        """How many rows."""
        ...

    @property
    def rule(self) -> DecisionRule:
        """What is decided from an answer."""
        ...

    @property
    def columns(self) -> Columns:
        """Raw columns and features by name."""
        ...

    @property
    def groups(self) -> NDArray[Any] | None:
        """What repeats, or None where rows stand for themselves."""
        ...

    @property
    def seed(self) -> int:
        """Every drawing starts from it."""
        ...

    @property
    def confidence(self) -> float:
        """Of every interval."""
        ...

    @property
    def positive(self) -> int:
        """The class that the product looks for."""
        ...

    def slice(self, where: str | None) -> NDArray[np.bool_]:
        """The rows for which an expression holds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Traffic:
    """Live rows, whose truth nobody knows yet: what can be asked of a model without it.

    Attributes:
        rows: How many there are.
        columns: Raw columns and features by name, each of shape (rows,).
        groups: What repeats, shape (rows,).
    """

    contract: Contract
    rule: DecisionRule
    rows: int
    columns: Columns
    groups: NDArray[Any] | None = None
    seed: int = 0
    confidence: float = CONFIDENCE

    def __len__(self) -> int:
        return self.rows

    @property
    def positive(self) -> int:
        """The index of the class that the product looks for; the last one where nobody said."""
        named = self.contract.decision.positive
        classes = self.rule.classes
        return classes.index(named) if named in classes else len(classes) - 1

    def slice(self, where: str | None) -> NDArray[np.bool_]:
        """The rows for which the expression *where* holds; a missing value does not.

        Raises:
            ExpressionInvalid: It reads a column that is not there.
        """
        if where is None:
            return np.ones(self.rows, dtype=bool)
        return truths(parse(where).evaluate(self.columns, rows=self.rows))
