"""The exported graph decides as the fitted model does, for every task, with holes in the rows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from geartrain.compression.export import to_onnx
from geartrain.compression.parity import parity
from geartrain.domain.task import Task
from geartrain.errors import ModelNotExportable
from geartrain.stats.onnx_model import OnnxModel
from geartrain.training.examples import Examples
from geartrain.training.fitting import fit
from geartrain.training.recipe import recipe

MODELS = [
    ("tumours", "logistic", "none", {}),
    ("tumours", "logistic", "sigmoid", {}),
    ("tumours", "lightgbm", "none", {"n_estimators": 30}),
    ("tumours", "lightgbm", "sigmoid", {"n_estimators": 30}),
    ("tumours", "lightgbm", "isotonic", {"n_estimators": 30}),
    ("tumours", "random-forest", "sigmoid", {"n_estimators": 20}),
    ("wines", "lightgbm", "none", {"n_estimators": 20}),
    ("wines", "lightgbm", "sigmoid", {"n_estimators": 20}),
    ("wines", "lightgbm", "isotonic", {"n_estimators": 20}),
    ("wines", "logistic", "none", {}),
    ("wines", "random-forest", "none", {"n_estimators": 20}),
    ("patients", "lightgbm", "none", {"n_estimators": 30}),
    ("patients", "ridge", "none", {}),
    ("patients", "random-forest", "none", {"n_estimators": 20}),
]


def holed(matrix: np.ndarray, share: float, seed: int) -> np.ndarray:
    copy = matrix.copy()
    copy[np.random.default_rng(seed).random(copy.shape) < share] = np.nan
    return copy


@pytest.mark.parametrize(("name", "algorithm", "calibrate", "params"), MODELS)
def test_every_decision_is_the_same(cases, name, algorithm, calibrate, params):
    """Rows as they are and rows with a fifth of their values missing get the decisions of the fitted model."""
    case = cases[name]
    fitted = case.fit(algorithm, calibrate, **params)
    model = OnnxModel(to_onnx(fitted, case.columns))
    assert (model.task, model.classes, model.columns) == (case.rule.task, case.rule.classes, case.columns)
    for matrix in (case.second.matrix, holed(case.second.matrix, 0.2, 1)):
        found = parity(fitted.predict(matrix), model.predict(matrix), case.rule, {})
        assert found.decisions_agree == 1.0
        scale = 1.0 if case.rule.task.has_classes else 300.0
        assert found.largest_change < 2e-5 * scale


@pytest.mark.parametrize("name", ["tumours", "patients"])
def test_missing_values_seen_in_training_go_lightgbms_way(cases, name):
    """With holes in the training rows the trees learn where missing goes, and the graph follows."""
    case = cases[name]
    taught = Examples(matrix=holed(case.first.matrix, 0.3, 2), truth=case.first.truth, columns={})
    fitted = fit(recipe("lightgbm", calibrate="none"), {"n_estimators": 25}, taught, case.rule, seed=1)
    model = OnnxModel(to_onnx(fitted, case.columns))
    for share in (0.0, 0.3, 1.0):
        matrix = holed(case.second.matrix, share, 3)
        change = np.abs(fitted.predict(matrix).values - model.predict(matrix).values)
        assert change.max() < 1e-4


def test_missing_values_never_seen_in_training_follow_too(cases):
    """Centred columns, where LightGBM reads an unforeseen NaN as 0: the graph sends it the same way."""
    case = cases["tumours"]
    centre = case.first.matrix.mean(axis=0)
    taught = Examples(matrix=case.first.matrix - centre, truth=case.first.truth, columns={})
    fitted = fit(recipe("lightgbm", calibrate="none"), {"n_estimators": 25}, taught, case.rule, seed=1)
    model = OnnxModel(to_onnx(fitted, case.columns))
    matrix = holed(case.second.matrix - centre, 0.4, 5)
    assert np.abs(fitted.predict(matrix).values - model.predict(matrix).values).max() < 1e-5


def test_rows_on_a_threshold_do_not_change_sides(cases):
    """Neighbouring float32 values, where rounding a threshold to the nearest would flip rows."""
    random = np.random.default_rng(1)
    start = np.float32(1.0)
    ladder = [start]
    for _ in range(5):
        ladder.append(np.nextafter(ladder[-1], np.float32(2)))
    column = random.choice(np.asarray(ladder, dtype=np.float32), 400)
    truth = (column > ladder[2]).astype(np.int64)
    rows = Examples(matrix=column[:, None], truth=truth, columns={})
    fitted = fit(
        recipe("lightgbm", calibrate="none"),
        {"n_estimators": 5, "min_data_in_bin": 1},
        rows,
        cases["tumours"].rule,
        seed=1,
    )
    model = OnnxModel(to_onnx(fitted, ("x",)))
    reference = fitted.predict(rows.matrix)
    assert len(np.unique(reference.values[:, 1])) > 1
    assert np.abs(reference.values - model.predict(rows.matrix).values).max() < 1e-6


SCRIPT = """
import hashlib, sys
sys.path.insert(0, {tests!r})
import conftest
from geartrain.compression.export import to_onnx
for case, name, calibrate in ((conftest.tumour_case(), "lightgbm", "sigmoid"), (conftest.wine_case(), "logistic", "isotonic")):
    print(hashlib.sha256(to_onnx(case.fit(name, calibrate), case.columns)).hexdigest())
