"""What one row is worth when neighbours are alike."""

from __future__ import annotations

import numpy as np
import pytest

from geartrain.stats.bounded import upper_bound
from geartrain.stats.dependence import FALSE_HIT, block_means, likeness, row_worth


def _chain(random: np.random.Generator, rows: int, kept: float) -> np.ndarray:
    """A two-state chain with mean .2 whose autocorrelation is kept ** lag."""
    fresh = random.random(rows) >= kept
    fresh[0] = True
    last = np.maximum.accumulate(np.where(fresh, np.arange(rows), 0))
    return (random.random(rows) < 0.2).astype(float)[last]


def test_independent_rows_are_mostly_worth_one():
    """In at least four of five references of independent rows nothing is taken away."""
    random = np.random.default_rng(1)

    whole = sum(row_worth((random.random(2000) < 0.2).astype(float), doubt=0.01) == 1 for _ in range(60))

    assert whole >= 48


@pytest.mark.parametrize("rows", [500, 2000])
def test_independent_rows_are_seldom_worth_less_than_one(rows):
    """Something is taken away from at most 2.5 % + 2 sd of references of independent rows, however long they are."""
    random = np.random.default_rng(1)

    less = sum(
        row_worth((random.random(rows) < 0.2).astype(float), doubt=0.01, surely=True) < 1 for _ in range(400)
    )

    assert less / 400 <= FALSE_HIT + 2 * np.sqrt(FALSE_HIT * (1 - FALSE_HIT) / 400)


def test_a_chain_is_worth_what_theory_says_or_less():
    """Rows of an AR(1) with .9 are worth (1 - .9) / (1 + .9) = .053; seldom is more said, never ten times less."""
    random = np.random.default_rng(2)

    worths = [row_worth(_chain(random, 5000, 0.9), doubt=0.05) for _ in range(60)]

    assert sum(worth > 0.1 / 1.9 for worth in worths) <= 8
    assert min(worths) > 0.1 / 19


@pytest.mark.parametrize("losses", [[], [0.5], [0.0] * 500])
def test_what_says_nothing_is_not_corrected(losses):
    """No rows, one row and rows that never vary are worth what they are."""
    assert row_worth(np.asarray(losses), doubt=0.01) == 1.0


def test_block_means_leave_the_last_rows_out():
    """Only whole blocks are averaged."""
    assert block_means(np.array([0.0, 1.0, 1.0, 1.0, 0.5]), 2).tolist() == [0.5, 1.0]


@pytest.mark.parametrize("values", [np.tile([0.0, 1.0], 500), np.tile([0.1, 0.6], 500)])
def test_rows_worth_less_bound_a_mean_less_well(values):
    """1000 rows that are worth a tenth each bound the mean about as 100 rows do."""
    few = upper_bound(values[:100], alpha=0.01).value

    assert upper_bound(values, alpha=0.01, worth=0.1).value == pytest.approx(few, rel=1e-3)
    assert upper_bound(values, alpha=0.01).value < few


def test_a_series_too_short_for_its_correlation_is_told():
    """What is alike over fifty rows takes some thousands to be measured; of independent rows hardly any are called too short."""
    random = np.random.default_rng(4)

    short = [likeness(_chain(random, 600, 0.98), doubt=0.01) for _ in range(40)]
    long = [likeness(_chain(random, 60_000, 0.98), doubt=0.01) for _ in range(10)]
    independent = [likeness((random.random(1000) < 0.2).astype(float), doubt=0.01) for _ in range(60)]

    assert sum(one.is_too_short for one in short) >= 32
    assert sum(one.is_too_short for one in long) <= 2
    assert sum(one.is_too_short for one in independent) <= 6
    assert all(one.needed > 600 and one.effective < 100 for one in short if one.is_too_short)
