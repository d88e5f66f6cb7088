"""Feeds: a source that falls silent, thins out or sends bad rows is a finding, not an absence of findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from geartrain.domain.clause import Clause, Stage
from geartrain.domain.contract import Contract, SourceTerms
from geartrain.domain.finding import Finding, Measurement, judge

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedState:
    """What is known about a feed at a time.

    Attributes:
        watched_since: When the product began to expect rows.
        last_arrival: When the last row arrived, good or bad; None if none ever did.
        rows_last_day: Good rows that arrived in the last 24 hours.
        bad_last_day: Rows that went to quarantine in the last 24 hours.
    """

    watched_since: datetime
    last_arrival: datetime | None = None
    rows_last_day: int = 0
    bad_last_day: int = 0


def feed_state(good: pl.Series, bad: pl.Series, *, watched_since: datetime, now: datetime) -> FeedState:
    """Sum up the arrival times of a source's *good* rows and of its quarantined *bad* ones, as known *now*."""
    counts: list[int] = []
    last: list[datetime] = []
    for arrivals in (good, bad):
        known = arrivals.drop_nulls()
        known = known.filter(known <= now) if known.len() else known
        newest = known.max() if known.len() else None
        if isinstance(newest, datetime):
            last.append(newest)
        counts.append(int((known > now - _DAY).sum()) if known.len() else 0)
    return FeedState(
        watched_since=watched_since,
        last_arrival=max(last, default=None),
        rows_last_day=counts[0],
        bad_last_day=counts[1],
    )


def feed_measurements(
    source: SourceTerms, state: FeedState, *, now: datetime
) -> dict[str, Measurement | None]:
    """What `state` says for the clauses `data.<source>.freshness`, `.rows_per_day` and `.quarantined`.

    These are counts of what happened, without sampling error. A feed that never sent a
    row has been silent since it was watched. None where a day has not passed yet, or no
    row came that could have been bad.
    """
    silent_since = state.last_arrival or state.watched_since
    silence = (now - silent_since).total_seconds()
    never = "" if state.last_arrival else "no row has ever arrived"
    watched_a_day = now - state.watched_since >= _DAY
    arrived = state.rows_last_day + state.bad_last_day
    share = state.bad_last_day / arrived if arrived else 0.0
    return {
        f"data.{source.name}.freshness": Measurement.exact(
            silence, method="time since the last arrival", note=never
        ),
        f"data.{source.name}.rows_per_day": Measurement.exact(
            float(state.rows_last_day), rows=arrived, method="good rows in the last 24 hours", note=never
        )
        if watched_a_day
        else None,
        f"data.{source.name}.quarantined": Measurement.exact(
            share, rows=arrived, method="share of the rows of the last 24 hours"
        )
        if arrived
        else None,
    }


def judge_feeds(
    contract: Contract, states: Mapping[str, FeedState], *, now: datetime, stage: Stage = Stage.LIVE
) -> tuple[Finding, ...]:
    """A finding for every clause of the contract about a feed, in the contract's order."""
    measured: dict[str, Measurement | None] = {}
    for source in contract.data.sources if contract.data is not None else ():
        if source.name in states:
            measured.update(feed_measurements(source, states[source.name], now=now))
    return tuple(
        judge(clause, measured.get(clause.path), stage=stage, now=now, reason=_reason(clause))
        for clause in contract.clauses
        if is_feed_clause(clause)
    )


def is_feed_clause(clause: Clause) -> bool:
    """Whether *clause* is one that `judge_feeds` answers."""
    return clause.section == "data" and clause.metric in {"freshness", "rows_per_day", "quarantined"}


def _reason(clause: Clause) -> str:
    if clause.metric == "rows_per_day":
        return "the feed has been watched for less than a day"
    if clause.metric == "quarantined":
        return "no row arrived in the last 24 hours"
    return "nothing is known about this feed"
