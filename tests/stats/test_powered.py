"""Means from few labels: the published formulas, coverage, never much wider than the labels alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from geartrain.stats.powered import (
    FEWEST_LABELS,
    half_width,
    inclusion_of,
    labels_needed,
    powered_mean,
)


def _worlds(worlds, rows, labels, correlation, *, draw=None, seed=1):
    """Worlds of *rows* predictions and *labels* values whose population mean is 0."""
    chance = np.random.default_rng(seed)
    for _ in range(worlds):
        predicted = chance.normal(size=rows)
        values = correlation * predicted + np.sqrt(1 - correlation**2) * chance.normal(size=rows)
        if draw is None:
            there, inclusion = chance.choice(rows, labels, replace=False), np.full(labels, labels / rows)
        else:
            probabilities = inclusion_of(draw(predicted), labels)
            there = np.flatnonzero(chance.random(rows) < probabilities)
            inclusion = probabilities[there]
        yield powered_mean(
            predicted, values=values[there], predicted_there=predicted[there], inclusion=inclusion
        )


def test_where_every_row_was_as_likely_it_is_the_published_formula():
    """PPI++ for a mean: t* = cov / ((1 + n/M) var) on M unlabelled rows, and its variance, by hand."""
    chance = np.random.default_rng(2)
    size, labels = 500, 80
    predicted = chance.normal(size=size)
    there = np.arange(labels)
    values = 0.7 * predicted[there] + chance.normal(scale=0.5, size=labels)
    seen = powered_mean(
        predicted,
        values=values,
        predicted_there=predicted[there],
        inclusion=np.full(labels, labels / size),
    )
    unlabelled = predicted[labels:]
    known = predicted[there]
    slope = np.cov(values, known)[0, 1] / known.var(ddof=1)
    tuned = slope / (1 + labels / len(unlabelled))
    assert seen.trust == pytest.approx(slope)
    assert seen.mean.value == pytest.approx(values.mean() + tuned * (unlabelled.mean() - known.mean()))
    residual = values - slope * known
    variance = (1 - labels / size) * residual.var(ddof=1) / labels + values.var(ddof=1) / size
    half = t.ppf(0.975, labels - 1) * np.sqrt(variance)
    assert seen.mean.high - seen.mean.value == pytest.approx(half, rel=0.02)
    alone = (1 - labels / size) * values.var(ddof=1) / labels + values.var(ddof=1) / size
    assert (seen.labels_alone.high - seen.labels_alone.value) ** 2 == pytest.approx(
        t.ppf(0.975, labels - 1) ** 2 * alone, rel=0.02
    )


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.95])
def test_the_interval_holds_the_mean_and_is_hardly_wider_than_that_of_the_labels(correlation):
    """In 1000 worlds it covers in 93 to 97 %; useless predictions cost nothing, good ones bring most of the width."""
    seen = list(_worlds(1000, 1000, 60, correlation))
    covered = np.mean([one.mean.low <= 0 <= one.mean.high for one in seen])
    ratio = np.array(
        [(one.mean.high - one.mean.low) / (one.labels_alone.high - one.labels_alone.low) for one in seen]
    )
    assert 0.93 <= covered <= 0.97
    assert ratio.max() <= 1.0 + 1e-9
    assert ratio.mean() == pytest.approx(
        np.sqrt((1 - correlation**2) * (1 - 0.06) / 60 + 1 / 1000) / np.sqrt((1 - 0.06) / 60 + 1 / 1000),
        abs=0.03,
    )


def test_labels_that_were_drawn_unequally_are_weighed_back():
    """Rows far from the mean are drawn most; weighted by the inverse the interval covers in 93 to 97 %."""
    seen = list(_worlds(1000, 2000, 150, 0.8, draw=lambda one: np.maximum(one + 1.0, 0.05)))
    assert 0.93 <= np.mean([one.mean.low <= 0 <= one.mean.high for one in seen]) <= 0.97
    assert abs(np.mean([one.mean.value for one in seen])) < 0.01


def test_a_wrong_model_makes_it_wide_not_wrong():
    """Predictions that say the opposite are not trusted: the answer is that of the labels."""
    chance = np.random.default_rng(3)
    predicted = chance.normal(size=400)
    values = -predicted[:50]
    seen = powered_mean(
        predicted, values=values, predicted_there=predicted[:50], inclusion=np.full(50, 50 / 400)
    )
    assert seen.trust == 0.0
    assert seen.mean == seen.labels_alone


def test_an_event_that_has_not_come_yet_is_not_impossible():
    """None of 50 labels shows a loss of 1000 that should come once in 200: the interval still reaches to it."""
    predicted = np.full(1000, 5.0)
    seen = powered_mean(
        predicted,
        values=np.zeros(50),
        predicted_there=predicted[:50],
        inclusion=np.full(50, 0.05),
        implied=np.full(50, 1000.0**2 * 0.005 * 0.995),
    )
    assert seen.mean.value == 0.0
    assert seen.mean.high > 5.0


def test_all_labels_leave_only_what_rows_themselves_leave_open():
    """With every row labelled the mean is the plain one, its width that of a mean of N rows."""
    values = np.random.default_rng(4).normal(size=200)
    seen = powered_mean(np.zeros(200), values=values, predicted_there=np.zeros(200), inclusion=np.ones(200))
    assert seen.mean.value == pytest.approx(values.mean())
    half = t.ppf(0.975, 199) * values.std(ddof=1) / np.sqrt(200)
    assert seen.mean.high - seen.mean.value == pytest.approx(half, rel=1e-6)


def test_what_is_no_sample_is_an_error_of_the_caller():
    """One label has no spread; a row that could not be drawn cannot have been."""
    one = np.ones(1)
    with pytest.raises(ValueError, match="two labels"):
        powered_mean(np.ones(9), values=one, predicted_there=one, inclusion=one)
    two = np.ones(2)
    with pytest.raises(ValueError, match="probability"):
        powered_mean(np.ones(9), values=two, predicted_there=two, inclusion=np.array([0.0, 1.0]))


@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=60),
    st.floats(0.1, 80),
    st.sampled_from([0.0, 0.25, 1.0]),
)
def test_probabilities_are_ones_and_give_as_many_labels_as_were_asked(deviations, labels, evenly):
    """Whatever is uncertain: each lies in [0, 1] and their sum is what was asked, up to what there is."""
    deviations = np.array(deviations)
    found = inclusion_of(deviations, labels, evenly=evenly)
    assert ((found >= 0) & (found <= 1)).all()
    reachable = len(deviations) if evenly or not deviations.any() else np.count_nonzero(deviations)
    if reachable == len(deviations):
        assert found.sum() == pytest.approx(min(labels, len(deviations)), rel=1e-6)


def test_the_labels_that_are_asked_for_bring_the_interval_where_it_was_promised():
    """What `labels_needed` says is enough and one less is not; drawn where it is uncertain takes fewer than drawn evenly."""
    chance = np.random.default_rng(5)
    deviations = np.where(chance.random(3000) < 0.1, 10.0, 0.5)
    expected = chance.normal(size=3000)
    needed = labels_needed(deviations, expected, 0.3)
    assert half_width(deviations, expected, needed) <= 0.3 < half_width(deviations, expected, needed - 1)
    evenly = (1.959964 / 0.3) ** 2 * (deviations**2).mean()
    assert needed < 0.5 * evenly
    assert labels_needed(deviations, expected, 1e-6) is None
    assert labels_needed(deviations[:20], expected[:20], 10.0) is None
    assert labels_needed(deviations, expected, 1e9) == FEWEST_LABELS


def test_the_promised_width_is_the_width_that_comes():
    """Over 200 worlds the median half-width is within a tenth of what was foretold."""
    chance = np.random.default_rng(6)
    risk = chance.beta(1, 5, size=2000)
    deviations = 10 * np.sqrt(risk * (1 - risk))
    expected = 10 * risk
    foretold = half_width(deviations, expected, 200)
    came = []
    for _ in range(200):
        probabilities = inclusion_of(deviations, 200)
        there = np.flatnonzero(chance.random(2000) < probabilities)
        values = 10.0 * (chance.random(len(there)) < risk[there])
        seen = powered_mean(
            expected, values=values, predicted_there=expected[there], inclusion=probabilities[there]
        )
        came.append((seen.mean.high - seen.mean.low) / 2)
    assert np.median(came) == pytest.approx(foretold, rel=0.1)
