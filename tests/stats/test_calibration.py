"""Calibration against planted miscalibration and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as their_log_loss

from geartrain.stats import calibration


def drawn(seed, rows=1000, wrong=0.0):
    generator = np.random.default_rng(seed)
    said = generator.uniform(0.1, 0.8, size=rows)
    return said, generator.random(rows) < said + wrong


def test_a_perfect_model_shows_little_error():
    """Averaged over draws, the debiased error of a perfect model is a quarter below the plain one."""
    debiased, plain = [], []
    for seed in range(20):
        said, came = drawn(seed, rows=400)
        debiased.append(calibration.calibration_error(said, came, seed=1, resamples=10).value)
        bins = calibration.reliability(said, came)
        plain.append(sum(one.rows * abs(one.came - one.said) for one in bins) / 400)
    assert np.mean(debiased) < 0.75 * np.mean(plain)


def test_a_planted_shift_is_found():
    """A model that says 10 points too little has an error of about .1, inside its interval."""
    said, came = drawn(1, rows=3000, wrong=0.1)
    seen = calibration.calibration_error(said, came, seed=1)
    assert seen.value == pytest.approx(0.1, abs=0.025)
    assert seen.low <= 0.1 <= seen.high


def test_the_upper_end_covers_a_planted_shift():
    """The high end, which a promise is held against, lies below the truth in at most 4 % of 150 draws."""
    missed = 0
    for seed in range(150):
        said, came = drawn(seed, rows=300, wrong=0.1)
        missed += calibration.calibration_error(said, came, seed=seed, resamples=200).high < 0.1
    assert missed / 150 <= 0.04


def test_bins_have_equal_mass_and_keep_ties_together():
    """Eight bins of 1000 rows hold 125 each; a constant prediction is one bin."""
    said, came = drawn(1)
    assert [one.rows for one in calibration.reliability(said, came, bins=8)] == [125] * 8
    (only,) = calibration.reliability(np.full(50, 0.3), np.arange(50) < 20)
    assert (only.said, only.came, only.rows) == (pytest.approx(0.3), 0.4, 50)
    assert only.low < 0.4 < only.high
    assert calibration.reliability(np.zeros(0), np.zeros(0, bool)) == ()


def test_order_of_rows_changes_nothing():
    """Shuffled rows give the same error and interval."""
    said, came = drawn(3, rows=200)
    order = np.random.default_rng(1).permutation(200)
    one = calibration.calibration_error(said.round(1), came, seed=1, resamples=20)
    two = calibration.calibration_error(said.round(1)[order], came[order], seed=1, resamples=20)
    assert (one.value, one.low, one.high) == pytest.approx((two.value, two.low, two.high))


def test_calibration_where_the_decision_turns():
    """Only the rows near the threshold count: a fault elsewhere is not seen, a fault there is."""
    said = np.linspace(0, 1, 2001)
    came = np.random.default_rng(1).random(2001) < np.where(np.abs(said - 0.2) < 0.08, said + 0.3, said)
    here = calibration.calibration_at(said, came, threshold=0.2)
    there = calibration.calibration_at(said, came, threshold=0.7)
    assert here.low > 0.15
    assert there.low < 0 < there.high
    assert here.relevant == pytest.approx(201, abs=2)


def test_brier_and_log_loss_equal_scikit_learn():
    """Binary Brier is (p - y)^2, the multiclass one sums over classes, the log loss is in nats."""
    generator = np.random.default_rng(1)
    three = generator.dirichlet([1, 1, 1], size=80)
    truth = generator.integers(0, 3, 80)
    two = np.column_stack([1 - three[:, 0], three[:, 0]])
    assert calibration.brier(two, truth % 2, seed=1).value == pytest.approx(
        brier_score_loss(truth % 2, two[:, 1])
    )
    assert calibration.brier(three, truth, seed=1).value == pytest.approx(
        ((three - np.eye(3)[truth]) ** 2).sum(1).mean()
    )
    assert calibration.log_loss(three, truth, seed=1).value == pytest.approx(their_log_loss(truth, three))


def test_certainty_that_was_wrong_is_named():
    """A class that was called impossible and happened gives a finite loss and a note."""
    seen = calibration.log_loss(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([1, 0]), seed=1)
    assert np.isfinite(seen.value)
    assert "1 rows were called impossible" in seen.note


def test_no_rows_are_refused():
    """Calibration of nothing is an error of the caller."""
    with pytest.raises(ValueError, match="no rows"):
        calibration.calibration_error(np.zeros(0), np.zeros(0, bool), seed=1)
    with pytest.raises(ValueError, match="no rows"):
        calibration.calibration_at(np.zeros(0), np.zeros(0, bool), threshold=0.5)
