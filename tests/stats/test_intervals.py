"""Intervals against published values, scipy and their own coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as oracle

from geartrain.stats import intervals


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (62, 64), (263, 263 + 2)])
@pytest.mark.parametrize(("ours", "theirs"), [("clopper_pearson", "exact"), ("wilson", "wilson")])
def test_proportion_intervals_equal_scipy(k, n, ours, theirs):
    """Clopper-Pearson and Wilson give scipy's ends to ten digits."""
    expected = oracle.binomtest(k, n).proportion_ci(0.95, method=theirs)
    assert getattr(intervals, ours)(k, n) == pytest.approx((expected.low, expected.high), abs=1e-10)


def test_no_trials_say_nothing():
    """Without a trial every rate is possible."""
    assert intervals.clopper_pearson(0, 0) == (0.0, 1.0)
    assert intervals.wilson(0, 0) == (0.0, 1.0)
    assert intervals.zero_failures_bound(0) == 1.0


def test_more_successes_than_trials_is_refused():
    """A proportion above one is a caller's mistake, said at once."""
    with pytest.raises(ValueError, match="not a proportion"):
        intervals.clopper_pearson(3, 2)


def test_zero_failures_is_the_rule_of_three():
    """300 rows without a failure allow a rate of about 1 %, and it is the one-sided exact end."""
    assert intervals.zero_failures_bound(300) == pytest.approx(0.009936, abs=1e-6)
    assert intervals.zero_failures_bound(20) == pytest.approx(
        intervals.clopper_pearson(0, 20, confidence=0.90)[1]
    )


def test_clopper_pearson_covers_as_often_as_it_says():
    """Over every possible outcome at n = 30, coverage is at least 95 % for each rate."""
    n = 30
    ends = np.array([intervals.clopper_pearson(k, n) for k in range(n + 1)])
    for rate in np.linspace(0.01, 0.99, 50):
        inside = (ends[:, 0] <= rate) & (rate <= ends[:, 1])
        assert oracle.binom.pmf(np.arange(n + 1), n, rate)[inside].sum() >= 0.95


def test_bca_of_a_mean_equals_scipy():
    """On skewed costs the BCa ends agree with scipy's to Monte Carlo noise."""
    costs = np.random.default_rng(3).exponential(size=120)
    ours = intervals.ratio(costs, seed=1, resamples=8000)
    theirs = oracle.bootstrap((costs,), np.mean, n_resamples=8000, rng=2).confidence_interval
    assert ours.value == pytest.approx(costs.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)
    assert ours.method == "bootstrap, BCa"


def test_bca_of_a_ratio_equals_scipy_paired():
    """A ratio of two costs of the same rows is resampled in pairs, as scipy's paired bootstrap."""
    generator = np.random.default_rng(5)
    reference = generator.exponential(size=150) + 0.5
    candidate = reference * generator.uniform(0.4, 1.1, size=150)
    ours = intervals.ratio(candidate, reference, seed=1, resamples=6000)
    theirs = oracle.bootstrap(
        (candidate, reference),
        lambda a, b, axis: a.sum(axis=axis) / b.sum(axis=axis),
        paired=True,
        n_resamples=6000,
        rng=2,
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.006)


def test_few_distinct_values_take_the_same_law():
    """Drawing counts of distinct rows and drawing rows one by one give the same interval."""
    costs = np.repeat([0.0, 1.0, 50.0], [150, 15, 4])
    fast = intervals.ratio(costs, seed=1, resamples=8000)
    slow = intervals.ratio(costs + np.linspace(0, 1e-9, len(costs)), seed=1, resamples=8000)
    assert (fast.low, fast.high) == pytest.approx((slow.low, slow.high), abs=0.06)


def test_mean_interval_covers():
    """The BCa interval of a mean of 60 exponential costs covers the truth in 90 to 98 % of 300 draws."""
    generator = np.random.default_rng(11)
    covered = 0
    for turn in range(300):
        seen = intervals.ratio(generator.exponential(size=60), seed=turn, resamples=400)
        covered += seen.low <= 1.0 <= seen.high
    assert 0.90 <= covered / 300 <= 0.985


def test_repeated_entities_widen_the_interval():
    """Ten rows each of 30 patients are worth about 30 rows: the cluster interval says so."""
    generator = np.random.default_rng(2)
    patients = np.repeat(np.arange(30), 10)
    costs = np.repeat(generator.exponential(size=30), 10)
    plain = intervals.ratio(costs, seed=1)
    clustered = intervals.ratio(costs, seed=1, groups=patients)
    assert clustered.value == pytest.approx(plain.value)
    assert (clustered.high - clustered.low) / (plain.high - plain.low) == pytest.approx(10**0.5, rel=0.2)


