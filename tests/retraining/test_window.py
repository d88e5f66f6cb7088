"""The window is chosen by back-test, and the choice says why."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from geartrain.retraining.window import Incumbent, Window, block_start, candidates, choose_window

UNTIL = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WINDOWS = candidates(changed=UNTIL - 5 * DAY, window_s=30 * 86_400.0, until=UNTIL)


def test_candidates_go_from_the_longest_to_the_shortest():
    """All, all weighted, the contract's window, since the change; a change inside the block is none."""
    assert [one.name for one in WINDOWS] == ["all", "weighted", "last", "since the change"]
    old = candidates(changed=UNTIL - 90 * DAY, window_s=30 * 86_400.0, until=UNTIL)
    assert [one.name for one in old] == ["all", "weighted", "since the change", "last"]
    assert [one.name for one in candidates(changed=UNTIL, window_s=None, until=UNTIL)] == ["all"]


@pytest.mark.parametrize(
    ("costs", "name"),
    [
        ((0.5, 0.5, 0.4, 0.3), "since the change"),
        ((0.3, 0.3, 0.4, 0.5), "all"),
        ((0.5, 0.3, 0.4, 0.5), "weighted"),
        ((0.3, 0.3, 0.299, 0.298), "all"),
        ((None, None, 0.4, 0.5), "last"),
        ((0.5, 0.5, math.nan, 0.4), "since the change"),
        ((-5.0, -5.0, -4.0, -6.0), "since the change"),
        ((0.0, 0.0, 0.0, 0.0), "all"),
    ],
)
def test_the_cheapest_window_wins_and_a_tie_goes_to_more_rows(costs, name):
    """Clearly cheaper wins; nearly equal keeps the longer; what cannot be trained is passed over."""
    table = dict(zip(WINDOWS, costs, strict=True))

    choice = choose_window(WINDOWS, table.__getitem__)

    assert choice.window.name == name
    assert [one.window for one in choice.tried] == list(WINDOWS)
    assert "cheapest" in choice.reason


def test_without_labels_the_longest_is_taken_and_that_is_said():
    """Where nothing could be tried, the reason does not pretend a back-test."""
    choice = choose_window(WINDOWS, lambda _window: None)

    assert choice.window.name == "all"
    assert "no window could be tried" in choice.reason


def test_no_window_is_an_error():
    """An empty list has no choice."""
    with pytest.raises(ValueError, match="no window"):
        choose_window((), lambda _window: 0.0)


def test_weights_halve_in_a_half_life_and_count_as_many_rows():
    """A row that is one half-life older counts half as much; together they count as the rows that they are."""
    day_us = int(DAY.total_seconds() * 1e6)
    times = np.arange(0, 40 * day_us, day_us, dtype=np.int64)
    (weighted,) = (one for one in WINDOWS if one.half_life_s)

    weights = weighted.weights(times)

    assert weighted.half_life_s == 15 * 86_400.0
    assert weights is not None
    assert weights.sum() == pytest.approx(len(times))
    assert weights[-1] == pytest.approx(2 * weights[-16])
    assert Window(name="all", since=None).weights(times) is None
    assert weighted.weights(times[:0]) is None


def test_the_block_is_a_fifth_of_the_contracts_window():
    """Windows are tried on the newest rows, not on a fifth of a long history; without a window they are."""
    times = np.arange(0, 1000, dtype=np.int64) * 1_000_000

    assert block_start(times, window_s=100.0) == pytest.approx(979_000_000, abs=1_000_000)
    assert block_start(times, window_s=None) == pytest.approx(799_000_000, abs=1_000_000)


@pytest.mark.parametrize(
    ("cost", "champion", "promises"),
    [
        (0.3, 0.4, True),
        (0.3, 0.3, False),
        (0.3, 0.301, False),
        (0.3, 0.2, False),
        (-5.0, -4.0, True),
        (0.3, None, True),
        (None, 0.1, True),
    ],
)
def test_a_window_promises_something_if_it_is_clearly_cheaper_than_the_champion(cost, champion, promises):
    """As clearly as a shorter window must be cheaper than a longer one; what was not measured speaks against nothing."""
    assert choose_window(WINDOWS, lambda _window: cost).promises_more_than(champion) is promises


def test_what_the_champion_cost_is_told_of_the_decisions_since_a_time_only():
    """Decisions before it and unknown costs do not count; a champion of later, or of few known costs, tells nothing."""
    begun_us = int(UNTIL.timestamp()) * 1_000_000
    at_us = begun_us + np.arange(-100, 60, dtype=np.int64)
    costs = np.where(at_us < begun_us, 9.0, 1.0)
    costs[-1] = math.nan
    champion = Incumbent(since=UNTIL - DAY, at_us=at_us, costs=costs)

    assert champion.cost_since(UNTIL) == 1.0
    assert champion.cost_since(UNTIL - DAY) == pytest.approx((900 + 59) / 159)
    assert champion.cost_since(UNTIL - 2 * DAY) is None
    assert champion.cost_since(UNTIL + timedelta(microseconds=20)) is None
