"""Acting on so many cases of a period: those that save most, and no more."""

import numpy as np
import pytest

from geartrain.domain.contract import Abstention, CostEntry, CostTerms
from geartrain.domain.prediction import Predictions
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.stats.capacity import decide_within
from geartrain.stats.deciding import ABSTAINED, decide


def rule(**more):
    entries = (
        CostEntry(name="false_negative", action="accept", truth="fraud", cost="amount"),
        CostEntry(name="false_positive", action="call", truth="fine", cost="3"),
        CostEntry(name="true_positive", action="call", truth="fraud", cost="3"),
    )
    return DecisionRule(
        task=Task.BINARY,
        classes=("fine", "fraud"),
        actions=("accept", "call"),
        costs=CostTerms(entries=entries),
        fallback="accept",
        **more,
    )


def said(p):
    p = np.asarray(p, dtype=float)
    return Predictions(task=Task.BINARY, classes=("fine", "fraud"), values=np.column_stack([1 - p, p]))


def test_the_dearest_are_called_not_the_likeliest():
    """A call costs 3 and saves p times the amount: 20 of 100 at p = .2 before 5 of 6 at p = .9; two calls a day."""
    amount = np.array([100.0, 6.0, 50.0, 10.0, 40.0])
    p = np.array([0.2, 0.9, 0.1, 0.1, 0.5])
    day = np.array([0, 0, 0, 0, 1])
    decided = decide_within(rule(), said(p), {"amount": amount}, action=1, most=2, periods=day)
    assert decided.actions.tolist() == [1, 1, 0, 0, 1]
    assert decided.expected_cost == pytest.approx([3, 3, 5, 1, 3])
    one = decide_within(rule(), said(p), {"amount": amount}, action=1, most=1, periods=day)
    assert one.actions.tolist() == [1, 0, 0, 0, 1]
    assert one.expected_cost == pytest.approx([3, 5.4, 5, 1, 3])


def test_room_for_all_is_the_thresholds_decision():
    """With more room than cases nothing is forced: a call that saves nothing is not made."""
    generator = np.random.default_rng(1)
    columns = {"amount": generator.uniform(0, 50, 300)}
    answers = said(generator.random(300))
    within = decide_within(rule(), answers, columns, action=1, most=300, periods=np.zeros(300))
    free = decide(rule(), answers, columns)
    assert (within.actions == free.actions).all()
    assert within.expected_cost == pytest.approx(free.expected_cost)


def test_a_card_takes_one_place():
    """Two payments of one card are one case, worth their savings together."""
    columns = {"amount": np.array([20.0, 20.0, 30.0])}
    decided = decide_within(
        rule(),
        said([0.5, 0.5, 0.5]),
        columns,
        action=1,
        most=1,
        periods=np.zeros(3),
        entities=np.array(["a", "a", "b"]),
    )
    assert decided.actions.tolist() == [1, 1, 0]


def test_who_abstains_takes_no_place():
    """A doubtful row and one without an amount are left to others and fill no place."""
    own = rule(abstain=Abstention(below_confidence=0.6, then="ask", cost="1"))
    columns = {"amount": np.array([1000.0, np.nan, 10.0])}
    decided = decide_within(own, said([0.5, 0.9, 0.9]), columns, action=1, most=1, periods=np.zeros(3))
    assert decided.actions.tolist() == [ABSTAINED, ABSTAINED, 1]
    assert decided.expected_cost == pytest.approx([1, 1, 3])


def test_a_capacity_needs_room_and_another_action():
    """No room, or nothing else to do, is refused."""
    columns = {"amount": np.array([1.0])}
    with pytest.raises(ValueError, match="room"):
        decide_within(rule(), said([0.5]), columns, action=1, most=0, periods=np.zeros(1))
