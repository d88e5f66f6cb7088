"""What evaluation may do with a model: ask it about rows that never happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.columns import numbers, texts
from geartrain.domain.expression import Values, parse
from geartrain.domain.features import Encoding, Feature, FunctionFeature, RequestFeature
from geartrain.domain.prediction import Floats, Predictions
from geartrain.domain.task import Task
from geartrain.evaluation.action_metrics import Parameters, named_class
from geartrain.evaluation.evidence import Mask, Unmeasured
from geartrain.evaluation.scene import Scene

Matrix = NDArray[np.float32]

#: Questions are asked about at most so many rows, drawn by the evidence's seed.
MOST_ASKED = 2000
#: Up to this many distinct values, a column is swapped and stepped value by value.
MOST_VALUES = 12
MISSING_SUFFIX = "__missing"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelView:
    """A model as a function of its encoded matrix, for the same rows as the evidence.

    Attributes:
        encoding: Says what each column of the matrix is.
        matrix: The encoded rows, float32, shape (n, len(encoding.columns)).
        predict: Any such matrix to predictions; must not depend on the other rows.
        contributions: Any such matrix to exact contributions per column, shape (m, d), of the
            kind that tree models give; for several classes the sum of their magnitudes.
        memory: Answers to questions that several clauses ask, so that each is asked once.
        about_rows: The same for questions about the rows alone, which every model of them may share.
    """

    encoding: Encoding
    matrix: Matrix
    predict: Callable[[Matrix], Predictions]
    contributions: Callable[[Matrix], Floats] | None = None
    memory: dict[object, object] = field(default_factory=dict, repr=False)
    about_rows: dict[object, object] = field(default_factory=dict, repr=False)

    def feature(self, column: str) -> Feature | None:
        """The feature that the matrix column *column* belongs to."""
        name = column.removesuffix(MISSING_SUFFIX)
        features = self.encoding.feature_set.features
        return next((one for one in features if one.name in {column, name}), None)

    def position(self, name: str) -> int | Unmeasured:
        """Where the feature *name*, or the one feature that is the raw column *name*, stands."""
        columns = self.encoding.columns
        if name in columns:
            return columns.index(name)
        plain = [
            one.name
            for one in self.encoding.feature_set.features
            if isinstance(one, RequestFeature) and _is_column(one.expression, name) and one.name in columns
        ]
        if plain:
            return columns.index(plain[0])
        readers = [one.name for one in self.encoding.feature_set.features if name in reads(one)]
        if readers:
            listed = ", ".join(readers)
            return Unmeasured(
                reason=f"`{name}` only stands inside expressions ({listed}) and cannot be moved alone"
            )
        return Unmeasured(reason=f"the model has no feature `{name}`")

    def is_category(self, position: int) -> bool:
        """Whether the matrix column holds codes, whose order means nothing."""
        return self.encoding.columns[position] in dict(self.encoding.categories)


def reads(feature: Feature) -> tuple[str, ...]:
    """The raw columns whose values the feature is made of; a window's entity only says whose it is."""
    if isinstance(feature, FunctionFeature):
        return tuple(name for name, _ in feature.reads)
    if isinstance(feature, RequestFeature):
        texts = [feature.expression]
    else:
        texts = [text for text in (feature.column, feature.where) if text is not None]
    return tuple(dict.fromkeys(column for text in texts for column in parse(text).columns))


def respond(scene: Scene, view: ModelView, matrix: Matrix, parameters: Parameters) -> Floats | Unmeasured:
    """The one number that a partial response is about: the class's probability, or the value."""
    if scene.rule.task is Task.REGRESSION:
        return view.predict(matrix).values[:, 0]
    of = named_class(scene, parameters)
    if isinstance(of, Unmeasured):
        return of
    if of is None:
        return Unmeasured(reason="with several classes the clause must say which `class` rises or falls")
    return view.predict(matrix).values[:, of]


def asked_rows(scene: Scene, mask: Mask) -> NDArray[np.int64]:
    """Up to `MOST_ASKED` rows of the slice, drawn without repetition by the scene's seed."""
    return sampled(np.flatnonzero(mask), MOST_ASKED, seed=scene.seed)


def sampled(rows: NDArray[np.int64], most: int, *, seed: int) -> NDArray[np.int64]:
    """Up to *most* of *rows*, drawn without repetition, in their order."""
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def bands(values: Values) -> Values:
    """A column as few texts: its values, or the quarters of a number with more than 12 of them."""
    labels = texts(values)
    known = {one for one in labels.tolist() if one is not None}
    if len(known) <= MOST_VALUES or (values.dtype == object and not np.isfinite(numbers(values)).any()):
        return labels
    amounts = numbers(values)
    edges = np.nanquantile(amounts, [0.25, 0.5, 0.75])
    quarter = np.searchsorted(edges, amounts, side="right")
    told: Values = np.empty(len(values), dtype=object)
    told[:] = [f"quarter {one + 1}" for one in quarter]
    told[~np.isfinite(amounts)] = None
    return told


def _is_column(expression: str, name: str) -> bool:
    return expression.strip() in {name, f"`{name}`"}
