"""Decisions: the cheapest action, abstention, fallback, reasons."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.domain.contract import CostTerms
from geartrain.domain.prediction import Predictions
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.errors import FeatureInvalid, RequestInvalid
from geartrain.serving.deciding import UNKNOWN_COST, decide_rows

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_the_cheapest_action_is_taken(make_served):
    """At costs 9:1 the threshold is 1 in 10, so p = 0.27 is a biopsy and p = 0.05 is not."""
    rows = [{"sample_id": "a", "size": 9.0}, {"sample_id": "b", "size": 7.0}]

    answered = decide_rows(make_served(), rows, NOW, ["d1", "d2"])

    first, second = answered.decisions
    assert (first.action, second.action) == ("biopsy", "follow up")
    assert (first.key, second.key) == ("a", "b")
    p = 1 / (1 + math.e)
    assert dict(first.probabilities)["malignant"] == pytest.approx(p)
    assert first.expected_cost == pytest.approx(1 - p)
    assert second.expected_cost == pytest.approx(9 / (1 + math.exp(3)))
    assert (first.release, first.product, first.decided_at, first.arm) == ("r1", "triage", NOW, "champion")
    assert not first.abstained
    assert not first.fallback
    assert answered.features.tolist()[0][0] == 9.0


@given(sizes=st.lists(st.floats(0, 50, width=32), min_size=1, max_size=8))
@settings(max_examples=30)
def test_a_row_s_decision_does_not_depend_on_its_company(sizes):
    """Deciding a batch gives what deciding each row alone gives."""
    from .conftest import build

    served = build()
    rows = [{"size": size} for size in sizes]
    together = decide_rows(served, rows, NOW, [str(i) for i in range(len(rows))]).decisions
    alone = [decide_rows(served, [row], NOW, [str(i)]).decisions[0] for i, row in enumerate(rows)]

    assert list(together) == alone


def test_low_confidence_abstains(make_served, make_abstention):
    """Below the contract's confidence a person decides, at the contract's cost, with the doubt in words."""
    served = make_served(abstain=make_abstention(below_confidence=0.8))

    unsure, sure = decide_rows(served, [{"size": 10.5}, {"size": 15}], NOW, ["1", "2"]).decisions

    assert (unsure.action, unsure.abstained, unsure.expected_cost) == ("ask a pathologist", True, 2.0)
    assert "below 0.8" in unsure.doubt
    assert (sure.action, sure.abstained, sure.doubt) == ("biopsy", False, "")


def test_missing_features_abstain(make_served, make_abstention):
    """A row with a larger share of missing features than allowed is not the model's to decide."""
    served = make_served(abstain=make_abstention(most_missing=0.5))

    empty, half = decide_rows(served, [{}, {"size": 20}], NOW, ["1", "2"]).decisions

    assert empty.abstained
    assert "100% of the features are missing" in empty.doubt
    assert not half.abstained


def test_rows_unlike_all_that_is_known_abstain(make_served, make_abstention):
    """Beyond what the reference rows span the model does not decide; on the edge, and where a value is missing, it does."""
    ranges = np.array([[0.0, 0.0], [30.0, 100.0]], dtype=np.float32)
    served = make_served(abstain=make_abstention(most_outside=0.4), ranges=ranges)

    rows = [{"size": 30.0, "age": 100.0}, {"size": 30.1, "age": 50.0}, {"age": -1.0}, {"size": 5.0}]
    edge, beyond, below, missing = decide_rows(served, rows, NOW, ["1", "2", "3", "4"]).decisions

    assert [one.abstained for one in (edge, beyond, below, missing)] == [False, True, True, False]
    assert beyond.doubt == "50% of the features lie outside of what is known, at most 40%"
    assert beyond.action == "ask a pathologist"


@pytest.mark.parametrize(("silent_s", "abstains"), [(None, False), (60.0, False), (61.0, True)])
def test_stale_feeds_abstain(make_served, make_abstention, silent_s, abstains):
    """Feeds that have been silent for longer than allowed take the decision from the model."""
    served = make_served(abstain=make_abstention(most_stale_s=60.0))

    (decision,) = decide_rows(served, [{"size": 20}], NOW, ["1"], stale_s=silent_s).decisions

    assert decision.abstained is abstains


def test_an_unknown_cost_goes_to_the_fallback(make_served):
    """Where a cost that the decision needs is missing in the row, the fallback acts and says why."""
    served = make_served()
    costs = CostTerms(
        entries=tuple(
            type(entry)(name=entry.name, action=entry.action, truth=entry.truth, cost="amount")
            for entry in served.rule.costs.entries
        )
    )
    rule = DecisionRule(
        task=Task.BINARY,
        classes=served.rule.classes,
        actions=served.rule.actions,
        costs=costs,
        fallback="biopsy",
    )

    decisions = decide_rows(make_served(rule=rule), [{"size": 1}, {"size": 1, "amount": 3}], NOW, ["1", "2"])

    without, with_amount = decisions.decisions
    assert (without.action, without.fallback, without.doubt) == ("biopsy", True, UNKNOWN_COST)
    assert (with_amount.action, with_amount.fallback) == ("follow up", False)


