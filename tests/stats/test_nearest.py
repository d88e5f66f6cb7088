"""The nearest neighbour's error brackets the least possible one."""

import numpy as np
import pytest
from scipy.stats import norm

from geartrain.domain.finding import Measurement
from geartrain.stats.intervals import proportion
from geartrain.stats.nearest import bayes_bracket, nearest_truth
from geartrain.stats.permutation import permutation_p


def test_the_bracket_holds_the_known_error_of_a_mixture():
    """Two normal classes two deviations apart: the least error is Phi(-1) = .159, and lies within."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 8000)
    x = rng.normal(size=8000) + 2.0 * truth
    found = nearest_truth(x[:4000, None], truth[:4000], x[4000:, None])
    seen = proportion(found != truth[4000:])
    low, high = bayes_bracket(seen, classes=2)
    assert low <= norm.cdf(-1.0) <= high
    # In the limit R = E[2 p (1 - p)]: .226 here, so the bracket is (.130, .226).
    grid = np.linspace(-6, 8, 20_001)
    f0, f1 = norm.pdf(grid), norm.pdf(grid - 2)
    p = f1 / (f0 + f1)
    limit = float(np.sum(p * (1 - p) * (f0 + f1)) * (grid[1] - grid[0]))
    assert seen.low <= limit <= seen.high


def test_guessing_has_the_whole_error():
    """Classes that do not depend on x: with k classes both ends are (k - 1) / k."""
    half = Measurement(value=0.5, low=0.5, high=0.5)
    assert bayes_bracket(half, classes=2) == (0.5, 0.5)
    beyond = Measurement(value=0.9, low=0.8, high=1.0)
    assert bayes_bracket(beyond, classes=4) == pytest.approx((0.75, 0.75))


def test_scale_and_gaps_do_not_matter():
    """A column in other units, a constant one and missing values leave the neighbours as they are."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 2))
    truth = (x[:, 0] > 0).astype(np.int64)
    plain = nearest_truth(x[:200], truth[:200], x[200:])
    other = np.column_stack([x[:, 0] * 1e6, x[:, 1], np.full(300, 7.0)])
    assert (nearest_truth(other[:200], truth[:200], other[200:]) == plain).all()
    other[5, 0] = np.nan
    assert nearest_truth(other[:200], truth[:200], other[200:]).shape == (100,)


def test_the_p_value_is_never_zero_and_uniform_without_signal():
    """With B shuffles the smallest p is 1 / (1 + B); where labels mean nothing p <= .2 one time in five."""
    assert permutation_p(9.0, np.zeros(19)) == 0.05
    rng = np.random.default_rng(4)
    found = [permutation_p(one[0], one[1:]) for one in rng.normal(size=(4000, 20))]
    assert np.mean(np.array(found) <= 0.2) == pytest.approx(0.2, abs=0.02)
