"""How a model's answer moves when one column does: rises, falls, does not care.

Every question is asked from a real row, one column moved inside the range that was seen;
the others stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.domain.task import Task
from geartrain.evaluation.action_metrics import Parameters
from geartrain.evaluation.evidence import Mask, Measured, Unmeasured
from geartrain.evaluation.importance import rests_on
from geartrain.evaluation.model_view import MOST_VALUES, Matrix, ModelView, asked_rows, reads, respond
from geartrain.evaluation.scene import Scene
from geartrain.stats.deciding import decide
from geartrain.stats.intervals import proportion

#: Steps, as shares of the column's spread from its 10 % to its 90 % quantile.
STEPS = (0.05, 0.1, 0.25, 0.5, 1.0)
#: A smaller change of the answer is rounding: absolute for a probability, of the answers' range for a value.
ROUNDING = 1e-6


def rises_with(scene: Scene, view: ModelView, mask: Mask, parameters: Parameters) -> Measured:
    """The share of rows whose answer falls somewhere when the column rises, others held."""
    return _violations(scene, view, mask, parameters, sign=1.0)


def falls_with(scene: Scene, view: ModelView, mask: Mask, parameters: Parameters) -> Measured:
    """The share of rows whose answer rises somewhere when the column rises, others held."""
    return _violations(scene, view, mask, parameters, sign=-1.0)


def invariant_to(scene: Scene, view: ModelView, mask: Mask, parameters: Parameters) -> Measured:
    """The share of rows whose decision flips when the column takes another value that was seen.

    Up to 12 values are tried one by one, more are swapped between rows. For regression a
    flip is any change of the value beyond rounding. A swap leaves columns that follow
    from this one as they are: `proxy_of` is the clause that looks at those.
    """
    name = str(parameters.get("column"))
    position = view.position(name)
    if isinstance(position, Unmeasured):
        if any(name in reads(one) for one in view.encoding.feature_set.features):
            return position
        if name in scene.rule.columns and scene.rule.task.has_classes:
            return _decided_by(scene, view, asked_rows(scene, mask), name)
        return Measurement.exact(0.0, rows=int(mask.sum()), note=f"the model does not see `{name}`")
    rows = asked_rows(scene, mask)
    if len(rows) == 0:
        return Unmeasured(reason="no row is in the slice")
    matrix = view.matrix[rows]
    seen = view.matrix[np.isfinite(view.matrix[:, position]), position]
    values = np.unique(seen)
    if len(values) < 2:
        return Unmeasured(reason=f"`{name}` has the same value in every row, so nothing can be swapped")
    before = _answers(scene, view, matrix, rows)
    flipped = np.zeros(len(rows), dtype=bool)
    for other in _swapped(values, seen, len(rows), seed=scene.seed):
        moved = matrix.copy()
        moved[:, position] = other
        flipped |= _differs(scene, before, _answers(scene, view, moved, rows))
    return proportion(
        flipped,
        groups=None if scene.groups is None else scene.groups[rows],
        confidence=scene.confidence,
        note=rests_on(scene, view, rows, (view.encoding.columns[position],)),
    )


def _decided_by(scene: Scene, view: ModelView, rows: NDArray[np.int64], name: str) -> Measured:
    """The share of decisions that the rule alone turns when it reads another value of *name*."""
    if len(rows) == 0:
        return Unmeasured(reason="no row is in the slice")
    columns = {one: values[rows] for one, values in scene.columns.items()}
    if name not in columns:
        return Unmeasured(reason=f"there is no column `{name}`")
    predictions = view.predict(view.matrix[rows])
    before = decide(scene.rule, predictions, columns).actions
    flipped = np.zeros(len(rows), dtype=bool)
    generator = np.random.default_rng(scene.seed)
    for _ in STEPS:
        moved = {**columns, name: columns[name][generator.permutation(len(rows))]}
        flipped |= decide(scene.rule, predictions, moved).actions != before
    return proportion(
        flipped,
        groups=None if scene.groups is None else scene.groups[rows],
        confidence=scene.confidence,
        note=f"the rule that decides reads {name}",
    )


def _violations(
    scene: Scene, view: ModelView, mask: Mask, parameters: Parameters, *, sign: float
) -> Measured:
    name = str(parameters.get("column"))
    position = view.position(name)
    if isinstance(position, Unmeasured):
        return position
    if view.is_category(position):
        return Unmeasured(reason=f"`{name}` is a category, and categories do not rise")
    rows = asked_rows(scene, mask)
    rows = rows[np.isfinite(view.matrix[rows, position])]
    if len(rows) == 0:
        return Unmeasured(reason=f"no row of the slice has a value of `{name}`")
    matrix = view.matrix[rows]
    before = respond(scene, view, matrix, parameters)
    if isinstance(before, Unmeasured):
        return before
    tolerance = _rounding(scene, before)
    moved_at_all, violated = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
    for target, valid in raised(view.matrix[:, position], matrix[:, position]):
        if not valid.any():
            continue
        changed = matrix[valid]
        changed[:, position] = target[valid]
        after = respond(scene, view, changed, parameters)
        if isinstance(after, Unmeasured):
            return after
        moved_at_all |= valid
        violated[valid] |= sign * (after - before[valid]) < -tolerance
    if not moved_at_all.any():
        return Unmeasured(reason=f"`{name}` has the same value in every row, so it cannot rise")
    groups = None if scene.groups is None else scene.groups[rows][moved_at_all]
    seen = proportion(violated[moved_at_all], groups=groups, confidence=scene.confidence)
    others = _also_reading(view, name, position)
    note = f"{', '.join(others)} also read it and were held" if others else ""
    return replace(seen, note=note)


def raised(column: Matrix, values: Matrix) -> Iterator[tuple[Matrix, Mask]]:
    """Higher values for each of *values*, never beyond what *column* holds, with which rows have one."""
    distinct = np.unique(column[np.isfinite(column)])
    if len(distinct) <= MOST_VALUES:
        place = np.searchsorted(distinct, values)
        for step in range(1, len(distinct)):
            target = distinct[np.minimum(place + step, len(distinct) - 1)]
            yield target, place + step < len(distinct)
        return
    low, high = np.quantile(distinct if _piled(column) else column[np.isfinite(column)], [0.1, 0.9])
    for share in STEPS:
        target = (values + share * (high - low)).astype(np.float32)
        yield target, (target <= distinct[-1]) & (target > values)


def _piled(column: Matrix) -> bool:
    """Whether nine of ten rows share a value, so that quantiles over rows have no spread."""
    low, high = np.nanquantile(column, [0.1, 0.9])
    return bool(low == high)


def _swapped(values: Matrix, seen: Matrix, rows: int, *, seed: int) -> Iterator[np.float32 | Matrix]:
    if len(values) <= MOST_VALUES:
        yield from values
        return
    generator = np.random.default_rng(seed)
    for _ in STEPS:
        yield generator.choice(seen, rows)


def _answers(scene: Scene, view: ModelView, matrix: Matrix, rows: NDArray[np.int64]) -> Floats:
    predictions = view.predict(matrix)
    if scene.rule.task is Task.REGRESSION:
        return predictions.values[:, 0]
    columns = {name: values[rows] for name, values in scene.columns.items()}
    return decide(scene.rule, predictions, columns).actions.astype(np.float64)


def _differs(scene: Scene, before: Floats, after: Floats) -> Mask:
    limit = _rounding(scene, before) if scene.rule.task is Task.REGRESSION else 0.0
    return np.asarray(np.abs(after - before) > limit)


def _rounding(scene: Scene, answers: Floats) -> float:
    if scene.rule.task is Task.REGRESSION:
        return ROUNDING * max(float(np.ptp(answers)), float(np.abs(answers).max()), 1e-12)
    return ROUNDING


def _also_reading(view: ModelView, name: str, position: int) -> tuple[str, ...]:
    moved = view.feature(view.encoding.columns[position])
    return tuple(
        one.name for one in view.encoding.feature_set.features if one is not moved and name in reads(one)
    )
