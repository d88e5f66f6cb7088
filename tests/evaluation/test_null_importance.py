"""Columns that carry nothing are told from columns that do, by labels dealt out by chance."""

import numpy as np
import pytest

from geartrain.domain.features import FeatureType, RequestFeature
from geartrain.domain.prediction import Predictions
from geartrain.domain.task import Task
from geartrain.evaluation.null_importance import earns_its_place


@pytest.fixture
def asked(build):
    """Ask about columns of a world in which x0 matters and x1 does not."""

    def ask(*columns, rows=600, seed=1, groups=None, truth=None, matrix=None):
        generator = np.random.default_rng(seed)
        if matrix is None:
            matrix = generator.normal(size=(rows, 2)).astype(np.float32)
        if truth is None:
            truth = generator.random(rows) < 1 / (1 + np.exp(-1.5 * matrix[:, 0]))
        predict = build.says(lambda m: 1 / (1 + np.exp(-1.5 * m[:, 0])))
        evidence = build.binary(predict(matrix).values[:, 1], truth, groups=groups, seed=seed)
        return earns_its_place(
            evidence, build.view(matrix, predict), evidence.everything, {"columns": columns}
        )

    return ask


def test_what_matters_earns_its_place_and_what_does_not_is_named(asked, measured):
    """No shuffle gives x0 its weight, which proves less than 5 %; many give x1 its own."""
    useful = measured(asked("x0"))
    assert useful.value == 0.0
    assert useful.high <= 0.05

    idle = measured(asked("x0", "x1"))
    assert idle.low > 0.05
    assert "give x1 as much weight" in idle.note


def test_a_column_of_noise_is_rarely_taken_for_useful(asked):
    """In 20 worlds of noise the chance of x1 is spread over 0 to 1: it lies below 0.05 in few of them."""
    chances = [asked("x1", rows=200, seed=seed).value for seed in range(20)]

    assert np.mean(np.array(chances) < 0.05) < 0.2
    assert 0.3 < np.mean(chances) < 0.75


def test_rows_that_repeat_each_other_count_once(asked, measured):
    """Thirty entities of twenty equal rows do not prove a column of noise useful."""
    generator = np.random.default_rng(1)
    owner = np.repeat(np.arange(60), 10)
    matrix = generator.normal(size=(60, 2)).astype(np.float32)[owner]
    truth = (generator.random(60) < 0.5)[owner]

    seen = measured(asked("x1", matrix=matrix, truth=truth, groups=owner.astype(str).astype(object)))

    assert seen.rows == 60
    assert seen.value > 0.05


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rows": 30}, "30 rows are too few"),
        ({"truth": np.ones(600, dtype=bool)}, "the same truth"),
        (
            {"matrix": np.ones((600, 2), dtype=np.float32), "truth": np.arange(600) < 300},
            "the same value in every row",
        ),
    ],
)
def test_what_cannot_be_told_is_said(asked, change, reason):
    """Few rows, one class and a constant column have their reasons."""
    assert reason in asked("x0", **change).reason


def test_columns_that_the_model_does_not_read(asked):
    """A column that is no feature cannot earn anything; naming none is said too."""
    assert "no feature `moon`" in asked("moon").reason
    assert "names no column" in asked().reason


def test_values_and_classes_are_tasks_too(build, measured):
    """Regression and several classes are looked at with their own loss; a category with its codes."""
    generator = np.random.default_rng(1)
    codes = generator.integers(0, 3, 300).astype(np.float32)
    matrix = np.column_stack([codes, generator.normal(size=300)]).astype(np.float32)
    view_parts = {
        "names": ("kind", "noise"),
        "features": (
            RequestFeature(name="kind", expression="kind", type=FeatureType.CATEGORY),
            RequestFeature(name="noise", expression="noise"),
        ),
        "categories": (("kind", ("a", "b", "c")),),
    }

    def classes(m):
        return Predictions(task=Task.MULTICLASS, classes=("a", "b", "c"), values=np.full((len(m), 3), 1 / 3))

    def values(m):
        return Predictions(task=Task.REGRESSION, classes=(), values=m[:, :1].astype(float))

    several = build.classes(classes(matrix).values, codes.astype(int))
    number = build.values(values(matrix).values[:, 0], (codes == 1) + 0.3 * generator.normal(size=300))
    for evidence, predict in ((several, classes), (number, values)):
        view = build.view(matrix, predict, **view_parts)
        for column, useful in (("kind", True), ("noise", False)):
            seen = measured(earns_its_place(evidence, view, evidence.everything, {"columns": (column,)}))
            assert (seen.high <= 0.05) is useful
