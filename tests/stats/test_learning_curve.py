"""Learning curves: known laws are found again, and a forecast is given only where it was earned."""

import numpy as np
import pytest

from geartrain.stats.learning_curve import PowerLaw, fit_power_law, growing_sizes, learning_curve

SIZES = (100, 200, 400, 800, 1600)


def drawn(law, *, noise, rows=2000, draws=4, seed=0, sizes=SIZES):
    """Costs of *rows* judged rows whose mean follows *law*, with noise of rows and of draws."""
    rng = np.random.default_rng(seed)
    own = rng.exponential(1.0, rows)
    return [
        np.array([own / own.mean() * law(n) * (1 + noise * rng.normal()) for _ in range(draws)])
        for n in sizes
    ]


def test_an_exact_law_is_found_again():
    """Points that lie on a + b n^-c give a, b and c back."""
    law = PowerLaw(a=0.12, b=3.0, c=0.7)
    sizes = np.array(SIZES, dtype=float)
    found = fit_power_law(sizes, np.array([law.at(n) for n in sizes]), np.ones(5))
    assert (found.a, found.b, found.c) == (
        pytest.approx(0.12, abs=1e-4),
        pytest.approx(3.0, rel=1e-2),
        pytest.approx(0.7, abs=2e-3),
    )


def test_the_fit_is_the_least_squares_of_scipy():
    """On noisy points the profile finds the same weighted minimum as scipy's curve_fit from a good start."""
    from scipy.optimize import curve_fit

    sizes = np.array([50, 100, 200, 400, 800, 1600.0])
    rng = np.random.default_rng(3)
    deviations = 0.02 * sizes**-0.3
    errors = 0.1 + 2.0 * sizes**-0.5 + deviations * rng.normal(size=6)
    found = fit_power_law(sizes, errors, deviations**2)
    best, _ = curve_fit(
        lambda n, a, b, c: a + b * n**-c, sizes, errors, p0=(0.1, 2, 0.5), sigma=deviations,
        bounds=([0, 0, 1e-3], [np.inf, np.inf, 2]),
    )  # fmt: skip
    assert (found.a, found.c) == (pytest.approx(best[0], abs=1e-4), pytest.approx(best[2], abs=2e-3))


def test_limits_are_held():
    """A curve that falls below every positive floor has a = 0; one that rises has b = 0."""
    sizes = np.array(SIZES, dtype=float)
    steep = fit_power_law(sizes, 50 * sizes**-1.0 - 0.02, np.ones(5))
    rising = fit_power_law(sizes, 0.1 * sizes**0.2, np.ones(5))
    assert steep.a == 0.0
    assert rising.b == 0.0
    with pytest.raises(ValueError, match="three numbers"):
        fit_power_law(sizes[:2], np.ones(2), np.ones(2))


def test_a_curve_that_predicts_is_believed():
    """The forecast at ten times the rows holds the truth, and is not wide."""
    law = PowerLaw(a=0.1, b=4.0, c=0.6)
    found = learning_curve(SIZES, drawn(law.at, noise=0.01), seed=1)
    assert found.accepted, found.reason
    twice, tenfold = (one.expected for one in found.forecasts)
    assert [one.rows for one in found.forecasts] == [3200, 16000]
    assert twice.low <= law.at(3200) <= twice.high
    assert tenfold.low <= law.at(16000) <= tenfold.high
    assert tenfold.high - tenfold.low < 0.08
    assert "1,600" in found.reason


def test_forecasts_hold_what_comes():
    """Over many worlds the 95 % interval at twice the rows misses rarely, judged rows' luck included."""
    law = PowerLaw(a=0.1, b=4.0, c=0.6)
    missed = 0
    for seed in range(40):
        found = learning_curve(
            SIZES, drawn(law.at, noise=0.03, seed=seed, rows=400), seed=seed, resamples=200
        )
        if found.accepted:
            twice = found.forecasts[0].expected
            missed += not (twice.low <= law.at(3200) <= twice.high)
    assert missed <= 6


def test_a_law_that_fails_at_the_last_point_is_refused():
    """A curve that suddenly falls after half of the rows is not predicted by its beginning."""
    found = learning_curve(SIZES, drawn(lambda n: 1.0 if n < 1000 else 0.4, noise=0.01), seed=1)
    assert not found.accepted
    assert "does not hold" in found.reason
    assert found.forecasts == ()
    assert found.law is not None


def test_a_vague_curve_is_refused():
    """Where chance alone could have moved the prediction by more than half, being right is no merit."""
    found = learning_curve(SIZES, drawn(PowerLaw(a=0.1, b=4.0, c=0.6).at, noise=0.4, seed=2, draws=3), seed=1)
    assert not found.accepted
    assert "too vague" in found.reason


def test_values_of_right_decisions_are_taken_off_first():
    """With decisions that earn money the law is fitted to what lies above a perfect model's cost."""
    law = PowerLaw(a=0.1, b=4.0, c=0.6)
    costs = drawn(law.at, noise=0.01)
    least = np.full(costs[0].shape[1], -3.0)
    found = learning_curve(SIZES, [one - 3.0 for one in costs], least=least, seed=1)
    plain = learning_curve(SIZES, costs, seed=1)
    assert found.forecasts[1].expected.value == pytest.approx(plain.forecasts[1].expected.value - 3.0)
    assert found.law.a == pytest.approx(plain.law.a, abs=1e-6)


def test_a_fraction_of_a_reference():
    """Against a baseline that costs 2 a row everything is half."""
    costs = drawn(PowerLaw(a=0.1, b=4.0, c=0.6).at, noise=0.01)
    rows = costs[0].shape[1]
    half = learning_curve(SIZES, costs, reference=np.full(rows, 2.0), seed=1)
    plain = learning_curve(SIZES, costs, seed=1)
    assert half.points[-1].value == pytest.approx(plain.points[-1].value / 2)
    assert half.forecasts[0].expected.value == pytest.approx(plain.forecasts[0].expected.value / 2)


def test_rows_that_repeat_count_less():
    """Judged rows that come in tens of one patient give wider points than rows apart."""
    rng = np.random.default_rng(5)
    own = np.repeat(rng.exponential(1.0, 100), 10)
    costs = [np.tile(own * (0.1 + 4 * n**-0.6), (3, 1)) for n in SIZES]
    apart = learning_curve(SIZES, costs, seed=1).points[0]
    patients = learning_curve(SIZES, costs, groups=np.repeat(np.arange(100), 10), seed=1).points[0]
    assert patients.high - patients.low > 2 * (apart.high - apart.low)


def test_few_rows_give_no_sizes():
    """Fewer than three sizes below a half cannot carry a law."""
    assert growing_sizes(30, fewest=12) == ()
    assert growing_sizes(56, fewest=12) == (12, 16, 21, 28, 56)
    found = learning_curve((10, 20), drawn(lambda n: 1 / n, noise=0, sizes=(10, 20)), seed=0)
    assert not found.accepted
    assert "too few" in found.reason


def test_no_error_left():
    """A model without any error left has no curve to extend."""
    found = learning_curve(SIZES, [np.zeros((2, 50)) for _ in SIZES], seed=0)
    assert not found.accepted
    assert "no error is left" in found.reason
