"""Whether an effect is the same everywhere: planted sizes come out, chance is not taken for a difference."""

import re

import numpy as np
import pytest

from geartrain.domain.features import FeatureType, RequestFeature
from geartrain.domain.prediction import Predictions
from geartrain.domain.task import Task
from geartrain.evaluation.stability import effects_of, stable_across


def world(build, slopes, *, rows=6000, seed=1, believed=1.0, groups=None):
    """Evidence of a value whose slope on x0 is another one at each site; the model believes in one slope."""
    generator = np.random.default_rng(seed)
    site = np.array([f"s{one}" for one in range(len(slopes))], dtype=object)[
        generator.integers(0, len(slopes), rows)
    ]
    matrix = generator.normal(size=(rows, 2)).astype(np.float32)
    slope = np.array(slopes)[[int(one[1:]) for one in site]]
    truth = slope * matrix[:, 0] + 0.5 * matrix[:, 1] + generator.normal(size=rows)

    def predict(asked):
        said = believed * asked[:, 0].astype(float) + 0.5 * asked[:, 1]
        return Predictions(task=Task.REGRESSION, classes=(), values=said[:, None])

    columns = {"site": site, "day": generator.integers(0, 400, rows).astype(float)}
    evidence = build.values(predict(matrix).values[:, 0], truth, columns=columns, seed=seed, groups=groups)
    return evidence, build.view(matrix, predict)


def test_the_effects_are_those_that_were_planted(build):
    """Where the truth's slope is 1.5, 0.5 and 0 of what the model believes, so are the borne-out effects."""
    evidence, view = world(build, (1.5, 0.5, 0.0))

    seen = effects_of(evidence, view, evidence.everything, "x0", evidence.columns["site"], ("s0", "s1", "s2"))

    np.testing.assert_allclose(seen.borne, [1.5, 0.5, 0.0], atol=0.08)
    np.testing.assert_allclose(seen.own, 1.0, atol=0.02)
    assert (seen.borne_errors < 0.05).all()


def test_the_spread_is_told_with_where_the_effect_is_which(build, measured):
    """The standard deviation of 1.5, 0.5 and 0 is 0.76; the note says what came at each site."""
    evidence, view = world(build, (1.5, 0.5, 0.0))

    seen = measured(stable_across(evidence, view, evidence.everything, {"column": "site"}))

    assert seen.value == pytest.approx(np.std([1.5, 0.5, 0.0], ddof=1), abs=0.08)
    assert re.match(r"x0 by what came: 1\.\d\d in s0, 0\.[45]\d in s1, -?0\.0\d in s2", seen.note)


def test_an_opposite_effect_is_a_whole_difference(build, measured):
    """One of ten sites against the others has a small spread, and is not let through for it."""
    evidence, view = world(build, (1.0,) * 9 + (-0.3,), rows=10_000)

    seen = measured(stable_across(evidence, view, evidence.everything, {"column": "site"}))

    assert seen.low == 1.0


def test_chance_is_not_taken_for_a_difference(build, measured):
    """In 40 worlds in which all sites are alike the interval's low end is above 0.02 in few of them."""
    lows = []
    for seed in range(40):
        evidence, view = world(build, (1.0, 1.0, 1.0), rows=600, seed=seed)
        lows.append(measured(stable_across(evidence, view, evidence.everything, {"column": "site"})).low)

    assert np.mean(np.array(lows) > 0.02) <= 0.1


def test_entities_widen_the_errors(build):
    """Rows that come five times each say less than they seem to."""
    alone, view = world(build, (1.0, 1.0), rows=1000)
    owner = np.repeat(np.arange(200), 5).astype(str).astype(object)
    rows = np.repeat(np.arange(200), 5)
    again = build.values(
        alone.predictions.values[rows, 0],
        alone.truth[rows],
        columns={"site": alone.columns["site"][rows]},
        groups=owner,
    )
    plain = build.values(
        alone.predictions.values[rows, 0], alone.truth[rows], columns={"site": alone.columns["site"][rows]}
    )
    seen = [
        effects_of(
            one,
            build.view(view.matrix[rows], view.predict),
            one.everything,
            "x0",
            one.columns["site"],
            ("s0", "s1"),
        )
        for one in (again, plain)
    ]

    np.testing.assert_allclose(seen[0].borne_errors / seen[1].borne_errors, np.sqrt(5), rtol=0.2)


def test_months_and_numbers_are_quarters(build, measured):
    """More than twelve numbers are judged as quarters."""
    evidence, view = world(build, (1.0, 1.0))
    seen = measured(stable_across(evidence, view, evidence.everything, {"column": "day"}))

    assert "in quarter 1" in seen.note
    assert seen.high < 0.2


def test_a_category_has_effects_too(build):
    """Codes whose effect is halved at the second site come out as 1 and a half."""
    generator = np.random.default_rng(1)
    codes = generator.integers(0, 3, 6000).astype(np.float32)[:, None]
    site = np.array(["a", "b"], dtype=object)[generator.integers(0, 2, 6000)]
    sizes = np.array([0.0, 3.0, 1.0])

    def predict(asked):
        return Predictions(task=Task.REGRESSION, classes=(), values=sizes[asked[:, 0].astype(int)][:, None])

    truth = predict(codes).values[:, 0] * np.where(site == "a", 1.0, 0.5) + generator.normal(size=6000)
    evidence = build.values(predict(codes).values[:, 0], truth, columns={"site": site})
    view = build.view(
        codes,
        predict,
        names=("kind",),
        features=(RequestFeature(name="kind", expression="kind", type=FeatureType.CATEGORY),),
        categories=(("kind", ("x", "y", "z")),),
    )

    seen = effects_of(evidence, view, evidence.everything, "kind", site, ("a", "b"))

    np.testing.assert_allclose(seen.borne, [1.0, 0.5], atol=0.08)


def test_what_cannot_be_compared_is_said(build):
    """A constant column, one with too few rows and a model that says one thing have their reasons."""
    evidence, view = world(build, (1.0,), rows=200)
    assert "fewer than two values of `site` have 30 rows" in _reason(evidence, view, "site")

    evidence, view = world(build, (1.0, 1.0), believed=0.0, rows=200)
    flat = build.view(
        view.matrix,
        lambda asked: Predictions(task=Task.REGRESSION, classes=(), values=np.ones((len(asked), 1))),
    )
    assert "no feature moves" in _reason(evidence, flat, "site")


def _reason(evidence, view, column):
    return stable_across(evidence, view, evidence.everything, {"column": column}).reason
