"""Neural nets through PyTorch: taught the same every time, exported as one graph, made smaller."""

import numpy as np
import pytest

from geartrain.compression.export import to_onnx
from geartrain.compression.parity import parity
from geartrain.compression.pruning import narrowed
from geartrain.compression.quantizing import Format, reformatted
from geartrain.compression.variants import smaller, variants
from geartrain.domain.contract import CostTerms
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.engine.shaped import DISTILLED, PRUNED, shaped_fit
from geartrain.errors import ModelNotExportable
from geartrain.stats.onnx_model import OnnxModel
from geartrain.training.examples import Examples
from geartrain.training.fitting import fit
from geartrain.training.recipe import recipe

torch = pytest.importorskip("torch", reason="the extra `[torch]` is not installed")
pytest.importorskip("onnxscript", reason="the extra `[torch]` is not installed")

SETTINGS = {"hidden": 16, "epochs": 8, "learning_rate": 0.01}
COLUMNS = ("a", "b", "c")


def rows(task=Task.BINARY, seed=1, count=500):
    random = np.random.default_rng(seed)
    matrix = (random.normal(size=(count, 3)) * [1.0, 100.0, 1e-3]).astype(np.float32)
    score = matrix[:, 0] + matrix[:, 1] / 100 + 0.3 * random.normal(size=count)
    matrix[random.random(matrix.shape) < 0.05] = np.nan
    truth = score if task is Task.REGRESSION else (score > 0).astype(np.int64)
    return Examples(matrix=matrix, truth=truth, columns={})


def rule(task=Task.BINARY):
    classes = ("no", "yes") if task is Task.BINARY else ()
    return DecisionRule(task=task, classes=classes, actions=classes or ("predict",), costs=CostTerms())


@pytest.fixture(scope="module")
def fitted():
    return fit(recipe("torch", calibrate="none"), SETTINGS, rows(), rule(), seed=1)


@pytest.fixture(scope="module")
def content(fitted):
    return to_onnx(fitted, COLUMNS)


def test_a_net_learns_columns_of_any_scale_with_holes(fitted):
    """Three columns a hundred thousand times apart, a twentieth missing: it decides rightly about new rows."""
    fresh = rows(seed=2)
    said = fitted.predict(fresh.matrix).of("yes")
    assert ((said > 0.5) == (fresh.truth == 1)).mean() > 0.8


def test_the_same_rows_and_seed_give_the_same_net(fitted):
    """Bit for bit, whatever dice were thrown before."""
    torch.rand(7)
    again = fit(recipe("torch", calibrate="none"), SETTINGS, rows(), rule(), seed=1)
    other = fit(recipe("torch", calibrate="none"), SETTINGS, rows(), rule(), seed=2)
    matrix = rows(seed=3).matrix
    assert np.array_equal(fitted.predict(matrix).values, again.predict(matrix).values)
    assert not np.array_equal(fitted.predict(matrix).values, other.predict(matrix).values)
    assert dict(fitted.params)["hidden"] == 16
    assert dict(fitted.params)["batch"] == 128


def test_the_graph_decides_as_the_net(fitted, content):
    """One file from raw rows to probabilities: scaling and filling inside, any number of rows, no path of this machine in it."""
    model = OnnxModel(content)
    for count in (1, 2, 300):
        matrix = rows(seed=4, count=count).matrix
        found = parity(fitted.predict(matrix), model.predict(matrix), rule(), {})
        assert found.decisions_agree == 1.0
        assert found.largest_change < 1e-5
    assert b"site-packages" not in content
    assert b".py" not in content


def test_a_calibrated_net_and_a_value_are_exported_too():
    """A calibrator follows the net in the graph; a regression's answer is in its own unit."""
    calibrated = fit(recipe("torch"), {**SETTINGS, "epochs": 2}, rows(count=200), rule(), seed=1)
    valued = fit(
        recipe("torch", calibrate="none"), SETTINGS, rows(Task.REGRESSION), rule(Task.REGRESSION), seed=1
    )
    for one in (calibrated, valued):
        matrix = rows(seed=5).matrix
        change = np.abs(OnnxModel(to_onnx(one, COLUMNS)).predict(matrix).values - one.predict(matrix).values)
        assert change.max() < 1e-5
    fresh = rows(Task.REGRESSION, seed=6)
    assert np.corrcoef(valued.predict(fresh.matrix).values[:, 0], fresh.truth)[0, 1] > 0.8


