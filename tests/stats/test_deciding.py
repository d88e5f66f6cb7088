"""The rule of least expected cost: row by row, with abstention, by group, and where nothing turns it."""

import numpy as np
import pytest

from geartrain.domain.contract import Abstention, CostEntry, CostTerms
from geartrain.domain.prediction import Predictions
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.errors import ExpressionInvalid
from geartrain.stats.deciding import ABSTAINED, decide, group_labels, realised_cost, row_thresholds


def rule(false_negative="5", false_positive="1", **more):
    entries = [
        CostEntry(name="false_negative", action="accept", truth="bad", cost=false_negative),
        CostEntry(name="false_positive", action="refuse", truth="good", cost=false_positive),
    ]
    for name, cell in (("true_positive", ("refuse", "bad")), ("true_negative", ("accept", "good"))):
        if name in more:
            entries.append(CostEntry(name=name, action=cell[0], truth=cell[1], cost=more.pop(name)))
    return DecisionRule(
        task=Task.BINARY,
        classes=("good", "bad"),
        actions=("accept", "refuse"),
        costs=CostTerms(entries=tuple(entries)),
        fallback=more.pop("fallback", "refuse"),
        **more,
    )


def said(*probabilities):
    p = np.asarray(probabilities, dtype=float)
    return Predictions(task=Task.BINARY, classes=("good", "bad"), values=np.column_stack([1 - p, p]))


def test_the_threshold_is_the_one_of_the_costs():
    """A bad credit at 5 and a good one refused at 1 turn the decision at 1/6, itself refused."""
    assert row_thresholds(rule(), {}, 2, positive=1) == pytest.approx([1 / 6, 1 / 6])
    decided = decide(rule(), said(1 / 6 - 1e-9, 1 / 6 + 1e-9), {})
    assert decided.actions.tolist() == [0, 1]


def test_amounts_give_each_row_its_own_threshold():
    """A check at 3 is worth it from p = 3 / (3 + amount): 0.03 for 97, 0.5 for 3, and never for 0."""
    own = rule(false_negative="amount", false_positive="3")
    columns = {"amount": np.array([97.0, 3.0, 0.0, np.nan])}
    thresholds = row_thresholds(own, columns, 4, positive=1)
    assert thresholds[:3] == pytest.approx([0.03, 0.5, np.inf])
    assert np.isnan(thresholds[3])
    decided = decide(own, said(0.04, 0.4, 0.99, 0.99), columns)
    assert decided.actions.tolist() == [1, 0, 0, ABSTAINED]


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ({"true_positive": "-4"}, 1 / (1 + 9)),
        ({"false_positive": "-1"}, 0.0),
        ({"false_negative": "-1", "false_positive": "2"}, np.inf),
        ({"false_negative": "-1", "false_positive": "-1"}, np.nan),
    ],
)
def test_negative_costs(costs, expected):
    """A gain moves the threshold; where an error pays more than being right, one action always wins, or none does."""
    found = row_thresholds(rule(**costs), {}, 1, positive=1)
    assert found[0] == pytest.approx(expected, nan_ok=True)


def test_an_unpriced_row_is_never_free():
    """Without an `abstain` section the fallback acts where a cost is missing: priced where known, NaN where not."""
    own = rule(false_negative="amount")
    columns = {"amount": np.array([np.nan, np.nan])}
    actions = decide(own, said(0.5, 0.5), columns).actions
    assert actions.tolist() == [ABSTAINED, ABSTAINED]
    assert realised_cost(own, actions, np.array([0, 1]), columns) == pytest.approx([1.0, 0.0])
    accepting = rule(false_negative="amount", fallback="accept")
    assert realised_cost(accepting, actions, np.array([0, 1]), columns) == pytest.approx(
        [0.0, np.nan], nan_ok=True
    )


def test_handing_over_where_it_is_cheaper():
    """Chow's rule: with errors at 1 and a person at 0.2, the model decides outside .2 to .8 only."""
    own = rule(
        false_negative="1",
        abstain=Abstention(when_cheaper=True, then="ask a person", cost="0.2"),
    )
    p = np.linspace(0.005, 0.995, 100)
    decided = decide(own, said(*p), {})
    handed = decided.actions == ABSTAINED
    assert (handed == ((p > 0.2) & (p < 0.8))).all()
    assert decided.expected_cost[handed] == pytest.approx(0.2)
    assert decided.expected_cost[~handed] == pytest.approx(np.minimum(p, 1 - p)[~handed])
    assert realised_cost(own, decided.actions, np.zeros(100, dtype=int), {})[handed] == pytest.approx(0.2)


def test_a_price_that_is_missing_is_no_reason_to_hand_over():
    """An abstention priced by a missing column is not cheaper than anything."""
    own = rule(abstain=Abstention(when_cheaper=True, then="ask", cost="price"))
    assert decide(own, said(0.5, 0.5), {"price": np.array([np.nan, 0.01])}).actions.tolist() == [1, ABSTAINED]


def test_groups_have_their_own_thresholds():
    """Weights move a group's threshold; a row of no group or of an unnamed one keeps the common one."""
    own = rule(
        false_negative="1",
        groups=("sex",),
        group_weights=(("f", (1.0, 3.0)), ("m", (1.0, 1 / 3))),
    )
    columns = {"sex": np.array(["f", "m", "x", None], dtype=object)}
    assert row_thresholds(own, columns, 4, positive=1) == pytest.approx([0.25, 0.75, 0.5, 0.5])
    assert decide(own, said(0.4, 0.4, 0.4, 0.4), columns).actions.tolist() == [1, 0, 0, 0]
    assert own.columns == ("sex",)


def test_crossed_groups_are_named_by_their_parts():
    """Sex by age band; where one part is missing the row has no group."""
    columns = {
        "sex": np.array(["f", "m", None], dtype=object),
        "age": np.array([70.0, 30.0, 40.0]),
    }
    crossed = group_labels(("sex", "age >= 60"), columns, 3)
    assert crossed.tolist() == ["sex f, age >= 60 true", "sex m, age >= 60 false", None]
    bands = group_labels(("'old' if age >= 60 else 'young'",), columns, 3)
    assert bands.tolist() == ["old", "young", "young"]


def test_a_cost_column_that_is_not_there_is_named():
    """A rule whose costs read a column that the rows lack refuses, with the column's name."""
    with pytest.raises(ExpressionInvalid) as refused:
        decide(rule(false_negative="amount"), said(0.5), {"price": np.array([1.0])})
    assert "amount" in str(refused.value)


def test_two_actions_are_needed_for_a_threshold():
    """Three classes have no single threshold, and that is said."""
    three = DecisionRule(
        task=Task.MULTICLASS, classes=("a", "b", "c"), actions=("a", "b", "c"), costs=CostTerms()
    )
    with pytest.raises(ValueError, match="two classes"):
        row_thresholds(three, {}, 1, positive=1)
