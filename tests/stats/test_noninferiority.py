"""Non-inferiority: proven only by the upper end, with the rows it needs."""

import numpy as np
import pytest

from geartrain.stats.noninferiority import noninferior, rows_for_noninferiority


def test_published_row_counts():
    """Discordance 4 %, margin 1 point, power 80 %: 2474 rows; a tenth of the margin costs a hundredfold."""
    assert rows_for_noninferiority(deviation=0.2, margin=0.01) == 2474
    assert rows_for_noninferiority(deviation=0.2, margin=0.001) == pytest.approx(247_300, rel=1e-4)
    assert rows_for_noninferiority(deviation=0.2, margin=0.01, expected=0.01) is None
    assert rows_for_noninferiority(deviation=0.2, margin=1e-9) is None


def test_equal_costs_differing_by_noise():
    """Proven with a wide margin; with a narrow one unproven, and more rows are asked for."""
    generator = np.random.default_rng(1)
    reference = generator.exponential(size=500)
    candidate = reference + generator.normal(scale=0.3, size=500)
    wide = noninferior(candidate, reference, margin=0.1, seed=1)
    narrow = noninferior(candidate, reference, margin=0.003, seed=1)
    assert wide.proven
    assert wide.rows_needed is None
    assert not narrow.proven
    assert 500 < narrow.rows_needed < 600
    assert narrow.upper == pytest.approx(np.mean(candidate - reference) + 1.645 * 0.3 / 500**0.5, abs=0.004)


def test_level_at_the_margin():
    """A candidate that is worse by exactly the margin passes in at most 9 % of 400 tries (5 % stated)."""
    generator = np.random.default_rng(2)
    passed = 0
    for turn in range(400):
        change = (generator.random(200) < 0.1).astype(float)
        passed += noninferior(change, np.zeros(200), margin=0.1, seed=turn).proven
    assert passed / 400 <= 0.09


def test_power_at_the_stated_rows():
    """With the computed rows an equal candidate is proven in about 80 % of tries."""
    rows = rows_for_noninferiority(deviation=0.3, margin=0.05)
    generator = np.random.default_rng(3)
    passed = sum(
        noninferior(generator.normal(scale=0.3, size=rows), np.zeros(rows), margin=0.05, seed=turn).proven
        for turn in range(200)
    )
    assert 0.7 <= passed / 200 <= 0.9


def test_no_differing_pair_is_not_certainty():
    """Equal decisions on 100 rows still allow a rate of 3 %; times the worst cost that is the bound."""
    costs = np.ones(100)
    seen = noninferior(costs, costs, margin=0.5, worst=50.0, seed=1)
    assert (seen.difference.value, seen.differing) == (0.0, 0)
    assert seen.upper == pytest.approx(50 * (1 - 0.05**0.01))
    assert not seen.proven
    enough = np.ones(seen.rows_needed)
    assert noninferior(enough, enough, margin=0.5, worst=50.0, seed=1).proven
    assert noninferior(costs, costs, margin=0.5, seed=1).proven


def test_worse_than_the_margin_asks_for_no_rows():
    """No number of rows would prove a candidate that is worse."""
    seen = noninferior(np.ones(50) + np.arange(50) % 2, np.zeros(50), margin=0.1, seed=1)
    assert not seen.proven
    assert seen.rows_needed is None
