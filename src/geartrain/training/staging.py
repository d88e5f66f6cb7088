"""What a boosted model says after each number of trees: one fit in place of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from geartrain.domain.clause import Parameter
from geartrain.domain.model import Params
from geartrain.domain.prediction import Floats
from geartrain.domain.rule import DecisionRule
from geartrain.errors import TrainingImpossible
from geartrain.stats.fitted import is_lightgbm
from geartrain.stats.tree_model import Matrix
from geartrain.training.algorithms import resolved
from geartrain.training.examples import Examples, Folds
from geartrain.training.fitting import taught_estimator
from geartrain.training.recipe import Recipe


def staged(
    recipe: Recipe,
    params: Mapping[str, Parameter],
    examples: Examples,
    rule: DecisionRule,
    *,
    folds: Folds,
    stages: Sequence[int],
    seed: int,
    monotone: tuple[int, ...] = (),
) -> tuple[tuple[Floats, ...], Params]:
    """Answers about each row by models that were not taught it, cut after each of *stages* trees.

    For each stage an array as `cross_fitted` gives it, shape (n, k), NaN where no fold
    judges; and the resolved parameters of the longest. The first m trees of a boosted model
    are the model with m trees: nothing is fitted twice.

    Raises:
        TrainingImpossible: The recipe is no LightGBM model, or in no fold are there two classes.
    """
    width = len(rule.classes)
    answers = [np.full((len(examples), max(width, 1)), np.nan) for _ in stages]
    written_out: Params = ()
    for teach, judge in folds:
        lesson = examples.take(teach)
        if width and len(np.unique(lesson.truth)) < 2:
            continue
        estimator = taught_estimator(
            recipe, {**params, "n_estimators": max(stages)}, lesson, rule, seed=seed, monotone=monotone
        )
        if not is_lightgbm(estimator):
            raise TrainingImpossible("only a boosted model can be cut short", found=recipe.algorithm)
        for answer, trees in zip(answers, stages, strict=True):
            answer[judge] = _cut(estimator, examples.matrix[judge], trees, width=width)
        written_out = resolved(estimator, recipe)
    if not written_out:
        raise TrainingImpossible(
            "in no part of the rows are there two classes to learn from",
            found=f"{len(examples)} rows in {len(folds)} parts",
            hint="ingest more rows of the rarer class, or a longer history",
        )
    return tuple(answers), written_out


def _cut(estimator: Any, matrix: Matrix, trees: int, *, width: int) -> Floats:
    if width == 0:
        said = estimator.predict(matrix, num_iteration=trees)
        return np.asarray(said, dtype=np.float64).reshape(-1, 1)
    values = np.zeros((len(matrix), width))
    known = np.asarray(estimator.classes_, dtype=np.int64)
    values[:, known] = estimator.predict_proba(matrix, num_iteration=trees)
    return values
