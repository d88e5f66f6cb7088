"""What decisions will have been worth, before a label is there: known values, coverage, and its blind spot."""

import numpy as np
import pytest

from geartrain.domain.contract import CostTerms
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.stats.deciding import ABSTAINED
from geartrain.stats.unlabelled import expected_rates, expected_ratio, reconcile

RULE = DecisionRule(
    task=Task.BINARY, classes=("good", "bad"), actions=("pass", "stop"), costs=CostTerms(otherwise="1")
)
#: What `pass` and `stop` cost if the truth is good, bad.
PRICES = np.array([[0.0, 10.0], [1.0, 0.0]])


def _drawn(generator: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, the cheaper action by them, and truths that follow them."""
    bad = generator.beta(1, 6, size=rows)
    probabilities = np.column_stack([1 - bad, bad])
    actions = np.argmin(probabilities @ PRICES.T, axis=1)
    return probabilities, actions, (generator.random(rows) < bad).astype(np.int64)


def test_mean_and_width_are_those_of_independent_draws():
    """Four rows by hand: mean sum p c / n, variance sum (p c^2 - (p c)^2) / n^2."""
    bad = np.array([0.1, 0.2, 0.5, 0.0])
    seen = expected_ratio(np.column_stack([1 - bad, bad]), np.tile([0.0, 10.0], (4, 1)))
    assert seen.value == pytest.approx(2.0)
    assert seen.high - seen.value == pytest.approx(1.959964 * 10 * (0.09 + 0.16 + 0.25) ** 0.5 / 4, rel=1e-6)


def test_certain_probabilities_give_the_plain_counts():
    """Where nothing is uncertain the estimate is the count itself, without a width; abstentions count as in evaluation."""
    truth = np.array([1, 1, 1, 0, 0, 0])
    actions = np.array([1, 0, ABSTAINED, 1, 0, 0])
    certain = np.eye(2)[truth]
    rates = dict(expected_rates(RULE, actions, certain, of=1))
    assert rates["recall"].value == pytest.approx(2 / 3)
    assert rates["precision"].value == pytest.approx(1 / 2)
    assert rates["accuracy"].value == pytest.approx(3 / 5)
    assert all(one.low == pytest.approx(one.high) for one in rates.values())


def test_a_rate_of_nothing_is_left_out():
    """Where the class's action is never taken there is no precision, and nothing is made up."""
    rates = dict(expected_rates(RULE, np.zeros(40, dtype=np.int64), np.full((40, 2), 0.5), of=1))
    assert set(rates) == {"accuracy", "recall"}
    assert expected_ratio(np.full((3, 2), 0.5), np.ones((3, 2)), np.zeros((3, 2))) is None


def test_intervals_hold_what_comes_when_probabilities_are_right():
    """In 400 worlds of 500 rows each, cost, recall, precision and accuracy lie inside in 92 to 98 %."""
    generator = np.random.default_rng(5)
    inside = dict.fromkeys(("cost", "recall", "precision", "accuracy"), 0)
    for _ in range(400):
        probabilities, actions, truth = _drawn(generator, 500)
        came = {
            "cost": PRICES[actions, truth].mean(),
            "recall": actions[truth == 1].mean(),
            "precision": truth[actions == 1].mean(),
            "accuracy": (actions == truth).mean(),
        }
        seen = dict(expected_rates(RULE, actions, probabilities, of=1))
        seen["cost"] = expected_ratio(probabilities, PRICES[actions])
        for name, value in came.items():
            inside[name] += seen[name].low <= value <= seen[name].high
    assert all(0.92 <= count / 400 <= 0.98 for count in inside.values()), inside


def test_reconciling_seldom_complains_without_a_reason():
    """Probabilities that are right are called wrong in at most 7 % of 400 worlds (5 % stated)."""
    generator = np.random.default_rng(6)
    wrong = 0
    for _ in range(400):
        probabilities, actions, truth = _drawn(generator, 300)
        wrong += not reconcile(probabilities, PRICES[actions], PRICES[actions, truth]).agrees
    assert wrong / 400 <= 0.07


def test_reconciling_names_probabilities_that_are_wrong():
    """Every row passes and bad ones come twice as often as was said: nothing but the labels tells, and they do."""
    generator = np.random.default_rng(7)
    probabilities, _, _ = _drawn(generator, 3000)
    actions = np.zeros(3000, dtype=np.int64)
    truth = (generator.random(3000) < np.minimum(1, 2 * probabilities[:, 1])).astype(np.int64)
    seen = reconcile(probabilities, PRICES[actions], PRICES[actions, truth])
    assert not seen.agrees
    assert seen.realised > seen.expected
    assert seen.difference.value == pytest.approx(seen.realised - seen.expected)


def test_a_dear_event_that_has_not_come_yet_is_no_contradiction():
    """One row in a thousand costs 1000; that none of 500 did shows no variance and proves nothing."""
    probabilities = np.tile([0.999, 0.001], (500, 1))
    seen = reconcile(probabilities, np.tile([0.0, 1000.0], (500, 1)), np.zeros(500))
    assert seen.agrees
    assert seen.difference.value == pytest.approx(-1.0)


def test_no_rows_are_an_error_of_the_caller():
    """There is nothing to hold against an expectation."""
    with pytest.raises(ValueError, match="nothing came"):
        reconcile(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0))
