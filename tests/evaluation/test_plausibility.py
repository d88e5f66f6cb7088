"""The expert's clauses as tests on models whose faults are planted, and on clean ones."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from geartrain.domain.features import Aggregation, FeatureType, RequestFeature, WindowFeature
from geartrain.domain.prediction import Predictions
from geartrain.domain.task import Task
from geartrain.evaluation.evidence import Unmeasured
from geartrain.evaluation.model_view import MOST_ASKED
from geartrain.evaluation.plausibility import CHECKS, check

ROWS = 300


@pytest.fixture
def world(build):
    """Two numbers, evidence and a way to ask about any function of them."""
    generator = np.random.default_rng(1)
    matrix = generator.normal(size=(ROWS, 2)).astype(np.float32)
    truth = generator.random(ROWS) < 1 / (1 + np.exp(-2 * matrix[:, 0]))
    site = np.array(["n", "s"], dtype=object)[generator.integers(0, 2, ROWS)]
    columns = {"x0": matrix[:, 0].astype(float), "x1": matrix[:, 1].astype(float), "site": site}

    def asked(kind, function, *, where=None, view=None, beside=columns, **parameters):
        predict = build.says(function)
        evidence = build.binary(predict(matrix).values[:, 1], truth, columns=beside)
        return check(evidence, view or build.view(matrix, predict), kind, evidence.slice(where), parameters)

    asked.matrix, asked.truth, asked.columns = matrix, truth, columns
    return asked


def logistic(matrix):
    return 1 / (1 + np.exp(-2 * matrix[:, 0]))


def test_a_rising_model_rises(world, measured):
    """No violation among hundreds of rows, with the exact upper end of none; falling is all violation."""
    value = measured(world("rises_with", logistic, column="x0"))
    assert value.value == 0.0
    assert 0.0 < value.high < 0.02
    assert measured(world("falls_with", logistic, column="x0")).value == 1.0


def test_a_dent_is_found_where_it_is(world, measured):
    """A model that drops above 1 violates for the rows that can step over it, and not in a slice beyond."""

    def dented(matrix):
        return np.where(matrix[:, 0] > 1, 0.2, 0.3 + 0.1 * np.clip(matrix[:, 0], -3, 3))

    value = measured(world("rises_with", dented, column="x0"))
    assert 0.5 < value.value < 0.95
    assert measured(world("rises_with", dented, column="x0", where="x0 > 1.1")).value == 0.0


def test_a_step_of_few_values_is_by_value(build, world, measured):
    """A 0/1 column is stepped from 0 to 1; rows that stand at the top cannot rise and do not count."""
    matrix = (np.arange(40)[:, None] % 2).astype(np.float32)
    predict = build.says(lambda m: 0.8 - 0.5 * m[:, 0])
    evidence = build.binary(predict(matrix).values[:, 1], np.arange(40) < 20)
    value = measured(
        check(evidence, build.view(matrix, predict), "rises_with", evidence.everything, {"column": "x0"})
    )
    assert (value.value, value.rows) == (1.0, 20)


@pytest.mark.parametrize("kind", ["rises_with", "invariant_to"])
def test_a_constant_column_says_so(build, kind):
    """A column that never moves proves nothing."""
    matrix = np.ones((20, 1), dtype=np.float32)
    predict = build.says(lambda m: m[:, 0] * 0.5)
    evidence = build.binary(predict(matrix).values[:, 1], np.arange(20) < 10)
    value = check(evidence, build.view(matrix, predict), kind, evidence.everything, {"column": "x0"})
    assert "same value in every row" in value.reason


def test_columns_that_cannot_be_asked_about(world, build):
    """An unknown feature, one inside an expression and a category each have a reason."""
    assert "no feature `y9`" in world("rises_with", logistic, column="y9").reason
    features = (
        RequestFeature(name="log", expression="log1p(amount)"),
        RequestFeature(name="kind", expression="kind", type=FeatureType.CATEGORY),
    )
    view = build.view(
        world.matrix,
        build.says(logistic),
        names=("log", "kind"),
        features=features,
        categories=(("kind", ("a",)),),
    )
    assert "inside expressions (log)" in world("rises_with", logistic, view=view, column="amount").reason
    assert "inside expressions (log)" in world("invariant_to", logistic, view=view, column="amount").reason
    assert "categories do not rise" in world("rises_with", logistic, view=view, column="kind").reason


def test_forbidden_columns_are_found_inside_expressions_and_windows(world, build, measured):
    """A feature that reads a forbidden column is named; a window's entity only says whose it is."""
    features = (
        RequestFeature(name="x", expression="log1p(zip) + 1"),
        WindowFeature(
            name="w", source="s", entity="card", aggregation=Aggregation.COUNT, where="weekday == 1"
        ),
    )
    view = build.view(world.matrix, build.says(logistic), names=("x", "w"), features=features)
    value = measured(world("forbidden", logistic, view=view, columns=("zip", "weekday", "card")))
    assert (value.value, value.low, value.high) == (2.0, 2.0, 2.0)
    assert "on x and w, that is on weekday, zip" in value.note
    assert measured(world("forbidden", logistic, view=view, columns=("card",))).value == 0.0


