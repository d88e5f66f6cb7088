"""Is there anything to learn: the same work on shuffled labels, and what the nearest neighbours say."""

from __future__ import annotations

import numpy as np

from geartrain.domain.prediction import Predictions
from geartrain.engine.trying import Ground, quick_recipe
from geartrain.errors import TrainingImpossible
from geartrain.evaluation.prospect import Signal
from geartrain.stats.intervals import proportion
from geartrain.stats.nearest import bayes_bracket, nearest_truth
from geartrain.stats.permutation import permutation_p
from geartrain.training.examples import Examples, Folds, Indices, row_losses
from geartrain.training.fitting import cross_fitted
from geartrain.training.folds import inner_folds

#: Rows that are looked at, at most: a signal that 10,000 rows do not show is worth little.
MOST_SHUFFLED = 10_000
MOST_NEIGHBOURS = 5_000
TREES = 30


def shuffled(ground: Ground, *, shuffles: int) -> Signal | None:
    """The permutation test: the whole work, cut into folds and cross-fitted, on shuffled labels.

    The score is minus the mean log loss (or squared error) of cross-fitted answers. Of rows that
    repeat a group one is taken, so that labels may change places. None where such rows have
    too few of a class.
    """
    generator = np.random.default_rng(ground.seed)
    rows = np.arange(len(ground.examples), dtype=np.int64)
    if ground.groups is not None:
        order = generator.permutation(rows)
        rows = np.sort(order[np.unique(ground.groups[order], return_index=True)[1]])
    if len(rows) > MOST_SHUFFLED:
        rows = np.sort(generator.choice(rows, MOST_SHUFFLED, replace=False))
    examples, folds = ground.examples.take(rows), _forward(ground, rows)
    try:
        observed = _score(ground, examples, folds)
        scores = []
        for _ in range(shuffles):
            truth = generator.permutation(examples.truth)
            without = Examples(matrix=examples.matrix, truth=truth, columns=examples.columns)
            scores.append(_score(ground, without, folds))
    except TrainingImpossible:
        # One row a group, or one part of time, can leave a class out; then nothing can be said.
        return None
    return Signal(p=permutation_p(observed, np.array(scores)), shuffles=shuffles, rows=len(rows))


def neighbours(ground: Ground) -> tuple[float, float] | None:
    """Between what the least possible error lies, by the nearest neighbour in another fold; None without classes."""
    bench, examples = ground.bench, ground.examples
    truth = examples.truth.astype(np.int64)
    if not bench.classes:
        return None
    generator = np.random.default_rng(ground.seed)
    most = max(1, MOST_NEIGHBOURS // len(bench.split.folds))
    wrong, asked = [], []
    for teach, judge in bench.split.folds:
        held = judge if len(judge) <= most else generator.choice(judge, most, replace=False)
        told = nearest_truth(examples.matrix[teach], truth[teach], examples.matrix[held])
        wrong.append(told != truth[held])
        asked.append(held)
    groups = None if ground.groups is None else ground.groups[np.concatenate(asked)]
    seen = proportion(np.concatenate(wrong), groups=groups)
    return bayes_bracket(seen, classes=len(bench.classes))


def _forward(ground: Ground, rows: Indices) -> Folds | None:
    """The split's own folds among *rows* where they go forward in time; None lets each labelling have its own."""
    folds = ground.bench.split.folds
    if not all(teach.max() < judge.min() for teach, judge in folds):
        return None
    return tuple(
        (np.flatnonzero(np.isin(rows, teach)), np.flatnonzero(np.isin(rows, judge))) for teach, judge in folds
    )


def _score(ground: Ground, examples: Examples, folds: Folds | None) -> float:
    # So few trees stay near the class shares: their answers need no calibrator to be scored.
    one, rule = quick_recipe(ground, n_estimators=TREES), ground.bench.rule
    folds = folds or inner_folds(examples.truth)
    raw, _ = cross_fitted(one, {}, examples, rule, folds=folds, seed=ground.seed)
    rows = np.flatnonzero(np.isfinite(raw).all(axis=1)).astype(np.int64)
    answers = Predictions(task=rule.task, classes=rule.classes, values=raw[rows])
    return -float(row_losses(answers, examples.take(rows)).mean())
