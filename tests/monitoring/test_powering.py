"""Costs from a few labels: who was labelled is said, the width follows, and how many more would settle it."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from geartrain.monitoring.estimating import Foretold
from geartrain.monitoring.powering import (
    ANSWERED,
    AT_RANDOM,
    DRAWN,
    Sample,
    arrived,
    expected_and_variance,
    from_labels,
    settling,
)
from geartrain.stats.powered import inclusion_of

PRICES = np.array([[0.0, 10.0], [1.0, 0.0]])
START_US = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1e6)


def _told(rows, *, seed=1, flipped=False):
    chance = np.random.default_rng(seed)
    bad = chance.beta(1, 6, size=rows)
    said = np.column_stack([1 - bad, bad])
    actions = np.argmin(said @ PRICES.T, axis=1)
    truth = (chance.random(rows) < bad).astype(np.int64)
    truth = 1 - truth if flipped else truth
    told = Foretold(
        at_us=START_US + np.arange(rows) * 1_000_000,
        probabilities=said,
        actions=actions,
        costs=PRICES[actions],
        realised=np.full(rows, np.nan),
    )
    return told, PRICES[actions, truth]


def _asked(told, costs, labels, *, seed=2, answered=None):
    """A sample as a request draws it; of those drawn, *answered* of each hundred answer."""
    chance = np.random.default_rng(seed)
    expected, variance = expected_and_variance(told)
    probabilities = inclusion_of(np.sqrt(variance), labels)
    drawn = np.flatnonzero(chance.random(len(told)) < probabilities)
    there = drawn if answered is None else drawn[chance.random(len(drawn)) < answered]
    return Sample(
        expected=expected,
        values=costs[there],
        there=expected[there],
        implied=variance[there],
        inclusion=probabilities[there],
        asked=len(drawn),
        which="answers",
    )


def test_a_flipped_concept_is_seen_with_a_hundred_and_twenty_labels():
    """Where the estimate without labels is blind, the asked labels find the cost, and the mean lies inside."""
    told, costs = _told(5000, flipped=True)
    blind = float((told.probabilities * told.costs).sum(axis=1).mean())
    seen = from_labels(_asked(told, costs, 120))
    assert seen.cost.low <= costs.mean() <= seen.cost.high
    assert seen.cost.low > 3 * blind
    assert seen.assumes == DRAWN
    assert seen.trust < 0.2
    assert f"from {seen.labels} labels" in seen.message
    assert f"of {seen.of:,}" in seen.message


def test_answers_that_lack_are_said():
    """If some of those who were asked did not answer, the number assumes that they are like the others."""
    told, costs = _told(3000)
    assert from_labels(_asked(told, costs, 200, answered=0.7)).assumes == ANSWERED
    none = from_labels(_asked(told, costs, 200, answered=0.0))
    assert none.cost is None
    assert "0 answers, at least 30 are needed" in none.message


@pytest.mark.parametrize("flipped", [False, True])
def test_asked_labels_hold_the_mean_as_often_as_they_say(flipped):
    """In 300 worlds, whether the model is right or not, the interval holds the cost of rows like these in 92 to 99 %."""
    everybody = _told(400_000, seed=99, flipped=flipped)[1].mean()
    inside = 0
    for seed in range(300):
        told, costs = _told(2000, seed=seed, flipped=flipped)
        seen = from_labels(_asked(told, costs, 150, seed=seed + 5000)).cost
        inside += seen.low <= everybody <= seen.high
    assert 0.92 <= inside / 300 <= 0.99


def test_labels_that_came_by_themselves_carry_their_assumption():
    """A third of the due decisions is labelled: the interval speaks for all of those, if they are a random third."""
    told, costs = _told(1200)
    came = np.random.default_rng(3).random(1200) < 0.33
    sample = arrived(replace(told, realised=np.where(came, costs, np.nan)), due_us=START_US + 899 * 1_000_000)
    seen = from_labels(sample)
    assert seen.assumes == AT_RANDOM
    assert (seen.of, seen.labels) == (900, int(came[:900].sum()))
    assert seen.cost.low <= costs[:900].mean() <= seen.cost.high


def test_no_labels_and_all_labels_have_a_reason():
    """Nothing due, nothing labelled and nothing left open are each said, not estimated."""
    told, costs = _told(300)
    late = START_US + 10**12
    assert "0 labels that were due and came" in from_labels(arrived(told, due_us=late)).message
    assert "0 labels" in from_labels(arrived(told, due_us=0)).message
    assert "all 300 decisions" in arrived(replace(told, realised=costs), due_us=late)


def test_the_labels_that_are_said_to_settle_it_do():
    """Asked for as many as it takes, the interval clears the bound in most of 100 worlds, and never wrongly in more than 5."""
    told, _ = _told(4000)
    expected = float((told.probabilities * told.costs).sum(axis=1).mean())
    plan = settling(
        told, about="success.expected_cost", bound=1.2 * expected, estimate=expected, smallest_change=0.1
    )
    assert plan.reach <= 0.2 * expected + 1e-9
    assert plan.message.startswith(
        f"about {plan.labels:,} labels out of 4,000 decisions would settle `success"
    )
    kept = broken = 0
    for seed in range(100):
        told, costs = _told(4000, seed=seed)
        seen = from_labels(_asked(told, costs, plan.labels, seed=seed + 100)).cost
        kept += seen.high <= 1.2 * expected
        broken += seen.low > 1.2 * expected
    assert kept >= 35  # about half: the plan aims at the bound itself
    assert broken <= 5


def test_what_no_number_of_labels_settles_is_said():
    """An estimate on the bound, and too few decisions, have a reason; without a clause the smallest change is asked for."""
    told, _ = _told(500)
    near = settling(told, about="x", bound=1.0, estimate=1.0, smallest_change=0.1)
    assert near.labels is None
    assert "wait for more decisions" in near.message
    few = settling(told.of(np.arange(500) < 20), about="x", bound=9.0, estimate=1.0, smallest_change=0.1)
    assert "20 decisions have no truth yet" in few.message
    change = settling(told, about="", bound=None, estimate=1.0, smallest_change=0.5)
    assert change.margin == 0.5
    assert "the smallest change that matters" in change.message
