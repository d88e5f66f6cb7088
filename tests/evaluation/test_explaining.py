"""What answers rest on: shares that sum to 1, curves that theory knows, and a reason for every silence."""

import numpy as np
import pytest

from geartrain.domain.explanation import Explanation
from geartrain.domain.features import FeatureType, RequestFeature
from geartrain.domain.prediction import Predictions
from geartrain.domain.task import Task
from geartrain.domain.wire import decode, encode
from geartrain.evaluation.curves import curve_of
from geartrain.evaluation.evidence import Unmeasured
from geartrain.evaluation.explaining import explain, in_words
from geartrain.evaluation.importance import MOST_EXPLAINED, clusters_of, parts_of, rests_on

ROWS = 400


def logistic(score):
    return 1 / (1 + np.exp(-score))


@pytest.fixture
def awkward(build):
    """Six columns: two that matter, their twin, a constant, one that is missing, and one name for each row."""
    generator = np.random.default_rng(1)
    first, second = generator.normal(size=(2, ROWS))
    twin = first + 0.05 * generator.normal(size=ROWS)
    matrix = np.column_stack(
        [first, second, twin, np.ones(ROWS), np.full(ROWS, np.nan), np.arange(ROWS)]
    ).astype(np.float32)
    names = ("first", "second", "twin", "constant", "absent", "name")
    features = tuple(
        RequestFeature(
            name=one,
            expression=one,
            type=FeatureType.CATEGORY if one == "name" else FeatureType.NUMBER,
            description="how loud it is" if one == "first" else "",
            unit="dB" if one == "first" else "",
        )
        for one in names
    )
    predict = build.says(lambda m: logistic(2 * m[:, 0] + 0.7 * m[:, 1]))
    truth = generator.random(ROWS) < predict(matrix).values[:, 1]
    evidence = build.binary(predict(matrix).values[:, 1], truth)
    view = build.view(
        matrix,
        predict,
        names=names,
        features=features,
        categories=(("name", tuple(str(one) for one in range(ROWS))),),
    )
    return evidence, view


def test_shares_curves_and_silences(awkward):
    """Twins are shuffled together and told together; constant, missing and naming columns have their reasons."""
    evidence, view = awkward

    found = explain(evidence, view)

    assert isinstance(found, Explanation)
    assert sum(one.share for one in found.shares) == pytest.approx(1.0)
    lead = found.shares[0]
    assert (lead.feature, lead.together, lead.joint, lead.words) == (
        "first",
        ("twin",),
        True,
        "how loud it is",
    )
    assert lead.low <= lead.share <= lead.high
    assert lead.share > 0.7
    assert {one.feature: one.reason for one in found.silent} == {
        "constant": "it has the same value in every row",
        "absent": "it is missing in every row",
        "name": "it has a value of its own in every row: it names rows",
    }
    assert found.rows == min(ROWS, MOST_EXPLAINED)
    assert found.of == ROWS
    assert in_words(found)[0].endswith("- how loud it is; goes with twin")
    assert decode(encode(found), Explanation) == found


def test_a_curve_has_units_bands_and_density(awkward):
    """It rises with what the model rises with, is centred, and says how many rows stand behind each point."""
    evidence, view = awkward

    curve = curve_of(evidence, view, np.arange(ROWS), "first")

    assert (curve.words, curve.unit, curve.about) == ("how loud it is", "dB", "the probability of malignant")
    effects = [one.effect for one in curve.points]
    assert effects == sorted(effects)
    assert all(one.low <= one.effect <= one.high for one in curve.points)
    assert sum(one.rows for one in curve.points) == ROWS
    assert 0.5 < curve.range < 1.0


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("constant", "the same value in every row"),
        ("absent", "missing in every row"),
        ("name", "it names rows, it does not describe them"),
        ("moon", "no column `moon`"),
    ],
)
def test_columns_without_a_curve_say_why(awkward, column, reason):
    """No curve is made up for a column that cannot be moved."""
    evidence, view = awkward
    assert reason in curve_of(evidence, view, np.arange(ROWS), column).reason