def test_a_net_has_students_and_pruned_variants(fitted):
    """Narrower students learn from its probabilities, pruning takes half of the units, and the settings say how."""
    assert [name for name, _ in smaller(fitted)] == ["distilled-hidden-8", "distilled-hidden-4", "pruned-50%"]
    taught = rows()

    def refit(changes):
        return shaped_fit(
            recipe("torch", calibrate="none"),
            {**SETTINGS, **changes},
            taught,
            rule(),
            reference=SETTINGS,
            seed=1,
        )

    made = {
        one.name: one for one in variants(fitted, COLUMNS, taught.matrix, refit=refit, taught=taught.matrix)
    }
    assert {
        "reference+fp16",
        "reference+int8-dynamic",
        "reference+int8-static",
        "pruned-50%+int8-static",
    } <= made.keys()
    whole = made["reference"].answers.of("yes")
    for name in ("distilled-hidden-8", "pruned-50%", "reference+int8-static", "reference+fp16"):
        assert np.corrcoef(made[name].answers.of("yes"), whole)[0, 1] > 0.9
    assert len(made["pruned-50%"].onnx) < len(made["reference"].onnx)
    assert dict(made["pruned-50%"].fitted.settings)[PRUNED] == 0.5
    assert dict(made["distilled-hidden-8"].fitted.params)[DISTILLED] is True


def test_pruning_keeps_the_channels_that_matter():
    """Channels whose normalising scale is zero leave, and the answer is exactly the same without them."""
    from torch import nn

    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(),
        nn.Conv2d(6, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(1), nn.Linear(4 * 9, 5), nn.ReLU(), nn.Linear(5, 2),
    ).eval()  # fmt: skip
    with torch.no_grad():
        net[2].weight[[0, 2, 5]], net[2].bias[[0, 2, 5]] = 0.0, 0.0
        net[5].weight[[1, 3]], net[5].bias[[1, 3]] = 0.0, 0.0
        net[8].weight[[0, 4]], net[8].bias[[0, 4]] = 0.0, 0.0
    small = narrowed(net, 0.5).eval()
    assert [small[1].out_channels, small[4].in_channels, small[4].out_channels] == [3, 3, 2]
    assert (small[8].in_features, small[8].out_features, small[10].in_features) == (18, 2, 2)
    pictures = torch.rand(5, 64)
    with torch.no_grad():
        whole = narrowed(net, 0.0)(pictures)
        assert torch.equal(whole, net(pictures))
        kept = [1, 2, 3]
        weight = net[8].weight.reshape(5, 4, 9)[:, [0, 2]].abs().sum(dim=(1, 2))
        wanted = sorted(weight.topk(2).indices.tolist())
        assert set(wanted) <= set(kept)
        inner = net[:8](pictures)
        hidden = torch.relu(net[8](inner))[:, wanted]
        expected = hidden @ net[10].weight[:, wanted].T + net[10].bias
        assert torch.allclose(small(pictures), expected, atol=1e-6)
    with pytest.raises(ModelNotExportable, match="chain"):
        narrowed(net[1], 0.5)


def test_a_teams_own_net_of_skorch_goes_the_whole_way():
    """A skorch classifier from the team's function is taught, and exported with softmax behind its scores."""
    pytest.importorskip("skorch", reason="the extra `[torch]` is not installed")

    def own(params, seed):
        import skorch
        from torch import nn

        net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
        return skorch.NeuralNetClassifier(
            net, criterion=nn.CrossEntropyLoss, max_epochs=3, lr=0.1, train_split=None, verbose=0
        )

    plain = rows()
    taught = Examples(matrix=np.nan_to_num(plain.matrix), truth=plain.truth, columns={})
    one = fit(recipe(own, calibrate="none"), {}, taught, rule(), seed=1)
    said = OnnxModel(to_onnx(one, COLUMNS)).predict(taught.matrix)
    assert np.abs(said.values - one.predict(taught.matrix).values).max() < 1e-5
    assert np.allclose(said.values.sum(axis=1), 1.0, atol=1e-6)


def test_a_net_that_decides_in_python_is_refused():
    """A branch on the data cannot be written as a graph; the refusal says what to do."""

    class Branching(torch.nn.Module):
        def __init__(self, width, outputs):
            super().__init__()
            self.layer = torch.nn.Linear(width, outputs)

        def forward(self, features):
            return self.layer(features) if features.sum() > 0 else self.layer(-features)

    from geartrain.training.neural import Network

    def branching(params, seed):
        return Network(build=Branching, epochs=1)

    one = fit(recipe(branching, calibrate="none"), {}, rows(count=100), rule(), seed=1)
    with pytest.raises(ModelNotExportable, match="cannot write this net"):
        to_onnx(one, COLUMNS)


def test_a_format_stays_small(content):
    """The net's own graph in half precision weighs less and still answers."""
    taught = rows()
    small = reformatted(content, Format.FLOAT16, taught.matrix)
    assert len(small) < len(content)
    assert len(OnnxModel(small).predict(taught.matrix)) == len(taught)
