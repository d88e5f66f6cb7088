"""Preprocessing outside the folds: found in the recipe's parts, in its behaviour, in the encoding."""

import functools

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.dummy import DummyClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from geartrain.domain.features import Encoding, FeatureSet, FeatureType, RequestFeature
from geartrain.evaluation.leakage_fitting import fitted_parts, parts_that_saw_more


def encoding(*cities):
    city = RequestFeature(name="city", expression="city", type=FeatureType.CATEGORY)
    return Encoding(
        feature_set=FeatureSet(features=(city,)), columns=("city",), categories=(("city", tuple(cities)),)
    )


def noise(rows=300, columns=400, seed=0):
    """Nothing to learn: columns and labels that know nothing of each other."""
    chance = np.random.default_rng(seed)
    return chance.normal(size=(rows, columns)).astype(np.float32), chance.integers(0, 2, rows)


def seen(build, matrix, truth, **more):
    same = encoding("bern", "graz")
    return parts_that_saw_more(encoding=same, refitted=same, build=build, matrix=matrix, truth=truth, **more)


def honest():
    """Scaling and selection inside the pipeline: fitted again on every lesson."""
    return make_pipeline(StandardScaler(), SelectKBest(k=10), LogisticRegression())


@pytest.mark.parametrize("seed", range(6))
def test_a_clean_pipeline_passes(seed):
    """Selection inside the folds sees its lesson only, so permuted labels give it no score."""
    matrix, truth = noise(seed=seed)
    found = seen(honest, matrix, truth, seed=seed)
    assert (found.value, found.note) == (0.0, "")


@pytest.mark.parametrize(
    "hide",
    [
        lambda selector: FunctionTransformer(selector.transform),
        lambda selector: FunctionTransformer(functools.partial(_apply, selector)),
        lambda selector: FunctionTransformer(lambda matrix: selector.transform(matrix)),
    ],
    ids=["bound method", "partial", "closure"],
)
def test_a_selection_that_saw_all_rows_is_found(hide):
    """The ten best of 400 columns of noise, chosen on all rows: cross-validation alone believes in it."""
    from sklearn.model_selection import cross_val_score

    matrix, truth = noise()
    selector = SelectKBest(k=10).fit(matrix, truth)

    def build():
        return make_pipeline(hide(selector), LogisticRegression())

    assert cross_val_score(build(), matrix, truth, scoring="roc_auc").mean() > 0.7
    found = seen(build, matrix, truth)
    assert found.value >= 1
    assert "SelectKBest, which was fitted before" in found.note


def _apply(selector, matrix):
    return selector.transform(matrix)


class Remembering(TransformerMixin, BaseEstimator):
    """A target encoder whose table outlives every fit: rows meet their own label again."""

    memory: dict = {}  # noqa: RUF012 - this is the fault

    def fit(self, matrix, truth):
        self.memory.update({row.tobytes(): label for row, label in zip(matrix, truth, strict=True)})
        return self

    def transform(self, matrix):
        return np.array([[self.memory.get(row.tobytes(), 0.5)] for row in matrix])


def test_a_memory_between_fits_is_found():
    """The same lesson twice gives two answers, and labels without meaning are guessed."""
    matrix, truth = noise(columns=4)
    Remembering.memory.clear()
    found = seen(lambda: make_pipeline(Remembering(), LogisticRegression()), matrix, truth)

    assert "taught other rows in between" in found.note
    assert "permuted labels with an AUC of" in found.note


def test_regressions_and_one_class_are_no_reason_to_fail():
    """Values are asked by their upper half; where a lesson has one class nothing is claimed."""
    matrix, _ = noise(columns=5)
    assert seen(LinearRegression, matrix, matrix[:, 0].astype(float)).value == 0.0
    assert seen(DummyClassifier, matrix, np.zeros(300, dtype=np.int64)).value == 0.0


def test_unfitted_parts_are_no_alarm():
    """Pipelines, stateless functions, boosted trees: nothing here was fitted."""
    from lightgbm import LGBMClassifier

    assert (
        fitted_parts(honest(), FunctionTransformer(np.log1p), LGBMClassifier(), {"a": [StandardScaler]}) == ()
    )
    assert fitted_parts(LGBMClassifier(n_estimators=2, verbose=-1).fit([[0.0], [1.0]] * 20, [0, 1] * 20)) == (
        "LGBMClassifier",
    )


def test_an_encoding_of_all_rows_is_found():
    """A vocabulary that knows a city of the judged rows was not learned from the others alone."""
    found = parts_that_saw_more(encoding=encoding("bern", "graz", "lyon"), refitted=encoding("bern", "graz"))
    assert (found.value, found.note) == (1.0, "the encoding of `city`")
