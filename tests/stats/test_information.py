"""Entropy and mutual information against closed forms and scikit-learn."""

import math

import numpy as np
import pytest

from geartrain.stats.information import (
    entropy,
    information_gained,
    mutual_information,
    normalised_mutual_information,
)


def test_entropy_of_even_and_of_certain_values():
    """log k of k values that are equally frequent, 0 of one value, and 0 of none."""
    assert entropy(np.arange(8)) == pytest.approx(math.log(8))
    assert entropy(np.zeros(5)) == 0.0
    assert entropy(np.array([])) == 0.0


def test_mutual_information_is_that_of_scikit_learn():
    """The plain estimate from counts, whatever the values are called."""
    from sklearn.metrics import mutual_info_score, normalized_mutual_info_score

    chance = np.random.default_rng(3)
    one = chance.integers(0, 6, 500)
    other = np.where(chance.uniform(size=500) < 0.6, one, chance.integers(0, 6, 500)) * 10

    assert mutual_information(one, other) == pytest.approx(mutual_info_score(one, other))
    assert normalised_mutual_information(one, other) == pytest.approx(
        normalized_mutual_info_score(one, other, average_method="max")
    )


def test_a_copy_says_everything_and_a_constant_nothing():
    """The ends of the scale, also where a value is constant and no ratio exists."""
    values = np.arange(40) % 5
    assert normalised_mutual_information(values, values + 100) == pytest.approx(1.0)
    assert normalised_mutual_information(values, np.zeros(40)) == 0.0
    assert normalised_mutual_information(values, values // 3) < 0.9


def test_information_of_answers():
    """The classes' own shares say nothing new; a sure answer gains what was uncertain."""
    truth = np.array([0, 0, 0, 1])
    shares = np.tile([0.75, 0.25], (4, 1))
    sure = np.eye(2)[truth]

    assert information_gained(shares, truth) == pytest.approx(np.zeros(4))
    assert information_gained(sure, truth).mean() == pytest.approx(entropy(truth), abs=0.01)
    assert information_gained(1 - sure, truth).mean() < -1
