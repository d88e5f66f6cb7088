"""Reasons from a released model's text are the fitted model's own."""

from __future__ import annotations

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