"""


def test_the_same_model_has_the_same_bytes_in_every_process():
    """Nothing random and no clock is in the artifact: its digest is the model's name."""
    script = SCRIPT.format(tests=str(Path(__file__).parent))
    said = [
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1]
    assert len(said[0].split()) == 2


def test_the_graph_is_plain(cases):
    """One input, one output, no label, no ZipMap, no node that the answer does not need."""
    content = to_onnx(cases["tumours"].fit("lightgbm", "sigmoid", n_estimators=5), cases["tumours"].columns)
    graph = onnx.load_from_string(content).graph
    onnx.checker.check_model(content, full_check=True)
    assert [one.name for one in graph.input] == ["features"]
    assert [one.name for one in graph.output] == ["probabilities"]
    assert not {"ZipMap", "ArrayFeatureExtractor"} & {node.op_type for node in graph.node}
    assert [node.op_type for node in graph.node if node.domain == "ai.onnx.ml"] == ["TreeEnsembleRegressor"]


def test_a_pipeline_that_ends_in_lightgbm_is_exported(cases):
    """A team's own pipeline with LightGBM as its last step goes through the same converter."""
    from lightgbm import LGBMClassifier

    case = cases["tumours"]
    own = recipe(
        lambda params, seed: make_pipeline(
            StandardScaler(), LGBMClassifier(n_estimators=10, verbosity=-1, random_state=seed)
        ),
        name="scaled-lightgbm",
        calibrate="none",
    )
    fitted = fit(own, {}, case.first, case.rule, seed=1)
    model = OnnxModel(to_onnx(fitted, case.columns))
    found = parity(fitted.predict(case.second.matrix), model.predict(case.second.matrix), case.rule, {})
    assert found.decisions_agree >= 0.98


class Oddity(LocalOutlierFactor):
    """An estimator that no converter knows, with an answer for each class."""

    def fit(self, matrix, truth):
        self.classes_ = np.unique(truth)
        return self

    def predict(self, matrix):
        return np.zeros(len(matrix))

    def predict_proba(self, matrix):
        return np.full((len(matrix), 2), 0.5)


def test_an_estimator_without_a_form_is_refused_with_a_hint(cases):
    """What cannot be exported cannot be released, and the error says what can."""
    case = cases["tumours"]
    fitted = fit(
        recipe(lambda params, seed: Oddity(), name="oddity", calibrate="none"),
        {},
        case.first,
        case.rule,
        seed=1,
    )
    with pytest.raises(ModelNotExportable, match="no ONNX form") as caught:
        to_onnx(fitted, case.columns)
    assert "Oddity" in caught.value.found
    assert "LightGBM" in caught.value.hint


def test_bytes_that_are_no_model_are_refused():
    """Rubbish, an empty file and a foreign model are a ValueError that says so."""
    for content in (b"", b"rubbish"):
        with pytest.raises(ValueError, match="readable ONNX"):
            OnnxModel(content)
    info = onnx.helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, [None, 1])
    out = onnx.helper.make_tensor_value_info("value", onnx.TensorProto.FLOAT, [None, 1])
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["features"], ["value"])], "g", [info], [out]
    )
    foreign = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(ValueError, match="lacks the metadata"):
        OnnxModel(foreign.SerializeToString())


def test_parity_counts_changed_decisions(cases):
    """A changed decision is seen; answers of other rows are refused."""
    case = cases["patients"]
    fitted = case.fit("ridge")
    one = fitted.predict(case.second.matrix)
    other = fitted.predict(case.second.matrix)
    other.values[0] += 50.0
    found = parity(one, other, case.rule, {})
    assert found.decisions_agree == pytest.approx(1 - 1 / len(case.second))
    assert found.largest_change == pytest.approx(50.0)
    with pytest.raises(ValueError, match="the candidate"):
        parity(one, fitted.predict(case.second.matrix[:3]), case.rule, {})
    assert case.rule.task is Task.REGRESSION
