"""Density ratios and calibrators fitted with them: against ratios that are known exactly, and on columns that say nothing."""

import numpy as np
import pytest

from geartrain.domain.finding import Measurement
from geartrain.stats.calibrators import Isotonic, Sigmoid, fit_isotonic, fit_sigmoid
from geartrain.stats.reweighting import balanced, density_ratio, recalibrate, widened


def _sides(shift, rows=3000, seed=1):
    chance = np.random.default_rng(seed)
    reference = chance.normal(size=(rows, 3)).astype(np.float32)
    current = chance.normal(size=(rows, 3)).astype(np.float32)
    current[:, 0] += shift
    return reference, current


def test_two_shifted_normals_give_their_known_ratio():
    """N(0,1) against N(1,1): the ratio is exp(x - 1/2), worth n / e rows, and weighted rows have the mean of the others."""
    reference, current = _sides(1.0)
    found = density_ratio(reference, current, seed=1)
    exact = np.exp(reference[:, 0] - 0.5)
    assert np.corrcoef(found.weights, exact)[0, 1] > 0.9
    assert found.weights.mean() == pytest.approx(1.0)
    assert found.worth == pytest.approx(3000 / np.e, rel=0.3)
    assert float(found.weights @ reference[:, 0]) / 3000 == pytest.approx(1.0, abs=0.05)
    assert found.told_apart.value == pytest.approx(0.76, abs=0.03)  # Phi(1 / sqrt 2)
    assert found.outside < 0.02


def test_where_nothing_shifted_hardly_anything_is_weighted():
    """Rows of one population are worth nearly all of their number, and cannot be told apart."""
    found = density_ratio(*_sides(0.0), seed=2)
    assert found.worth > 0.95 * 3000
    assert found.told_apart.low <= 0.5 <= found.told_apart.high + 0.02
    assert found.outside == 0.0


def test_a_population_that_the_reference_never_saw_is_said_to_be_outside():
    """Rows far away leave nearly no reference row with weight, and nearly all of them lie outside."""
    found = density_ratio(*_sides(12.0, rows=500), seed=3)
    assert found.outside > 0.9


@pytest.mark.parametrize("broken", [np.nan, 7.0, np.inf], ids=["all missing", "constant", "infinite"])
def test_a_column_that_says_nothing_changes_nothing(broken):
    """A column that is constant, infinite or missing throughout gives the ratio of the others."""
    reference, current = _sides(1.0)
    spoiled = [
        np.column_stack([one, np.full(len(one), broken, dtype=np.float32)]) for one in (reference, current)
    ]
    plain, found = (density_ratio(*sides, seed=1) for sides in ((reference, current), spoiled))
    assert found.worth == pytest.approx(plain.worth, rel=1e-6)


def test_balancing_gives_the_mean_that_is_asked_for_and_the_exact_ratio_of_two_normals():
    """From even weights alone, a shift by half a deviation: exp(x/2 - 1/8), and the mean of the other side."""
    reference, current = _sides(0.5)
    found = balanced(np.ones(3000), reference, current)
    exact = np.exp(reference[:, 0] / 2 - 0.125)
    assert np.corrcoef(found, exact)[0, 1] > 0.98
    assert float(found @ reference[:, 0]) / 3000 == pytest.approx(current[:, 0].mean(), abs=0.02)


def test_a_ratio_needs_rows_and_columns():
    """Nine rows on one side, or no column, is an error of the caller."""
    reference, current = _sides(0.0, rows=100)
    for wrong in ((reference[:9], current), (reference[:, :0], current[:, :0])):
        with pytest.raises(ValueError, match="ten rows"):
            density_ratio(*wrong, seed=1)


@pytest.mark.parametrize("fitting", [fit_sigmoid, fit_isotonic])
def test_a_weight_of_three_is_three_rows(fitting):
    """Whole weights give what the rows so many times over give; no weights are weights of one."""
    chance = np.random.default_rng(4)
    score = chance.random(300)
    truth = (chance.random(300) < score**2).astype(np.int64)
    said = np.column_stack([1 - score, score])
    times = chance.integers(0, 4, 300)
    weighted = fitting(said[times > 0], truth[times > 0], weights=times[times > 0].astype(np.float64))
    repeated = fitting(np.repeat(said, times, axis=0), np.repeat(truth, times))
    np.testing.assert_allclose(weighted.apply(said), repeated.apply(said), atol=2e-3)
    same = fitting(said, truth, weights=np.ones(300))
    np.testing.assert_allclose(same.apply(said), fitting(said, truth).apply(said), atol=1e-9)


def test_a_model_that_is_wrong_for_the_newcomers_is_calibrated_for_them():
    """Right for the old mix and wrong in each half: weighted for one half, the answers are that half's."""
    chance = np.random.default_rng(5)
    rows = 6000
    young = chance.random(rows) < 0.5
    truth = (chance.random(rows) < np.where(young, 0.4, 0.1)).astype(np.int64)
    said = np.tile([0.75, 0.25], (rows, 1))
    said[:, 1] += chance.normal(scale=0.01, size=rows)
    said[:, 0] = 1 - said[:, 1]
    reference = young.astype(np.float32)[:, None]
    now = np.concatenate([np.ones((2700, 1)), np.zeros((300, 1))]).astype(np.float32)
    ratio = density_ratio(reference, now, seed=1)
    found = recalibrate(said, truth, ratio, seed=1)
    assert isinstance(found.calibrator, Isotonic)
    assert found.calibrator.apply(said[:500])[:, 1].mean() == pytest.approx(0.9 * 0.4 + 0.1 * 0.1, abs=0.03)
    spread = found.spread(lambda one: float(one.apply(said[:500])[:, 1].mean()))
    assert 0.002 < spread < 0.03


def test_little_evidence_gets_a_stiff_calibrator_and_one_class_none():
    """Two hundred rows give a sigmoid; rows of one class calibrate nothing."""
    reference, current = _sides(0.0, rows=200)
    ratio = density_ratio(reference, current, seed=1)
    said = np.tile([0.5, 0.5], (200, 1))
    assert isinstance(recalibrate(said, np.arange(200) % 2, ratio, seed=1).calibrator, Sigmoid)
    with pytest.raises(ValueError, match="two classes"):
        recalibrate(said, np.zeros(200, dtype=np.int64), ratio, seed=1)


def test_an_independent_error_widens_by_the_root_of_squares():
    """3 and 4 make 5."""
    seen = Measurement(value=0.0, low=-3.0, high=3.0)
    wider = widened(seen, 4.0 / 1.959964, note="", method="")
    assert (wider.low, wider.high) == (pytest.approx(-5.0, rel=1e-6), pytest.approx(5.0, rel=1e-6))
