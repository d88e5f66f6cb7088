"""Thresholdout: silent while the rows agree, noisy and charged where they do not, and spent in the end."""

from __future__ import annotations

import numpy as np
import pytest

from geartrain.training.thresholdout import Thresholdout, Told, ask


def test_agreement_costs_nothing_and_tells_nothing():
    """While both rows say the same, the answer is what the teaching rows said: most of 1000 questions are free."""
    state = Thresholdout.over(10_000, seed=3, budget=1000)
    for _ in range(1000):
        state, told = ask(state, taught=0.5, held=0.503)
        assert told is not None
        assert told.charged or told.value == 0.5
    assert state.asked == 1000
    assert state.charged < 50


def test_an_overfitted_figure_is_corrected_and_charged():
    """Where the teaching rows flatter, the held figure is told, with noise, and the budget pays."""
    told = [ask(Thresholdout.over(10_000, seed=seed), taught=0.9, held=0.5)[1] for seed in range(200)]
    assert all(one.charged for one in told)
    assert np.mean([one.value for one in told]) == pytest.approx(0.5, abs=0.001)
    assert np.std([one.value for one in told]) == pytest.approx(2**0.5 * 0.25 / 100, rel=0.3)


def test_a_spent_budget_answers_no_more():
    """After its overfitted answers the pool is silent, and stays so."""
    state = Thresholdout.over(100, seed=1, budget=2)
    for _ in range(2):
        state, told = ask(state, taught=1.0, held=0.0)
        assert told is not None
    silent, told = ask(state, taught=1.0, held=0.0)
    assert told is None
    assert state.spent
    assert silent == state


def test_the_same_place_hears_the_same_noise():
    """A step that is run again gets the answer it got."""
    state = Thresholdout.over(50, seed=9)
    assert ask(state, taught=0.9, held=0.2) == ask(state, taught=0.9, held=0.2)


def test_means_outside_the_unit_interval_are_refused():
    """The guarantee is about bounded means only."""
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        ask(Thresholdout.over(100, seed=1), taught=1.2, held=0.5)
    assert ask(Thresholdout.over(100, seed=1), taught=0.5, held=0.5)[1] == Told(value=0.5, charged=False)
