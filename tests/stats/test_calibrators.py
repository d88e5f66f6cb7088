"""Calibrators: plain numbers, honest probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from geartrain.stats.calibrators import CLIP, fit_isotonic, fit_sigmoid


def bent(seed: int, classes: int, slope: float) -> tuple[np.ndarray, np.ndarray]:
    """Answers with their log-odds stretched by *slope*, and truth drawn from the honest ones."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(20_000, classes))
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (honest.cumsum(axis=1) < random.random((20_000, 1))).sum(axis=1)
    stretched = np.exp(slope * logits)
    return stretched / stretched.sum(axis=1, keepdims=True), truth.astype(np.int64)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_known_stretch_is_undone(classes):
    """Log-odds that were stretched by 2.5 come back with slope 1 / 2.5, for any number of classes."""
    values, truth = bent(1, classes, 2.5)
    found = fit_sigmoid(values, truth)
    assert found.slope == pytest.approx(0.4, abs=0.02)
    assert found.offsets == pytest.approx((0.0,) * classes, abs=0.06)


def test_two_classes_agree_with_plain_platt_scaling():
    """With two classes and many rows it is the logistic regression on the log-odds (scikit-learn's)."""
    from sklearn.linear_model import LogisticRegression

    values, truth = bent(2, 2, 1.7)
    odds = np.log(np.clip(values[:, 1], CLIP, 1)) - np.log(np.clip(values[:, 0], CLIP, 1))
    platt = LogisticRegression(C=1e9).fit(odds[:, None], truth)
    found = fit_sigmoid(values, truth)
    assert found.slope == pytest.approx(platt.coef_[0, 0], rel=1e-2)
    assert found.apply(values)[:, 1] == pytest.approx(platt.predict_proba(odds[:, None])[:, 1], abs=2e-3)


def test_perfect_separation_stays_finite():
    """Platt's smoothed targets keep a perfect separation from claiming certainty."""
    values = np.array([[0.99, 0.01]] * 20 + [[0.01, 0.99]] * 20)
    truth = np.array([0] * 20 + [1] * 20)
    assert fit_sigmoid(values, truth).apply(values).max() == pytest.approx(21 / 22, abs=1e-3)


def test_a_wrong_order_is_never_turned_around():
    """Answers that are worse than chance become the base rate, not their opposite."""
    values, truth = bent(3, 2, -1.0)
    found = fit_sigmoid(values, truth)
    assert found.slope == 0.0
    assert found.apply(values)[:, 1] == pytest.approx(truth.mean(), abs=1e-3)


@pytest.mark.parametrize("classes", [2, 3])
def test_isotonic_rows_sum_to_one_and_are_closer_to_the_truth(classes):
    """The calibrated answers are probabilities, and better ones than before."""
    values, truth = bent(4, classes, 3.0)
    answers = fit_isotonic(values[:10_000], truth[:10_000]).apply(values[10_000:])
    rows = np.arange(10_000)
    assert answers.sum(axis=1) == pytest.approx(1.0)
    loss = -np.log(answers[rows, truth[10_000:]]).mean()
    assert loss < -np.log(np.clip(values[10_000:], 1e-9, 1)[rows, truth[10_000:]]).mean() - 0.05
