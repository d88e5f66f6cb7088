"""What follows from the evidence comes in one order, whoever asks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geartrain.domain.contract import RetrainingTerms
from geartrain.retraining.challenge import Verdict
from geartrain.retraining.course import (
    FEWEST_ROWS,
    Contest,
    Drop,
    Lately,
    Promote,
    margin_of,
    next_move,
    not_begun,
    way_back,
    yardstick,
)
from geartrain.retraining.policy import Facts, Occasion, Trigger, should_retrain
from geartrain.retraining.window import Window, choose_window

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TERMS = RetrainingTerms(every_s=86_400.0, cool_down_s=0.0)
DUE = Facts(live_since=NOW - timedelta(days=2), mature_labels=5000)
FRESH = Contest.begin(np.ones(100), horizon_rows=1000)
CHEAPER = FRESH.took(champion=np.ones(200), other=np.zeros(200))
DEARER = FRESH.took(champion=np.zeros(200), other=np.ones(200))


def asked():
    """The contract's policy, on a day when the calendar asks."""
    return should_retrain(TERMS, DUE, NOW)


def never_asked():
    """A policy that must not be asked."""
    raise AssertionError("the policy was asked while something else was under way")


def test_without_a_test_under_way_the_policy_is_asked():
    """Its answer is the move."""
    assert isinstance(next_move(None, None, asked), Trigger)
    assert next_move(None, None, lambda: None) is None


@pytest.mark.parametrize(("contest", "kind"), [(FRESH, type(None)), (CHEAPER, Promote), (DEARER, Drop)])
def test_while_a_challenger_is_tested_nothing_new_begins(contest, kind):
    """It waits, moves on or is dropped; nobody asks for another retraining meanwhile."""
    move = next_move(contest, None, never_asked)

    assert isinstance(move, kind)
    if move is not None:
        assert move.ruling == contest.ruling


def test_a_proven_mistake_is_undone_first():
    """A release that stands by and decides cheaper comes back, whatever the challenger shows."""
    lately = Lately(keep=400).took({"now": np.ones(300), "first": np.zeros(300)})

    back = way_back(lately, "now", ["first"], reference=np.ones(100))

    assert back is not None
    assert back.release == "first"
    assert next_move(CHEAPER, back, never_asked) == back


def test_the_surest_of_those_that_stand_by_comes_back():
    """The dearer and the equal ones stay where they are; of two cheaper ones the clearer wins."""
    random = np.random.default_rng(1)
    rates = {"now": 0.5, "worse": 0.9, "same": 0.5, "better": 0.25, "best": 0.05}
    costs = {name: (random.random(800) < rate).astype(float) for name, rate in rates.items()}
    lately = Lately(keep=800).took(costs)

    back = way_back(lately, "now", ["worse", "same", "better", "best"], reference=np.ones(100))

    assert back is not None
    assert back.release == "best"
    assert way_back(lately, "best", ["worse", "same", "better", "now"], reference=np.ones(100)) is None


def test_too_few_common_rows_decide_nothing():
    """Rows about which only one was asked do not count; two hundred in common are the least."""
    alone = Lately(keep=1000).took({"now": np.ones(500)})
    few = alone.took({"now": np.ones(FEWEST_ROWS - 1), "first": np.zeros(FEWEST_ROWS - 1)})
    enough = few.took({"now": np.ones(1), "first": np.zeros(1)})

    assert way_back(alone, "now", ["first"], reference=np.ones(100)) is None
    assert way_back(few, "now", ["first"], reference=np.ones(100)) is None
    assert way_back(enough, "now", ["first"], reference=np.ones(100)) is not None


@given(sizes=st.lists(st.integers(0, 60), min_size=1, max_size=12), keep=st.integers(1, 100))
def test_only_the_last_rows_are_kept(sizes, keep):
    """However the rows come, the pairs are the last ones, at most as many as are kept, in their order."""
    lately, numbers = Lately(keep=keep), iter(range(10_000))
    every: list[float] = []
    for size in sizes:
        costs = np.array([float(next(numbers)) for _ in range(size)])
        every.extend(costs)
        lately = lately.took({"a": costs, "b": costs + 0.5})

    ours, theirs = lately.paired("a", "b")

    assert ours.tolist() == every[-keep:]
    assert (theirs == ours + 0.5).all()
    assert lately.paired("a", "c")[0].size == 0


def test_an_equal_release_seldom_comes_back():
    """Of 200 looks at two equal releases at most 5 % + 2 sd go back."""
    random = np.random.default_rng(3)
    back = 0
    for _ in range(200):
        costs = {name: (random.random(1500) < 0.2).astype(float) for name in ("now", "first")}
        lately = Lately(keep=1500).took(costs)
        back += way_back(lately, "now", ["first"], reference=np.ones(100)) is not None

    assert back / 200 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)


def test_only_the_calendar_allows_a_margin():
    """Whoever answers an alarm or a loss must be better; the contract says how much dearer routine may be."""
    assert margin_of(TERMS, Occasion.SCHEDULE) == 0.05
    assert margin_of(TERMS, Occasion.ALARM) == margin_of(TERMS, Occasion.COST) == 0.0
    assert margin_of(RetrainingTerms(margin=0.01), Occasion.SCHEDULE) == 0.01


def test_a_contest_has_the_scale_of_the_champions_costs():
    """The cap is their largest, the margin a share of their mean, and few rows a day still give a fair test."""
    costs = np.concatenate([np.full(90, 1.0), np.full(10, 41.0)])

    contest = Contest.begin(costs, horizon_rows=3, margin=0.1)

    assert contest.terms.cap == 41.0
    assert contest.terms.margin == pytest.approx(0.5)
    assert contest.terms.horizon_rows == FEWEST_ROWS
    assert contest.ruling.verdict is Verdict.RUNNING


def test_a_dear_model_is_not_its_own_yardstick():
    """The lower of both references counts; where one has too few known costs, a model's own does."""
    low, high = np.full(100, 1.0), np.full(100, 3.0)

    assert yardstick(high, low) is low
    assert yardstick(low, high) is low
    assert yardstick(high, low[:10]) is high
    assert yardstick(high, np.full(100, np.nan)) is high


@pytest.mark.parametrize("occasion", list(Occasion))
def test_only_a_challenger_with_a_prospect_begins_unless_the_calendar_asked(occasion):
    """An alarm or a loss asks for a better model; the calendar for one that is not worse, which the block need not foretell."""
    choice = choose_window((Window(name="all", since=None),), lambda _window: 0.3)
    calendar = occasion is Occasion.SCHEDULE

    assert not_begun(occasion, choice, 0.5) is None
    assert not_begun(occasion, choice, None) is None
    why = not_begun(occasion, choice, 0.3)
    assert (why is None) is calendar
    if why is not None:
        assert "as truths come" in why
        assert why == not_begun(occasion, choice, 0.2)
