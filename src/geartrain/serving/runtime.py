"""What one release needs to answer: its rule, its columns, its two callables.

The room knows nothing about features or bundles. Whoever loads a release hands over
`encode` (raw rows to the model's float32 rows) and `predict` (those to probabilities).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.contract import FieldTerms
from geartrain.domain.prediction import Floats, Predictions
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.stats.deciding import constant_costs

Matrix = NDArray[np.float32]
RawRow = Mapping[str, object]
Encode = Callable[[Sequence[RawRow], datetime], Matrix]
Predict = Callable[[Matrix], Predictions]
#: Float32 (n, d) to exact contributions in raw scores, (n, outputs, d).
Contribute = Callable[[Matrix], Floats]

#: The suffix of the 0/1 column that tells that a feature was missing.
MISSING_SIGNAL = "__missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Where the reference rows lie on one column: between which values how many, from the lowest on.

    What lies between two values is not known, so only rows that are surely lower or higher count.

    Attributes:
        lows: The least value that each run of rows may hold.
        highs: The largest; runs do not overlap.
        reached: How many rows lie in all runs before each, and at last all rows.
    """

    lows: tuple[float, ...]
    highs: tuple[float, ...]
    reached: tuple[int, ...]

    def lower(self, value: float) -> int:
        """How many rows are surely lower than *value*."""
        return self.reached[bisect_left(self.highs, value)]

    def higher(self, value: float) -> int:
        """How many rows are surely higher than *value*."""
        return self.reached[-1] - self.reached[bisect_right(self.lows, value)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnWords:
    """How one model column is spoken of, and what is typical for it.

    Attributes:
        column: Its name in the model's input.
        label: How people call it; the name itself where nobody said.
        unit: The unit of its values.
        reference: The typical value that a reason compares with; NaN means "not known".
        categories: For a category: what each code stands for.
        spread: For a number: where the reference rows lie; None where nobody knows.
    """

    column: str
    label: str = ""
    unit: str = ""
    reference: float = float("nan")
    categories: tuple[str, ...] = ()
    spread: Spread | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Served:
    """One release in memory, ready to answer. Never changed: a swap replaces it whole.

    Attributes:
        release: The release's id.
        columns: The model's input columns, in order.
        predict: Float32 (n, d) to predictions. Must be safe to call from any thread.
        encode: Raw rows and the time that they are about, to float32 (n, d).
        fields: What a request's row may hold, from the contract's decision source;
            a field that is not listed is accepted and not checked.
        key: The column that names a row, or empty.
        label: The column with the truth; never asked for in a request.
        positive: The class that a binary product looks for.
        words: How reasons speak of columns; a column without words goes by its name.
        ranges: What the reference rows span, as the lowest and the highest value of each
            column, float32 (2, d); None where nobody knows.
        contribute: Exact contributions, of the kind that tree models give; without them
            reasons ask what the answer would have been.
    """

    release: str
    product: str
    rule: DecisionRule
    columns: tuple[str, ...]
    predict: Predict
    encode: Encode
    fields: tuple[FieldTerms, ...] = ()
    key: str = ""
    label: str = ""
    positive: str | None = None
    words: tuple[ColumnWords, ...] = ()
    ranges: Matrix | None = None
    contribute: Contribute | None = None

    @property
    def task(self) -> Task:
        """What kind of answer it gives."""
        return self.rule.task

    @cached_property
    def has_classes(self) -> bool:
        """Whether it answers with a probability for each class."""
        return self.task.has_classes

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """The names of a prediction's values: its classes, or `value`."""
        return self.rule.classes or ("value",)

    @cached_property
    def cost_columns(self) -> tuple[str, ...]:
        """The raw columns that the rule reads, sorted: for its costs and, where it has them, its groups."""
        return self.rule.columns

    @cached_property
    def costs(self) -> Floats | None:
        """What each action costs under each truth, where no row changes it."""
        return constant_costs(self.rule)

    @cached_property
    def measured(self) -> NDArray[np.int64]:
        """The places of the columns that can be missing: all but the missing-signals."""
        places = [i for i, name in enumerate(self.columns) if not name.endswith(MISSING_SIGNAL)]
        return np.asarray(places, dtype=np.int64)

    @cached_property
    def wording(self) -> tuple[ColumnWords, ...]:
        """Words for every column, in the order of the columns."""
        named = {words.column: words for words in self.words}
        return tuple(named.get(name) or ColumnWords(column=name) for name in self.columns)
