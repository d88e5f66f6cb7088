"""A binary booster as one score: the answers of LightGBM, also for rare classes and missing values."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from lightgbm import LGBMClassifier

from geartrain.compression.export import to_onnx
from geartrain.domain.task import Task
from geartrain.stats.fitted import Fitted
from geartrain.stats.onnx_model import OnnxModel

NAMES = ("a", "b", "c", "d")


def fitted(rows: np.ndarray, truth: np.ndarray, **settings) -> Fitted:
    estimator = LGBMClassifier(verbose=-1, random_state=1, n_jobs=1, **settings).fit(rows, truth)
    return Fitted(
        task=Task.BINARY,
        classes=("no", "yes"),
        algorithm="lightgbm",
        settings=(),
        params=(),
        seed=1,
        code="",
        estimator=estimator,
    )


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(4000, len(NAMES))).astype(np.float32)


def holed(rows: np.ndarray) -> np.ndarray:
    return np.where(np.random.default_rng(1).random(rows.shape) < 0.3, np.float32(np.nan), rows)


def trees_of(content: bytes) -> tuple[dict[str, object], list[str]]:
    graph = onnx.load_from_string(content).graph
    (trees,) = (node for node in graph.node if node.domain == "ai.onnx.ml")
    attributes = {one.name: onnx.helper.get_attribute_value(one) for one in trees.attribute}
    return attributes, [node.op_type for node in graph.node]


@pytest.mark.parametrize("learns_from_holes", [False, True])
def test_missing_values_go_where_lightgbm_sends_them(rows, learns_from_holes):
    """Read as 0 where training had none, by each branch's own direction where it had; branches ask only then."""
    truth = (rows[:, 0] * rows[:, 1] + rows[:, 2] > 0.5).astype(int)
    model = fitted(holed(rows) if learns_from_holes else rows, truth, n_estimators=60)
    content = to_onnx(model, NAMES)
    attributes, operators = trees_of(content)
    assert any(attributes["nodes_missing_value_tracks_true"]) is learns_from_holes
    assert ("IsNaN" in operators) is not learns_from_holes
    for asked in (rows, holed(rows), np.full((1, len(NAMES)), np.nan, dtype=np.float32)):
        ours = OnnxModel(content).predict(asked).values
        assert np.abs(ours - model.estimator.predict_proba(asked)).max() < 1e-6


def test_a_rare_class_keeps_its_digits_on_both_sides(rows):
    """Probabilities of one in a million are right to four digits, whichever class is the rare one."""
    for rare in (0, 1):
        truth = np.full(len(rows), 1 - rare)
        truth[np.argsort(rows[:, 0])[-40:]] = rare
        model = fitted(rows, truth, n_estimators=150, reg_lambda=1.0)
        score = model.estimator.predict(rows, raw_score=True)
        exact = np.column_stack([1 / (1 + np.exp(score)), 1 / (1 + np.exp(-score))])
        assert 1e-12 < exact[:, rare].min() < 1e-5
        ours = OnnxModel(to_onnx(model, NAMES)).predict(rows).values
        assert (np.abs(ours - exact) / exact).max() < 1e-4


def test_alone_or_among_others_a_row_gets_the_same_answer(rows):
    """The runtime sums trees in one order, however many rows come together."""
    truth = (rows[:, 0] > rows[:, 3]).astype(int)
    asked = rows[:300]
    for trees in (10, 80, 150):
        model = OnnxModel(to_onnx(fitted(rows, truth, n_estimators=trees), NAMES))
        together = model.predict(asked).values
        for size in (1, 7, 64):
            parts = [model.predict(asked[i : i + size]).values for i in range(0, len(asked), size)]
            assert np.array_equal(np.concatenate(parts), together)
