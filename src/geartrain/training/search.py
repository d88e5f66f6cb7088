"""Search the recipe's dimensions for the setting whose decisions cost least."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.clause import Parameter
from geartrain.domain.model import Pool, Trial
from geartrain.domain.prediction import Predictions
from geartrain.domain.rule import DecisionRule
from geartrain.stats.fitted import Fitted
from geartrain.training.examples import Examples, Folds, Lineage, priced_rows, row_costs, row_losses
from geartrain.training.fitting import calibrated, cross_fitted, fit, trial
from geartrain.training.recipe import Choice, Dimension, Integer, Number, Recipe

Record = Callable[[Trial], None]
#: Takes a trial and what its decisions cost on each row, float32 of shape (n,), NaN where none judged.
KeepLosses = Callable[[Trial, NDArray[np.float32]], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Searched:
    """What a search found.

    Attributes:
        best: The recorded trial whose parameters the model has.
        settings: The searched parameters of that trial.
        fitted: The model, taught all rows of the pool.
        trials: Every trial, in the order of trying.
    """

    best: Trial
    settings: tuple[tuple[str, Parameter], ...]
    fitted: Fitted
    trials: tuple[Trial, ...]


def search(
    recipe: Recipe,
    examples: Examples,
    folds: Folds,
    rule: DecisionRule,
    *,
    trials: int,
    seed: int,
    lineage: Lineage,
    record: Record,
    monotone: tuple[int, ...] = (),
    keep: KeepLosses | None = None,
) -> Searched:
    """Try settings on the pool `search` alone and teach the best one all its rows.

    A setting's score is the mean cost of the decisions about rows that its estimators
    were not taught (over *folds*); settings that cost the same are told apart by log
    loss, then by who came first. Each trial goes to *keep*, with its costs row by row, and to
    *record* before its result is used.
    The first trial is the middle of the space; the rest is Optuna's TPE.

    Raises:
        TrainingImpossible: The rows cannot train this recipe.
        ProductCodeBroken: The recipe's function cannot build its estimator.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial(middle(recipe))
    priced = priced_rows(rule, examples)
    tried: list[tuple[float, float, int, Trial, dict[str, Parameter]]] = []
    for number in range(trials if recipe.search else 1):
        asked = study.ask()
        params = {name: _suggested(asked, name, dimension) for name, dimension in recipe.search}
        raw, written_out = cross_fitted(
            recipe, params, examples, rule, folds=folds, seed=seed, monotone=monotone
        )
        answers = calibrated(recipe, rule, examples, raw, folds)
        judged = priced[~np.isnan(raw[priced, 0])]
        seen = Predictions(task=rule.task, classes=rule.classes, values=answers.values[judged])
        costs = row_costs(rule, seen, examples.take(judged))
        score = float(costs.mean())
        loss = float(row_losses(seen, examples.take(judged)).mean())
        done = trial(
            recipe.algorithm,
            recipe.code,
            written_out,
            seed,
            lineage,
            pool=Pool.SEARCH,
            score=score,
            rows=len(judged),
        )
        if keep is not None:
            by_row = np.full(len(examples), np.nan, dtype=np.float32)
            by_row[judged] = costs
            keep(done, by_row)
        record(done)
        tried.append((score, loss, number, done, params))
        study.tell(asked, score)
    _, _, _, best, params = min(tried, key=lambda one: one[:3])
    return Searched(
        best=best,
        settings=tuple(sorted(params.items())),
        fitted=fit(recipe, params, examples, rule, seed=seed, folds=folds, monotone=monotone),
        trials=tuple(one[3] for one in tried),
    )


def middle(recipe: Recipe) -> dict[str, Parameter]:
    """The middle of the space, by ratio where a dimension is logarithmic: a sane first guess.

    >>> from geartrain.training.recipe import integer, recipe
    >>> middle(recipe("lightgbm", search={"num_leaves": integer(4, 16, log=True)}))
    {'num_leaves': 8}
    """
    return {name: _middle(dimension) for name, dimension in recipe.search}


def _middle(dimension: Dimension) -> Parameter:
    match dimension:
        case Integer(low=low, high=high, log=log):
            return round(math.sqrt(low * high)) if log else (low + high) // 2
        case Number(low=low, high=high, log=log):
            return math.sqrt(low * high) if log else (low + high) / 2
        case Choice(options=options):
            return options[0]
    assert_never(dimension)


def _suggested(asked: Any, name: str, dimension: Dimension) -> Parameter:
    match dimension:
        case Integer(low=low, high=high, log=log):
            return int(asked.suggest_int(name, low, high, log=log))
        case Number(low=low, high=high, log=log):
            return float(asked.suggest_float(name, low, high, log=log))
        case Choice(options=options):
            chosen: Parameter = asked.suggest_categorical(name, list(options))
            return chosen
    assert_never(dimension)
