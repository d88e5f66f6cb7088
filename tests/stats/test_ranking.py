"""Ranking measures against scikit-learn, brute force and their own coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from geartrain.stats import ranking


def sample(seed, rows=200, shift=1.0, digits=None):
    generator = np.random.default_rng(seed)
    positive = generator.random(rows) < 0.3
    scores = generator.normal(size=rows) + shift * positive
    return (scores if digits is None else scores.round(digits)), positive


@pytest.mark.parametrize("digits", [None, 0])
def test_auc_equals_scikit_learn(digits):
    """Tied scores count half, as in scikit-learn."""
    scores, positive = sample(1, digits=digits)
    assert ranking.auc(scores, positive).value == pytest.approx(roc_auc_score(positive, scores))


def test_delong_variance_equals_its_definition():
    """The interval's width is that of the structural components counted pair by pair."""
    scores, positive = sample(2, rows=80, digits=1)
    kernel = (scores[positive][:, None] > scores[~positive][None, :]).astype(float)
    kernel += 0.5 * (scores[positive][:, None] == scores[~positive][None, :])
    variance = (
        kernel.mean(axis=1).var(ddof=1) / kernel.shape[0] + kernel.mean(axis=0).var(ddof=1) / kernel.shape[1]
    )
    seen = ranking.auc(scores, positive)
    a = seen.value
    half = np.log(seen.high / (1 - seen.high)) - np.log(a / (1 - a))
    assert half == pytest.approx(1.959964 * variance**0.5 / (a * (1 - a)), rel=1e-5)


def test_perfect_separation_is_not_certainty():
    """Ten positives above ten negatives leave a wide interval, a thousand a narrow one."""
    few = ranking.auc(np.arange(20.0), np.arange(20) >= 10)
    many = ranking.auc(np.arange(2000.0), np.arange(2000) >= 1000)
    assert few.value == many.value == 1.0
    assert few.low < 0.9
    assert 0.99 < many.low < 1.0
    worst = ranking.auc(np.arange(20.0), np.arange(20) < 10)
    assert (worst.value, worst.low) == (0.0, 0.0)
    assert worst.high == pytest.approx(1 - few.low, abs=1e-6)


def test_constant_scores_are_a_coin():
    """Scores that say nothing have AUC one half and an interval around it."""
    seen = ranking.auc(np.zeros(50), np.arange(50) < 20)
    assert seen.value == 0.5
    assert seen.low <= 0.5 <= seen.high


def test_one_class_is_refused():
    """Ranking without both classes has no value."""
    with pytest.raises(ValueError, match="both classes"):
        ranking.auc(np.zeros(3), np.ones(3, dtype=bool))
    with pytest.raises(ValueError, match="positive"):
        ranking.average_precision(np.zeros(3), np.zeros(3, dtype=bool), seed=1)


def test_auc_interval_covers():
    """The normal-shift model's true AUC is inside in 91 to 98 % of 400 small samples."""
    from scipy.stats import norm

    truth = norm.cdf(1 / 2**0.5)
    covered = 0
    for seed in range(400):
        seen = ranking.auc(*sample(seed, rows=60))
        covered += seen.low <= truth <= seen.high
    assert 0.91 <= covered / 400 <= 0.985


def test_delong_difference_agrees_with_the_bootstrap():
    """The paired standard error is that of resampled differences."""
    scores, positive = sample(7, rows=300)
    other = scores + np.random.default_rng(8).normal(scale=0.7, size=300)
    seen = ranking.auc_difference(scores, other, positive)
    generator = np.random.default_rng(9)
    stars = []
    for _ in range(400):
        rows = generator.integers(0, 300, 300)
        stars.append(roc_auc_score(positive[rows], scores[rows]) - roc_auc_score(positive[rows], other[rows]))
    assert (seen.high - seen.value) / 1.96 == pytest.approx(np.std(stars), rel=0.15)
    assert seen.value == pytest.approx(roc_auc_score(positive, scores) - roc_auc_score(positive, other))


def test_grouped_auc_is_wider():
    """Five copies of each row, known as copies, give the interval of the originals and not a fifth of it."""
    scores, positive = sample(3, rows=60)
    plain = ranking.auc(scores, positive)
    copied = ranking.auc(np.repeat(scores, 5), np.repeat(positive, 5), groups=np.repeat(np.arange(60), 5))
    assert copied.high - copied.low == pytest.approx(plain.high - plain.low, rel=0.3)
    assert copied.value == pytest.approx(plain.value)


@pytest.mark.parametrize("digits", [None, 0])
def test_average_precision_equals_scikit_learn(digits):
    """Ties are one threshold, and the interval holds the value."""
    scores, positive = sample(4, digits=digits)
    seen = ranking.average_precision(scores, positive, seed=1, resamples=100)
    assert seen.value == pytest.approx(average_precision_score(positive, scores))
    assert seen.low < seen.value < seen.high


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_the_order_of_rows_changes_nothing(seed):
    """AUC, average precision and their intervals do not know the order of rows."""
    scores, positive = sample(seed, rows=40, digits=1)
    if positive.all() or not positive.any():
        return
    order = np.random.default_rng(seed).permutation(40)
    mine, theirs = ranking.auc(scores, positive), ranking.auc(scores[order], positive[order])
    assert (mine.value, mine.low, mine.high) == pytest.approx((theirs.value, theirs.low, theirs.high))
    one = ranking.average_precision(scores, positive, seed=1, resamples=20)
    two = ranking.average_precision(scores[order], positive[order], seed=1, resamples=20)
    assert one == two


def test_precision_at_capacity_by_hand():
    """Two looks a day at cards: the highest row counts, a card found yesterday is not looked at again."""
    days = np.array([1, 1, 1, 1, 2, 2, 2])
    cards = np.array(["a", "a", "b", "c", "a", "b", "d"])
    scores = np.array([0.9, 0.1, 0.8, 0.2, 0.99, 0.3, 0.2])
    fraud = np.array([False, True, False, False, True, True, False])
    seen = ranking.precision_at(scores, fraud, days, k=2, entities=cards)
    # Day 1: a (one of its rows is fraud) and b: 1 of 2. Day 2 without a: b and d: 1 of 2.
    assert seen.value == 0.5
    kept = ranking.precision_at(scores, fraud, days, k=2, entities=cards, forget_found=False)
    # Day 2 with a: a and b, both fraud.
    assert kept.value == 0.75
    assert seen.relevant == 4


def test_precision_at_capacity_of_rows():
    """Without entities each row is looked at, and days that agree fall back to the exact interval."""
    seen = ranking.precision_at(
        np.array([3.0, 2, 1, 3, 2, 1]), np.array([1, 0, 0] * 2, bool), np.repeat([1, 2], 3), k=1
    )
    assert (seen.value, seen.high, seen.method) == (1.0, 1.0, "Clopper-Pearson")
    assert seen.low == pytest.approx(0.025**0.5)
    with pytest.raises(ValueError, match="k >= 1"):
        ranking.precision_at(np.zeros(2), np.zeros(2, bool), np.zeros(2), k=0)
