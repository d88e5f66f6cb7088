"""Feeds and labels that say nothing, or the wrong amount, are signals."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from geartrain.monitoring.feeds import CERTAIN, Arrivals, LabelArrivals, watch_feeds

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def _seen(now, source="payments", **changes) -> Arrivals:
    usual = Arrivals(
        source=source,
        watched_since=now - 60 * DAY,
        last_arrival=now - timedelta(minutes=5),
        newest_event=now - timedelta(minutes=6),
        rows=1000,
        window_s=7 * 86_400.0,
    )
    return replace(usual, **changes)


def test_usual_feeds_are_quiet(contract, now):
    """Nothing is said while everything arrives as agreed."""
    usual = (_seen(now), _seen(now, "chargebacks"), _seen(now, "unwatched", last_arrival=None, rows=0))

    labels = LabelArrivals(due=500, labelled=478, usual_share=0.95, median_delay_s=6 * 86_400.0)

    assert watch_feeds(contract, usual, labels=labels, now=now) == ()


@pytest.mark.parametrize(
    ("source", "changes", "kind"),
    [
        ("payments", {"last_arrival": -12 * HOUR}, "silent-feed"),
        ("payments", {"last_arrival": None}, "silent-feed"),
        ("chargebacks", {"last_arrival": -3 * DAY}, "label-feed"),
        ("payments", {"rows": 300}, "low-volume"),
        ("payments", {"repeated": 2000}, "duplicates"),
        ("payments", {"newest_event": 2 * HOUR}, "clock"),
        ("payments", {"last_arrival": 2 * DAY}, "clock"),
    ],
)
def test_each_fault_has_its_signal(contract, now, source, changes, kind):
    """Silence, thin volume, repeats and wrong clocks are told, as facts, about their source."""
    moved = {name: now + value if isinstance(value, timedelta) else value for name, value in changes.items()}

    found = watch_feeds(contract, (_seen(now, source, **moved),), now=now)

    assert [(signal.kind, signal.about) for signal in found] == [(kind, source)]
    assert found[0].evidence == CERTAIN


def test_a_silent_feed_tells_since_when(contract, now):
    """The silence began with the last arrival."""
    found = watch_feeds(contract, (_seen(now, last_arrival=now - 12 * HOUR),), now=now)

    assert found[0].since == now - 12 * HOUR
    assert "12 hours" in found[0].message


def test_thin_volume_is_not_told_before_a_whole_window(contract, now):
    """A product watched for one day is not blamed for a week's missing rows."""
    young = _seen(now, watched_since=now - DAY, rows=100)

    assert watch_feeds(contract, (young,), now=now) == ()


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (LabelArrivals(due=500, labelled=0), True),
        (LabelArrivals(due=500, labelled=1), False),
        (LabelArrivals(due=500, labelled=300, usual_share=0.95), True),
        (LabelArrivals(due=500, labelled=440, usual_share=0.95), False),
        (LabelArrivals(due=5, labelled=0, usual_share=0.95), False),
        (LabelArrivals(due=0, labelled=0), False),
        (LabelArrivals(due=0, labelled=0, median_delay_s=20 * 86_400.0), True),
        (LabelArrivals(due=0, labelled=0, median_delay_s=8 * 86_400.0), False),
    ],
)
def test_missing_and_late_labels_are_told(contract, now, labels, told):
    """Labels that stop, thin out clearly, or come much later than agreed."""
    found = watch_feeds(contract, (), labels=labels, now=now)

    assert [signal.kind for signal in found] == (["label-feed"] if told else [])


def test_without_a_data_section_nothing_is_watched(contract, now):
    """A contract that is silent about data has no feeds."""
    assert watch_feeds(replace(contract, data=None), (_seen(now, rows=0),), now=now) == ()