def test_the_share_of_exact_contributions(world, build, measured):
    """Contributions of 3 to 1 are a share of three quarters; a missing-signal belongs to its feature."""
    view = build.view(
        world.matrix,
        build.says(logistic),
        names=("a", "a__missing"),
        features=(RequestFeature(name="a", expression="a", missing_is_signal=True),),
        contributions=lambda m: np.tile([3.0, -1.0], (len(m), 1)),
    )
    assert measured(world("largest_share", logistic, view=view)).value == 1.0
    view = build.view(
        world.matrix, build.says(logistic), contributions=lambda m: np.tile([3.0, -1.0], (len(m), 1))
    )
    value = measured(world("largest_share", logistic, view=view))
    assert value.value == 0.75
    assert value.note == "x0"


def test_the_share_by_permutation(world, measured):
    """A model that reads one number has all of its importance there; a constant model has none anywhere."""
    value = measured(world("largest_share", logistic))
    assert value.value == pytest.approx(1.0)
    assert "permutation" in value.method
    assert "no feature moves" in world("largest_share", lambda m: np.full(len(m), 0.5)).reason


def test_stable_signs_and_a_planted_flip(world, measured):
    """The same effect at both sites is proven; a model that turns round at one has a whole effect of difference."""
    calm = measured(world("stable_across", logistic, column="site"))
    assert calm.value < 0.1
    assert calm.high < 0.3
    site = (world.columns["site"] == "n").astype(np.float32)

    def flipped(matrix):
        turn = np.where(np.resize(site, len(matrix)) == 1, 1.5, -0.7)
        return 1 / (1 + np.exp(-turn * matrix[:, 0]))

    value = measured(world("stable_across", flipped, column="site"))
    assert value.low >= 1.0
    assert re.search(r"x0 by what the model does: \S+ in n, -\S+ in s", value.note)


def test_stability_needs_two_groups_and_names_the_small(world):
    """One site, or an unknown column, proves nothing."""
    assert "no column `moon`" in world("stable_across", logistic, column="moon").reason
    alone = {**world.columns, "site": np.array(["n"] * 297 + ["s"] * 3, dtype=object)}
    assert "fewer than two values" in world("stable_across", logistic, column="site", beside=alone).reason


def test_numbers_are_banded(world, measured):
    """Stability across a number looks at its quarters."""
    assert measured(world("stable_across", logistic, column="x1")).value < 0.3


def test_invariance_counts_flipped_decisions(world, measured):
    """A model that reads x0 flips decisions when x0 is swapped, and none when x1 is."""
    assert measured(world("invariant_to", logistic, column="x1")).value == 0.0
    # The threshold is 1 in 51: x0 below -1.96 turns the decision.
    assert measured(world("invariant_to", lambda m: (m[:, 0] > 0) * 0.9, column="x0")).value > 0.9
    unseen = measured(world("invariant_to", logistic, column="site"))
    assert (unseen.value, unseen.high) == (0.0, 0.0)
    assert "does not see" in unseen.note


def test_a_planted_proxy_is_found(world, measured):
    """An attribute that the features give away has a high AUC, one that they do not is near .5."""
    rich = np.where(world.matrix[:, 1] + 0.3 * np.random.default_rng(2).normal(size=ROWS) > 0, "rich", "poor")
    columns = {**world.columns, "wealth": rich.astype(object)}
    assert measured(world("proxy_of", logistic, attribute="wealth", beside=columns)).low > 0.85
    clean = measured(world("proxy_of", logistic, attribute="site"))
    assert clean.low < 0.58
    assert "no column" in world("proxy_of", logistic, attribute="moon").reason
    single = {**world.columns, "site": np.array(["n"] * ROWS, dtype=object)}
    assert "needs two values" in world("proxy_of", logistic, attribute="site", beside=single).reason


def test_known_cases_are_asked_with_typical_company(world, measured):
    """A case sets what it says; what no row ever misses is typical; a wrong answer is quoted."""
    right = {"row": {"x0": 3.0}, "action": "biopsy", "because": "textbook"}
    wrong = {"row": {"x0": 3.0, "x1": 0}, "action": "follow up", "because": "odd one"}
    value = measured(world("cases", logistic, cases=json.dumps([right, wrong])))
    assert (value.value, value.rows) == (0.5, 2)
    assert value.note == "odd one: biopsy, not follow up"
    assert "names no case" in world("cases", logistic, cases="[]").reason


