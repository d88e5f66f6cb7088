"""Corrections against published values and scipy; the reality check against its law."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from geartrain.stats.multiplicity import (
    MOST_RESAMPLED,
    affordable_looks,
    alpha_spent,
    benjamini_hochberg,
    benjamini_yekutieli,
    holm,
    luck_bar,
    reality_check,
    worth_of_look,
)

#: The 15 p-values of Benjamini and Hochberg (1995), section 3.
PUBLISHED = np.array([0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0])  # fmt: skip


def test_the_published_example():
    """At .05 Benjamini and Hochberg claim four of their fifteen, Holm three, as the paper prints."""
    assert int((benjamini_hochberg(PUBLISHED) <= 0.05).sum()) == 4
    assert int((holm(PUBLISHED) <= 0.05).sum()) == 3
    assert int((benjamini_yekutieli(PUBLISHED) <= 0.05).sum()) == 3


def test_against_scipy_and_by_hand():
    """BH and BY equal scipy's adjusted values in any order; Holm equals its definition."""
    p = np.random.default_rng(0).permutation(PUBLISHED)
    assert benjamini_hochberg(p) == pytest.approx(false_discovery_control(p, method="bh"))
    assert benjamini_yekutieli(p) == pytest.approx(false_discovery_control(p, method="by"))
    ordered = np.sort(p)
    by_hand = [max((15 - j) * ordered[j] for j in range(i + 1)) for i in range(15)]
    assert np.sort(holm(p)) == pytest.approx(np.minimum(by_hand, 1.0))
    assert len(holm(np.array([]))) == 0
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm(np.array([0.5, np.nan]))


def test_looks_are_paid_for():
    """The parts sum to alpha; 18 looks are worth a quarter of their rows or more, the 19th is not."""
    assert sum(alpha_spent(0.05, look) for look in range(1, 10_000)) < 0.05
    last = affordable_looks(0.05)
    assert last == 18
    assert worth_of_look(0.05, last) >= 0.25 > worth_of_look(0.05, last + 1)


def test_the_luck_bar_is_what_the_best_of_noise_shows():
    """The best of 200 noise trials lies above the bar about as often as below it."""
    best = np.random.default_rng(1).normal(size=(2000, 200)).max(axis=1)
    assert np.median(best) == pytest.approx(luck_bar(1.0, 200), rel=0.06)
    assert luck_bar(1.0, 1) == luck_bar(1.0, 2) == 0.0


def test_the_best_of_noise_is_not_called_better():
    """Twenty trials that only flip coins: the naive test of the best calls it better in 40 % of 200 worlds, this one in about 5 %."""
    generator = np.random.default_rng(5)
    naive, ours = 0, 0
    for seed in range(200):
        gains = generator.normal(size=(150, 20))
        t = gains.mean(axis=0) / gains.std(axis=0, ddof=1) * np.sqrt(150)
        naive += t.max() > 1.645
        ours += reality_check(gains, seed=seed, resamples=200) <= 0.05
    assert naive / 200 > 0.4
    assert ours / 200 <= 0.09


def test_a_real_gain_is_found_and_one_trial_is_a_plain_test():
    """A trial that saves a quarter of a deviation is found among noise; alone its p is the one-sided normal one."""
    generator = np.random.default_rng(6)
    gains = generator.normal(size=(400, 20))
    gains[:, 7] += 0.25
    assert reality_check(gains, seed=1) < 0.01
    one = generator.normal(0.08, 1, size=(400, 1))
    z = float(one.mean() / one.std()) * 20
    from scipy.stats import norm

    assert reality_check(one, seed=1, resamples=8000) == pytest.approx(norm.sf(z), abs=0.015)


def test_many_rows_have_the_same_law():
    """Beyond the limit the means are drawn from their normal law, and p stays the same."""
    generator = np.random.default_rng(7)
    few = generator.normal(0.02, 1, size=(MOST_RESAMPLED, 6))
    plain = reality_check(few, seed=1)
    # A row of no news at the end moves nothing but the way of drawing.
    more = np.vstack([few, few.mean(axis=0)])
    assert reality_check(more, seed=1) == pytest.approx(plain, abs=0.04)


def test_rows_that_repeat_are_one():
    """The same 100 rows given ten times are no more evidence when their entity is named."""
    gains = np.random.default_rng(8).normal(0.15, 1, size=(100, 4))
    entities = np.tile(np.arange(100), 10)
    once, repeated = reality_check(gains, seed=1), np.tile(gains, (10, 1))
    assert reality_check(repeated, seed=1) < once / 3
    assert reality_check(repeated, seed=1, groups=entities) == pytest.approx(once, abs=0.03)


def test_a_reality_check_of_nothing_is_refused():
    """No rows, no trials or a missing gain is a mistake of the caller."""
    with pytest.raises(ValueError, match="rows and trials"):
        reality_check(np.zeros((0, 3)), seed=1)
    with pytest.raises(ValueError, match="every trial"):
        reality_check(np.array([[np.nan]]), seed=1)
    assert reality_check(np.zeros((50, 2)), seed=1) == 1.0
