from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from geartrain.monitoring.due import UNKNOWN, label_arrivals

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = 86_400_000_000


def _asked(days_ago, came_after, **terms):
    """Decisions made so many days ago, whose labels came so many days later (None: never)."""
    at = round(NOW.timestamp() * 1e6)
    decided = np.array([at - round(one * DAY) for one in days_ago], dtype=np.int64)
    known = np.array(
        [UNKNOWN if came is None else when + round(came * DAY) for when, came in zip(decided, came_after, strict=True)],
        dtype=np.int64,
    )  # fmt: skip
    known[known > at] = UNKNOWN
    return label_arrivals(
        decided, known, now=NOW, **{"delay_s": 7 * 86_400.0, "window_s": 7 * 86_400.0, **terms}
    )


def test_every_decision_is_asked_whether_its_label_came_in_time():
    """Due is 10.5 days after the decision: 12 to 17 days ago falls into the window, later is not due yet."""
    ago = [*np.linspace(20, 60, 100), *np.linspace(11, 17, 40), 3.0, 9.0]
    came = [*([7.5] * 90 + [None] * 10), *([7.5] * 20 + [30.0] * 20), None, None]
    seen = _asked(ago, came)
    assert (seen.due, seen.labelled) == (40, 20)
    assert seen.usual_share == pytest.approx(0.9)
    assert seen.since == NOW - timedelta(days=7)


def test_a_label_that_came_after_it_was_due_did_not_come_in_time():
    """An old decision with a late label does not make the usual share look better than it was."""
    seen = _asked(np.linspace(30, 60, 100), [20.0] * 100)
    assert seen.usual_share == 0.0


def test_the_delay_is_that_of_labels_that_came_in_the_window():
    """Six labels of the last days took 8, 8, 8, 12, 12, 12 days: the median is 10."""
    seen = _asked([9, 9, 9, 13, 13, 13, 40], [8, 8, 8, 12, 12, 12, 5])
    assert seen.median_delay_s == pytest.approx(10 * 86_400)


def test_too_little_history_is_not_a_usual_share():
    """Without decisions before the window nobody knows what is usual; without any, nothing is due."""
    assert _asked([12.0] * 30, [7.0] * 30).usual_share is None
    nothing = _asked([], [])
    assert (nothing.due, nothing.labelled, nothing.median_delay_s) == (0, 0, None)


def test_without_a_promised_delay_a_label_is_due_after_one_window():
    """Nobody has said whether labels come one by one or in a daily file: a day is waited for either."""
    seen = _asked([1.5] * 30 + [0.5] * 5, [None] * 35, delay_s=0.0, window_s=86_400.0)
    assert (seen.due, seen.labelled) == (30, 0)