def test_strata_keep_their_sizes():
    """Where strata explain everything, stratified resampling leaves no spread."""
    strata = np.repeat([0, 1], 50)
    seen = intervals.ratio(strata.astype(float), strata=strata, seed=1)
    assert (seen.low, seen.high) == (0.5, 0.5)


def test_groups_and_strata_together_are_refused():
    """Two ways of drawing at once have no meaning here."""
    codes = np.zeros(3)
    with pytest.raises(ValueError, match="not both"):
        intervals.ratio(np.ones(3), seed=1, groups=codes, strata=codes)


@pytest.mark.parametrize("denominator", [None, np.zeros(0)])
def test_no_rows_have_no_mean(denominator):
    """An empty mean is an error of the caller, never NaN."""
    with pytest.raises(ValueError, match="no rows"):
        intervals.ratio(np.zeros(0), denominator, seed=1)


def test_many_rows_take_the_normal_limit():
    """Beyond 200,000 rows the normal limit is used and says so."""
    values = np.random.default_rng(1).normal(size=intervals.MOST_BOOTSTRAPPED + 1)
    seen = intervals.ratio(values, seed=1)
    assert "normal limit" in seen.method
    assert seen.high - seen.value == pytest.approx(1.96 * values.std() / len(values) ** 0.5, rel=1e-3)


def test_grouped_proportion_counts_effective_rows():
    """Hits that are the same within each of 20 patients have the exact interval of about 20 rows."""
    patients = np.repeat(np.arange(20), 8)
    hits = np.repeat(np.arange(20) < 10, 8)
    seen = intervals.proportion(hits, groups=patients)
    low, high = intervals.clopper_pearson(10, 20)
    assert (seen.low, seen.high) == pytest.approx((low, high), abs=0.02)


def test_grouped_proportion_without_failure_counts_groups():
    """With no failure seen, the number of patients and not of rows carries the proof."""
    seen = intervals.proportion(np.ones(160, dtype=bool), groups=np.repeat(np.arange(20), 8))
    assert seen.low == pytest.approx(intervals.clopper_pearson(20, 20)[0])


@settings(max_examples=40)
@given(st.lists(st.floats(-100, 100), min_size=2, max_size=60), st.integers(0, 1000))
def test_the_order_of_rows_changes_nothing(values, seed):
    """Same rows, same seed, another order: the same interval."""
    rows = np.array(values)
    shuffled = np.random.default_rng(seed).permutation(rows)
    one, two = intervals.ratio(rows, seed=3, resamples=50), intervals.ratio(shuffled, seed=3, resamples=50)
    assert (one.value, one.low, one.high) == pytest.approx((two.value, two.low, two.high), abs=1e-9)


@settings(max_examples=60)
@given(st.integers(0, 200), st.integers(1, 200))
def test_duplicating_every_row_narrows_the_exact_interval(k, n):
    """Twice the evidence of the same rate is a narrower interval."""
    k = min(k, n)
    once, twice = intervals.clopper_pearson(k, n), intervals.clopper_pearson(2 * k, 2 * n)
    assert twice[1] - twice[0] < once[1] - once[0]


def test_bootstrap_of_any_statistic():
    """A weighted median's percentile interval holds the median, and an undefined statistic is refused."""
    values = np.sort(np.random.default_rng(4).normal(size=101))

    def median(weights):
        return float(values[np.searchsorted(np.cumsum(weights), weights.sum() / 2)])

    low, high, stars = intervals.bootstrap(median, 101, seed=1)

    assert low < np.median(values) < high
    assert len(stars) == 500
    with pytest.raises(ValueError, match="no value"):
        intervals.bootstrap(lambda weights: float("nan"), 5, seed=1, resamples=5)


def test_a_bootstrap_does_not_end_where_its_resamples_end():
    """At 99.99 % 2000 resamples hold nothing beyond the ends; the interval then reaches the normal limit, and says so."""
    costs = np.random.default_rng(2).normal(size=400)
    strict = intervals.ratio(costs, seed=1, confidence=0.9999)
    half = intervals.normal_quantile(0.99995) * float(costs.std()) / 20
    assert strict.high - strict.value >= 0.999 * half
    assert strict.method.endswith("normal limit, the wider")
    assert intervals.ratio(costs, seed=1).method == "bootstrap, BCa"
    low, high, _ = intervals.bootstrap(
        lambda weights: float(weights @ costs / weights.sum()), 400, seed=1, confidence=0.9999
    )
    assert min(strict.value - low, high - strict.value) >= 0.9 * half
