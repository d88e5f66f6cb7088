from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from geartrain.domain.contract import Abstention, CostEntry, CostTerms, FieldTerms, FieldType
from geartrain.domain.prediction import Predictions
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.serving.runtime import ColumnWords, Matrix, Served

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def encode(rows: Sequence[Mapping[str, object]], at: datetime) -> Matrix:
    values = [[_float(row.get("size")), _float(row.get("age"))] for row in rows]
    return np.array(values, dtype=np.float32).reshape(-1, 2)


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def sigmoid_of_size(matrix: Matrix) -> Predictions:
    """p(malignant) = sigmoid(size - 10), a missing size counts as 10."""
    size = np.nan_to_num(matrix[:, 0].astype(np.float64), nan=10.0)
    p = 1 / (1 + np.exp(10.0 - size))
    return Predictions(task=Task.BINARY, classes=("benign", "malignant"), values=np.column_stack([1 - p, p]))


def build(**changes: Any) -> Served:
    rule = DecisionRule(
        task=Task.BINARY,
        classes=("benign", "malignant"),
        actions=("follow up", "biopsy"),
        costs=CostTerms(
            entries=(
                CostEntry(name="false_negative", action="follow up", truth="malignant", cost="9"),
                CostEntry(name="false_positive", action="biopsy", truth="benign", cost="1"),
            )
        ),
        abstain=changes.pop("abstain", None),
        fallback="biopsy",
    )
    given: dict[str, Any] = {
        "release": "r1",
        "product": "triage",
        "rule": rule,
        "columns": ("size", "age"),
        "predict": sigmoid_of_size,
        "encode": encode,
        "fields": (
            FieldTerms(name="sample_id", type=FieldType.STRING, required=True),
            FieldTerms(name="size", type=FieldType.NUMBER, minimum=0, maximum=50),
            FieldTerms(
                name="diagnosis", type=FieldType.STRING, values=("benign", "malignant"), required=True
            ),
        ),
        "key": "sample_id",
        "label": "diagnosis",
        "positive": "malignant",
        "words": (ColumnWords(column="size", label="mean radius", unit="µm", reference=10.0),),
    }
    return Served(**(given | changes))


@pytest.fixture
def make_served() -> Callable[..., Served]:
    return build


@pytest.fixture
def make_abstention() -> Callable[..., Abstention]:
    def make(**terms: Any) -> Abstention:
        return Abstention(then="ask a pathologist", cost="2", **terms)

    return make
