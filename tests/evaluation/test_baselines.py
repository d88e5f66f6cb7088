"""Simpler ways of deciding about the same rows, each by hand."""

import numpy as np
import pytest

from geartrain.domain.contract import Abstention, Baseline
from geartrain.domain.prediction import Predictions
from geartrain.domain.task import Task
from geartrain.evaluation.baselines import baseline_costs, baseline_names, last_label
from geartrain.evaluation.evidence import History, Unmeasured


def test_always_an_action(build):
    """Biopsy for everyone costs one per healthy patient, follow-up fifty per tumour; hyphens are spaces."""
    evidence = build.binary([0.5, 0.5, 0.5], [1, 0, 0])
    assert baseline_costs(evidence, "always-biopsy").tolist() == [0, 1, 1]
    assert baseline_costs(evidence, "always-follow-up").tolist() == [50, 0, 0]
    assert "no action `pray`" in baseline_costs(evidence, "always-pray").reason


def test_always_a_person(build):
    """The action that stands in for an abstention is a baseline at its own cost."""
    contract = build.contract(abstain=Abstention(then="ask a pathologist", cost="2"))
    evidence = build.binary([0.5, 0.5], [1, 0], contract=contract)
    assert baseline_costs(evidence, "always-ask-a-pathologist").tolist() == [2, 2]


def test_most_frequent_and_mean_prefer_history(build):
    """The most frequent class and the mean are those known before, not of the rows judged."""
    before = History(truth=np.array([1, 1, 0]))
    assert baseline_costs(build.binary([0.5] * 2, [0, 0], history=before), "most-frequent").tolist() == [1, 1]
    assert baseline_costs(build.binary([0.5] * 2, [0, 1]), "most-frequent").tolist() == [0, 50]
    known = History(truth=np.array([10.0, 20.0]))
    assert baseline_costs(build.values([0, 0], [14.0, 15.0], history=known), "mean").tolist() == [1, 0]


def test_last_label_is_the_one_known_by_then(build):
    """With two days of delay, a row sees only labels of rows at least two days old."""
    day = 86_400_000_000
    contract = build.contract(label_delay_s=2 * 86_400.0)
    times = np.array([0, 1, 2, 3, 4]) * day
    evidence = build.binary([0.5] * 5, [1, 0, 1, 1, 0], contract=contract, times_us=times)
    assert np.array_equal(last_label(evidence), [np.nan, np.nan, 1, 0, 1], equal_nan=True)
    # Before any label is known the fallback, follow up, decides: the first row costs 50.
    assert baseline_costs(evidence, "last-label").tolist() == [50, 0, 0, 50, 1]


def test_last_label_without_delay_is_the_row_before(build):
    """Shuffled delivery does not matter, and labels before these rows count."""
    history = History(truth=np.array([7.0]), times_us=np.array([0]))
    evidence = build.values([0, 0, 0], [3.0, 1.0, 2.0], times_us=np.array([30, 10, 20]), history=history)
    assert last_label(evidence).tolist() == [2.0, 7.0, 1.0]
    assert baseline_costs(evidence, "last-label").tolist() == [1.0, 6.0, 1.0]
    assert "no times" in last_label(build.values([0.0], [1.0])).reason


def test_a_rule_of_the_team(build):
    """True takes the rule's action, false the other; a missing value is false; an unknown column is said."""
    rules = (
        Baseline(name="large", rule="size > 2", action="biopsy"),
        Baseline(name="lost", rule="colour > 2", action="biopsy"),
        Baseline(name="odd", rule="size > 2", action="pray"),
    )
    evidence = build.binary(
        [0.5] * 3,
        [1, 0, 1],
        columns={"size": np.array([3.0, 3.0, np.nan])},
        contract=build.contract(baselines=rules),
    )
    assert baseline_costs(evidence, "large").tolist() == [0, 1, 50]
    assert "no column `colour`" in baseline_costs(evidence, "lost").reason
    assert "no action" in baseline_costs(evidence, "odd").reason
    assert baseline_names(evidence)[-3:] == ("large", "lost", "odd")


def test_a_rule_of_a_regression_is_a_number(build):
    """The rule's value is the prediction."""
    rules = (Baseline(name="double", rule="2 * x"),)
    contract = build.contract(Task.REGRESSION, baselines=rules)
    evidence = build.values([0.0, 0.0], [2.0, 5.0], columns={"x": np.array([1.0, 2.0])}, contract=contract)
    assert baseline_costs(evidence, "double").tolist() == [0, 1]
    assert baseline_names(evidence) == ("mean", "double")


def test_the_simplest_model(build):
    """Its answers go through the same rule; without them the reason is said."""
    answers = Predictions(
        task=Task.BINARY, classes=("benign", "malignant"), values=np.array([[1.0, 0], [0, 1.0]])
    )
    evidence = build.binary([0.5, 0.5], [1, 0], simplest=answers)
    assert baseline_costs(evidence, "simplest-model").tolist() == [50, 1]
    assert isinstance(baseline_costs(build.binary([0.5], [1]), "simplest-model"), Unmeasured)


def test_three_classes_without_a_fallback(build):
    """A rule that leaves two actions open takes the fallback."""
    contract = build.contract(
        Task.MULTICLASS, baselines=(Baseline(name="r", rule="x > 0", action="c"),), fallback="b"
    )
    evidence = build.classes(
        np.eye(3), [0, 1, 2], columns={"x": np.array([0.0, 0.0, 1.0])}, contract=contract
    )
    assert baseline_costs(evidence, "r").tolist() == [1, 0, 0]
    assert set(baseline_names(evidence)) >= {"always-a", "always-b", "always-c", "most-frequent"}


@pytest.mark.parametrize("name", ["mean", "elegance"])
def test_an_unknown_baseline_is_said(build, name):
    """A baseline that this task does not have gives a reason, not a number."""
    assert "no baseline" in baseline_costs(build.binary([0.5], [1]), name).reason
