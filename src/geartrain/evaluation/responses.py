"""How a model's answer moves when one column does: rises, falls, is stable, does not care.

Every question is asked from a real row, one column moved inside the range that was seen;
the others stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.columns import numbers, texts
from geartrain.domain.expression import Values
from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.domain.task import Task
from geartrain.evaluation.action_metrics import Parameters
from geartrain.evaluation.evidence import Evidence, Mask, Measured, Unmeasured
from geartrain.evaluation.model_view import MOST_VALUES, Matrix, ModelView, asked_rows, reads, respond
from geartrain.stats.deciding import decide
from geartrain.stats.intervals import normal_quantile, proportion

#: Steps, as shares of the column's spread from its 10 % to its 90 % quantile.
STEPS = (0.05, 0.1, 0.25, 0.5, 1.0)
#: A smaller change of the answer is rounding: absolute for a probability, of the answers' range for a value.
ROUNDING = 1e-6
#: Fewer rows than this do not show the sign of an effect.
FEWEST_IN_GROUP = 10
MOST_EXAMINED = 5


def rises_with(evidence: Evidence, view: ModelView, mask: Mask, parameters: Parameters) -> Measured:
    """The share of rows whose answer falls somewhere when the column rises, others held."""
    return _violations(evidence, view, mask, parameters, sign=1.0)


def falls_with(evidence: Evidence, view: ModelView, mask: Mask, parameters: Parameters) -> Measured:
    """The share of rows whose answer rises somewhere when the column rises, others held."""
    return _violations(evidence, view, mask, parameters, sign=-1.0)


def invariant_to(evidence: Evidence, view: ModelView, mask: Mask, parameters: Parameters) -> Measured:
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
        return Measurement.exact(0.0, rows=int(mask.sum()), note=f"the model does not see `{name}`")
    rows = asked_rows(evidence, mask)
    if len(rows) == 0:
        return Unmeasured(reason="no row is in the slice")
    matrix = view.matrix[rows]
    seen = view.matrix[np.isfinite(view.matrix[:, position]), position]
    values = np.unique(seen)
    if len(values) < 2:
        return Unmeasured(reason=f"`{name}` has the same value in every row, so nothing can be swapped")
    before = _answers(evidence, view, matrix, rows)
    flipped = np.zeros(len(rows), dtype=bool)
    for other in _swapped(values, seen, len(rows), seed=evidence.seed):
        moved = matrix.copy()
        moved[:, position] = other
        flipped |= _differs(evidence, before, _answers(evidence, view, moved, rows))
    return proportion(
        flipped,
        groups=None if evidence.groups is None else evidence.groups[rows],
        confidence=evidence.confidence,
    )


def stable_across(evidence: Evidence, view: ModelView, mask: Mask, parameters: Parameters) -> Measured:
    """The share of the column's values in which a feature acts against its overall direction.

    The features that carry four fifths of the overall effect (at most 5; or the one named by
    `feature`) are looked at: the mean over a value's rows of f(x + d) - f(x - d), d half the spread.
    The low end counts the values in which an opposite sign is proven, the high end
    those in which the same sign is not proven, by normal limits with Bonferroni's correction.
    More than 12 numbers become quarters; values with fewer than 10 rows are named and left out.
    """
    across = str(parameters.get("column"))
    if across not in evidence.columns:
        return Unmeasured(reason=f"there is no column `{across}`")
    labels = bands(evidence.columns[across])
    rows = asked_rows(evidence, mask)
    names, counts = np.unique([one for one in labels[rows] if one is not None], return_counts=True)
    judged = names[counts >= FEWEST_IN_GROUP]
    small = names[counts < FEWEST_IN_GROUP]
    if len(judged) < 2:
        return Unmeasured(reason=f"fewer than two values of `{across}` have {FEWEST_IN_GROUP} rows")
    effects = _effects(evidence, view, rows, parameters)
    if isinstance(effects, Unmeasured):
        return effects
    z = normal_quantile(1 - (1 - evidence.confidence) / (2 * len(judged) * len(effects)))
    against, proven, unconfirmed = (np.zeros(len(judged), dtype=bool) for _ in range(3))
    for effect in effects.values():
        direction = np.sign(effect.mean())
        for index, name in enumerate(judged):
            inside = direction * effect[labels[rows] == name]
            centre, half = float(inside.mean()), z * float(inside.std(ddof=1)) / len(inside) ** 0.5
            against[index] |= centre < 0
            proven[index] |= centre + half < 0
            unconfirmed[index] |= centre - half < 0
    note = "looked at " + ", ".join(effects)
    note += "; against in " + ", ".join(judged[against]) if against.any() else ""
    note += f"; too few rows in {', '.join(small)}" if len(small) else ""
    return Measurement(
        value=float(against.mean()),
        low=float((against & proven).mean()),
        high=float((against | unconfirmed).mean()),
        confidence=evidence.confidence,
        rows=len(rows),
        method="signs of partial responses, Bonferroni",
        note=note,
    )


def bands(values: Values) -> Values:
    """A column as few texts: its values, or the quarters of a number with more than 12 of them."""
    labels = texts(values)
    known = {one for one in labels.tolist() if one is not None}
    if len(known) <= MOST_VALUES or (values.dtype == object and not np.isfinite(numbers(values)).any()):
        return labels
    amounts = numbers(values)
    edges = np.nanquantile(amounts, [0.25, 0.5, 0.75])
    quarter = np.searchsorted(edges, amounts, side="right")
    told: Values = np.empty(len(values), dtype=object)
    told[:] = [f"quarter {one + 1}" for one in quarter]
    told[~np.isfinite(amounts)] = None
    return told


def _violations(
    evidence: Evidence, view: ModelView, mask: Mask, parameters: Parameters, *, sign: float
) -> Measured:
    name = str(parameters.get("column"))
    position = view.position(name)
    if isinstance(position, Unmeasured):
        return position
    if view.is_category(position):
        return Unmeasured(reason=f"`{name}` is a category, and categories do not rise")
    rows = asked_rows(evidence, mask)
    rows = rows[np.isfinite(view.matrix[rows, position])]
    if len(rows) == 0:
        return Unmeasured(reason=f"no row of the slice has a value of `{name}`")
    matrix = view.matrix[rows]
    before = respond(evidence, view, matrix, parameters)
    if isinstance(before, Unmeasured):
        return before
    tolerance = _rounding(evidence, before)
    moved_at_all, violated = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
    for target, valid in raised(view.matrix[:, position], matrix[:, position]):
        if not valid.any():
            continue
        changed = matrix[valid]
        changed[:, position] = target[valid]
        after = respond(evidence, view, changed, parameters)
        if isinstance(after, Unmeasured):
            return after
        moved_at_all |= valid
        violated[valid] |= sign * (after - before[valid]) < -tolerance
    if not moved_at_all.any():
        return Unmeasured(reason=f"`{name}` has the same value in every row, so it cannot rise")
    groups = None if evidence.groups is None else evidence.groups[rows][moved_at_all]
    seen = proportion(violated[moved_at_all], groups=groups, confidence=evidence.confidence)
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


def _effects(
    evidence: Evidence, view: ModelView, rows: NDArray[np.int64], parameters: Parameters
) -> dict[str, Floats] | Unmeasured:
    """For the features that matter most, f(x + d) - f(x - d) of each row, shape (rows,)."""
    named = parameters.get("feature")
    matrix = view.matrix[rows]
    effects: dict[str, Floats] = {}
    for position, column in enumerate(view.encoding.columns):
        if view.is_category(position) or (named is not None and named != column):
            continue
        known = view.matrix[np.isfinite(view.matrix[:, position]), position]
        if len(np.unique(known)) < 2:
            continue
        half = 0.5 * float(
            np.subtract(*np.quantile(np.unique(known) if _piled(known) else known, [0.9, 0.1]))
        )
        ends = []
        for step in (half, -half):
            moved = matrix.copy()
            moved[:, position] = np.clip(matrix[:, position] + step, known.min(), known.max())
            answer = respond(evidence, view, moved, parameters)
            if isinstance(answer, Unmeasured):
                return answer
            ends.append(answer)
        effects[column] = ends[0] - ends[1]
    ranked = sorted(effects, key=lambda column: -abs(float(effects[column].mean())))
    sizes = np.array([abs(float(effects[column].mean())) for column in ranked])
    if len(sizes) == 0 or sizes.sum() == 0:
        return Unmeasured(reason="no number moves the model's answer")
    enough = int(np.searchsorted(np.cumsum(sizes) / sizes.sum(), 0.8)) + 1
    return {column: effects[column] for column in ranked[: min(enough, MOST_EXAMINED)]}


def _swapped(values: Matrix, seen: Matrix, rows: int, *, seed: int) -> Iterator[np.float32 | Matrix]:
    if len(values) <= MOST_VALUES:
        yield from values
        return
    generator = np.random.default_rng(seed)
    for _ in STEPS:
        yield generator.choice(seen, rows)


def _answers(evidence: Evidence, view: ModelView, matrix: Matrix, rows: NDArray[np.int64]) -> Floats:
    predictions = view.predict(matrix)
    if evidence.rule.task is Task.REGRESSION:
        return predictions.values[:, 0]
    columns = {name: values[rows] for name, values in evidence.columns.items()}
    return decide(evidence.rule, predictions, columns).actions.astype(np.float64)


def _differs(evidence: Evidence, before: Floats, after: Floats) -> Mask:
    limit = _rounding(evidence, before) if evidence.rule.task is Task.REGRESSION else 0.0
    return np.asarray(np.abs(after - before) > limit)


def _rounding(evidence: Evidence, answers: Floats) -> float:
    if evidence.rule.task is Task.REGRESSION:
        return ROUNDING * max(float(np.ptp(answers)), float(np.abs(answers).max()), 1e-12)
    return ROUNDING


def _also_reading(view: ModelView, name: str, position: int) -> tuple[str, ...]:
    moved = view.feature(view.encoding.columns[position])
    return tuple(
        one.name for one in view.encoding.feature_set.features if one is not moved and name in reads(one)
    )