def test_known_cases_of_windows_categories_and_missing_signals(build, measured):
    """Named windows, coded categories, expressions over said columns, and a null that is a signal."""
    features = (
        RequestFeature(name="double", expression="2 * a", missing_is_signal=True),
        RequestFeature(name="kind", expression="kind", type=FeatureType.CATEGORY),
        WindowFeature(name="n_7d", source="s", entity="e", aggregation=Aggregation.COUNT),
    )
    names = ("double", "double__missing", "kind", "n_7d")
    asked = []

    def predict(matrix):
        asked.append(matrix.copy())
        return Predictions(
            task=Task.BINARY, classes=("benign", "malignant"), values=np.tile([0.1, 0.9], (len(matrix), 1))
        )

    matrix = np.array([[2, 0, 0, 5], [4, 0, 1, 7], [6, 0, 1, 9]], dtype=np.float32)
    columns = {"a": np.array([1.0, 2, 3]), "kind": np.array(["u", "v", "v"], dtype=object)}
    evidence = build.binary([0.9] * 3, [1, 1, 0], columns=columns)
    view = build.view(matrix, predict, names=names, features=features, categories=(("kind", ("u", "v")),))
    told = [
        {"row": {"a": 10}, "action": "biopsy"},
        {"row": {"a": None, "kind": "u", "n_7d": 1}, "action": "biopsy"},
        {"row": {"kind": "never seen"}, "action": "biopsy"},
    ]
    assert (
        measured(check(evidence, view, "cases", evidence.everything, {"cases": json.dumps(told)})).value
        == 0.0
    )
    np.testing.assert_array_equal(np.vstack(asked), [[20, 0, 1, 7], [np.nan, 1, 0, 1], [4, 0, np.nan, 7]])


def test_regression_is_asked_for_values(build, measured):
    """Rising, invariance and cases of a predicted value, within `between`."""
    matrix = np.linspace(0, 1, 60, dtype=np.float32)[:, None]

    def predict(asked):
        return Predictions(task=Task.REGRESSION, classes=(), values=3.0 * asked[:, :1].astype(float))

    evidence = build.values(
        predict(matrix).values[:, 0], matrix[:, 0] * 3, columns={"x0": matrix[:, 0].astype(float)}
    )
    view = build.view(matrix, predict)

    def asked(kind, **parameters):
        return measured(check(evidence, view, kind, evidence.everything, parameters)).value

    assert asked("rises_with", column="x0") == 0.0
    assert asked("invariant_to", column="x0") > 0.9
    assert asked("cases", cases=json.dumps([{"row": {"x0": 1.0}, "between": [2.9, 3.1]}])) == 0.0
    assert asked("cases", cases=json.dumps([{"row": {"x0": 1.0}, "between": [0, 1]}])) == 1.0
    assert asked("largest_share") == pytest.approx(1.0)


def test_several_classes_must_name_one(build, measured):
    """With three classes the clause names the one whose probability rises."""
    matrix = np.linspace(0, 1, 40, dtype=np.float32)[:, None]

    def predict(asked):
        p = asked[:, 0].astype(float)
        return Predictions(
            task=Task.MULTICLASS, classes=("a", "b", "c"), values=np.column_stack([p / 2, 1 - p, p / 2])
        )

    evidence = build.classes(predict(matrix).values, np.arange(40) % 3)
    view = build.view(matrix, predict)
    silent = check(evidence, view, "rises_with", evidence.everything, {"column": "x0"})
    assert "must say which `class`" in silent.reason
    named = check(evidence, view, "rises_with", evidence.everything, {"column": "x0", "class": "c"})
    assert measured(named).value == 0.0


@pytest.mark.parametrize("kind", sorted(set(CHECKS) - {"forbidden", "cases"}))
def test_an_empty_slice_has_a_reason(world, kind):
    """No kind of clause invents a value for no rows."""
    value = world(kind, logistic, column="x0", attribute="site", where="x0 > 1000")
    assert isinstance(value, Unmeasured)


def test_an_unknown_kind_is_said(world):
    """A kind that is not known gives a reason."""
    assert "no kind of plausibility" in world("elegance", logistic).reason


def test_many_rows_are_sampled(build, measured):
    """Questions about more than 2000 rows are asked about 2000 of them, the same for the same seed."""
    matrix = np.random.default_rng(1).normal(size=(5000, 1)).astype(np.float32)
    predict = build.says(lambda m: np.abs(m[:, 0]) / 5)
    evidence = build.binary(predict(matrix).values[:, 1], matrix[:, 0] > 0)
    view = build.view(matrix, predict)
    one = measured(check(evidence, view, "invariant_to", evidence.everything, {"column": "x0"}))
    two = check(evidence, view, "invariant_to", evidence.everything, {"column": "x0"})
    assert one.rows == MOST_ASKED
    assert one == two


