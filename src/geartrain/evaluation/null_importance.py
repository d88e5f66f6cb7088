"""Features that carry nothing: those that look as useful when the labels are dealt out by chance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.domain.task import Task
from geartrain.evaluation.action_metrics import Parameters
from geartrain.evaluation.evidence import Evidence, Mask, Measured, Unmeasured
from geartrain.evaluation.importance import owners_of
from geartrain.evaluation.model_view import Matrix, ModelView, asked_rows
from geartrain.stats.intervals import clopper_pearson

#: The small forest that looks: enough rounds for every column to be tried.
ROUNDS, LEAVES, RATE = 20, 8, 0.2
#: Shuffles are as many as can prove a chance of this size, within these limits.
PROVABLE, FEWEST_SHUFFLES, MOST_SHUFFLES = 0.05, 75, 200
#: Fewer rows than this teach a forest nothing.
FEWEST_ROWS = 50


def earns_its_place(evidence: Evidence, view: ModelView, mask: Mask, parameters: Parameters) -> Measured:
    """The chance with which a column looks as useful as it does though labels are shuffled; of `columns` the worst.

    A small boosted forest of its own (not the judged model) is fitted to the rows, then
    again to each of many shuffles of the labels; the usefulness of a feature is the loss
    that its splits save. Value: the share of shuffles in which it saves as much or more,
    with its exact interval (Bonferroni over the columns). Of an entity's rows one is
    taken, since shuffling rows that repeat each other would prove anything.

    Source: Altmann et al. (2010), "Permutation importance: a corrected feature importance
    measure", Bioinformatics 26(10).
    """
    named = parameters.get("columns", ())
    wanted = tuple(str(one) for one in (named if isinstance(named, tuple) else (named,)))
    names = dict.fromkeys(owners_of(view))
    features: dict[str, str] = {}
    for one in wanted:
        position = view.position(one)
        if isinstance(position, Unmeasured):
            return position
        features[one] = owners_of(view)[position]
    if not features:
        return Unmeasured(reason="the clause names no column")
    rows = _one_of_each(asked_rows(evidence, mask), evidence.groups)
    truth = evidence.truth[rows]
    if len(rows) < FEWEST_ROWS:
        return Unmeasured(reason=f"{len(rows)} rows are too few; {FEWEST_ROWS} can show something")
    if len(np.unique(truth)) < 2:
        return Unmeasured(reason="every row has the same truth, so no column can tell rows apart")
    for one, feature in features.items():
        values = view.matrix[rows][:, [i for i, owner in enumerate(owners_of(view)) if owner == feature]]
        if all(len(np.unique(column, equal_nan=True)) < 2 for column in values.T):
            return Unmeasured(reason=f"`{one}` has the same value in every row, so it cannot carry anything")
    shuffles = _shuffles(len(features))
    gains = null_gains(
        view.matrix[rows],
        truth,
        evidence.rule.task,
        owners=tuple(list(names).index(one) for one in owners_of(view)),
        categories=tuple(i for i in range(view.matrix.shape[1]) if view.is_category(i)),
        shuffles=shuffles,
        seed=evidence.seed,
    )
    hits = {
        one: int((gains[1:, list(names).index(f)] >= gains[0, list(names).index(f)]).sum())
        for one, f in features.items()
    }
    worst = max(hits, key=lambda one: hits[one])
    confidence = 1 - (1 - evidence.confidence) / len(features)
    low, high = clopper_pearson(hits[worst], shuffles, confidence=confidence)
    value = hits[worst] / shuffles
    idle = [one for one in hits if hits[one] / shuffles > PROVABLE]
    note = f"labels that were shuffled {shuffles} times give {worst} as much weight {hits[worst]} times"
    note += f"; so do they {', '.join(one for one in idle if one != worst)}" if len(idle) > 1 else ""
    return Measurement(
        value=value,
        low=min(low, value),
        high=max(high, value),
        confidence=evidence.confidence,
        rows=len(rows),
        method=f"null importance, {shuffles} shuffles, Clopper-Pearson",
        note=note,
    )


def null_gains(
    matrix: Matrix,
    truth: NDArray[Any],
    task: Task,
    *,
    owners: tuple[int, ...],
    categories: tuple[int, ...],
    shuffles: int,
    seed: int,
) -> Floats:
    """What each feature's splits save, for the truth and then for each shuffle of it, shape (1 + shuffles, features).

    *owners* says for each column of *matrix* which feature it belongs to.
    """
    import lightgbm

    settings: dict[str, Any] = {
        "num_leaves": LEAVES,
        "learning_rate": RATE,
        "num_threads": 1,
        "verbosity": -1,
        "force_col_wise": True,
        "deterministic": True,
        "max_bin": 63,
        "seed": seed,
        "min_data_in_leaf": max(5, len(matrix) // 100),
    }
    match task:
        case Task.REGRESSION:
            settings["objective"] = "regression"
        case Task.BINARY:
            settings["objective"] = "binary"
        case _:
            settings |= {"objective": "multiclass", "num_class": int(truth.max()) + 1}
    filled = np.where(np.isfinite(matrix), matrix, np.nan)
    rows = lightgbm.Dataset(
        filled, label=truth.astype(np.float64), params=settings, categorical_feature=list(categories)
    ).construct()
    generator = np.random.default_rng(seed)
    found = np.zeros((1 + shuffles, max(owners) + 1))
    for turn in range(1 + shuffles):
        rows.set_label((truth if turn == 0 else generator.permutation(truth)).astype(np.float64))
        forest = lightgbm.train(settings, rows, num_boost_round=ROUNDS)
        np.add.at(found[turn], list(owners), forest.feature_importance("gain"))
    return found


def _shuffles(columns: int) -> int:
    """So many that not once among them proves a chance below `PROVABLE` for each of the columns."""
    needed = math.log(PROVABLE / 2 / columns) / math.log(1 - PROVABLE)
    return int(min(MOST_SHUFFLES, max(FEWEST_SHUFFLES, math.ceil(needed))))


def _one_of_each(rows: NDArray[np.int64], groups: NDArray[Any] | None) -> NDArray[np.int64]:
    if groups is None:
        return rows
    _, first = np.unique(np.asarray(groups[rows], dtype=str), return_index=True)
    return rows[np.sort(first)]
