"""The joint search of trees, leaves and learning rate."""

import numpy as np
import pytest

from geartrain.compression.searching import Shape, finalists, lines, name_of, shape_of
from geartrain.errors import TrainingImpossible
from geartrain.training.fitting import cross_fitted, fit
from geartrain.training.folds import inner_folds
from geartrain.training.recipe import recipe
from geartrain.training.staging import staged

WHOLE = Shape(trees=100, leaves=20, rate=0.05)


def test_lines_hold_every_size_and_begin_with_the_reference_cut_short():
    """Each pair of leaves and rate is cut where each size cuts it; no shape is larger than the reference."""
    found = lines(WHOLE, sizes=(2, 10))
    assert (found[0].leaves, found[0].rate, found[0].trees) == (20, 0.05, (10, 50))
    assert {(one.leaves, one.rate) for one in found} == {
        (a, b) for a in (20, 10, 5) for b in (0.05, 0.1, 0.2)
    }
    for line in found:
        assert all(one.leaves_in_all * 2 <= WHOLE.leaves_in_all for one in line.shapes)


def test_the_cheapest_of_each_size_is_a_finalist():
    """At each size the least cost wins, a shape that wins twice is there once, and ties go to the smaller."""
    costs = {
        Shape(trees=50, leaves=20, rate=0.05): 1.0,
        Shape(trees=100, leaves=10, rate=0.05): 0.9,
        Shape(trees=20, leaves=10, rate=0.1): 0.95,
        Shape(trees=10, leaves=10, rate=0.1): 0.95,
    }
    found = finalists(costs, WHOLE, sizes=(2, 5, 10))
    assert [(one.trees, one.leaves) for one in found] == [(100, 10), (10, 10)]
    assert name_of(found[1], WHOLE) == "trees-10-leaves-10-rate-0.1"
    assert name_of(Shape(trees=50, leaves=20, rate=0.05), WHOLE) == "truncated-50"


def test_a_cut_model_is_the_model_fitted_with_fewer_trees(cases):
    """Answers of one long fit, cut after 7 trees, are those of models with 7 trees, fold by fold."""
    case = cases["tumours"]
    boosted = recipe("lightgbm", calibrate="none")
    folds = inner_folds(case.first.truth)
    settings = {"num_leaves": 5, "learning_rate": 0.1}
    (short, long), params = staged(
        boosted, settings, case.first, case.rule, folds=folds, stages=(7, 20), seed=1
    )
    alone, _ = cross_fitted(
        boosted, {**settings, "n_estimators": 7}, case.first, case.rule, folds=folds, seed=1
    )
    assert np.array_equal(short, alone)
    assert not np.array_equal(short, long)
    assert shape_of(dict(params)) == Shape(trees=20, leaves=5, rate=0.1)


def test_a_value_is_cut_too(cases):
    """A regression's answers are cut after each number of trees as well."""
    case = cases["patients"]
    boosted = recipe("lightgbm", calibrate="none")
    folds = inner_folds(case.first.truth)
    (short,), _ = staged(boosted, {}, case.first, case.rule, folds=folds, stages=(5,), seed=1)
    alone, _ = cross_fitted(boosted, {"n_estimators": 5}, case.first, case.rule, folds=folds, seed=1)
    assert np.array_equal(short, alone)


def test_only_a_boosted_model_is_cut(cases):
    """A forest has no first trees that are a model of their own here."""
    case = cases["tumours"]
    with pytest.raises(TrainingImpossible, match="boosted"):
        staged(
            recipe("random-forest"), {}, case.first, case.rule, folds=inner_folds(case.first.truth), stages=(5,), seed=1
        )  # fmt: skip


def test_the_parameters_that_a_library_upgrade_may_change_are_written_out(cases):
    """Defaults of LightGBM, below its scikit-learn face too, and its version stand in the resolved parameters of a variant."""
    case = cases["tumours"]
    params = dict(fit(recipe("lightgbm"), {"n_estimators": 5}, case.first, case.rule, seed=1).params)
    assert {
        "num_leaves",
        "learning_rate",
        "min_child_samples",
        "lightgbm.max_bin",
        "lightgbm.min_data_in_bin",
    } <= params.keys()
    assert str(params["library"]).startswith("lightgbm ")
