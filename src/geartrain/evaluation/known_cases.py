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
from geartrain.evaluation.evidence import Evidence, Mask, Measured, Unmeasured
from geartrain.evaluation.model_view import MISSING_SUFFIX, Matrix, ModelView
from geartrain.stats.deciding import ABSTAINED, decide


def cases(evidence: Evidence, view: ModelView, mask: Mask, parameters: Parameters) -> Measured:
    """The share of the contract's known cases that are answered wrongly; a closed list, so exact.

    What a case does not say is missing, as in a request, unless no evaluated row ever misses it:
    then it is typical (the median, or the most frequent text). A window feature is given by its own name.
    """
    del mask
    wrong, told = [], json.loads(str(parameters.get("cases", "[]")))
    if not told:
        return Unmeasured(reason="the clause names no case")
    for number, case in enumerate(told, start=1):
        try:
            answer = _answer(evidence, view, case["row"])
        except ExpressionInvalid as error:
            return Unmeasured(reason=f"case {number} cannot be asked: {error.message}")
        if not _right(answer, case):
            shown = answer if isinstance(answer, str) else f"{answer:.4g}"
            wanted = case.get("action") or f"between {case['between'][0]:g} and {case['between'][1]:g}"
            wrong.append(f"{case.get('because') or f'case {number}'}: {shown}, not {wanted}")
    return Measurement.exact(
        len(wrong) / len(told), rows=len(told), method="known cases", note="; ".join(wrong)
    )


def encoded_case(evidence: Evidence, view: ModelView, row: Mapping[str, Any]) -> tuple[Matrix, Columns]:
    """A case as the model's input, shape (1, d), and as raw columns of length 1."""
    columns = {name: _typical(values) for name, values in evidence.columns.items()}
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


def _answer(evidence: Evidence, view: ModelView, row: Mapping[str, Any]) -> str | float:
    matrix, columns = encoded_case(evidence, view, row)
    predictions = view.predict(matrix)
    if evidence.rule.task is Task.REGRESSION:
        return float(predictions.values[0, 0])
    action = int(decide(evidence.rule, predictions, columns).actions[0])
    if action == ABSTAINED:
        return evidence.rule.abstain.then if evidence.rule.abstain else "abstain"
    return evidence.rule.actions[action] if evidence.rule.actions else PREDICT


def _right(answer: str | float, case: Mapping[str, Any]) -> bool:
    if isinstance(answer, str):
        return bool(answer == case.get("action"))
    low, high = case["between"]
    return bool(low <= answer <= high)


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
