"""Fit one model: the estimator on all rows it may learn from, its calibrator on rows it did not."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from geartrain.domain.clause import Parameter
from geartrain.domain.model import Params, Pool, Trial
from geartrain.domain.prediction import Floats, Predictions
from geartrain.domain.rule import DecisionRule
from geartrain.errors import TrainingImpossible
from geartrain.stats.calibrators import Calibrator, fit_isotonic, fit_sigmoid
from geartrain.stats.fitted import Fitted, raw_values
from geartrain.training.algorithms import estimator_of, resolved
from geartrain.training.examples import Examples, Folds, Lineage, cost_weights
from geartrain.training.folds import inner_folds
from geartrain.training.recipe import Calibration, Recipe, Weighting


def fit(
    recipe: Recipe,
    params: Mapping[str, Parameter],
    examples: Examples,
    rule: DecisionRule,
    *,
    seed: int,
    folds: Folds = (),
    monotone: tuple[int, ...] = (),
) -> Fitted:
    """Fit *recipe* with *params* on *examples*; the same arguments give the same model.

    The calibrator learns from cross-fitted answers over *folds* (made in the rows' order
    where none are given), so it never sees an answer about a row that the estimator was
    taught. *monotone* holds +1, 0 or -1 for each column of the matrix (see `monotone_of`).

    Raises:
        TrainingImpossible: The rows cannot train this model.
        ProductCodeBroken: The recipe's function cannot build its estimator.
    """
    everyone = np.arange(len(examples), dtype=np.int64)
    calibrator: Calibrator | None = None
    if _calibrates(recipe, rule):
        folds = folds or inner_folds(examples.truth)
        raw, _ = cross_fitted(recipe, params, examples, rule, folds=folds, seed=seed, monotone=monotone)
        judged = ~np.isnan(raw[:, 0])
        calibrator = _calibrator(recipe.calibrate, raw[judged], examples.truth[judged])
    estimator = taught_estimator(recipe, params, examples, rule, seed=seed, monotone=monotone)
    if rule.task.has_classes and len(estimator.classes_) < len(rule.classes):
        missing = sorted(set(range(len(rule.classes))) - set(estimator.classes_.tolist()))
        raise TrainingImpossible(
            "no row of a class is there to learn from",
            found=", ".join(repr(rule.classes[index]) for index in missing),
            hint=f"{len(everyone)} rows were there; ingest rows of every class",
        )
    return Fitted(
        task=rule.task,
        classes=rule.classes,
        algorithm=recipe.algorithm,
        settings=tuple(sorted(dict(params).items())),
        params=resolved(estimator, recipe),
        seed=seed,
        code=recipe.code,
        estimator=estimator,
        calibrator=calibrator,
    )


def cross_fitted(
    recipe: Recipe,
    params: Mapping[str, Parameter],
    examples: Examples,
    rule: DecisionRule,
    *,
    folds: Folds,
    seed: int,
    monotone: tuple[int, ...] = (),
) -> tuple[Floats, Params]:
    """Answers about each row by an estimator that was not taught it, and the resolved parameters.

    The answers have shape (n, k), NaN where no fold judges.

    Raises:
        TrainingImpossible: In no fold are there two classes to learn from.
    """
    width = len(rule.classes)
    answers = np.full((len(examples), max(width, 1)), np.nan)
    written_out: Params = ()
    for teach, judge in folds:
        lesson = examples.take(teach)
        if width and len(np.unique(lesson.truth)) < 2:
            continue
        estimator = taught_estimator(recipe, params, lesson, rule, seed=seed, monotone=monotone)
        answers[judge] = raw_values(estimator, examples.matrix[judge], width=width)
        written_out = resolved(estimator, recipe)
    if np.isnan(answers).all():
        raise TrainingImpossible(
            "in no part of the rows are there two classes to learn from",
            found=f"{len(examples)} rows in {len(folds)} parts",
            hint="ingest more rows of the rarer class, or a longer history",
        )
    return answers, written_out


def calibrated(
    recipe: Recipe, rule: DecisionRule, examples: Examples, raw: Floats, folds: Folds
) -> Predictions:
    """Cross-fitted answers made honest by a calibrator that saw only the other folds' rows.

    Where one fold judges, each half of its rows is corrected by the other half.
    """
    values = raw.copy()
    judges = [judge[~np.isnan(raw[judge, 0])] for _, judge in folds]
    judges = [judge for judge in judges if len(judge)]
    if _calibrates(recipe, rule):
        if len(judges) == 1:
            judges = [half for half in (judges[0][::2], judges[0][1::2]) if len(half)]
        for number, judge in enumerate(judges):
            others = [one for other, one in enumerate(judges) if other != number]
            if not others:
                continue
            rows = np.concatenate(others)
            values[judge] = _calibrator(recipe.calibrate, raw[rows], examples.truth[rows]).apply(raw[judge])
    return Predictions(task=rule.task, classes=rule.classes, values=values)


def trial_of(
    fitted: Fitted,
    lineage: Lineage,
    *,
    pool: Pool,
    score: float,
    rows: int,
    class_weights: tuple[float, ...] = (),
    variant: str = "",
) -> Trial:
    """The ledger's row for *fitted*, whose decisions cost *score* on average over *rows* of *pool*."""
    return trial(
        fitted.algorithm,
        fitted.code,
        fitted.params,
        fitted.seed,
        lineage,
        pool=pool,
        score=score,
        rows=rows,
        class_weights=class_weights,
        variant=variant,
    )


