"""Response curves: how the answer moves with one feature, in company that really occurs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.explanation import Curve, CurvePoint
from geartrain.domain.features import FeatureType
from geartrain.domain.prediction import Floats
from geartrain.domain.task import Task
from geartrain.evaluation.evidence import Unmeasured
from geartrain.evaluation.model_view import MOST_VALUES, Matrix, ModelView
from geartrain.evaluation.scene import Scene
from geartrain.stats.ale import (
    LocalEffects,
    accumulate,
    code_effects,
    edges_of,
    likeness_order,
    number_effects,
    resampled_weights,
)

#: A category's value is a point of the curve from so many rows on.
FEWEST_OF_A_VALUE = 5


def ask(scene: Scene, view: ModelView, matrix: Matrix) -> Floats:
    """The answers that effects are about, shape (n, c): the positive class's probability, every class's, or the value."""
    values = view.predict(matrix).values
    if scene.rule.task is Task.BINARY:
        return values[:, [scene.positive]]
    return values


def local_effects(
    scene: Scene, view: ModelView, rows: NDArray[np.int64], position: int
) -> LocalEffects | Unmeasured:
    """What moving each of *rows* across its own bin of the matrix column does, or why nothing can be moved."""
    name = view.encoding.columns[position]
    matrix = view.matrix[rows]
    values = matrix[:, position]
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return Unmeasured(reason=f"`{name}` is missing in every row")
    if len(np.unique(known)) < 2:
        return Unmeasured(reason=f"`{name}` has the same value in every row")

    def asked(moved: Matrix) -> Floats:
        return ask(scene, view, moved)

    if not view.is_category(position):
        return number_effects(asked, matrix, position, edges_of(known))
    codes, counts = np.unique(known, return_counts=True)
    often = codes[counts >= FEWEST_OF_A_VALUE]
    if len(often) < 2:
        return Unmeasured(
            reason=f"`{name}` has {len(codes):,} values and hardly any twice: it names rows, it does not describe them"
        )
    if len(often) > MOST_VALUES:
        often = np.sort(codes[np.argsort(-counts, kind="stable")[:MOST_VALUES]])
    held = np.where(np.isin(values, often), values, np.nan).astype(np.float64)
    others = [place for place in range(matrix.shape[1]) if place != position]
    order = likeness_order(
        held, matrix[:, others].astype(np.float64), [view.is_category(place) for place in others]
    )
    return code_effects(asked, matrix, position, order.tolist())


def curve_of(scene: Scene, view: ModelView, rows: NDArray[np.int64], feature: str) -> Curve | Unmeasured:
    """The response curve of *feature* over *rows*, with percentile bootstrap bands.

    Of several classes it tells of the one that moves most. The bootstrap draws rows (or
    entities) again and keeps the bins; it holds for each point alone.
    """
    if feature not in view.encoding.columns:
        return Unmeasured(reason=f"the model has no column `{feature}`")
    position = view.encoding.columns.index(feature)
    local = local_effects(scene, view, rows, position)
    if isinstance(local, Unmeasured):
        return local
    everyone = accumulate(local, np.ones((1, len(rows))))[0]
    output = int(np.argmax(np.ptp(everyone, axis=0)))
    groups = None if scene.groups is None else scene.groups[rows]
    key = ("resampled", rows.tobytes())
    if key not in view.about_rows:
        # Every curve over these rows draws them again alike.
        view.about_rows[key] = resampled_weights(len(rows), seed=scene.seed, groups=groups)
    drawn = accumulate(local, np.asarray(view.about_rows[key]))[:, :, output]
    tail = (1 - scene.confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    defined = view.feature(feature)
    unit = defined.unit if defined is not None else ""
    known = local.hats.any(axis=1)
    nearest = np.bincount(local.hats[known].argmax(axis=1), minlength=len(local.places))
    effects = everyone[:, output]
    return Curve(
        feature=feature,
        words=words_of(view, feature),
        unit=unit,
        about=_about(scene, output),
        category=local.category,
        points=tuple(
            CurvePoint(
                value=float(index if local.category else place),
                name=_name(view, feature, float(place), category=local.category),
                effect=float(effects[index]),
                low=float(min(low[index], effects[index])),
                high=float(max(high[index], effects[index])),
                rows=int(nearest[index]),
            )
            for index, place in enumerate(local.places)
        ),
        missing=int(np.isnan(view.matrix[rows, position]).sum()),
        note=_left_out(view, rows, position, local),
    )


def words_of(view: ModelView, feature: str) -> str:
    """What people call the feature: its description, or its name."""
    defined = view.feature(feature)
    return (defined.description if defined is not None else "") or feature


def _about(scene: Scene, output: int) -> str:
    if scene.rule.task is Task.REGRESSION:
        return "the predicted value"
    index = scene.positive if scene.rule.task is Task.BINARY else output
    return f"the probability of {scene.rule.classes[index]}"


def _name(view: ModelView, feature: str, place: float, *, category: bool) -> str:
    if not category:
        return f"{place:.4g}"
    defined = view.feature(feature)
    known = dict(view.encoding.categories).get(feature, ())
    if defined is not None and defined.type is FeatureType.CATEGORY and int(place) < len(known):
        return known[int(place)]
    return f"{place:g}"


def _left_out(view: ModelView, rows: NDArray[np.int64], position: int, local: LocalEffects) -> str:
    if not local.category:
        return ""
    values = view.matrix[rows, position]
    rest = np.unique(values[np.isfinite(values) & ~np.isin(values, local.places)])
    return f"{len(rest)} rarer values are left out" if len(rest) else ""
