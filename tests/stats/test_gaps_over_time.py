"""Means and gaps that may be looked at any time."""

import numpy as np
import pytest

from geartrain.stats.bounded import over_time
from geartrain.stats.gaps import alike, apart

LOOKS = range(20, 401, 20)


def test_a_rate_is_covered_at_all_looks_together() -> None:
    """Of 300 streams looked at 20 times each, at most the promised 5 % and 2 sd ever miss the truth."""
    generator = np.random.default_rng(7)
    missed = 0
    for _ in range(300):
        values = (generator.random(400) < 0.1).astype(float)
        seen = [over_time(values[:rows], confidence=0.95) for rows in LOOKS]
        missed += any(not one.low <= 0.1 <= one.high for one in seen)
    assert missed / 300 <= 0.05 + 2 * (0.05 * 0.95 / 300) ** 0.5


def test_no_gap_is_called_while_there_is_none_and_a_large_one_is_found() -> None:
    """Two equal groups are never said to differ beyond alpha over all looks; .2 against .7 always is."""
    generator = np.random.default_rng(8)
    false = 0
    for _ in range(200):
        a, b = ((generator.random(400) < 0.3).astype(float) for _ in range(2))
        gaps = [apart(*(over_time(x[:n], confidence=0.975) for x in (a, b))) for n in LOOKS]
        false += any(one.low > 0 for one in gaps)
    assert false / 200 <= 0.05 + 2 * (0.05 * 0.95 / 200) ** 0.5
    low, high = ((generator.random(400) < rate).astype(float) for rate in (0.2, 0.7))
    one, two = over_time(low, confidence=0.975), over_time(high, confidence=0.975)
    assert apart(one, two).low > 0.1
    ratio = alike(one, two)
    assert ratio is not None
    assert ratio.low < 2 / 7 < ratio.high < 1


def test_one_class_only_and_values_out_of_range() -> None:
    """A rate that was always 1 keeps an open lower end; a value out of the scale is refused."""
    assert 0.5 < over_time(np.ones(100), confidence=0.95).low < 1.0
    with pytest.raises(ValueError, match="scale them"):
        over_time(np.array([2.0]), confidence=0.95)
