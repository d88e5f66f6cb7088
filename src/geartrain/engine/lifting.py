"""What the search tells of its trials: how many they were, and whether the best is more than luck."""

from __future__ import annotations

import numpy as np

from geartrain.domain.events import TrialRecorded
from geartrain.domain.model import Pool
from geartrain.domain.prediction import Floats, Predictions
from geartrain.engine.bench import Bench, Builder, Document
from geartrain.engine.pooling import kin_now, losses_at, pool_name
from geartrain.engine.rows import data_of
from geartrain.errors import TrainingImpossible
from geartrain.evaluation.lift import Tried
from geartrain.stats.blocks import ways_to_draw
from geartrain.stats.deciding import realised_cost
from geartrain.stats.multiplicity import reality_check
from geartrain.training.examples import Examples, row_costs
from geartrain.training.fitting import calibrated, cross_fitted
from geartrain.training.pools import recorded_trials
from geartrain.training.recipe import simplest_model

#: With fewer rows that every trial was judged on, a resample resembles nothing.
FEWEST_ROWS = 30
SIMPLEST = "simplest-model"


def tried_on(builder: Builder, document: Document, bench: Bench) -> Tried:
    """Count every recorded trial on these rows, and test the best of those on the free ones.

    The test is White's reality check over all trials whose costs are known row by row, of this
    run and of earlier ones on the same free rows, against the cheapest simpler way there. It
    uses the free rows only.
    """
    product, trials = builder.contract.product.name, trials_now(builder, document, bench)
    history = [one.event for one in builder.workspace.history(product)]
    name, blobs = pool_name(bench), builder.workspace.blobs
    kept = {
        one.id: one.losses
        for one in history
        if isinstance(one, TrialRecorded) and one.rows_of == name and one.losses
    }
    if not kept:
        return Tried(trials=trials, reason="no trial's costs are known row by row")
    losses = np.stack([losses_at(blobs, one) for one in kept.values()], axis=1)
    examples = bench.examples(Pool.SEARCH)
    baselines = _baselines(builder, document, bench, examples)
    known = np.asarray(np.isfinite(losses).all(axis=1))
    for costs in baselines.values():
        known &= np.isfinite(costs)
    if int(known.sum()) < FEWEST_ROWS:
        return Tried(
            trials=trials,
            reason=f"only {int(known.sum())} free rows were judged by every trial and every simpler way",
        )
    best = min(baselines, key=lambda one: float(baselines[one][known].mean()))
    gains = baselines[best][known, None] - losses[known]
    p_value = max(
        reality_check(gains, seed=document["seed"], groups=labels)
        for _, labels in ways_to_draw(*_dependence(builder, bench, known))
    )
    return Tried(trials=trials, checked=len(kept), baseline=best, p_value=p_value)


def trials_now(builder: Builder, document: Document, bench: Bench) -> int:
    """How many trials were ever recorded on these rows, or on snapshots that sealed most of the same."""
    product = builder.contract.product.name
    history = [one.event for one in builder.workspace.history(product)]
    return recorded_trials(history, product=product, snapshots=kin_now(builder, document, bench).snapshots)


def _dependence(
    builder: Builder, bench: Bench, known: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray | None]:
    data = data_of(builder.contract)
    taken = bench.rows.take(bench.split.search[known])
    groups = np.array([str(one) for one in taken.texts(data.group)]) if data.group else None
    return groups, taken.times_us if data.decisions.event_time is not None else None


def _baselines(builder: Builder, document: Document, bench: Bench, examples: Examples) -> dict[str, Floats]:
    """What simpler ways cost on each free row: one action for all, and a cross-fitted plain model."""
    rule, rows = bench.rule, len(examples)
    found: dict[str, Floats] = {}
    if rule.task.has_classes:
        for index, action in enumerate(rule.actions):
            found.setdefault(
                f"always-{action}",
                realised_cost(
                    rule,
                    np.full(rows, index, dtype=np.int64),
                    examples.truth.astype(np.int64),
                    examples.columns,
                ),
            )
    else:
        mean = np.full((rows, 1), np.nan)
        for teach, judge in bench.split.folds:
            mean[judge] = float(np.mean(examples.truth[teach]))
        found["mean"] = _costs(bench, examples, mean)
    recipe = simplest_model(rule.task)
    try:
        raw, _ = cross_fitted(recipe, {}, examples, rule, folds=bench.split.folds, seed=document["seed"])
    except TrainingImpossible as error:
        builder.teller.say(f"no simplest model to hold the trials against: {error.message}")
        return found
    answers = calibrated(recipe, rule, examples, raw, bench.split.folds)
    found[SIMPLEST] = _costs(bench, examples, answers.values)
    return found


def _costs(bench: Bench, examples: Examples, values: Floats) -> Floats:
    """The costs of *values*, shape (n, k), NaN where a row has none."""
    judged = np.flatnonzero(np.isfinite(values[:, 0])).astype(np.int64)
    answers = Predictions(task=bench.rule.task, classes=bench.rule.classes, values=values[judged])
    costs = np.full(len(examples), np.nan)
    costs[judged] = row_costs(bench.rule, answers, examples.take(judged))
    return costs
