"""Differences between effects: against a published meta-analysis, and by how often the interval covers."""

import numpy as np
import pytest

from geartrain.stats.heterogeneity import heterogeneity

#: Colditz et al. (1994), 13 trials of a vaccine: ill and well with it, ill and well without.
TRIALS = np.array(
    [
        (4, 119, 11, 128), (6, 300, 29, 274), (3, 228, 11, 209), (62, 13536, 248, 12619), (33, 5036, 47, 5761),
        (180, 1361, 372, 1079), (8, 2537, 10, 619), (505, 87886, 499, 87892), (29, 7470, 45, 7232),
        (17, 1699, 65, 1600), (186, 50448, 141, 27197), (5, 2493, 3, 2338), (27, 16886, 29, 17825),
    ],
    dtype=float,
)  # fmt: skip


def test_a_published_meta_analysis_comes_out():
    """Q = 152.23 on 12 degrees, I2 = 92.1 %, a variance of 0.309 between trials, as R's metafor prints them."""
    ill, well, ill_without, well_without = TRIALS.T
    effects = np.log(ill / (ill + well)) - np.log(ill_without / (ill_without + well_without))
    errors = np.sqrt(1 / ill - 1 / (ill + well) + 1 / ill_without - 1 / (ill_without + well_without))

    seen = heterogeneity(effects, errors)

    assert seen.q == pytest.approx(152.2330, abs=5e-4)
    assert seen.df == 12
    assert seen.i_squared == pytest.approx(0.9212, abs=5e-5)
    assert seen.spread**2 == pytest.approx(0.3088, abs=5e-5)
    assert seen.chance < 1e-20
    assert seen.spread_low < seen.spread < seen.spread_high


@pytest.mark.parametrize("true", [np.array([1.0, 0.5, 0.8, 1.3]), np.array([1.0, 1.0])])
def test_the_interval_of_the_spread_covers(true):
    """In 400 repetitions the true spread of the effects lies inside about 95 times of 100."""
    errors = np.array([0.2, 0.1, 0.15, 0.3])[: len(true)]
    weights = 1 / errors**2
    mean = (weights * true).sum() / weights.sum()
    scale = weights.sum() - (weights**2).sum() / weights.sum()
    spread = np.sqrt((weights * (true - mean) ** 2).sum() / scale)
    generator = np.random.default_rng(1)

    inside = 0
    for _ in range(400):
        seen = heterogeneity(true + errors * generator.normal(size=len(true)), errors)
        inside += seen.spread_low <= spread + 1e-12 and spread <= seen.spread_high + 1e-12

    assert inside / 400 >= 0.93


def test_large_q_goes_over_into_its_normal_limit_smoothly():
    """Below and above the switch at Q = 5000 the ends differ by less than one in a thousand."""
    errors = np.array([0.01, 0.01])
    below, above = (heterogeneity(np.array([0.0, gap]), errors) for gap in (0.9999, 1.0001))

    assert below.q < 5_000 < above.q
    assert above.spread_low == pytest.approx(below.spread_low, rel=2e-3)
    assert above.spread_high == pytest.approx(below.spread_high, rel=2e-3)


def test_one_effect_or_no_error_is_refused():
    """There is nothing to compare, or no scale to compare on."""
    with pytest.raises(ValueError, match="two effects"):
        heterogeneity(np.array([1.0]), np.array([0.1]))
    with pytest.raises(ValueError, match="positive error"):
        heterogeneity(np.array([1.0, 2.0]), np.array([0.1, 0.0]))