def test_a_failing_model_falls_back_row_by_row(make_served):
    """One row that breaks the model gets the fallback; its neighbours get the model."""

    def predict(matrix):
        if (matrix[:, 0] == 13).any():
            raise ValueError("secret value 13")
        from .conftest import sigmoid_of_size

        return sigmoid_of_size(matrix)

    rows = [{"size": 5}, {"size": 13}, {"size": 20}]
    decisions = decide_rows(make_served(predict=predict), rows, NOW, ["1", "2", "3"]).decisions

    assert [one.fallback for one in decisions] == [False, True, False]
    assert decisions[1].action == "biopsy"
    assert decisions[1].arm == "fallback"
    assert decisions[1].doubt == "the model failed: ValueError"
    assert decisions[1].probabilities == ()


def test_features_that_cannot_be_made_fall_back(make_served):
    """An online store that is down costs the model's answer, not the decision."""

    def encode(rows, at):
        raise FeatureInvalid("the store is down")

    (decision,) = decide_rows(make_served(encode=encode), [{"size": 5}], NOW, ["1"]).decisions

    assert decision.fallback
    assert decision.doubt == "the model failed: features.invalid"


def test_our_own_bug_is_not_hidden_behind_the_fallback(make_served):
    """An error that no model raises is ours and is raised."""

    def predict(matrix):
        raise KeyError("bug")

    with pytest.raises(KeyError):
        decide_rows(make_served(predict=predict), [{"size": 5}], NOW, ["1"])


def test_a_row_that_cannot_be_encoded_is_the_client_s(make_served):
    """RequestInvalid from the encoder reaches the client and is no fallback."""

    def encode(rows, at):
        raise RequestInvalid("no such currency")

    with pytest.raises(RequestInvalid):
        decide_rows(make_served(encode=encode), [{"size": 5}], NOW, ["1"])


@pytest.mark.parametrize(
    "values", [np.array([[np.nan, np.nan]]), np.array([[0.2, np.inf]]), np.array([[0.2, 0.3, 0.5]])]
)
def test_a_model_that_answers_nonsense_falls_back(make_served, values):
    """NaN, infinity or a wrong number of columns is no answer."""

    def predict(matrix):
        return Predictions(task=Task.BINARY, classes=("benign", "malignant"), values=values)

    (decision,) = decide_rows(make_served(predict=predict), [{"size": 5}], NOW, ["1"]).decisions

    assert decision.fallback
    assert decision.probabilities == ()


def test_regression_and_multiclass_decide(make_served):
    """The same function answers for a number and for three classes."""
    number = DecisionRule(
        task=Task.REGRESSION, classes=(), actions=("predict",), costs=CostTerms(), fallback="predict"
    )
    value = make_served(
        rule=number, predict=lambda m: Predictions(task=Task.REGRESSION, classes=(), values=m[:, :1] * 2.0)
    )
    (one,) = decide_rows(value, [{"size": 21}], NOW, ["1"]).decisions
    assert (one.action, one.probabilities) == ("predict", (("value", 42.0),))

    names = ("a", "b", "c")
    rule = DecisionRule(task=Task.MULTICLASS, classes=names, actions=names, costs=CostTerms(), fallback="a")
    classes = make_served(
        rule=rule,
        predict=lambda m: Predictions(
            task=Task.MULTICLASS, classes=names, values=np.tile([0.2, 0.5, 0.3], (len(m), 1))
        ),
    )
    (one,) = decide_rows(classes, [{"size": 1}], NOW, ["1"], explain=True).decisions
    assert (one.action, one.reasons) == ("b", ())
    assert one.expected_cost == pytest.approx(0.5)


def test_reasons_are_exact_occlusions(make_served):
    """The reason's number is the change of the probability when the feature is set to its typical value."""
    (decision,) = decide_rows(make_served(), [{"size": 12.0, "age": 50}], NOW, ["1"], explain=True).decisions

    change = 1 / (1 + math.exp(-2)) - 0.5
    assert decision.reasons == (
        f"mean radius 12 µm raises the probability of malignant by {change:.3g} (typical: 10 µm)",
    )
    assert decide_rows(make_served(), [{"size": 12.0}], NOW, ["1"]).decisions[0].reasons == ()


def test_handing_over_where_it_is_cheaper_says_so(make_served, make_abstention):
    """At p = .27 the best action is expected to cost .73; a pathologist at .5 is cheaper, and the doubt says it."""
    served = make_served(abstain=replace(make_abstention(when_cheaper=True), cost="0.5"))

    unsure, sure = decide_rows(served, [{"size": 9.0}, {"size": 15}], NOW, ["1", "2"]).decisions

    assert (unsure.action, unsure.abstained, unsure.expected_cost) == ("ask a pathologist", True, 0.5)
    assert unsure.doubt == "to ask a pathologist costs less than the best action is expected to"
    assert (sure.action, sure.abstained) == ("biopsy", False)


def test_a_group_s_threshold_reads_the_request(make_served):
    """Where the release has thresholds by group, the request's own group decides; who does not tell it gets the common one."""
    plain = make_served()
    rule = replace(plain.rule, groups=("sex",), group_weights=(("f", (1.0, 1 / 20)),))
    served = replace(plain, rule=rule)
    rows = [{"size": 9.0, "sex": "f"}, {"size": 9.0, "sex": "m"}, {"size": 9.0}]

    decisions = decide_rows(served, rows, NOW, ["1", "2", "3"]).decisions

    assert served.cost_columns == ("sex",)
    assert [one.action for one in decisions] == ["follow up", "biopsy", "biopsy"]
