"""Distances follow their null laws; e-BH holds under full dependence."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ncx2

from geartrain.stats import distance

COUNTS = st.lists(st.integers(0, 500), min_size=2, max_size=12)


def _pairs(rows: int, bins: int, draws: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(seed)
    equal = np.full(bins, 1 / bins)
    return [(random.multinomial(rows, equal), random.multinomial(rows, equal)) for _ in range(draws)]


def test_psi_and_js_quantiles_are_those_that_were_simulated():
    """At n = m = 1000 and 10 bins: PSI q50/95/99 .0165/.0340/.0421, JS .00298/.00612/.00754."""
    pairs = _pairs(1000, 10, 4000, seed=1)

    psi = np.quantile([distance.psi(a, b) for a, b in pairs], [0.5, 0.95, 0.99])
    js = np.quantile([distance.jensen_shannon(a, b) for a, b in pairs], [0.5, 0.95, 0.99])

    assert psi == pytest.approx([0.0165, 0.0340, 0.0421], rel=0.06)
    assert js == pytest.approx([0.00298, 0.00612, 0.00754], rel=0.06)


def test_p_values_of_unchanged_samples_are_uniform_enough():
    """Of unchanged pairs, about 5 % have p < .05 and no more than 1 % + 2 sd p < .01; KS is below."""
    pairs = _pairs(500, 15, 2000, seed=2)

    seen = [distance.distances(a, b, ordered=True) for a, b in pairs]

    assert np.mean([one.p_changed < 0.05 for one in seen]) == pytest.approx(0.05, abs=0.015)
    assert np.mean([one.p_changed < 0.01 for one in seen]) <= 0.01 + 2 * math.sqrt(0.01 / 2000)
    assert np.mean([one.p_ks < 0.05 for one in seen if one.p_ks is not None]) <= 0.06


def test_folk_rule_would_ring_for_unchanged_samples():
    """The control: PSI > .1 rings for most unchanged pairs of 100 rows, the null law for few."""
    seen = [distance.distances(a, b, ordered=True) for a, b in _pairs(100, 10, 500, seed=3)]

    assert np.mean([one.psi > 0.1 for one in seen]) > 0.7
    assert np.mean([one.p_changed < 0.01 for one in seen]) < 0.03


def test_thin_bins_do_not_ring():
    """With a long tail of rare categories, unchanged samples still have honest p-values."""
    random = np.random.default_rng(4)
    rare = np.concatenate([[0.5, 0.3, 0.15], np.full(50, 0.05 / 50)])
    seen = [
        distance.distances(random.multinomial(1000, rare), random.multinomial(400, rare), ordered=False)
        for _ in range(1500)
    ]

    assert np.mean([one.p_changed < 0.01 for one in seen]) <= 0.01 + 3 * math.sqrt(0.01 / 1500)


def test_noncentral_law_forgives_a_change_that_is_too_small():
    """At the boundary of "too small to matter" 5 % are called larger; a large change is."""
    random = np.random.default_rng(5)
    p = np.full(10, 0.1)
    q = p + np.array([0.012, -0.012] * 5)
    true = float(((q - p) * np.log(q / p)).sum())

    ps = [
        distance.p_larger(distance.psi(a, b), smallest=true, bins=10, n=4000, m=4000)
        for a, b in ((random.multinomial(4000, p), random.multinomial(4000, q)) for _ in range(1000))
    ]

    assert np.mean(np.asarray(ps) < 0.05) == pytest.approx(0.05, abs=0.02)
    assert distance.p_larger(0.5, smallest=0.02, bins=10, n=4000, m=4000) < 1e-12


def test_wasserstein_is_the_area_between_the_lines():
    """A uniform sample shifted by one bin of width 2 is 2 away; no shift is 0; a known crossing agrees."""
    edges = np.array([0.0, 2.0, 4.0, 6.0])

    assert distance.wasserstein(np.array([10, 0, 0]), np.array([0, 10, 0]), edges) == pytest.approx(2.0)
    assert distance.wasserstein(np.array([3, 4, 5]), np.array([6, 8, 10]), edges) == 0.0
    # The CDF gap runs 0 -> .5 -> -.5 -> 0 over three bins: triangles .5, two of .25, .5.
    crossing = distance.wasserstein(np.array([5, 0, 5]), np.array([0, 10, 0]), edges)
    assert crossing == pytest.approx(0.5 + 2 * 0.5 * 0.5 + 0.5)


def test_wasserstein_p_value_is_uniform_enough_and_finds_a_shift():
    """Unchanged pairs are below .1 in about 10 %; a clear shift is found."""
    edges = np.arange(11.0)
    ps = [distance.p_wasserstein(a, b, edges, seed=7, draws=99) for a, b in _pairs(300, 10, 150, seed=6)]

    assert np.mean(np.asarray(ps) <= 0.1) == pytest.approx(0.1, abs=0.06)
    assert distance.p_wasserstein(np.arange(10) * 20, np.arange(10)[::-1] * 20, edges, seed=1) < 0.01


@given(a=COUNTS, data=st.data())
@settings(max_examples=60)
def test_distance_laws(a, data):
    """A sample is 0 from itself, distances are symmetric, not negative, and blind to the bins' order."""
    b = data.draw(st.lists(st.integers(0, 500), min_size=len(a), max_size=len(a)))
    first, second = np.asarray(a), np.asarray(b)
    order = np.asarray(data.draw(st.permutations(range(len(a)))))

    assert distance.psi(first, first) == 0.0
    assert distance.psi(first, second) >= 0.0
    assert distance.psi(first, second) == pytest.approx(distance.psi(second, first))
    assert distance.psi(first[order], second[order]) == pytest.approx(distance.psi(first, second))
    assert 0.0 <= distance.jensen_shannon(first, second) <= 1.0
    joined = distance.join_thin(first, second, ordered=data.draw(st.booleans()))
    assert [int(side.sum()) for side in joined] == [int(first.sum()), int(second.sum())]