def test_a_change_must_leave_the_decision_alone(world, measured):
    """A swap of x1 changes nothing; a swap of x0 across the threshold does, and is quoted."""
    fine = {"row": {"x0": -3.0}, "change": {"x1": 5}, "then": "same"}
    wrong = {"row": {"x0": -3.0}, "change": {"x0": 3.0}, "then": "same", "because": "only a number"}

    value = measured(world("cases", logistic, cases=json.dumps([fine, wrong])))

    assert value.value == 0.5
    assert value.note == "only a number: with x0 3.0 biopsy, not still follow up"


def test_a_change_must_move_the_answer_its_way(world, measured):
    """x0 moves the answer up; against its way, or by something that moves nothing, is a failure in words."""
    up = {"row": {"x0": 0.0}, "change": {"x0": 1.0}, "then": "rises"}
    down = {"row": {"x0": 0.0}, "change": {"x0": 1.0}, "then": "falls"}
    idle = {"row": {"x0": 0.0}, "change": {"x1": 1.0}, "then": "rises"}

    value = measured(world("cases", logistic, cases=json.dumps([up, down, idle])))

    assert value.value == pytest.approx(2 / 3)
    assert value.note == (
        "case 2: with x0 1.0 the answer goes from 0.5 to 0.8808, where it must fall;"
        " case 3: with x1 1.0 the answer stays at 0.5, where it must rise"
    )


def test_right_cases_say_how_little_they_prove(world, measured):
    """Ten right answers of ten leave up to 1 - 0.05^(1/10) = 26 % of cases like them open."""
    right = [{"row": {"x0": 3.0}, "action": "biopsy"}] * 10

    assert measured(world("cases", logistic, cases=json.dumps(right))).note == (
        "of cases drawn like these, up to 26% could still be wrong"
    )


def test_what_only_the_rule_reads_is_not_invariant(build, measured):
    """A column that the model does not see turns decisions all the same where their costs read it."""
    matrix = np.zeros((200, 1), dtype=np.float32)
    predict = build.says(lambda m: np.full(len(m), 0.5))
    columns = {"zone": np.where(np.arange(200) % 2, 10.0, 0.1)}
    contract = build.contract(costs=build.costs("zone", "1"))
    evidence = build.binary([0.5] * 200, np.arange(200) % 2, columns=columns, contract=contract)

    value = measured(
        check(evidence, build.view(matrix, predict), "invariant_to", evidence.everything, {"column": "zone"})
    )

    assert value.value > 0.9
    assert value.note == "the rule that decides reads zone"


def test_awkward_columns_never_give_a_number_without_a_meaning(build):
    """Constant, all missing, one value for each row, text that is no feature: each question has a value or a reason."""
    rows = 120
    generator = np.random.default_rng(1)
    matrix = np.column_stack(
        [generator.normal(size=rows), np.ones(rows), np.full(rows, np.nan), np.arange(rows)]
    ).astype(np.float32)
    names = ("first", "constant", "absent", "name")
    features = tuple(
        RequestFeature(
            name=one, expression=one, type=FeatureType.CATEGORY if one == "name" else FeatureType.NUMBER
        )
        for one in names
    )
    predict = build.says(lambda m: 1 / (1 + np.exp(-m[:, 0])))
    view = build.view(
        matrix,
        predict,
        names=names,
        features=features,
        categories=(("name", tuple(str(i) for i in range(rows))),),
    )
    columns = {
        **{name: matrix[:, i].astype(float) for i, name in enumerate(names)},
        "words": np.array([f"told {i}" for i in range(rows)], dtype=object),
    }
    evidence = build.binary(predict(matrix).values[:, 1], np.arange(rows) % 2, columns=columns)

    for kind in set(CHECKS) - {"cases", "robust_to"}:
        for column in (*names, "words"):
            parameters = {"column": column, "columns": (column,), "attribute": column}
            value = check(evidence, view, kind, evidence.everything, parameters)
            if isinstance(value, Unmeasured):
                assert len(value.reason) > 10, (kind, column)
            else:
                assert np.isfinite([value.value, value.low, value.high]).all(), (kind, column)


def test_what_is_about_the_rows_is_asked_once_for_all_models(world, build):
    """Two models of the same rows share a proxy's answer, and not what each of them does."""
    shared = {}
    views = [
        replace(build.view(world.matrix, build.says(function)), about_rows=shared)
        for function in (logistic, lambda m: 1 - logistic(m))
    ]
    first, second = (world("proxy_of", logistic, view=view, attribute="site") for view in views)
    rising, falling = (world("rises_with", logistic, view=view, column="x0") for view in views)

    assert second is first
    assert (rising.value, falling.value) == (0.0, 1.0)
