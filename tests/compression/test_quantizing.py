"""Number formats: they change the model, so they are judged again; and what does not gain is not taken."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.neural_network import MLPClassifier

from geartrain.compression.choosing import Measured, choose
from geartrain.compression.export import to_onnx
from geartrain.compression.quantizing import Format, has_weights, reformatted
from geartrain.compression.rechoosing import matched
from geartrain.compression.variants import variants
from geartrain.domain.contract import CostEntry, CostTerms
from geartrain.domain.model import Parity, Speed
from geartrain.domain.prediction import Predictions
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.errors import ModelNotExportable
from geartrain.stats.deciding import decide
from geartrain.stats.onnx_model import OnnxModel
from geartrain.stats.ranking import auc
from geartrain.training.examples import Examples, row_costs
from geartrain.training.fitting import fit
from geartrain.training.recipe import recipe

SMALLER = (Format.FLOAT16, Format.INT8_DYNAMIC, Format.INT8_STATIC)
RULE = DecisionRule(
    task=Task.BINARY,
    classes=("n", "y"),
    actions=("n", "y"),
    costs=CostTerms(entries=(CostEntry(name="missed", action="n", truth="y", cost="3"),), otherwise="1"),
)


def perceptron(params, seed):
    return MLPClassifier(hidden_layer_sizes=(32,), max_iter=60, random_state=seed)


@pytest.fixture(scope="module")
def net(cases):
    """A perceptron of scikit-learn's on tumours, brought to one scale by hand."""
    case = cases["tumours"]
    centre, spread = case.first.matrix.mean(axis=0), case.first.matrix.std(axis=0)
    rows = [
        Examples(matrix=((one.matrix - centre) / spread).astype(np.float32), truth=one.truth, columns={})
        for one in (case.first, case.second)
    ]
    fitted = fit(recipe(perceptron, calibrate="none"), {}, rows[0], case.rule, seed=1)
    return case, fitted, rows[0], rows[1]


def test_every_format_answers_and_is_smaller(net):
    """Half precision and both kinds of eight bits keep input, output, classes and columns, in fewer bytes."""
    case, fitted, first, second = net
    whole = to_onnx(fitted, case.columns)
    assert has_weights(whole)
    wanted = OnnxModel(whole).predict(second.matrix).of("malignant")
    for form in SMALLER:
        small = reformatted(whole, form, first.matrix)
        model = OnnxModel(small)
        assert (model.classes, model.columns, model.task) == (case.rule.classes, case.columns, Task.BINARY)
        assert np.abs(model.predict(second.matrix).of("malignant") - wanted).max() < 0.2
        if form is Format.FLOAT16:
            assert len(small) < len(whole)
    assert reformatted(whole, Format.FLOAT32, first.matrix) is whole
    assert reformatted(whole, Format.INT8_STATIC, first.matrix) == reformatted(
        whole, Format.INT8_STATIC, first.matrix
    )


def test_trees_have_no_smaller_numbers(cases):
    """A graph of trees holds no weights that a format would shrink, and gets no such variants."""
    case = cases["tumours"]
    fitted = case.fit("lightgbm", n_estimators=5)
    made = variants(fitted, case.columns, case.second.matrix, taught=case.first.matrix)
    assert [one.name for one in made] == ["reference"]


def test_variants_have_the_formats(net):
    """A model with weights is offered in each format beside the reference, each with answers of its own."""
    case, fitted, first, second = net
    made = variants(fitted, case.columns, second.matrix, taught=first.matrix)
    assert [one.name for one in made] == ["reference", *(f"reference+{form}" for form in SMALLER)]
    assert all(len(one.answers) == len(second) for one in made)


def test_what_is_no_graph_has_no_format():
    """Bytes that the tools cannot read are refused in words of this product."""
    with pytest.raises(ModelNotExportable, match="no form in fp16"):
        reformatted(b"nonsense", Format.FLOAT16, np.zeros((1, 2), dtype=np.float32))


