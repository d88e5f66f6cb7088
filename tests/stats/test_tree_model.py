"""Reasons from a released model's text are the fitted model's own."""

from __future__ import annotations

import itertools
import math

import lightgbm
import numpy as np
import pytest

from geartrain.domain.task import Task
from geartrain.stats.fitted import Fitted
from geartrain.stats.tree_model import TreeModel


def fitted(outputs: int) -> tuple[Fitted, np.ndarray]:
    random = np.random.default_rng(1)
    matrix = random.normal(size=(200, 4)).astype(np.float32)
    matrix[::7, 1] = np.nan
    truth = (
        np.digitize(matrix[:, 0], np.linspace(-0.5, 0.5, outputs - 1)) if outputs > 1 else matrix[:, 0] * 3.0
    )
    kind = lightgbm.LGBMClassifier if outputs > 1 else lightgbm.LGBMRegressor
    task = {1: Task.REGRESSION, 2: Task.BINARY, 3: Task.MULTICLASS}[outputs]
    model = Fitted(
        task=task,
        classes=tuple("abc"[:outputs]) if outputs > 1 else (),
        algorithm="lightgbm",
        settings=(),
        params=(),
        seed=1,
        code="",
        estimator=kind(n_estimators=7, verbosity=-1).fit(matrix, truth),
    )
    return model, matrix


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_the_text_gives_the_same_reasons(outputs):
    """The text that a bundle carries explains exactly as the model in memory did."""
    model, matrix = fitted(outputs)
    assert model.text is not None
    again = TreeModel(model.text)
    own = model.contributions(matrix)
    assert own is not None
    assert own.shape == (200, 3 if outputs == 3 else 1, 5)
    assert again.contributions(matrix) == pytest.approx(own, abs=1e-12)
    assert again.trees == 7 * (3 if outputs == 3 else 1)


def test_a_class_that_the_estimator_never_met_has_no_chance():
    """Columns stand in the contract's order even where a class was absent in training."""
    model, matrix = fitted(2)
    wider = Fitted(
        task=Task.MULTICLASS, classes=("a", "b", "c"), algorithm="", settings=(), params=(), seed=1, code="",
        estimator=model.estimator,
    )  # fmt: skip
    answers = wider.predict(matrix)
    assert answers.values.shape == (200, 3)
    assert answers.of("c") == pytest.approx(0.0)
    assert answers.values.sum(axis=1) == pytest.approx(1.0)


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_contributions_sum_to_the_raw_answer_less_its_mean(outputs):
    """Additivity: a row's contributions are f(x) - E f, and the base value is E f over the rows it was taught."""
    model, matrix = fitted(outputs)
    raw = np.asarray(model.estimator.booster_.predict(matrix, raw_score=True)).reshape(200, -1)
    own = model.contributions(matrix)
    assert own is not None

    assert own[:, :, :-1].sum(axis=2) == pytest.approx(raw - own[:, :, -1], abs=1e-9)
    if outputs < 3:
        assert own[0, :, -1] == pytest.approx(raw.mean(axis=0), abs=1e-6)


def test_contributions_are_shapley_values_by_hand():
    """On a small model every one of the 16 coalitions is asked, as the definition says."""
    random = np.random.default_rng(3)
    matrix = random.normal(size=(300, 4)).astype(np.float32)
    truth = matrix[:, 0] * matrix[:, 1] + matrix[:, 2]
    model = lightgbm.LGBMRegressor(n_estimators=3, num_leaves=6, verbosity=-1).fit(matrix, truth)
    trees = [one["tree_structure"] for one in model.booster_.dump_model()["tree_info"]]
    own = TreeModel(model.booster_.model_to_string()).contributions(matrix[:5])

    for row, told in zip(matrix[:5].astype(float), own[:, 0, :], strict=True):

        def worth(coalition, row=row):
            return sum(expected(tree, row, coalition) for tree in trees)

        for feature in range(4):
            others = [one for one in range(4) if one != feature]
            value = sum(
                math.factorial(len(some)) * math.factorial(3 - len(some)) / 24
                * (worth({*some, feature}) - worth(set(some)))
                for size in range(4)
                for some in itertools.combinations(others, size)
            )  # fmt: skip
            assert told[feature] == pytest.approx(value, abs=1e-9)
        assert told[-1] == pytest.approx(worth(set()), abs=1e-9)


def expected(node, row, coalition):
    """A tree's mean answer where only the coalition's features of *row* are known (algorithm 1 of the source)."""
    if "leaf_value" in node:
        return node["leaf_value"]
    left, right = node["left_child"], node["right_child"]
    if node["split_feature"] in coalition:
        side = left if row[node["split_feature"]] <= node["threshold"] else right
        return expected(side, row, coalition)
    sizes = [one.get("internal_count", one.get("leaf_count")) for one in (left, right)]
    return sum(
        size * expected(one, row, coalition) for size, one in zip(sizes, (left, right), strict=True)
    ) / sum(sizes)


@pytest.mark.filterwarnings("ignore:LightGBM binary classifier")
@pytest.mark.parametrize("outputs", [1, 2])
def test_the_shap_library_says_the_same(outputs):
    """The reference implementation's own algorithm agrees, row by row."""
    shap = pytest.importorskip("shap", reason="the oracle is not installed")
    model, matrix = fitted(outputs)
    known = matrix[np.isfinite(matrix).all(axis=1)].astype(float)
    explainer = shap.TreeExplainer(model.estimator.booster_)
    # Else it would ask LightGBM itself, and agree with anything.
    explainer.model.model_type = "internal"
    theirs = np.asarray(explainer.shap_values(known, check_additivity=False))
    own = model.contributions(known)
    assert own is not None

    theirs = theirs[-1] if theirs.ndim == 3 and theirs.shape[0] == 2 else theirs
    assert own[:, 0, :-1] == pytest.approx(theirs, abs=1e-5)