def test_categories_have_their_names_and_rare_ones_are_left_out(build):
    """Each frequent value is a point under its own name; a rare one is counted in the note."""
    codes = np.repeat([0.0, 1.0, 2.0, 3.0], [60, 60, 60, 2])
    sizes = np.array([0.1, 0.5, 0.9, 0.9])
    matrix = codes[:, None].astype(np.float32)
    predict = build.says(lambda m: sizes[m[:, 0].astype(int)])
    view = build.view(
        matrix,
        predict,
        names=("kind",),
        features=(RequestFeature(name="kind", expression="kind", type=FeatureType.CATEGORY),),
        categories=(("kind", ("iron", "lead", "clay", "gold")),),
    )
    evidence = build.binary(predict(matrix).values[:, 1], np.arange(182) % 2)

    curve = curve_of(evidence, view, np.arange(182), "kind")

    assert {one.name: one.rows for one in curve.points} == {"iron": 60, "lead": 60, "clay": 60}
    effects = {one.name: one.effect for one in curve.points}
    assert effects["clay"] - effects["iron"] == pytest.approx(0.8)
    assert curve.category
    assert curve.note == "1 rarer values are left out"


def test_of_several_classes_the_one_that_moves_most_is_told(build):
    """The curve names its class."""
    matrix = np.linspace(0, 1, 90, dtype=np.float32)[:, None]

    def predict(asked):
        p = asked[:, 0].astype(float)
        values = np.column_stack([0.2 * p, 1 - p, 0.8 * p])
        return Predictions(task=Task.MULTICLASS, classes=("a", "b", "c"), values=values)

    evidence = build.classes(predict(matrix).values, np.arange(90) % 3)
    curve = curve_of(evidence, build.view(matrix, predict), np.arange(90), "x0")

    assert curve.about == "the probability of b"
    assert curve.points[-1].effect < curve.points[0].effect


def test_exact_contributions_are_used_where_there_are_some(build):
    """3 to 1 is three quarters; and what rests on several features is their sum."""
    matrix = np.random.default_rng(1).normal(size=(50, 2)).astype(np.float32)
    predict = build.says(lambda m: logistic(m[:, 0]))
    evidence = build.binary(predict(matrix).values[:, 1], np.arange(50) % 2)
    view = build.view(matrix, predict, contributions=lambda m: np.tile([3.0, -1.0], (len(m), 1)))
    rows = np.arange(50)

    assert [one.share for one in explain(evidence, view).shares] == [0.75, 0.25]
    assert rests_on(evidence, view, rows, ("x1",)) == "the answer rests for 25 % on x1"
    assert rests_on(evidence, view, rows, ("x0", "x1")) == "the answer rests for 100 % on x0 and x1"
    assert parts_of(evidence, view, rows) is parts_of(evidence, view, rows)


def test_a_model_that_says_one_thing_has_no_explanation(build):
    """Nothing moves a constant."""
    matrix = np.random.default_rng(1).normal(size=(50, 2)).astype(np.float32)
    predict = build.says(lambda m: np.full(len(m), 0.5))
    found = explain(build.binary([0.5] * 50, np.arange(50) % 2), build.view(matrix, predict))

    assert isinstance(found, Unmeasured)
    assert "no feature moves" in found.reason


def test_clusters_are_of_ranks(build):
    """A column and its own exponential are one; an independent one stands alone; the order of rows is no matter."""
    generator = np.random.default_rng(1)
    first = generator.normal(size=200)
    matrix = np.column_stack([first, generator.normal(size=200), np.exp(3 * first)]).astype(np.float32)
    view = build.view(matrix, build.says(lambda m: logistic(m[:, 0])))

    assert clusters_of(view, np.arange(200)) == (("x0", "x2"), ("x1",))
    assert clusters_of(view, np.arange(200)[::-1]) == (("x0", "x2"), ("x1",))
