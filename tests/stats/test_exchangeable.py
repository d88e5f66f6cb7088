"""Evidence against exchangeability keeps its bound and finds a shift, whatever the values' distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.stats.exchangeable import Jumper, evidence_of, jump, ranks_of, rises, wealth_of


def _peak(values: np.ndarray, *, seed: int) -> float:
    return jump(Jumper(), ranks_of(values, before=np.zeros(0), seed=seed)).peak


@pytest.mark.parametrize("kind", ["heavy", "ties"])
def test_exchangeable_values_seldom_reach_the_bound(kind):
    """P(wealth ever reaches 1/alpha) is at most alpha = .05, for heavy tails and for values that repeat."""
    random = np.random.default_rng(1)

    def draw() -> np.ndarray:
        return random.standard_cauchy(200) if kind == "heavy" else random.integers(0, 3, 200).astype(float)

    rung = sum(_peak(draw(), seed=seed) >= math.log(20) for seed in range(150))

    assert rung / 150 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 150)


def test_a_shift_is_found():
    """After 300 rows a shift by one spread is found within 150 rows at an evidence of 100, up and down."""
    for seed in range(6):
        random = np.random.default_rng(seed)
        values = np.concatenate([random.normal(size=300), random.normal(1.0, 1.0, 150)])

        assert _peak(values, seed=seed) >= math.log(100)
        assert _peak(-values, seed=seed) >= math.log(100)


def test_ranks_are_places_among_what_came_before():
    """Without ties a rank lies between the counts of larger values, over all values so far."""
    found = ranks_of(np.array([5.0, 1.0, 3.0]), before=np.array([2.0, 4.0]), seed=1)

    assert 0 <= found[0] <= 1 / 3
    assert 3 / 4 <= found[1] <= 1
    assert 2 / 5 <= found[2] <= 3 / 5


def test_one_step_is_the_published_one():
    """A first rank of 1 leaves the wealth at 1: bets on low and on high ranks win and lose the same."""
    after = jump(Jumper(), np.array([1.0]))

    assert wealth_of(after) == pytest.approx(0.0, abs=1e-12)
    assert after.logs[2] - after.logs[0] == pytest.approx(math.log(3))


@given(ranks=st.lists(st.floats(0, 1), max_size=60), cut=st.integers(0, 60))
@settings(max_examples=40)
def test_bets_in_parts_are_bets_at_once(ranks, cut):
    """Two updates are one."""
    values = np.asarray(ranks, dtype=float)

    whole, parts = jump(Jumper(), values), jump(jump(Jumper(), values[:cut]), values[cut:])

    assert parts.peak == pytest.approx(whole.peak, abs=1e-9)
    assert parts.logs == pytest.approx(whole.logs, abs=1e-9)
    assert parts.ranks == whole.ranks


def test_a_rank_outside_the_unit_interval_is_refused():
    """A rank that no guarantee holds for is an error."""
    with pytest.raises(ValueError, match="ranks"):
        jump(Jumper(), np.array([1.5]))


def test_columns_together_are_columns_alone():
    """Stepped side by side, with rows left out here and there, each column reaches what it reaches alone."""
    ranks = np.random.default_rng(1).uniform(size=(300, 3)) ** np.array([1.0, 2.0, 0.5])
    ranks[::7, 1] = np.nan

    for place, risen in enumerate(rises(ranks)):
        alone = ranks[:, place][~np.isnan(ranks[:, place])]
        assert risen.peak == pytest.approx(jump(Jumper(), alone).peak, abs=1e-9)


def test_a_rise_tells_where_it_began():
    """Ranks that turn low after 200 even ones: the rise began about there."""
    ranks = np.concatenate([np.random.default_rng(2).uniform(size=200), np.full(60, 0.05)])

    (risen,) = rises(ranks[:, None])

    assert risen.peak > math.log(1000)
    assert 150 <= risen.since <= 215


def test_the_evidence_of_a_peak_is_an_e_value():
    """The mean of half the root of the highest wealth is at most 1, where the mean of that wealth itself is not."""
    chance = np.random.default_rng(3)
    peaks = [one.peak for one in rises(chance.uniform(size=(400, 600)))]

    assert np.mean([evidence_of(one) for one in peaks]) <= 1
    assert np.mean(np.exp(peaks)) > 1
