"""Two rates apart: published intervals, and coverage where nothing is published."""

import numpy as np
import pytest

from geartrain.domain.finding import Measurement
from geartrain.stats.gaps import difference, quotient
from geartrain.stats.intervals import wilson


def share(hits, rows, confidence=0.95):
    low, high = wilson(hits, rows, confidence=confidence)
    return Measurement(
        value=hits / rows, low=low, high=high, rows=rows, method="Newcombe", confidence=confidence
    )


@pytest.mark.parametrize(
    ("one", "two", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
    ],
)
def test_newcombe(one, two, low, high):
    """Newcombe (1998), table II, method 10; the largest size of a gap has no negative end."""
    seen = difference(share(*one), share(*two))
    assert seen.high == pytest.approx(max(high, -low), abs=1e-4)
    assert seen.low == pytest.approx(max(0.0, low), abs=1e-4)


def test_the_ratio_is_of_the_smaller_to_the_larger():
    """Whichever comes first, and never above 1."""
    a, b = share(30, 100), share(60, 100)
    assert quotient(a, b) == quotient(b, a)
    assert quotient(a, b).value == 0.5
    assert quotient(b, share(58, 100)).high == 1.0


def test_the_ratios_interval_covers():
    """Rates of .3 and .6 in 80 rows each: the interval misses .5 in at most 6.5 % of 1000 draws, and in 3 % at least."""
    generator = np.random.default_rng(3)
    missed = 0
    for _ in range(1000):
        a, b = generator.binomial(80, [0.3, 0.6])
        seen = quotient(share(a, 80), share(b, 80))
        missed += not seen.low <= 0.5 <= seen.high
    assert 0.03 <= missed / 1000 <= 0.065


def test_no_ratio_to_nothing():
    """Two rates of 0, or a gain (a negative cost), have no ratio."""
    assert quotient(share(0, 10), share(0, 10)) is None
    gain = Measurement(value=-1.0, low=-2.0, high=0.0, rows=10)
    assert quotient(gain, share(3, 10)) is None
    assert quotient(share(0, 10), share(6, 10)).value == 0.0
