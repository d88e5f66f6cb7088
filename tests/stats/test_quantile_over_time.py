"""A quantile's interval holds at every look, also where what is slow comes in bursts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from geartrain.domain.finding import Guarantee
from geartrain.stats.quantile_over_time import quantile_over_time, spell_losses

LOOKS = (50, 500, 3000)
STREAMS = 60


def _missed(streams, spells, *, probability, truth):
    """How often any look at a stream misses *truth* on either side."""
    low = high = 0
    for values in streams:
        seen = [
            quantile_over_time(values[:n], spells[:n], probability=probability, confidence=0.95)
            for n in LOOKS
        ]
        low += any(one.low > truth for one in seen)
        high += any(one.high < truth for one in seen)
    return low, high


@pytest.mark.parametrize(("probability", "truth"), [(0.5, 0.0), (0.99, 2.3263)])
def test_both_ends_hold_at_all_looks(probability, truth):
    """Independent values: each end misses in at most 2.5 % + 2 sd of the streams, over all looks together."""
    chance = np.random.default_rng(1)
    streams = np.exp(chance.normal(size=(STREAMS, 3000)))
    spells = np.arange(3000) // 5
    bar = STREAMS * 0.025 + 2 * math.sqrt(STREAMS * 0.025)

    low, high = _missed(streams, spells, probability=probability, truth=math.exp(truth))

    assert low <= bar
    assert high <= bar


def test_a_burst_breaks_no_promise():
    """Late answers that come thirty at a time, one in a hundred in all: by spells none is called broken, singly far more are than may be."""
    chance = np.random.default_rng(2)
    spells = np.arange(3000) // 30
    streams = [np.where((chance.uniform(size=100) < 0.01)[spells], 20.0, 1.0) for _ in range(STREAMS)]

    low, _ = _missed(streams, spells, probability=0.99, truth=10.0)
    singly, _ = _missed(streams, np.arange(3000), probability=0.99, truth=10.0)

    bar = STREAMS * 0.025 + 2 * math.sqrt(STREAMS * 0.025)
    assert low <= bar
    assert singly > 2 * bar


def test_it_is_proven_either_way_in_time():
    """A p99 of 5 ms is below 6 ms after some hundreds of answers; a tenth beyond 10 ms is proven within fifty spells."""
    spells = np.arange(2000) // 10
    steady = np.full(2000, 5.0)
    late = np.where(np.arange(500) % 10 == 0, 20.0, 1.0)

    assert quantile_over_time(steady[:1000], spells[:1000], probability=0.99, confidence=0.95).high == 5.0
    assert quantile_over_time(steady[:400], spells[:400], probability=0.99, confidence=0.95).low == 5.0
    assert quantile_over_time(late, spells[:500], probability=0.99, confidence=0.95).low == 20.0


def test_too_few_values_have_no_upper_end():
    """Fifty answers can say nothing of one in a hundred; the interval is of any number of looks."""
    seen = quantile_over_time(np.ones(50), np.arange(50), probability=0.99, confidence=0.95)

    assert (seen.low, seen.value, seen.high) == (1.0, 1.0, math.inf)
    assert seen.guarantee is Guarantee.AT_ALL_TIMES


def test_a_lone_value_at_night_counts_for_less():
    """A spell of one late value among spells of ten weighs a tenth; a crowded one weighs no more than the others."""
    spells = np.repeat([0, 1, 2, 3], [10, 1, 10, 100])
    late = np.isin(spells, (1, 3)).astype(np.float64)

    losses = spell_losses(late, spells, level=0.01)

    assert losses.tolist() == pytest.approx([0.0, 0.01 + 0.1 * 0.99, 0.0, 1.0])