def test_empty_samples_say_nothing():
    """No rows on one side: no distance and no evidence."""
    seen = distance.distances(np.zeros(5, dtype=int), np.full(5, 20), ordered=True)

    assert (seen.psi, seen.p_changed) == (0.0, 1.0)


def test_e_values_of_uniform_p_values_have_mean_one():
    """The calibrator's mean over uniform p-values is at most 1, and it grows as p falls."""
    grid = (np.arange(100_000) + 0.5) / 100_000

    assert np.mean([distance.e_value(float(p)) for p in grid]) <= 1.0
    assert distance.e_value(1e-6) == pytest.approx(500)
    assert math.isfinite(distance.e_value(0.0))


def test_e_bh_keeps_the_false_share_when_all_columns_are_one_column():
    """Fifty copies of one unchanged column are named in at most alpha of the cases."""
    random = np.random.default_rng(8)
    named = [
        distance.e_bh(np.full(50, distance.e_value(float(p))), alpha=0.1).any() for p in random.random(5000)
    ]

    assert np.mean(named) <= 0.1


def test_e_bh_names_the_strong_ones():
    """The rule of Wang and Ramdas on a case worked by hand: 4 columns, alpha .1, bounds 40, 20, 13.3, 10."""
    assert distance.e_bh(np.array([25.0, 1.0, 21.0, 3.0]), alpha=0.1).tolist() == [True, False, True, False]
    assert not distance.e_bh(np.array([25.0, 1.0, 2.0, 3.0]), alpha=0.1).any()
    assert distance.e_bh(np.array([]), alpha=0.1).size == 0


def test_slow_series_are_worth_fewer_rows():
    """An AR(1) series with rho .8 is worth (1 - rho) / (1 + rho) = 1/9 of its rows, independent rows all."""
    random = np.random.default_rng(9)
    noise = random.normal(size=20_000)
    slow = np.zeros(20_000)
    for i in range(1, 20_000):
        slow[i] = 0.8 * slow[i - 1] + noise[i]

    assert distance.effective_share(slow) == pytest.approx(1 / 9, rel=0.2)
    assert distance.effective_share(noise) > 0.9
    assert distance.effective_share(np.ones(50)) == 1.0


@pytest.mark.parametrize("noncentrality", [0.0, 1.0, 1e3, 1e5])
def test_noncentral_tail_is_the_law_of_scipy_and_never_smaller(noncentrality):
    """Down to 1e-8 it is SciPy's `ncx2`; further out at most thirty times as large, never smaller."""
    degrees = np.arange(1, 60, 7)
    spread = np.sqrt(2 * (degrees + 2 * noncentrality))
    for away in (-3.0, 0.0, 2.0, 5.0, 7.0, 8.2):
        gap = degrees + noncentrality + away * spread
        gap = np.maximum(gap, 0.01)
        exact = ncx2.sf(gap, degrees, noncentrality)

        told = distance.p_larger(gap, smallest=noncentrality, bins=degrees + 1, n=1.0, m=math.inf)

        plain = exact > 1.1e-8
        assert told[plain] == pytest.approx(exact[plain], rel=1e-6)
        assert (told[~plain] >= exact[~plain] * (1 - 1e-6)).all()
        assert (told[exact > 1e-16] <= 31 * exact[exact > 1e-16]).all()
