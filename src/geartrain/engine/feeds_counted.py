"""How each feed arrives, counted once: rows a day, good and bad, the last arrival, what waits and why.

A feed of a million rows is counted in the background and kept (`counting`); what depends on the
time of day, such as how long it has been silent, is worked out whenever somebody looks.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from geartrain.data.door import REASONS
from geartrain.data.feeds import FeedState, judge_feeds
from geartrain.data.quarantine import still_open
from geartrain.domain.contract import Contract, SourceKind, SourceTerms
from geartrain.domain.digest import digest
from geartrain.domain.events import BatchIngested, Recorded
from geartrain.domain.finding import Finding
from geartrain.domain.wire import decode, encode
from geartrain.engine.counting import FOLDER, counted
from geartrain.engine.decided import KNOWN_AT, TRUTH, decisions_of, with_truth
from geartrain.engine.ingesting import QUARANTINE
from geartrain.engine.logbook import DECISIONS
from geartrain.engine.rows import OUTCOMES, data_of, frame_of, table_of
from geartrain.engine.workspace import Workspace
from geartrain.ports.lake import ARRIVAL_TIME, EVENT_TIME

_DAY = timedelta(days=1)
#: Before the newest row so many days are kept by the minute, for what the last 24 hours brought.
_BY_THE_MINUTE = timedelta(days=2)
_CLOCK = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """The rows that arrived in one day or minute."""

    at: datetime
    good: int
    bad: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedCount:
    """One source as it has come so far.

    Attributes:
        last_arrival: Of a row, good or bad; None where none ever came.
        days: Every day with a row, good or bad (repaired ones too), by arrival.
        minutes: The same by the minute, for the two days before the newest row.
        waiting: Rows in quarantine that nobody has repaired.
        reasons: What is wrong with those, the most frequent first; a row may have several reasons.
        columns: The columns that its good rows have brought.
    """

    source: str
    last_arrival: datetime | None
    newest_event: datetime | None
    days: tuple[Came, ...]
    minutes: tuple[Came, ...]
    waiting: int
    reasons: tuple[tuple[str, int], ...]
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCount:
    """How the truth about logged decisions comes.

    Attributes:
        due: Decisions whose label delay has passed.
        due_labelled: Of these, how many have a label.
        median_s: After so long half of the labels that came were there; None where none came.
        late_s: After so long 95 in 100 of them were.
    """

    decisions: int
    labelled: int
    due: int
    due_labelled: int
    median_s: float | None
    late_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedsCount:
    """All sources of a product."""

    counted_at: datetime
    feeds: tuple[FeedCount, ...]
    labels: LabelCount


def counted_feeds(
    workspace: Workspace, contract: Contract, *, now: datetime
) -> tuple[FeedsCount | None, bool]:
    """The latest count, and whether it is of everything there is; None while the first is being made."""
    product, lake = contract.product.name, workspace.lake
    names = [one.name for one in data_of(contract).sources]
    tables = (*names, *(name + QUARANTINE for name in names), DECISIONS, OUTCOMES)
    versions = [lake.version(table_of(product, name)) for name in tables]
    found, current = counted(
        workspace.root / FOLDER / f"{product}.feeds",
        digest(("feeds", 1, contract.id, versions, f"{now:%Y-%m-%d}")),
        lambda: encode(count_feeds(workspace, contract, now=now)),
    )
    return (None if found is None else decode(found, FeedsCount)), current


def count_feeds(workspace: Workspace, contract: Contract, *, now: datetime) -> FeedsCount:
    """Count every source as it was known *now*."""
    return FeedsCount(
        counted_at=now,
        feeds=tuple(_feed(workspace, contract, one, now=now) for one in data_of(contract).sources),
        labels=_labels(workspace, contract, now=now),
    )


def judged_feeds(
    contract: Contract, feeds: FeedsCount, history: tuple[Recorded, ...], *, now: datetime
) -> tuple[Finding, ...]:
    """A finding for each clause about a feed, as of *now*: silence to the second, the last day to the minute."""
    begun: dict[str, datetime] = {}
    for recorded in history:
        if isinstance(recorded.event, BatchIngested):
            batch = recorded.event.batch
            begun[batch.source] = min(batch.arrived_at, begun.get(batch.source, batch.arrived_at))
    states = {}
    for source in data_of(contract).sources:
        # Labels that nobody has delivered may never be meant to be: outcomes are sent one by one.
        if source.kind is SourceKind.LABELS and source.name not in begun:
            continue
        feed = next((one for one in feeds.feeds if one.source == source.name), None)
        recent = [one for one in feed.minutes if now - _DAY < one.at <= now] if feed else []
        states[source.name] = FeedState(
            watched_since=begun.get(source.name, now),
            last_arrival=feed.last_arrival if feed else None,
            rows_last_day=sum(one.good for one in recent),
            bad_last_day=sum(one.bad for one in recent),
        )
    return judge_feeds(contract, states, now=now)


def _feed(workspace: Workspace, contract: Contract, source: SourceTerms, *, now: datetime) -> FeedCount:
    lake, table = workspace.lake, table_of(contract.product.name, source.name)
    good = frame_of(lake.scan(table, arrived_by=now, columns=(ARRIVAL_TIME, EVENT_TIME)))
    quarantine = frame_of(lake.scan(table + QUARANTINE, arrived_by=now))
    waiting = still_open(quarantine)
    bad = (
        quarantine.filter(pl.col("_state") == "open").unique("_id").select(ARRIVAL_TIME)
        if quarantine.height
        else pl.DataFrame(schema={ARRIVAL_TIME: _CLOCK})
    )
    came = good.select(ARRIVAL_TIME) if good.height else pl.DataFrame(schema={ARRIVAL_TIME: _CLOCK})
    arrivals = pl.concat(
        [came.with_columns(bad=pl.lit(value=False)), bad.with_columns(bad=pl.lit(value=True))]
    )
    newest = arrivals[ARRIVAL_TIME].max()
    latest = arrivals.filter(pl.col(ARRIVAL_TIME) > pl.col(ARRIVAL_TIME).max() - _BY_THE_MINUTE)
    told = Counter(
        reason
        for text in (waiting[REASONS].to_list() if waiting.height else ())
        for reason in json.loads(text)
    )
    columns = lake.scan(table, until=datetime(1971, 1, 1, tzinfo=UTC)).column_names
    return FeedCount(
        source=source.name,
        last_arrival=newest if isinstance(newest, datetime) else None,
        newest_event=good[EVENT_TIME].max() if good.height else None,  # type: ignore[arg-type]  # a column of times
        days=_by(arrivals, "1d"),
        minutes=_by(latest, "1m"),
        waiting=waiting.height,
        reasons=tuple(sorted(told.items(), key=lambda one: (-one[1], one[0]))),
        columns=tuple(sorted(name for name in columns if not name.startswith("_"))),
    )


def _by(arrivals: pl.DataFrame, every: str) -> tuple[Came, ...]:
    grouped = (
        arrivals.group_by(pl.col(ARRIVAL_TIME).dt.truncate(every).alias("at"))
        .agg((~pl.col("bad")).sum().alias("good"), pl.col("bad").sum().alias("poor"))
        .sort("at")
    )
    return tuple(Came(at=at, good=int(good), bad=int(bad)) for at, good, bad in grouped.iter_rows())


def _labels(workspace: Workspace, contract: Contract, *, now: datetime) -> LabelCount:
    log = decisions_of(workspace, contract.product.name, now=now, columns=())
    if log.height == 0:
        return LabelCount(decisions=0, labelled=0, due=0, due_labelled=0, median_s=None, late_s=None)
    known = with_truth(workspace, contract, log, now=now)
    labelled = known.filter(pl.col(TRUTH).is_not_null())
    due = known.filter(pl.col(EVENT_TIME) + timedelta(seconds=contract.decision.label_delay_s) <= now)
    took = (labelled[KNOWN_AT] - labelled[EVENT_TIME]).dt.total_seconds()
    return LabelCount(
        decisions=known.height,
        labelled=labelled.height,
        due=due.height,
        due_labelled=due.height - due[TRUTH].null_count(),
        median_s=_quantile(took, 0.5),
        late_s=_quantile(took, 0.95),
    )


def _quantile(took: pl.Series, share: float) -> float | None:
    found = took.quantile(share, "nearest") if len(took) else None
    return None if found is None else float(found)
