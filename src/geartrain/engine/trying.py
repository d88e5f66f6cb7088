"""Quick models tried on the free rows before training: what they cost, and what they would do.

Everything here looks at the pool `search` only, and nothing of it can be released: the
quick models are there to find out whether the work is worth beginning.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from geartrain.domain.clause import Parameter
from geartrain.domain.model import Pool
from geartrain.domain.prediction import Floats, Predictions
from geartrain.engine.bench import Bench, Builder, view_of
from geartrain.engine.rows import data_of
from geartrain.evaluation.evidence import Evidence
from geartrain.evaluation.model_view import ModelView
from geartrain.stats.fitted import Fitted
from geartrain.training.examples import Examples, Indices, row_costs
from geartrain.training.fitting import calibrated, cross_fitted, fit
from geartrain.training.folds import inner_folds
from geartrain.training.recipe import Recipe, recipe, simplest_model

TREES = 80
MOST_ASKED = 20_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ground:
    """The free rows on which quick models are tried.

    Attributes:
        examples: The rows of the pool `search`, in the split's order.
        groups: For each its group's place in [0, 1), None where rows stand for themselves.
    """

    builder: Builder
    bench: Bench
    examples: Examples
    groups: Floats | None
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tried:
    """One quick model's cross-fitted answers about the free rows, NaN where no fold judged."""

    name: str
    recipe: Recipe
    answers: Predictions
    costs: Floats


def ground_of(builder: Builder, bench: Bench, *, seed: int) -> Ground:
    """The free rows of *bench*."""
    named = data_of(builder.contract).group
    groups: Floats | None = None
    if named is not None:
        told = bench.rows.take(bench.split.search).texts(named)
        names = [f"row {place}" if one is None else f"group {one}" for place, one in enumerate(told)]
        codes = np.unique(np.array(names, dtype=str), return_inverse=True)[1].reshape(-1)
        groups = np.asarray(codes / (codes.max() + 1))
    return Ground(
        builder=builder, bench=bench, examples=bench.examples(Pool.SEARCH), groups=groups, seed=seed
    )


def quick_recipe(ground: Ground, **changes: Parameter) -> Recipe:
    """Small boosted trees, good enough to see what there is to see."""
    fixed: dict[str, Parameter] = {
        "n_estimators": TREES, "num_leaves": 8, "learning_rate": 0.08, "min_child_samples": 10,
    }  # fmt: skip
    calibrate = "sigmoid" if ground.bench.classes else "none"
    return recipe("lightgbm", fixed={**fixed, **changes}, calibrate=calibrate)


def try_boosting(ground: Ground, **changes: Parameter) -> Tried:
    """Gradient boosting, cross-fitted and calibrated.

    Raises:
        TrainingImpossible: In no fold are there two classes to learn from.
    """
    return _tried("gradient boosting", quick_recipe(ground, **changes), ground)


def try_simplest(ground: Ground) -> Tried:
    """The simplest model, cross-fitted and calibrated; raises as `try_boosting` does."""
    bench = ground.bench
    name = "logistic regression" if bench.classes else "ridge regression"
    return _tried(name, simplest_model(bench.rule.task), ground)


def judged_rows(one: Tried, two: Tried) -> Indices:
    """The free rows about which both have an answer."""
    both = np.isfinite(one.answers.values).all(axis=1) & np.isfinite(two.answers.values).all(axis=1)
    return np.flatnonzero(both).astype(np.int64)


def cross_fitted_evidence(ground: Ground, better: Tried, simplest: Tried, judged: Indices) -> Evidence:
    """What the better model says about the *judged* free rows, with all that a clause may be held against."""
    return _evidence(ground, rows_of(better.answers, judged), judged, rows_of(simplest.answers, judged))


def asked_model(ground: Ground) -> tuple[Evidence, ModelView]:
    """A quick model of the free rows (at most 20,000), to be asked about these very rows.

    Plausibility clauses ask how a model answers, not how right it is, so rows that it was
    taught are as good as others. It is held to the directions that the contract names, as
    the product's own model will be.

    Raises:
        TrainingImpossible: A class has no row.
    """
    rows = np.arange(len(ground.examples), dtype=np.int64)
    if len(rows) > MOST_ASKED:
        rows = np.sort(np.random.default_rng(ground.seed).choice(rows, MOST_ASKED, replace=False))
    fitted = taught(ground, quick_recipe(ground), rows, seed=ground.seed)
    whole = view_of(ground.bench, fitted, Pool.SEARCH)
    view = replace(whole, matrix=whole.matrix[rows])
    return _evidence(ground, fitted.predict(view.matrix), rows, None), view


def rows_of(answers: Predictions, rows: Indices) -> Predictions:
    """The answers about these rows."""
    return Predictions(task=answers.task, classes=answers.classes, values=answers.values[rows])


def _evidence(ground: Ground, answers: Predictions, rows: Indices, simplest: Predictions | None) -> Evidence:
    bench, data = ground.bench, data_of(ground.builder.contract)
    taken = bench.rows.take(bench.split.search[rows])
    return Evidence(
        contract=ground.builder.contract,
        rule=bench.rule,
        predictions=answers,
        truth=ground.examples.truth[rows],
        columns=taken.columns,
        groups=np.array(taken.texts(data.group), dtype=object) if data.group else None,
        times_us=taken.times_us if data.decisions.event_time else None,
        seed=ground.seed,
        simplest=simplest,
    )


def _tried(name: str, one: Recipe, ground: Ground) -> Tried:
    bench, examples = ground.bench, ground.examples
    folds = bench.split.folds
    if len(folds) == 1:
        answers = _taught_once(ground, one, *folds[0])
    else:
        monotone = bench.monotone if one.monotone else ()
        raw, _ = cross_fitted(one, {}, examples, bench.rule, folds=folds, seed=ground.seed, monotone=monotone)
        answers = calibrated(one, bench.rule, examples, raw, folds)
    costs = np.full(len(examples), np.nan)
    rows = np.flatnonzero(np.isfinite(answers.values).all(axis=1))
    costs[rows] = row_costs(bench.rule, rows_of(answers, rows), examples.take(rows))
    return Tried(name=name, recipe=one, answers=answers, costs=costs)


def _taught_once(ground: Ground, one: Recipe, teach: Indices, judge: Indices) -> Predictions:
    """One lesson, one judgement: the calibrator learns inside the lesson, never from the judged rows."""
    fitted = taught(ground, one, teach, seed=ground.seed)
    answers = fitted.predict(ground.examples.matrix[judge])
    values = np.full((len(ground.examples), answers.values.shape[1]), np.nan)
    values[judge] = answers.values
    return Predictions(task=answers.task, classes=answers.classes, values=values)


def taught(ground: Ground, one: Recipe, lesson: Indices, *, seed: int) -> Fitted:
    """*one* fitted and calibrated on the rows of *lesson* alone, folds by group where rows repeat.

    Raises:
        TrainingImpossible: The lesson lacks a class, or has too few rows of one.
    """
    examples = ground.examples.take(lesson)
    inner = inner_folds(examples.truth, groups=None if ground.groups is None else ground.groups[lesson])
    monotone = ground.bench.monotone if one.monotone else ()
    return fit(one, {}, examples, ground.bench.rule, seed=seed, folds=inner, monotone=monotone)
