"""A canary's keys against the champion's: drawn by a hash, so that moving and alike costs do not matter."""

from __future__ import annotations

import math

import numpy as np
import pytest

from geartrain.retraining.split import gains_of, split_of
from geartrain.stats.bounded import Scale

STREAMS, ROWS = 80, 2000
SCALE = Scale(high=5.0)


def _stream(seed, *, share=0.2, more=1.0):
    """Errors cost 5; their rate is three times as high after half of the rows, in both arms."""
    chance = np.random.default_rng(seed)
    canary = chance.uniform(size=ROWS) < share
    rate = np.where(np.arange(ROWS) < ROWS / 2, 0.1, 0.3) * np.where(canary, more, 1.0)
    return np.where(chance.uniform(size=ROWS) < rate, 5.0, 0.0), canary, np.full(ROWS, share)


def _ever_dearer(costs, canary, shares, **more):
    looks = (
        split_of(costs[:n], canary[:n], shares[:n], scale=SCALE, **more) for n in range(200, ROWS + 1, 200)
    )
    return any(one.is_dearer for one in looks)


def test_a_canary_that_is_no_dearer_is_called_so_in_at_most_five_of_a_hundred_rollouts():
    """Over ten looks, while the costs of both treble half-way; plus 2 sd."""
    rang = sum(_ever_dearer(*_stream(seed)) for seed in range(STREAMS))

    assert rang / STREAMS <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / STREAMS)


def test_costs_in_spells_and_a_share_that_grows_prove_nothing():
    """Stretches of 100 rows are dear for both, and the canary grows from a tenth to a half meanwhile."""
    rang = 0
    for seed in range(STREAMS):
        chance = np.random.default_rng(seed)
        shares = np.where(np.arange(ROWS) < ROWS / 2, 0.1, 0.5)
        canary = chance.uniform(size=ROWS) < shares
        spell = np.repeat(chance.uniform(size=ROWS // 100) < 0.3, 100)
        rang += _ever_dearer(5.0 * spell, canary, shares)

    assert rang / STREAMS <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / STREAMS)


def test_a_dearer_canary_is_proven_dearer():
    """Errors half as often again are proven on 2,000 rows, of which it answered a fifth, in nine of ten rollouts."""
    assert sum(_ever_dearer(*_stream(seed, more=1.5)) for seed in range(20)) >= 18


def test_a_margin_lets_it_cost_that_much_more():
    """The same canary is within a margin of three quarters of a unit: it is never proven dearer by more."""
    assert sum(_ever_dearer(*_stream(seed, more=1.5), margin=0.75) for seed in range(20)) <= 1


def test_the_gains_are_the_hand_computed_ones():
    """(Z - s)(c - mean before) / width: nothing on the first row, and its expectation is s (1 - s) times what it costs more."""
    costs, canary = np.array([5.0, 0.0, 5.0, 5.0]), np.array([True, False, True, False])
    seen = gains_of(costs, canary, np.array([0.2, 0.2, 0.2, 0.5]), width=5.0)

    assert seen.tolist() == pytest.approx([0.0, 0.2, 0.8 * 2.5 / 5, -0.5 * (5 - 10 / 3) / 5])


def test_what_is_not_known_is_said():
    """Before both arms have a row nothing is compared; costs beyond the scale are counted; a share of one is no split."""
    nothing = split_of(np.zeros(0), np.zeros(0, dtype=bool), np.zeros(0), scale=SCALE)
    seen = split_of(np.array([1.0, 9.0, np.nan]), np.array([True, False, True]), np.full(3, 0.5), scale=SCALE)

    assert (nothing.is_dearer, nothing.canary) == (False, None)
    assert "is not known on both arms' keys yet" in nothing.reason
    assert (seen.capped, seen.canary.rows, seen.champion.value) == (1, 1, 5.0)
    assert "neither is proven dearer" in seen.reason
    with pytest.raises(ValueError, match="shares between 0 and 1"):
        split_of(np.ones(2), np.ones(2, dtype=bool), np.ones(2), scale=SCALE)
