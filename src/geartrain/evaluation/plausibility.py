"""Whether the model has learned the right thing: the domain expert's clauses as tests on the model.

Absurdity cannot be inferred from data; it is the expert's list. Each kind of clause is one
function here or in a module beside this one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.columns import texts
from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.evaluation.action_metrics import Parameters, macro
from geartrain.evaluation.evidence import Evidence, Mask, Measured, Unmeasured
from geartrain.evaluation.importance import parts_of, rests_on, share
from geartrain.evaluation.known_cases import cases
from geartrain.evaluation.model_view import ModelView, asked_rows, bands, reads
from geartrain.evaluation.null_importance import earns_its_place
from geartrain.evaluation.responses import falls_with, invariant_to, rises_with
from geartrain.evaluation.robustness import robust_to
from geartrain.evaluation.scene import Scene
from geartrain.evaluation.stability import stable_across
from geartrain.stats.ranking import auc

#: A question about rows whose truth need not be known; live traffic can be asked it too.
Asking = Callable[[Scene, ModelView, Mask, Parameters], Measured]
#: A question that needs to know what came.
Judging = Callable[[Evidence, ModelView, Mask, Parameters], Measured]

FOLDS = 5
TREES, LEAVES = 60, 15
#: A single feature that gives an attribute away with less than this is not worth naming.
TELLING = 0.6


def forbidden(scene: Scene, view: ModelView, mask: Mask, parameters: Parameters) -> Measured:
    """How many features read one of the forbidden `columns`; a fact, without an interval."""
    named = parameters.get("columns", ())
    unwanted = set(named) if isinstance(named, tuple) else {named}
    offenders = {
        one.name: sorted({one.name, *reads(one)} & {str(column) for column in unwanted})
        for one in view.encoding.feature_set.features
        if one.name in unwanted or unwanted & set(reads(one))
    }
    note = ""
    if offenders:
        note = rests_on(scene, view, asked_rows(scene, mask), tuple(offenders))
        through = sorted(
            {column for name, columns in offenders.items() for column in columns if column != name}
        )
        note += f", that is on {', '.join(through)}" if through else ""
    return Measurement.exact(float(len(offenders)), method="feature definitions", note=note)


def largest_share(scene: Scene, view: ModelView, mask: Mask, parameters: Parameters) -> Measured:
    """The largest share of the explanation that one feature has; see `importance.parts_of`.

    Features that could only be shuffled together count as one, and are named together.
    """
    del parameters
    parts = parts_of(scene, view, asked_rows(scene, mask))
    if isinstance(parts, Unmeasured):
        return parts
    if not parts.means.any():
        return Unmeasured(reason="no feature moves the model's answers or its loss")
    lead = int(np.argmax(parts.means))
    seen = share(scene, parts, lead)
    return Measurement(
        value=seen.value,
        low=seen.low,
        high=seen.high,
        confidence=seen.confidence,
        rows=seen.rows,
        method=seen.method,
        note=" with ".join(parts.members[lead]),
    )


def proxy_of(scene: Scene, view: ModelView, mask: Mask, parameters: Parameters) -> Measured:
    """How well the features give the `attribute` away: the cross-validated AUC of predicting it.

    A boosted forest of its own, 5 folds (by entity where rows repeat), DeLong's interval over
    the out-of-fold scores; .5 is nothing. Several values are averaged, numbers become quarters.
    """
    name = str(parameters.get("attribute"))
    if name not in scene.columns:
        return Unmeasured(reason=f"there is no column `{name}`")
    labels = bands(scene.columns[name])
    rows = asked_rows(scene, mask)
    rows = rows[[labels[row] is not None for row in rows]]
    target = labels[rows].astype(str)
    entities = None if scene.groups is None else scene.groups[rows]
    values, counts = np.unique(target, return_counts=True)
    held = len(rows) if entities is None else len(np.unique(entities.astype(str)))
    if len(values) < 2 or counts.min() < FOLDS or held < FOLDS:
        return Unmeasured(reason=f"`{name}` needs two values with {FOLDS} rows each to be predicted at all")
    scores = _guessed(view.matrix[rows], target, entities, seed=scene.seed)
    judged = values[1:] if len(values) == 2 else values
    each: dict[str, Measured] = {
        value: auc(
            scores[:, values.tolist().index(value)],
            target == value,
            groups=entities,
            seed=scene.seed,
            confidence=scene.confidence,
        )
        for value in judged
    }
    seen = next(iter(each.values())) if len(each) == 1 else macro(each, rows=len(rows))
    if isinstance(seen, Unmeasured):
        return seen
    return replace(
        seen,
        note=_telling(view, rows, target),
    )


#: Kinds that can be asked of rows whose truth nobody knows yet.
ASKED: Mapping[str, Asking] = {
    "rises_with": rises_with,
    "falls_with": falls_with,
    "forbidden": forbidden,
    "largest_share": largest_share,
    "invariant_to": invariant_to,
    "proxy_of": proxy_of,
    "cases": cases,
}
#: Kinds that need the truth.
JUDGED: Mapping[str, Judging] = {
    "stable_across": stable_across,
    "earns_its_place": earns_its_place,
    "robust_to": robust_to,
}
#: Kinds that ask about the features' values, not about the model: alike for all models of the same rows.
ABOUT_ROWS = ("proxy_of", "earns_its_place")
#: Every kind of plausibility clause.
CHECKS = (*ASKED, *JUDGED)


def check(scene: Scene, view: ModelView, kind: str, mask: Mask, parameters: Parameters) -> Measured:
    """Measure the plausibility clause of that *kind*, or say why it has no value here."""
    if kind not in CHECKS:
        return Unmeasured(reason=f"there is no kind of plausibility `{kind}`")
    if kind not in ABOUT_ROWS:
        return _asked(scene, view, kind, mask, parameters)
    key = (kind, tuple(sorted(parameters.items())), mask.tobytes(), scene.seed, scene.confidence)
    if key not in view.about_rows:
        view.about_rows[key] = _asked(scene, view, kind, mask, parameters)
    found = view.about_rows[key]
    assert isinstance(found, Measurement | Unmeasured)
    return found


def _asked(scene: Scene, view: ModelView, kind: str, mask: Mask, parameters: Parameters) -> Measured:
    if kind in ASKED:
        return ASKED[kind](scene, view, mask, parameters)
    if not isinstance(scene, Evidence):
        return Unmeasured(reason="it needs to know what came, and the truth of these rows is not known yet")
    return JUDGED[kind](scene, view, mask, parameters)


def _guessed(
    matrix: NDArray[np.float32], target: NDArray[np.str_], entities: NDArray[np.generic] | None, *, seed: int
) -> Floats:
    from lightgbm import LGBMClassifier
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict

    folds = StratifiedKFold if entities is None else StratifiedGroupKFold
    forest = LGBMClassifier(
        n_estimators=TREES,
        num_leaves=LEAVES,
        min_child_samples=10,
        random_state=seed,
        n_jobs=1,
        verbosity=-1,
        deterministic=True,
        force_col_wise=True,
    )
    scores: Floats = cross_val_predict(
        forest,
        matrix,
        target,
        groups=None if entities is None else texts(entities.astype(object)).astype(str),
        cv=folds(FOLDS, shuffle=True, random_state=seed),
        method="predict_proba",
    )
    return scores


def _telling(view: ModelView, rows: NDArray[np.int64], target: NDArray[np.str_]) -> str:
    """Which single feature gives the most away on its own, where that is much; of two values."""
    values = np.unique(target)
    if len(values) != 2:
        return ""
    best, name = TELLING, ""
    for position in range(view.matrix.shape[1]):
        column = view.matrix[rows, position].astype(np.float64)
        known = np.isfinite(column)
        if view.is_category(position):
            column, known = _rates(column, target == values[1]), np.ones(len(rows), dtype=bool)
        alone = auc_alone(column[known], target[known] == values[1])
        if alone > best:
            best, name = alone, view.encoding.columns[position]
    return f"{name} alone does with {best:.2f}" if name else ""


def auc_alone(column: Floats, positive: NDArray[np.bool_]) -> float:
    """The AUC of one column in its better direction; 0.5 where it cannot be told."""
    from scipy.stats import rankdata

    ones = int(positive.sum())
    if ones in {0, len(positive)}:
        return 0.5
    u = float(rankdata(column)[positive].sum()) - ones * (ones + 1) / 2
    area = u / (ones * (len(positive) - ones))
    return max(area, 1 - area)


def _rates(codes: Floats, positive: NDArray[np.bool_]) -> Floats:
    """For each row the share of positives among rows of the same code, smoothed to their overall share."""
    _, owner = np.unique(codes, return_inverse=True, equal_nan=True)
    sums, counts = np.bincount(owner, weights=positive), np.bincount(owner)
    return np.asarray(((sums + 10 * positive.mean()) / (counts + 10))[owner])