def trial(
    algorithm: str,
    code: str,
    params: Params,
    seed: int,
    lineage: Lineage,
    *,
    pool: Pool,
    score: float,
    rows: int,
    class_weights: tuple[float, ...] = (),
    variant: str = "",
) -> Trial:
    """One setting that was tried, with where it came from."""
    return Trial(
        contract=lineage.contract,
        snapshot=lineage.snapshot,
        features=lineage.features,
        code=code,
        algorithm=algorithm,
        params=params,
        seed=seed,
        pool=pool,
        metric="mean_cost",
        score=score,
        rows=rows,
        class_weights=class_weights,
        variant=variant,
    )


def monotone_of(directions: Mapping[str, int], columns: tuple[str, ...]) -> tuple[int, ...]:
    """+1 for each of *columns* that must raise the answer, -1 where it must lower it, 0 elsewhere.

    Raises:
        TrainingImpossible: A direction names a column that the model does not read.
    """
    unknown = sorted(directions.keys() - set(columns))
    if unknown:
        raise TrainingImpossible(
            "a direction is asked of a column that the model does not read",
            where="plausibility",
            found=", ".join(unknown),
            hint=f"the model reads: {', '.join(columns[:10])}{' ...' if len(columns) > 10 else ''}",
        )
    return tuple(directions.get(name, 0) for name in columns)


def _calibrates(recipe: Recipe, rule: DecisionRule) -> bool:
    return rule.task.has_classes and recipe.calibrate is not Calibration.NONE


def _calibrator(kind: Calibration, values: Floats, truth: Any) -> Calibrator:
    fitting = fit_isotonic if kind is Calibration.ISOTONIC else fit_sigmoid
    return fitting(values, truth.astype(np.int64))


def taught_estimator(
    recipe: Recipe,
    params: Mapping[str, Parameter],
    examples: Examples,
    rule: DecisionRule,
    *,
    seed: int,
    monotone: tuple[int, ...],
) -> Any:
    """The recipe's estimator, taught on *examples* with the weights that the recipe asks for.

    Raises:
        TrainingImpossible: The estimator refuses these rows.
        ProductCodeBroken: The recipe's function cannot build its estimator.
    """
    estimator = estimator_of(
        recipe, params, task=rule.task, seed=seed, cells=examples.matrix.size, monotone=monotone
    )
    weight = examples.weight
    if recipe.weights is Weighting.COST and rule.task.has_classes:
        by_cost = cost_weights(rule, examples)
        weight = by_cost if weight is None else weight * by_cost
    try:
        with warnings.catch_warnings():
            # A setting that does not converge is a poor trial, and its score says so.
            warnings.filterwarnings("ignore", module="sklearn")
            if weight is None:
                estimator.fit(examples.matrix, examples.truth)
            else:
                estimator.fit(examples.matrix, examples.truth, **{_weight_name(estimator): weight})
    except (TypeError, ValueError) as error:
        raise TrainingImpossible(
            "the estimator refuses these rows",
            where="model.py",
            found=f"{recipe.algorithm}: {error}",
            hint="missing values need an imputer in the recipe's pipeline; row weights need an estimator that takes them",
        ) from error
    return estimator


def _weight_name(estimator: Any) -> str:
    """`sample_weight`, through a pipeline to its last step."""
    steps = getattr(estimator, "steps", None)
    return f"{steps[-1][0]}__sample_weight" if steps else "sample_weight"
