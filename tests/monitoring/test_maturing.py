"""Each decision matures once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from geartrain.monitoring.maturing import Matured, mature

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def _at(days: float) -> datetime:
    return START + days * DAY


def _mature(decided, outcomes, *, after=None, until) -> Matured:
    return mature(
        pa.table(
            {
                "id": pa.array([one[0] for one in decided], pa.string()),
                "decided_at": pa.array([_at(one[1]) for one in decided], pa.timestamp("us", "UTC")),
            }
        ),
        pa.table(
            {
                "decision": pa.array([one[0] for one in outcomes], pa.string()),
                "label": pa.array([one[1] for one in outcomes], pa.string()),
                "arrived_at": pa.array([_at(one[2]) for one in outcomes], pa.timestamp("us", "UTC")),
            }
        ),
        after=None if after is None else _at(after),
        until=_at(until),
        delay_s=7 * 86_400.0,
    )


def test_a_decision_matures_after_its_delay_and_its_first_outcome():
    """Early labels wait for the delay, late labels count when they arrive, unlabelled ones wait."""
    decided = [("early", 0), ("late", 0), ("none", 0), ("young", 9)]
    outcomes = [("early", "good", 1), ("late", "bad", 9)]

    at_seven = _mature(decided, outcomes, until=7)
    later = _mature(decided, outcomes, after=7, until=10)

    assert (at_seven.decisions, at_seven.labels) == (("early",), ("good",))
    assert (later.decisions, later.labels, later.waiting) == (("late",), ("bad",), 2)


def test_repeated_changed_and_unknown_outcomes_are_told_and_counted_once():
    """A repeated outcome, a correction before and after maturity, and an unknown decision."""
    decided = [("a", 0), ("a", 1), ("b", 0), ("c", 0)]
    outcomes = [
        ("a", "good", 1),
        ("a", "good", 2),
        ("b", "good", 1),
        ("b", "bad", 3),
        ("c", "good", 1),
        ("c", "bad", 9),
        ("x", "good", 1),
    ]

    seen = _mature(decided, outcomes, until=10)
    again = _mature(decided, outcomes, after=7, until=10)

    assert dict(zip(seen.decisions, seen.labels, strict=True)) == {"a": "good", "b": "bad", "c": "good"}
    assert (seen.repeated, seen.corrected, seen.unknown) == (1, 1, 1)
    assert len(again) == 0


def test_nothing_matures_without_rows_or_when_the_clock_goes_back():
    """No decisions, no outcomes, or an end before the beginning give nothing and no error."""
    assert len(_mature([], [], until=1)) == 0
    assert _mature([("a", 0)], [], until=30).waiting == 1
    assert len(_mature([("a", 0)], [("a", "good", 1)], after=20, until=10)) == 0


def test_spans_that_follow_each_other_take_each_decision_once():
    """Looking every day or once at the end gives the same decisions in the same order."""
    decided = [(f"d{i}", i % 5) for i in range(40)]
    outcomes = [(f"d{i}", "yes", (i * 7) % 23) for i in range(40)]

    whole = _mature(decided, outcomes, until=40)
    daily = [
        one for day in range(40) for one in _mature(decided, outcomes, after=day, until=day + 1).decisions
    ]

    assert tuple(daily) == whole.decisions
    assert list(whole.at_us) == sorted(whole.at_us)
