"""Lift: against the cheapest simpler way, beside what so many tries show by luck."""

from dataclasses import replace

import numpy as np
import pytest

from geartrain.domain.finding import Measurement
from geartrain.evaluation.evidence import Unmeasured
from geartrain.evaluation.lift import Tried, lift_of
from geartrain.stats.multiplicity import luck_bar

TRIED = Tried(trials=100, checked=40, baseline="always-biopsy", p_value=0.004)


def test_the_rival_is_the_cheapest_simpler_way(seen):
    """The baseline is the one that costs least on these rows, so no weak rival flatters the product."""
    lift = lift_of(seen, TRIED, look=1)
    benign = float((seen.truth == 0).mean())
    cheapest = min(50 * (1 - benign), 1 * benign)
    assert lift.saved.value == pytest.approx(cheapest - seen.costs.mean())
    assert lift.baseline in {"always-biopsy", "always-follow up", "most-frequent"}


def test_the_bar_rises_with_the_tries(seen):
    """The best of more tries shows more by luck; at one try there is nothing to be lucky with."""
    bars = [lift_of(seen, Tried(trials=k, reason="-"), look=1).luck_bar for k in (1, 10, 1000)]
    assert bars[0] == 0.0
    assert bars[1] / bars[2] == pytest.approx(luck_bar(1, 10) / luck_bar(1, 1000))


def test_noise_that_was_tried_often_is_not_above_luck(build):
    """A saving that one look in thirty shows by luck is below the bar of a hundred tries, and the words say so."""
    generator = np.random.default_rng(11)
    truth = (generator.random(400) < 0.02).astype(np.int64)
    said = np.full(400, 0.0)
    said[np.flatnonzero(truth == 1)[:2]] = 0.9
    lift = lift_of(build.binary(said, truth), TRIED, look=3)
    assert not lift.above_luck
    first, second, third = lift.sentences
    assert "look 3" in first
    assert "biopsies are saved per 1000 decisions" in first
    assert "100 recorded trials" in second
    assert "not above" in second
    assert third.endswith("probability 0.004")
    assert "40 of 100" in third


def test_without_a_known_cost_there_is_no_lift(build):
    """Rows without a price are no evidence of a saving."""
    contract = build.contract(costs=build.costs(false_negative="amount"))
    evidence = build.binary(
        [0.1, 0.9], [1, 1], columns={"amount": np.array([np.nan, np.nan])}, contract=contract
    )
    assert isinstance(lift_of(evidence, TRIED, look=1), Unmeasured)


def test_a_loss_is_told_as_money_that_is_spent(seen):
    """Nobody is told that a negative sum was saved, and thousands are set apart."""
    saved = Measurement(value=-2.9, low=-13.4, high=7.0, confidence=0.97, rows=100)
    lost = replace(lift_of(seen, TRIED, look=1), unit="EUR", saved=saved)

    assert "2,900 EUR more are spent per 1000 decisions (-7,000 to 13,400 at 97.0%)" in lost.sentences[0]
