"""Whether the model has learned the right thing: the domain expert's clauses as tests on the model.

Absurdity cannot be inferred from data; it is the expert's list. Each kind of clause is one
function here or in `responses`, and each answers with a share of violations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.columns import texts
from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.evaluation.action_metrics import Parameters, macro
from geartrain.evaluation.evidence import Evidence, Mask, Measured, Unmeasured
from geartrain.evaluation.known_cases import cases
from geartrain.evaluation.model_view import ModelView, asked_rows, reads
from geartrain.evaluation.responses import bands, falls_with, invariant_to, rises_with, stable_across
from geartrain.stats.calibration import log_losses
from geartrain.stats.intervals import ratio
from geartrain.stats.ranking import auc

Check = Callable[[Evidence, ModelView, Mask, Parameters], Measured]

REPEATS = 3
FOLDS = 5
TREES = 100


def forbidden(evidence: Evidence, view: ModelView, mask: Mask, parameters: Parameters) -> Measured:
    """How many features read one of the forbidden `columns`; a fact, without an interval."""
    del evidence, mask
    named = parameters.get("columns", ())
    unwanted = set(named) if isinstance(named, tuple) else {named}
    offenders = [
        one.name
        for one in view.encoding.feature_set.features
        if one.name in unwanted or unwanted & set(reads(one))
    ]
    note = "read by " + ", ".join(offenders) if offenders else ""
    return Measurement.exact(float(len(offenders)), method="feature definitions", note=note)


def largest_share(evidence: Evidence, view: ModelView, mask: Mask, parameters: Parameters) -> Measured:
    """The largest share of the explanation that one feature has: mean |contribution| over the sum of all.

    Exact contributions where the model gives them; else how much the loss (log loss, or squared
    error) grows when the feature's values are shuffled between rows, 3 times. A feature and its
    missing-signal are one. The interval is a bootstrap over rows of the leading share.
    """
    del parameters
    rows = asked_rows(evidence, mask)
    if len(rows) == 0:
        return Unmeasured(reason="no row is in the slice")
    owners = [feature.name if (feature := view.feature(one)) else one for one in view.encoding.columns]
    names = tuple(dict.fromkeys(owners))
    positions = {name: [i for i, owner in enumerate(owners) if owner == name] for name in names}
    if view.contributions is not None:
        sizes = np.abs(view.contributions(view.matrix[rows]))
        parts = np.column_stack([sizes[:, positions[name]].sum(axis=1) for name in names])
        how = "mean exact contributions"
    else:
        parts = _permuted(evidence, view, rows, [positions[name] for name in names])
        how = f"permutation importance of the loss, {REPEATS} shuffles"
    means = parts.mean(axis=0)
    useful = means > 0
    if not useful.any():
        return Unmeasured(reason="no feature moves the model's answers or its loss")
    lead = int(np.argmax(means))
    seen = ratio(
        parts[:, lead],
        parts[:, useful].sum(axis=1),
        seed=evidence.seed,
        groups=None if evidence.groups is None else evidence.groups[rows],
        confidence=evidence.confidence,
        note=f"`{names[lead]}` leads",
    )
    # A resampled share may leave [0, 1] where single rows have negative parts.
    return Measurement(
        value=seen.value,
        low=max(0.0, seen.low),
        high=min(1.0, max(seen.high, seen.value)),
        confidence=seen.confidence,
        rows=seen.rows,
        method=f"{how}; {seen.method}",
        note=seen.note,
    )


def proxy_of(evidence: Evidence, view: ModelView, mask: Mask, parameters: Parameters) -> Measured:
    """How well the features give the `attribute` away: the cross-validated AUC of predicting it.

    A forest of 100 trees, 5 folds (by entity where rows repeat), DeLong's interval over the
    out-of-fold scores; .5 is nothing. Several values are averaged, numbers become quarters.
    """
    name = str(parameters.get("attribute"))
    if name not in evidence.columns:
        return Unmeasured(reason=f"there is no column `{name}`")
    labels = bands(evidence.columns[name])
    rows = asked_rows(evidence, mask)
    rows = rows[[labels[row] is not None for row in rows]]
    target = labels[rows].astype(str)
    entities = None if evidence.groups is None else evidence.groups[rows]
    values, counts = np.unique(target, return_counts=True)
    held = len(rows) if entities is None else len(np.unique(entities))
    if len(values) < 2 or counts.min() < FOLDS or held < FOLDS:
        return Unmeasured(reason=f"`{name}` needs two values with {FOLDS} rows each to be predicted at all")
    scores = _guessed(view.matrix[rows], target, entities, seed=evidence.seed)
    judged = values[1:] if len(values) == 2 else values
    each: dict[str, Measured] = {
        value: auc(
            scores[:, values.tolist().index(value)],
            target == value,
            groups=entities,
            seed=evidence.seed,
            confidence=evidence.confidence,
        )
        for value in judged
    }
    return next(iter(each.values())) if len(each) == 1 else macro(each, rows=len(rows))


#: Every kind of plausibility clause.
CHECKS: Mapping[str, Check] = {
    "rises_with": rises_with,
    "falls_with": falls_with,
    "forbidden": forbidden,
    "largest_share": largest_share,
    "stable_across": stable_across,
    "invariant_to": invariant_to,
    "proxy_of": proxy_of,
    "cases": cases,
}


def check(evidence: Evidence, view: ModelView, kind: str, mask: Mask, parameters: Parameters) -> Measured:
    """Measure the plausibility clause of that *kind*, or say why it has no value here."""
    function = CHECKS.get(kind)
    if function is None:
        return Unmeasured(reason=f"there is no kind of plausibility `{kind}`")
    return function(evidence, view, mask, parameters)


def _permuted(
    evidence: Evidence, view: ModelView, rows: NDArray[np.int64], features: list[list[int]]
) -> Floats:
    """By how much each row's loss grows when a feature is shuffled, shape (rows, features)."""
    matrix, generator = view.matrix[rows], np.random.default_rng(evidence.seed)

    def losses(asked: NDArray[np.float32]) -> Floats:
        values = view.predict(asked).values
        if evidence.rule.task.has_classes:
            return log_losses(values, evidence.truth[rows])
        errors: Floats = (values[:, 0] - evidence.truth[rows].astype(np.float64)) ** 2
        return errors

    before = losses(matrix)
    parts = np.zeros((len(rows), len(features)))
    for column, positions in enumerate(features):
        for _ in range(REPEATS):
            moved = matrix.copy()
            moved[:, positions] = matrix[generator.permutation(len(rows))][:, positions]
            parts[:, column] += (losses(moved) - before) / REPEATS
    return parts


def _guessed(
    matrix: NDArray[np.float32], target: NDArray[np.str_], entities: NDArray[np.generic] | None, *, seed: int
) -> Floats:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict

    folds = StratifiedKFold if entities is None else StratifiedGroupKFold
    forest = RandomForestClassifier(n_estimators=TREES, min_samples_leaf=5, random_state=seed, n_jobs=1)
    scores: Floats = cross_val_predict(
        forest,
        matrix,
        target,
        groups=None if entities is None else texts(entities.astype(object)).astype(str),
        cv=folds(FOLDS, shuffle=True, random_state=seed),
        method="predict_proba",
    )
    return scores
