"""Known cases: rows whose right answer everyone agrees on, decided by the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from geartrain.domain.columns import numbers, texts, value_of
from geartrain.domain.expression import Columns, Values, parse
from geartrain.domain.features import Feature, FeatureType, RequestFeature
from geartrain.domain.finding import Measurement
from geartrain.domain.rule import PREDICT
from geartrain.domain.task import Task
from geartrain.errors import ExpressionInvalid
from geartrain.evaluation.action_metrics import Parameters
from geartrain.evaluation.evidence import Mask, Measured, Unmeasured
from geartrain.evaluation.model_view import MISSING_SUFFIX, Matrix, ModelView, respond
from geartrain.evaluation.scene import Scene
from geartrain.stats.deciding import ABSTAINED, decide
from geartrain.stats.intervals import zero_failures_bound

#: A smaller relative change of an answer is rounding.
ROUNDING = 1e-6


def cases(scene: Scene, view: ModelView, mask: Mask, parameters: Parameters) -> Measured:
    """The share of the contract's known cases that are answered wrongly; a closed list, so exact.

    A case says the right answer, or a change and what that must do to the answer: leave
    the decision as it is, or move the probability (the value) in a direction. What a case
    does not say is missing, as in a request, unless no row ever misses it: then it is
    typical (the median, or the most frequent text). A window feature is given by its own name.

    Without a failure in n cases the note says 1 - alpha^(1/n): how often cases drawn like
    these could still fail. Kinds of cases: Ribeiro et al. (2020), "Beyond accuracy:
    behavioral testing of NLP models with CheckList" (minimum functionality, invariance,
    directional expectation).
    """
    del mask
    wrong, told = [], json.loads(str(parameters.get("cases", "[]")))
    if not told:
        return Unmeasured(reason="the clause names no case")
    for number, case in enumerate(told, start=1):
        try:
            fault = _fault(scene, view, case)
        except ExpressionInvalid as error:
            return Unmeasured(reason=f"case {number} cannot be asked: {error.message}")
        if isinstance(fault, Unmeasured):
            return Unmeasured(reason=f"case {number} cannot be asked: {fault.reason}")
        if fault:
            wrong.append(f"{case.get('because') or f'case {number}'}: {fault}")
    note = "; ".join(wrong)
    if not wrong:
        bound = zero_failures_bound(len(told), confidence=scene.confidence)
        note = f"of cases drawn like these, up to {bound:.0%} could still be wrong"
    return Measurement.exact(len(wrong) / len(told), rows=len(told), method="known cases", note=note)


def encoded_case(scene: Scene, view: ModelView, row: Mapping[str, Any]) -> tuple[Matrix, Columns]:
    """A case as the model's input, shape (1, d), and as raw columns of length 1."""
    columns = {name: _typical(values) for name, values in scene.columns.items()}
    columns |= {name: value_of(value) for name, value in row.items()}
    matrix = np.full((1, len(view.encoding.columns)), np.nan, dtype=np.float32)
    for position, name in enumerate(view.encoding.columns):
        feature = view.feature(name)
        if feature is None:
            continue
        if not isinstance(feature, RequestFeature) and feature.name not in row:
            matrix[0, position] = _typical_code(view.matrix[:, position], category=view.is_category(position))
            continue
        value = _value(feature, row, columns)
        missing = _is_missing(value)
        if name.endswith(MISSING_SUFFIX) and feature.name != name:
            matrix[0, position] = float(missing)
        elif not missing:
            matrix[0, position] = _encoded(view, feature, value)
    return matrix, columns


def _fault(scene: Scene, view: ModelView, case: Mapping[str, Any]) -> str | Unmeasured:
    """What is wrong with the answer to a case; empty where it is right."""
    if "change" in case:
        return _fault_of_change(scene, view, case)
    answer = _answer(scene, view, case["row"])
    if isinstance(answer, str):
        wanted = case.get("action")
        return "" if answer == wanted else f"{answer}, not {wanted}"
    low, high = case["between"]
    return "" if low <= answer <= high else f"{answer:.4g}, not between {low:g} and {high:g}"


def _fault_of_change(scene: Scene, view: ModelView, case: Mapping[str, Any]) -> str | Unmeasured:
    before, after = case["row"], {**case["row"], **case["change"]}
    moved = " and ".join(f"{name} {value}" for name, value in case["change"].items())
    if case["then"] == "same":
        first, second = _answer(scene, view, before), _answer(scene, view, after)
        if isinstance(first, str) or isinstance(second, str):
            return "" if first == second else f"with {moved} {second}, not still {first}"
        rounding = ROUNDING * max(abs(first), abs(second), 1e-12)
        return "" if abs(first - second) <= rounding else f"with {moved} {second:.4g}, not still {first:.4g}"
    ends = []
    for row in (before, after):
        matrix, _ = encoded_case(scene, view, row)
        said = respond(scene, view, matrix, {})
        if isinstance(said, Unmeasured):
            return said
        ends.append(float(said[0]))
    first, second = ends
    rose = second - first if case["then"] == "rises" else first - second
    if rose > ROUNDING * max(abs(first), abs(second), 1e-12):
        return ""
    must = "rise" if case["then"] == "rises" else "fall"
    went = f"stays at {first:.4g}" if first == second else f"goes from {first:.4g} to {second:.4g}"
    return f"with {moved} the answer {went}, where it must {must}"


def _answer(scene: Scene, view: ModelView, row: Mapping[str, Any]) -> str | float:
    matrix, columns = encoded_case(scene, view, row)
    predictions = view.predict(matrix)
    if scene.rule.task is Task.REGRESSION:
        return float(predictions.values[0, 0])
    action = int(decide(scene.rule, predictions, columns).actions[0])
    if action == ABSTAINED:
        return scene.rule.abstain.then if scene.rule.abstain else "abstain"
    return scene.rule.actions[action] if scene.rule.actions else PREDICT


def _value(feature: Feature, row: Mapping[str, Any], columns: Columns) -> Values:
    wanted = parse(feature.expression).columns if isinstance(feature, RequestFeature) else ()
    if not isinstance(feature, RequestFeature) or (feature.name in row and feature.name not in wanted):
        return value_of(row[feature.name])
    known = {name: columns.get(name, value_of(None)) for name in wanted}
    return parse(feature.expression).evaluate(known, rows=1)


def _encoded(view: ModelView, feature: Feature, value: Values) -> float:
    known = dict(view.encoding.categories).get(feature.name)
    if feature.type is FeatureType.NUMBER or known is None:
        return float(numbers(value)[0])
    text = texts(value)[0]
    return float(known.index(text)) if text in known else float("nan")


def _typical_code(seen: Matrix, *, category: bool) -> float:
    """What a matrix column usually holds, NaN where some row misses it."""
    if len(seen) == 0 or np.isnan(seen).any():
        return float("nan")
    if not category:
        return float(np.median(seen))
    codes, counts = np.unique(seen, return_counts=True)
    return float(codes[int(counts.argmax())])


def _typical(values: Values) -> Values:
    if len(values) == 0:
        return value_of(None)
    if values.dtype == object:
        told = [one for one in texts(values).tolist() if one is not None]
        if len(told) < len(values):
            return value_of(None)
        names, counts = np.unique(told, return_counts=True)
        return value_of(str(names[int(counts.argmax())]))
    if values.dtype == bool:
        return value_of(bool(values.mean() >= 0.5))
    amounts = numbers(values)
    return value_of(None if np.isnan(amounts).any() else float(np.median(amounts)))


def _is_missing(value: Values) -> bool:
    return texts(np.atleast_1d(value))[0] is None
