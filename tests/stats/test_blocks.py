"""What is drawn as one: entities that repeat, days that hold many rows."""

import numpy as np
import pytest

from geartrain.stats.blocks import BY_DAY, BY_ENTITY, BY_ROW, FEWEST_DAYS, US_PER_DAY, ways_to_draw
from geartrain.stats.intervals import ratio


def words(groups=None, times_us=None):
    return [word for word, _ in ways_to_draw(groups, times_us)]


def test_the_data_say_how_they_are_drawn():
    """Rows that are alone are drawn alone; entities and days only where they repeat, and days only where there are enough."""
    rows = np.arange(60)
    daily = rows // 4 * US_PER_DAY
    assert words() == [BY_ROW]
    assert words(groups=rows) == [BY_ROW]
    assert words(groups=rows // 2) == [BY_ENTITY]
    assert words(times_us=daily) == [BY_DAY]
    assert words(groups=rows // 2, times_us=daily) == [BY_ENTITY, BY_DAY]
    assert words(times_us=rows * US_PER_DAY) == [BY_ROW], "one row a day"
    assert words(times_us=rows % (FEWEST_DAYS - 1) * US_PER_DAY) == [BY_ROW], "too few days"


def test_days_that_share_an_effect_are_fewer_than_their_rows():
    """Each day's rows share a shift: over 300 worlds row-wise intervals miss far more often than 1 in 20, day-wise ones do not."""
    generator = np.random.default_rng(3)
    days = np.repeat(np.arange(40), 25)
    missed = {BY_ROW: 0, BY_DAY: 0}
    for seed in range(300):
        costs = generator.normal(size=40)[days] + generator.normal(size=1000)
        ((_, blocks),) = ways_to_draw(None, days * US_PER_DAY)
        for word, labels in ((BY_ROW, None), (BY_DAY, blocks)):
            seen = ratio(costs, seed=seed, groups=labels, resamples=200)
            missed[word] += not seen.low <= 0.0 <= seen.high
    assert missed[BY_ROW] / 300 > 0.4
    assert missed[BY_DAY] / 300 == pytest.approx(0.05, abs=0.04)
