"""Preprocessing outside the folds: parts of a model that saw rows which they may not have seen.

A scaler fitted on all rows flatters little, a selection of columns made on all rows flatters
without bound: of 1,000 columns of noise the best 20 "predict" the very rows that they
were chosen with (Hastie, Tibshirani & Friedman, "The elements of statistical learning",
section 7.10.2). Three questions to whatever the team's recipe builds, and one to the encoding.
"""

from __future__ import annotations

import functools
import types
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.features import Encoding
from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.stats.ranking import auc

Matrix = NDArray[np.float32]
Build = Callable[[], Any]

FOLDS = 3
MOST_ROWS = 1_500
#: One build in two thousand is suspected by chance: many honest ones are asked.
CONFIDENCE = 0.999
_MOST_HELD = 1_000


def parts_that_saw_more(
    *,
    encoding: Encoding,
    refitted: Encoding,
    build: Build | None = None,
    besides: Iterable[object] = (),
    matrix: Matrix | None = None,
    truth: NDArray[Any] | None = None,
    seed: int = 0,
) -> Measurement:
    """How many parts of the model saw other rows than those to learn from, with their names.

    Args:
        encoding: What the model was trained and is served with.
        refitted: The same, fitted again on the rows to learn from alone.
        build: Makes the recipe's estimator, unfitted; None for one of geartrain's own.
        besides: What else belongs to the recipe, such as the function that builds it.
        matrix: Rows to learn from, shape (n, d); only used where there is a *build*.
        truth: Their classes or values, shape (n,).
        seed: Draws folds and permutations.
    """
    parts = [f"the encoding of {name}" for name in _differing(encoding, refitted)]
    asked = "the encoding fitted again"
    if build is not None and matrix is not None and truth is not None:
        rows = np.random.default_rng(seed).permutation(len(truth))[:MOST_ROWS]
        parts += [f"{name}, which was fitted before" for name in fitted_parts(build(), *besides)]
        parts += _remembering(build, matrix[rows], truth[rows], seed=seed)
        asked += ", the recipe's parts, the same lesson twice, permuted labels"
    return Measurement.exact(float(len(parts)), method=asked, note="; ".join(parts))


def fitted_parts(*roots: object) -> tuple[str, ...]:
    """The names of estimators within *roots* that are fitted already, at any depth.

    Looks through parameters, steps, containers, closures, bound methods and the globals that a
    function names: wherever a selection that was made on all rows can be hidden.

    >>> from sklearn.preprocessing import StandardScaler
    >>> fitted_parts([StandardScaler(), StandardScaler().fit([[1.0], [2.0]])])
    ('StandardScaler',)
    """
    seen: set[int] = set()
    kept: list[object] = []
    queue: list[object] = list(roots)
    found: list[str] = []
    while queue:
        one = queue.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        kept.append(one)  # keeps ids from being given to something else
        if hasattr(one, "get_params") and not isinstance(one, type) and _is_fitted(one):
            found.append(type(one).__name__)
        queue.extend(_within(one))
    return tuple(dict.fromkeys(found))


def _differing(encoding: Encoding, refitted: Encoding) -> list[str]:
    if encoding.columns != refitted.columns:
        odd = sorted(set(encoding.columns) ^ set(refitted.columns)) or list(encoding.columns)
        return [f"`{name}`" for name in odd]
    one, other = dict(encoding.categories), dict(refitted.categories)
    return [f"`{name}`" for name in sorted(one.keys() | other.keys()) if one.get(name) != other.get(name)]


def _is_fitted(estimator: object) -> bool:
    return any(
        name.endswith("_") and not name.startswith("_") and not name.endswith("__") and value is not False
        for name, value in getattr(estimator, "__dict__", {}).items()
    )


def _within(one: object) -> Iterator[object]:
    if isinstance(one, dict):
        if len(one) <= _MOST_HELD:
            yield from one.values()
    elif isinstance(one, list | tuple | set | frozenset):
        if len(one) <= _MOST_HELD:
            yield from one
    elif isinstance(one, functools.partial):
        yield from (one.func, *one.args, *one.keywords.values())
    elif isinstance(one, types.MethodType):
        yield from (one.__self__, one.__func__)
    elif isinstance(one, types.FunctionType):
        for cell in one.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:  # a cell that is not filled yet holds nothing
                continue
        yield from one.__defaults__ or ()
        used = (one.__globals__.get(name) for name in one.__code__.co_names)
        yield from (value for value in used if hasattr(value, "get_params"))
    elif hasattr(one, "get_params") and not isinstance(one, type):
        yield from one.get_params(deep=False).values()


def _remembering(build: Build, matrix: Matrix, truth: NDArray[Any], *, seed: int) -> list[str]:
    """What behaves as if it had seen more than its lesson."""
    fold = np.arange(len(truth)) % FOLDS
    first, second = fold == 0, fold == 1
    if min(len(np.unique(truth[first])), len(np.unique(truth[second]))) < 2:
        return []
    parts = []
    once = _answers(_taught(build, matrix[first], truth[first]), matrix[~first])
    _taught(build, matrix[second], truth[second])
    again = _answers(_taught(build, matrix[first], truth[first]), matrix[~first])
    if not np.array_equal(once, again, equal_nan=True):
        parts.append("the estimator, which answers otherwise after it was taught other rows in between")
    shuffled = np.random.default_rng(seed).permutation(truth)
    positive = shuffled > np.median(shuffled) if truth.dtype.kind == "f" else shuffled == shuffled.max()
    if positive.all() or not positive.any():
        return parts
    told = np.zeros(len(truth))
    for one in range(FOLDS):
        held = fold == one
        if len(np.unique(shuffled[~held])) < 2:
            return parts
        told[held] = _answers(_taught(build, matrix[~held], shuffled[~held]), matrix[held])
    seen = auc(told, positive, confidence=CONFIDENCE)
    if seen.low > 0.5:
        parts.append(f"the estimator, which guesses permuted labels with an AUC of {seen.value:.2f}")
    return parts


def _taught(build: Build, matrix: Matrix, truth: NDArray[Any]) -> Any:
    estimator = build()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="sklearn")
        estimator.fit(matrix, truth)
    return estimator


def _answers(estimator: Any, matrix: Matrix) -> Floats:
    """One number a row: the last class's probability, or the value."""
    if hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(matrix), dtype=np.float64)[:, -1]
    return np.asarray(estimator.predict(matrix), dtype=np.float64).reshape(-1)
