"""Wrong labels: planted flips are counted, and two labellers give the human ceiling."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from geartrain.stats.label_noise import agreement, confident_joint, confident_noise, single_error


def world(rows=4000, flips=(0.1, 0.1), *, seed=0, sharp=6.0):
    """Two classes that x tells apart nearly always, labels flipped by class, and a model's P from clean x."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, rows)
    x = rng.normal(0, 1, rows) + sharp * truth
    flipped = rng.random(rows) < np.array(flips)[truth]
    labels = np.where(flipped, 1 - truth, truth)
    p = 1 / (1 + np.exp(-sharp * (x - sharp / 2)))
    return np.column_stack([1 - p, p]), labels, truth


def test_planted_flips_are_counted():
    """One label in ten flipped: the estimate says one in ten, and its interval is short."""
    probabilities, labels, truth = world()
    found = confident_noise(probabilities, labels, seed=0)
    planted = float((labels != truth).mean())
    assert found.rate.value == pytest.approx(planted, abs=0.01)
    assert found.rate.low <= planted <= found.rate.high
    assert found.accuracy_ceiling.value == pytest.approx(1 - planted, abs=0.01)


def test_flips_by_class():
    """Only positives are mislabelled: the contamination stands with the negatives, and the AUC ceiling is right."""
    probabilities, labels, truth = world(flips=(0.0, 0.2))
    found = confident_noise(probabilities, labels, seed=0)
    seen = [float((truth[labels == j] != j).mean()) for j in (0, 1)]
    assert found.contamination == (pytest.approx(seen[0], abs=0.01), pytest.approx(seen[1], abs=0.01))
    assert found.auc_ceiling.value == pytest.approx(roc_auc_score(labels, truth), abs=0.01)


def test_cross_fitted_on_noisy_labels():
    """With the answers of a model that was itself taught the noisy labels, cross-fitted, the rate is still found."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 3000)
    x = np.eye(3)[truth] * 6 + rng.normal(size=(3000, 3))
    flipped = rng.random(3000) < 0.08
    labels = np.where(flipped, (truth + rng.integers(1, 3, 3000)) % 3, truth)
    p = cross_val_predict(LogisticRegression(max_iter=500), x, labels, method="predict_proba", cv=5)
    found = confident_noise(p, labels, seed=0)
    assert found.rate.value == pytest.approx(float(flipped.mean()), abs=0.015)
    assert found.auc_ceiling is None


def test_the_joint_by_hand():
    """Four rows, thresholds .75 and .6: one row labelled 0 is confidently a 1."""
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.45, 0.55], [0.0, 1.0], [0.4, 0.6]])
    joint = confident_joint(p, np.array([0, 0, 0, 0, 1]))
    # t = (mean of .9 .9 .45 0, .6) = (.5625, .6): rows 0, 1 stay, row 2 is not sure, row 3 is a 1.
    assert joint == pytest.approx(np.array([[4 * 2 / 3, 4 * 1 / 3], [0, 1]]) / 5)


def test_clean_labels_have_no_noise():
    """Where model and labels agree, nothing is called wrong."""
    probabilities, labels, _ = world(flips=(0.0, 0.0), sharp=10.0)
    assert confident_noise(probabilities, labels, seed=0).rate.value == pytest.approx(0.0, abs=1e-3)


def test_one_class_is_refused():
    """Noise between classes needs two."""
    with pytest.raises(ValueError, match="one class"):
        confident_noise(np.ones((5, 1)), np.zeros(5, dtype=int), seed=0)


def test_a_constant_model_sees_no_noise_it_could_name():
    """Probabilities that are alike for every row give a number, not an error."""
    found = confident_noise(np.full((40, 2), 0.5), np.repeat([0, 1], 20), seed=0)
    assert 0 <= found.rate.value <= 1


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_kappa_is_sklearns(classes):
    """Cohen's kappa, against scikit-learn."""
    rng = np.random.default_rng(classes)
    one = rng.integers(0, classes, 300)
    two = np.where(rng.random(300) < 0.8, one, rng.integers(0, classes, 300))
    found = agreement(one, two, classes=classes)
    assert found.kappa.value == pytest.approx(cohen_kappa_score(one, two))


def test_kappas_interval_is_the_published_one():
    """The 3x3 table of Fleiss, Cohen & Everitt (1969): kappa .429, its variance .002885."""
    table = [[106, 10, 4], [22, 28, 10], [2, 12, 6]]
    one = np.concatenate([np.full(sum(row), i) for i, row in enumerate(table)])
    two = np.concatenate([np.repeat(np.arange(3), row) for row in table])
    found = agreement(one, two, classes=3)
    assert found.kappa.value == pytest.approx(0.429, abs=5e-4)
    half = (found.kappa.high - found.kappa.low) / 2
    assert (half / 1.959964) ** 2 == pytest.approx(0.002885, rel=0.02)


def test_the_human_ceiling():
    """Two labellers who each err one time in ten agree 82 times in 100; a perfect model is measured with .9."""
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 2, 20_000)
    one, two = (np.where(rng.random(20_000) < 0.1, 1 - truth, truth) for _ in range(2))
    found = agreement(one, two, classes=2)
    assert found.error.value == pytest.approx(0.1, abs=0.01)
    assert found.error.low <= 0.1 <= found.error.high
    assert found.accuracy_ceiling.value == pytest.approx(0.9, abs=0.01)
    assert found.auc_ceiling.value == pytest.approx(roc_auc_score(one, truth), abs=0.01)


def test_labellers_who_guess_have_no_ceiling_above_chance():
    """Disagreement beyond guessing's own stays at guessing's error."""
    assert single_error(0.9, 2) == 0.5
    assert single_error(0.0, 4) == 0.0
    assert single_error(1.0, 4) == pytest.approx(0.75)


def test_nothing_to_agree_about():
    """No row, or one and the same class from both, has no kappa."""
    assert agreement(np.array([], dtype=int), np.array([], dtype=int), classes=2) is None
    assert agreement(np.zeros(9, dtype=int), np.zeros(9, dtype=int), classes=2) is None
