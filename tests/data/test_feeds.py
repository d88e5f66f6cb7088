from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from geartrain.data.feeds import FeedState, feed_state, judge_feeds
from geartrain.domain.clause import Clause, Comparison
from geartrain.domain.finding import Status
from geartrain.domain.roles import Role

NOW = datetime(2026, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def clause(metric, bound, comparison=Comparison.AT_MOST):
    return Clause(
        path=f"data.payments.{metric}",
        metric=metric,
        comparison=comparison,
        bound=bound,
        owner=Role.ENGINEERING,
    )


@pytest.fixture
def watched(contract):
    import dataclasses

    clauses = (
        clause("freshness", 3600.0),
        clause("rows_per_day", 10.0, Comparison.AT_LEAST),
        clause("quarantined", 0.05),
    )
    return dataclasses.replace(contract(), clauses=clauses)


def statuses(contract, state):
    return [finding.status for finding in judge_feeds(contract, {"payments": state}, now=NOW)]


def test_a_lively_feed_keeps_its_promises(watched):
    """Fresh, plenty and clean."""
    state = FeedState(
        watched_since=NOW - 48 * HOUR, last_arrival=NOW - HOUR, rows_last_day=96, bad_last_day=4
    )

    assert statuses(watched, state) == [Status.KEPT, Status.KEPT, Status.KEPT]


def test_a_silent_feed_is_a_finding(watched):
    """Silence is measured, not skipped."""
    state = FeedState(watched_since=NOW - 480 * HOUR, last_arrival=NOW - 30 * HOUR)
    freshness, volume, quarantined = judge_feeds(watched, {"payments": state}, now=NOW)

    assert (freshness.status, freshness.value) == (Status.BROKEN, 30 * 3600)
    assert (volume.status, volume.value) == (Status.BROKEN, 0)
    assert quarantined.status is Status.NOT_MEASURED
    assert "no row arrived" in quarantined.message


def test_a_feed_that_never_sent_anything_is_a_finding(watched):
    """A feed that was never connected is broken once its time is over, and the message says it."""
    late = FeedState(watched_since=NOW - 48 * HOUR)
    fresh = FeedState(watched_since=NOW - HOUR / 2)

    assert statuses(watched, late)[:2] == [Status.BROKEN, Status.BROKEN]
    assert "no row has ever arrived" in judge_feeds(watched, {"payments": late}, now=NOW)[0].message
    assert statuses(watched, fresh)[:2] == [Status.KEPT, Status.NOT_MEASURED]


def test_a_feed_nobody_looked_at_is_not_called_kept(watched):
    """No state, no answer."""
    findings = judge_feeds(watched, {}, now=NOW)

    assert {finding.status for finding in findings} == {Status.NOT_MEASURED}


def test_the_state_counts_what_had_arrived(watched):
    """Rows of the last day, good and bad; what arrives later is not known yet."""
    good = pl.Series([NOW - 30 * HOUR, NOW - 2 * HOUR, NOW - HOUR, NOW + HOUR])
    bad = pl.Series([NOW - HOUR / 2])
    state = feed_state(good, bad, watched_since=NOW - 48 * HOUR, now=NOW)

    assert (state.rows_last_day, state.bad_last_day) == (2, 1)
    assert state.last_arrival == NOW - HOUR / 2
    assert statuses(watched, state)[2] is Status.BROKEN


def test_a_feed_of_nothing_but_bad_rows_is_alive_and_broken(watched):
    """Freshness is about the feed, the share about its rows."""
    empty = pl.Series([], dtype=pl.Datetime("us", "UTC"))
    state = feed_state(empty, pl.Series([NOW] * 20), watched_since=NOW - 48 * HOUR, now=NOW)

    assert statuses(watched, state) == [Status.KEPT, Status.BROKEN, Status.BROKEN]