def wide_ranged() -> tuple[bytes, Examples]:
    """A linear model in which a column without meaning ranges ten thousand times as far as the one that decides."""
    random = np.random.default_rng(1)
    matrix = np.column_stack([random.random(3000), random.random(3000) * 1e4]).astype(np.float32)
    truth = (matrix[:, 0] + 0.1 * random.normal(size=3000) > 0.5).astype(np.int64)
    weights = np.array([[-10.0, 10.0], [1e-6, -1e-6]], dtype=np.float32)
    nodes = [
        helper.make_node("MatMul", ["features", "w"], ["s"]),
        helper.make_node("Add", ["s", "b"], ["t"]),
        helper.make_node("Softmax", ["t"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2])],
        initializer=[
            numpy_helper.from_array(weights, "w"),
            numpy_helper.from_array(np.array([5.0, -5.0], dtype=np.float32), "b"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in {"task": "binary", "classes": '["n", "y"]', "columns": '["a", "b"]'}.items():
        model.metadata_props.add(key=key, value=value)
    return model.SerializeToString(), Examples(matrix=matrix, truth=truth, columns={})


def speed(size: int, p50: float) -> Speed:
    return Speed(
        p50_us=p50, p99_us=2 * p50, rows_per_s=1e6 / p50, size_bytes=size, memory_bytes=size, repeats=2000,
        p50_low_us=0.99 * p50, p50_high_us=1.01 * p50, p99_low_us=p50, p99_high_us=3 * p50,
    )  # fmt: skip


def test_static_eight_bits_lose_without_a_word_and_are_judged_again():
    """The tool says nothing, the model runs, and its AUC has fallen from .98 to about chance; it is not chosen."""
    content, rows = wide_ranged()
    small = reformatted(content, Format.INT8_STATIC, rows.matrix)
    answers = [OnnxModel(one).predict(rows.matrix) for one in (content, small)]
    values = [auc(one.of("y"), rows.truth == 1).value for one in answers]
    assert values[0] > 0.95
    assert values[1] < values[0] - 0.07
    same = Parity(decisions_agree=1.0, largest_change=0.0, rows=len(rows))
    measured = [
        Measured(name=name, speed=speed(size, 20.0), parity=same, costs=row_costs(RULE, said, rows))
        for name, size, said in (("reference", 1000, answers[0]), ("int8-static", 300, answers[1]))
    ]
    choice = choose(measured, seed=1, worst=3.0)
    assert choice.chosen == "reference"
    assert "not proven" in choice.rows[1].reason


def test_a_slower_format_does_not_gain():
    """Equal decisions in a third of the bytes, but twice the time a row: not taken, unless the size is what is asked."""
    costs = np.tile([0.0, 1.0], 1500)
    same = Parity(decisions_agree=1.0, largest_change=0.0, rows=3000)
    measured = [
        Measured(name="reference", speed=speed(1000, 20.0), parity=same, costs=costs),
        Measured(name="int8", speed=speed(300, 40.0), parity=same, costs=costs),
    ]
    choice = choose(measured, seed=1, worst=3.0)
    assert choice.chosen == "reference"
    assert "does not gain: a row takes 2.0 times as long" in choice.rows[1].reason
    assert choose(measured, seed=1, worst=3.0, most_bytes=500).chosen == "int8"


def test_within_the_budget_the_surest_is_taken():
    """Of two variants that fit, the one whose cost may rise less wins over the smaller one."""
    random = np.random.default_rng(2)
    costs = (random.random(4000) < 0.3).astype(np.float64)
    worse = costs.copy()
    worse[random.choice(4000, 12, replace=False)] = 1.0
    same = Parity(decisions_agree=1.0, largest_change=0.0, rows=4000)
    measured = [
        Measured(name=name, speed=speed(size, 20.0), parity=same, costs=cost)
        for name, size, cost in (("reference", 1000, costs), ("fifth", 200, costs), ("tenth", 100, worse))
    ]
    assert choose(measured, seed=1, worst=3.0).chosen == "tenth"
    choice = choose(measured, seed=1, worst=3.0, most_bytes=250)
    assert choice.chosen == "fifth"
    assert "fifth is surer" in choice.rows[2].reason


def test_few_positives_prove_nothing_and_it_is_said_how_many_would():
    """385 frauds in 58,000 payments cannot show that a tenfold smaller model costs at most 5 % more."""
    random = np.random.default_rng(3)
    costs = np.zeros(58_264)
    frauds = random.choice(len(costs), 385, replace=False)
    costs[frauds[:120]] = 60.0
    moved = costs.copy()
    moved[frauds[:20]], moved[frauds[120:141]] = 0.0, 60.0
    same = Parity(decisions_agree=0.999, largest_change=0.5, rows=len(costs))
    measured = [
        Measured(name="reference", speed=speed(1000, 20.0), parity=same, costs=costs),
        Measured(name="tenth", speed=speed(100, 10.0), parity=same, costs=moved),
    ]
    choice = choose(measured, seed=1, positives=385)
    assert choice.chosen == "reference"
    assert "not proven" in choice.rows[1].reason
    assert "of them positive" in choice.rows[1].reason


def test_a_shifted_model_gets_the_threshold_at_which_it_acts_as_often():
    """Halved probabilities decide as before once the threshold follows; what has not moved keeps its rule."""
    random = np.random.default_rng(4)
    p = random.random(2000)
    reference = Predictions(task=Task.BINARY, classes=("n", "y"), values=np.column_stack([1 - p, p]))
    odds = p / (1 - p) / 4
    q = odds / (1 + odds)
    shifted = Predictions(task=Task.BINARY, classes=("n", "y"), values=np.column_stack([1 - q, q]))
    found = matched(RULE, reference, shifted, {})
    assert found is not None
    assert found.class_weights[1] == pytest.approx(4.0, rel=0.01)
    agree = decide(found, shifted, {}).actions == decide(RULE, reference, {}).actions
    assert agree.mean() > 0.998
    assert matched(RULE, reference, reference, {}) is None
