"""Paired right and wrong: against published examples, and where few rows differ."""

import numpy as np
import pytest
from scipy.stats import binomtest

from geartrain.stats.intervals import normal_quantile
from geartrain.stats.pairing import discordance, mcnemar, tango


def test_mcnemar_is_exact():
    """10 against 2 gives .03857; any table gives the sign test's p; nothing apart gives 1."""
    assert mcnemar(10, 2) == pytest.approx(0.03857, abs=5e-6)
    assert mcnemar(0, 0) == 1.0
    for b, c in [(1, 7), (3, 3), (0, 9), (40, 61)]:
        assert mcnemar(b, c) == pytest.approx(binomtest(b, b + c, 0.5).pvalue), (b, c)
    with pytest.raises(ValueError, match="from 0"):
        mcnemar(-1, 2)


def test_tango_gives_the_published_intervals():
    """Airway reactions before and after a transplant, 1 against 7 of 21: -.517 to -.026 (Fagerland et al. 2014)."""
    assert tango(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)
    assert tango(7, 1, 21) == pytest.approx((0.026, 0.517), abs=5e-4)


def test_no_difference_seen_is_not_no_difference():
    """With nobody apart the ends are z^2 / (n + z^2), where Wald's interval has no width."""
    z = normal_quantile(0.975)
    assert tango(0, 0, 100) == pytest.approx((-(z**2) / (100 + z**2), z**2 / (100 + z**2)), abs=1e-6)
    assert tango(5, 0, 5)[0] < 0.6
    assert tango(5, 0, 5)[1] == 1.0
    with pytest.raises(ValueError, match="not possible"):
        tango(3, 3, 5)


def test_tango_covers_where_discordance_is_small():
    """2 % against 1 % apart in 200 rows: the truth lies inside in at least 94 of 100 draws of 2000."""
    drawn = np.random.default_rng(2).multinomial(200, [0.02, 0.01, 0.97], size=2000)
    inside = [low <= 0.01 <= high for low, high in (tango(int(b), int(c), 200) for b, c, _ in drawn[:1000])]
    assert np.mean(inside) >= 0.94


def test_only_rows_apart_speak():
    """A thousand rows on which both are right add no evidence of a difference."""
    first = np.array([True] * 10 + [False] * 2)
    short = discordance(first, ~first)
    both = np.ones(1000, dtype=bool)
    long = discordance(np.concatenate([first, both]), np.concatenate([~first, both]))
    assert short.p_value == long.p_value == pytest.approx(0.03857, abs=5e-6)
    assert (long.only_first, long.only_second, long.difference.relevant) == (10, 2, 12)
    assert long.difference.value == pytest.approx(8 / 1012)
    with pytest.raises(ValueError, match="same rows"):
        discordance(first, both)
