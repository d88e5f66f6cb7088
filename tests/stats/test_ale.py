"""Accumulated local effects: what theory says of them, where partial responses would mislead."""

import numpy as np
import pytest

from geartrain.stats.ale import (
    accumulate,
    code_effects,
    edges_of,
    likeness_order,
    number_effects,
    resampled_weights,
)


def curve(function, matrix, position=0, bins=12):
    """Places and centred effects of one column."""
    matrix = np.asarray(matrix, dtype=np.float32)
    local = number_effects(
        lambda m: function(m)[:, None], matrix, position, edges_of(matrix[:, position], bins)
    )
    return local.places, accumulate(local, np.ones((1, len(matrix))))[0, :, 0]


@pytest.fixture
def twins():
    """Two columns that go together: the second is the first with a little noise."""
    generator = np.random.default_rng(1)
    first = generator.uniform(-1, 1, 4000)
    return np.column_stack([first, first + 0.05 * generator.normal(size=4000)])


def test_a_linear_effect_is_its_own_slope(twins):
    """Of 2a + 3b the curve of a has slope 2, however much b goes with a; its mean over rows is 0."""
    places, effects = curve(lambda m: 2.0 * m[:, 0] + 3.0 * m[:, 1], twins)

    np.testing.assert_allclose(np.diff(effects) / np.diff(places), 2.0, rtol=1e-3)
    assert np.interp(twins[:, 0], places, effects).mean() == pytest.approx(0.0, abs=1e-6)


def test_a_product_of_twins_is_half_a_square(twins):
    """Of a * b with b near a the local effect is E[b | a] = a: the curve is a squared over 2, less its mean."""
    places, effects = curve(lambda m: (m[:, 0] * m[:, 1]).astype(float), twins, bins=20)

    np.testing.assert_allclose(effects, places**2 / 2 - 1 / 6, atol=0.02)


def test_places_where_nobody_is_are_never_asked_about(twins):
    """A model that is absurd where the twins part is not asked there: a partial response would be."""

    def absurd(m):
        apart = np.abs(m[:, 0] - m[:, 1]) > 0.5
        return np.where(apart, 1000.0, m[:, 0]).astype(float)

    _, effects = curve(absurd, twins)

    assert np.abs(effects).max() < 1.2


def test_few_values_are_each_a_place_and_a_missing_value_is_left_out():
    """Three distinct numbers make three points; rows without a value change nothing."""
    values = np.array([0, 0, 1, 1, 2, 2, np.nan], dtype=np.float32)[:, None]
    places, effects = curve(lambda m: np.nan_to_num(m[:, 0], nan=99.0) ** 2, values)

    assert places.tolist() == [0, 1, 2]
    np.testing.assert_allclose(np.diff(effects), [1, 3])


def test_codes_are_moved_to_their_neighbours_only():
    """Three codes with effects 0, 5 and 1 come out as such in any order, centred on the rows."""
    codes = np.array([0, 0, 1, 2, 2, 2], dtype=np.float32)[:, None]
    sizes = np.array([0.0, 5.0, 1.0])

    for order in ([0, 1, 2], [2, 0, 1]):
        local = code_effects(lambda m: sizes[m[:, 0].astype(int)][:, None], codes, 0, order)
        effects = accumulate(local, np.ones((1, 6)))[0, :, 0]
        np.testing.assert_allclose(effects, sizes[order] - sizes[codes[:, 0].astype(int)].mean(), atol=1e-12)


def test_codes_in_like_company_are_neighbours():
    """Codes whose rows lie at 0, 10 and 1 of another column are ordered 0, 1, 10 or the other way round."""
    generator = np.random.default_rng(1)
    codes = np.repeat([0.0, 1.0, 2.0], 200)
    beside = np.repeat([0.0, 10.0, 1.0], 200) + generator.normal(size=600)

    order = likeness_order(codes, beside[:, None], [False]).tolist()

    assert order in ([0, 2, 1], [1, 2, 0])


def test_bands_cover_the_truth():
    """Bootstrap bands of noisy local effects cover the true curve about 95 times of 100, point by point."""
    covered = []
    for seed in range(60):
        generator = np.random.default_rng(seed)
        matrix = generator.uniform(0, 1, (300, 2)).astype(np.float32)
        # Slope 4 * b with b uniform: its mean is 2.
        local = number_effects(lambda m: (4.0 * m[:, 0] * m[:, 1])[:, None], matrix, 0, np.linspace(0, 1, 6))
        drawn = accumulate(local, resampled_weights(300, seed=seed))[:, :, 0]
        rise = drawn[:, -1] - drawn[:, 0]
        low, high = np.quantile(rise, [0.025, 0.975])
        covered.append(low <= 2.0 <= high)

    assert 0.85 <= np.mean(covered) <= 1.0


def test_entities_are_drawn_whole():
    """Rows of one entity are in a resample equally often."""
    groups = np.array(["a", "a", "b", "c", "c", "c"])
    weights = resampled_weights(6, seed=1, groups=groups, resamples=50)

    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 5]).all()
    assert (weights[:, 0] + weights[:, 2] + weights[:, 3] == 3).all()


def test_one_value_cannot_be_moved():
    """A constant column and a single code are refused."""
    with pytest.raises(ValueError, match="one value"):
        number_effects(lambda m: m[:, :1], np.ones((5, 1), dtype=np.float32), 0, np.array([1.0]))
    with pytest.raises(ValueError, match="one value"):
        code_effects(lambda m: m[:, :1], np.ones((5, 1), dtype=np.float32), 0, [1.0])
