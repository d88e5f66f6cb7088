"""Watch what is live, from what lies in the lake: decisions, labels and feeds.

Nothing but the lake and the ledger is needed, so monitoring may run anywhere and begin
late: the monitors are rebuilt from the log of decisions, window by window, as if they had
been there all the time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from geartrain.data.batches import OPEN, STATE
from geartrain.data.door import REASONS
from geartrain.data.feeds import FeedState, feed_state, is_feed_clause, judge_feeds
from geartrain.domain.clause import Stage
from geartrain.domain.columns import microseconds_of
from geartrain.domain.contract import Contract, SourceKind
from geartrain.domain.data import Batch
from geartrain.domain.events import BatchIngested
from geartrain.domain.finding import Finding, Status, judge
from geartrain.domain.incident import Incident, Signal
from geartrain.domain.prediction import Floats
from geartrain.engine.answered_live import judged_at_once, latencies_of
from geartrain.engine.attributed_live import attributed_live
from geartrain.engine.canary_live import Arms
from geartrain.engine.clause_alarms import clause_signals
from geartrain.engine.consistency import consistency_findings
from geartrain.engine.decided import (
    KNOWN_AT,
    TRUTH,
    features_of,
    rows_as_decided,
)
from geartrain.engine.estimated_live import Foreseen, estimated_live
from geartrain.engine.guarding import guard, record_changed
from geartrain.engine.ingesting import QUARANTINE
from geartrain.engine.live_course import (
    Course,
    Standing,
    course_of,
    decisions_a_day,
    standing_of,
)
from geartrain.engine.live_evidence import judged_live
from geartrain.engine.plausible_live import LATEST, block_of, live_plausibility
from geartrain.engine.products import Product
from geartrain.engine.reference_rows import kept_reference
from geartrain.engine.releasing import releases
from geartrain.engine.rows import data_of, read_table
from geartrain.engine.runs import note, noted, run_of_release
from geartrain.engine.unlike_live import unlike_live
from geartrain.engine.watching import Watch, begin_watch, open_incidents, side_changes, write_down
from geartrain.engine.workspace import Workspace
from geartrain.monitoring.attributing import Attribution, attribution_signals
from geartrain.monitoring.due import UNKNOWN, label_arrivals
from geartrain.monitoring.explaining import Told
from geartrain.monitoring.feeds import CERTAIN, Arrivals, LabelArrivals
from geartrain.monitoring.profile import from_bytes
from geartrain.monitoring.refusals import Refused
from geartrain.monitoring.slow import SHARES
from geartrain.monitoring.triage import Quiet
from geartrain.monitoring.unlike import Unlike, supporting
from geartrain.ports.lake import ARRIVAL_TIME, BATCH, EVENT_TIME
from geartrain.release.bundle_nouns import Loaded

_QUIET = "quiet"
_DAY = timedelta(days=1)
#: A window is seen in so many parts, to tell a jump of a column from a slope.
_PARTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What a look at a live product found.

    Attributes:
        release: What is live; None where nothing is.
        decisions: How many of its decisions are in the log, and of how many the truth is known.
        missing: What could not be looked at, in plain sentences.
        opened: Incidents that this look opened; their owners were told.
        open: All incidents that are open now.
        stopped: What this look stopped: a rollout that was aborted, a live release that was taken back.
        beside: What was found about the release in shadow or canary.
        arms: What decisions cost on a canary's keys and on the champion's; None without a canary.
        course: What the log says of the champion's rivals; `geartrain retrain` acts on it.
        foreseen: What the decisions whose truth is not known are expected to cost, what each such number
            assumes, how it came out where the truth is known by now, and which labels would settle it.
        cautions: Where alarms promise less than they should, in plain sentences.
        unlike: What values alone say, without labels: columns that are not exchangeable with the reference.
        attribution: Which features the decisions rest on, beside the reference.
    """

    release: str | None
    decisions: int
    labelled: int
    missing: tuple[str, ...]
    findings: tuple[Finding, ...]
    signals: tuple[Signal, ...]
    opened: tuple[Incident, ...]
    open: tuple[Incident, ...]
    foreseen: Foreseen
    unlike: Unlike
    attribution: Attribution
    cautions: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    beside: tuple[Finding, ...] = ()
    arms: Arms | None = None
    course: Course = field(default_factory=Course)


def watch_live(workspace: Workspace, product: Product, *, now: datetime) -> Watched:
    """Look at the live release once; record what is new, tell the owners of new incidents, stop what must not go on.

    Raises:
        BundleTampered: The live release is not what was signed.
    """
    contract = product.contract
    state = releases(workspace, product.name)
    feeds = judge_feeds(contract, _feed_states(workspace, contract, now=now), now=now)
    standing = standing_of(workspace, contract, state, now=now)
    if standing is None:
        return _without_release(workspace, contract, feeds, now=now)
    reign, loaded, log, known = standing.reign, standing.loaded, standing.log, standing.known
    watch, missing = _watch(contract, standing, replaced=len(state.reigns) > 1)
    told = None
    if known.height:
        _saw(watch, known, now=now)
        watch.matured(standing.mine.costs, standing.mine.at_us)
        told = _told(known, standing.mine.rows, standing.mine.costs)
    watch.answered(*latencies_of(log))
    watch.changes = side_changes(workspace.history(product.name), since=reign.since)
    consistent = consistency_findings(
        workspace, contract, reign.release, now=now, log=log.tail(LATEST) if log.height else log
    )
    signals = watch.signals(
        now=now,
        arrivals=_arrivals(workspace, contract, now=now),
        labels=_labels(contract, known, window_s=watch.terms.window_s, now=now),
        refused=_refused(workspace, contract, now=now),
        skew=skewed(consistent),
    )
    costs = watch.findings(now=now)
    at_once = judged_at_once(
        workspace, contract, loaded.rule, log, release=reign.release, since=reign.since, now=now
    )
    # What costs and latencies exceed has alarms of its own, with the time since when.
    alarmed = {one.clause for one in costs} | set(SHARES)
    done = {one.clause for one in (*costs, *at_once)}
    live = (
        *costs,
        *at_once,
        *judged_live(workspace, contract, loaded.rule, known, now=now, without=done),
        *_asked(workspace, contract, loaded, known, now=now),
        *consistent,
    )
    broken = tuple(one for one in live if one.clause not in alarmed)
    signals = (*signals, *clause_signals(contract, broken))
    before = open_incidents(workspace, product.name)
    watch.quiet = _quiet(workspace, product.name)
    reference = kept_reference(
        workspace, loaded, run_of_release(workspace.root, product.name, loaded.release.id)
    )
    attributed = attributed_live(loaded, log, reference, alpha=watch.terms.false_alarm_alpha)
    signals = (*signals, *attribution_signals(attributed))
    values = unlike_live(loaded, log, reference, alpha=watch.terms.false_alarm_alpha, now=now)
    seen = watch.look((*signals, *supporting(values)), now=now, open_incidents=before, told=told)
    write_down(workspace, contract, seen, now=now)
    note(
        workspace.root,
        product.name,
        _QUIET,
        [[one.incident, one.since.isoformat()] for one in seen.quiet],
    )
    findings = _all_findings(contract, (*live, *feeds), now=now)
    record_changed(workspace, contract, reign.release, Stage.LIVE, findings, now=now)
    guarded = guard(workspace, contract, findings, standing=standing, now=now)
    foreseen = estimated_live(
        workspace, contract, loaded, known, reference, window_s=watch.terms.window_s, now=now
    )
    course = course_of(workspace, product, now=now, standing=standing)
    return Watched(
        release=reign.release,
        decisions=known.height,
        labelled=_labelled(known),
        missing=(*missing, *guarded.left, *course.missing),
        cautions=watch.costs.cautions,
        stopped=guarded.stopped,
        beside=guarded.findings,
        arms=guarded.arms,
        findings=findings,
        signals=signals,
        opened=seen.opened,
        open=open_incidents(workspace, product.name),
        foreseen=foreseen,
        unlike=values,
        attribution=attributed,
        course=course,
    )


def _without_release(
    workspace: Workspace,
    contract: Contract,
    feeds: tuple[Finding, ...],
    *,
    now: datetime,
) -> Watched:
    return Watched(
        release=None,
        decisions=0,
        labelled=0,
        missing=("no release is live: `geartrain release promote` makes one",),
        findings=_all_findings(contract, feeds, now=now),
        signals=(),
        opened=(),
        open=open_incidents(workspace, contract.product.name),
        foreseen=Foreseen.nothing("no release is live"),
        unlike=Unlike(reason="no release is live"),
        attribution=Attribution(reason="no release is live"),
    )


def _labelled(known: pl.DataFrame) -> int:
    return known.height - known[TRUTH].null_count() if known.height else 0


def _watch(contract: Contract, standing: Standing, *, replaced: bool) -> tuple[Watch, tuple[str, ...]]:
    """Monitors as they stood when the release went live, and what they lack."""
    loaded, known, since, costs = (
        standing.loaded,
        standing.known,
        standing.reign.since,
        standing.reference,
    )
    missing = []
    if known.height == 0:
        missing.append("no decision of the live release is in the log yet: `geartrain serve` writes it")
    elif _labelled(known) == 0:
        missing.append("no decision's truth is known yet: ingest labels, or send outcomes to the server")
    if len(costs) == 0:
        missing.append("this release was made elsewhere: the first labels make its reference of costs")
    if loaded.profile is None:
        missing.append("this release's bundle has no profile: drift cannot be looked for")
    profile = from_bytes(loaded.profile) if loaded.profile is not None else None
    if profile is None:
        from geartrain.monitoring.profiling import build

        profile = build(features_of(known).to_arrow())
    watch = begin_watch(
        contract,
        profile,
        reference_costs=costs,
        decisions_per_day=decisions_a_day(known, since=since),
        started=since,
        replaced=replaced,
    )
    return watch, tuple(missing)


def _asked(
    workspace: Workspace, contract: Contract, loaded: Loaded, known: pl.DataFrame, *, now: datetime
) -> tuple[Finding, ...]:
    """What the expert's clauses say of the latest decisions, before anybody knows what came."""
    if known.height == 0:
        return ()
    block = block_of(known.height)
    asked = known[block.first : block.last]
    columns = rows_as_decided(workspace, contract, asked, now=now)
    return live_plausibility(contract, loaded, features_of(asked), columns, now=now, block=block)


def _labels(
    contract: Contract, known: pl.DataFrame, *, window_s: float, now: datetime
) -> LabelArrivals | None:
    """What became of the labels that fell due; None before the first decision."""
    if known.height == 0:
        return None
    told = pl.when(pl.col(TRUTH).is_not_null()).then(pl.col(KNOWN_AT).cast(pl.Int64)).fill_null(UNKNOWN)
    decided, arrived = known.select(pl.col(EVENT_TIME).cast(pl.Int64), told.alias("told")).get_columns()
    return label_arrivals(
        decided.to_numpy(),
        arrived.to_numpy(),
        now=now,
        delay_s=contract.decision.label_delay_s,
        window_s=window_s,
    )


def _saw(watch: Watch, known: pl.DataFrame, *, now: datetime) -> None:
    """Take the features of the log, one window after the other; the last one may still be open."""
    length = timedelta(seconds=watch.terms.window_s)
    begins: datetime = known[EVENT_TIME][0]
    while begins <= now:
        ends = begins + length
        for quarter in range(_PARTS):
            since, until = (begins + length * step / _PARTS for step in (quarter, quarter + 1))
            part = known.filter(pl.col(EVENT_TIME) >= since, pl.col(EVENT_TIME) < until)
            watch.saw(features_of(part), since=begins)
        if ends <= now and watch.window is not None:
            watch.signals(now=max(ends, (watch.window_from or begins) + length), arrivals=(), labels=None)
        begins = ends


def _told(known: pl.DataFrame, labelled: pl.DataFrame, costs: Floats) -> Told:
    """The log as triage asks about it: what each decision cost, or was expected to."""
    cost_of = labelled.select("decision_id", pl.Series("_cost", costs))
    joined = known.join(cost_of, on="decision_id", how="left", maintain_order="left")
    expected = pl.when(pl.col("probabilities") != "{}").then(pl.col("expected_cost"))
    return Told(
        at_us=microseconds_of(known[EVENT_TIME]).to_numpy().astype(np.int64),
        features=features_of(known),
        costs=joined["_cost"].fill_null(float("nan")).to_numpy().astype(np.float64),
        expected=known.select(expected.alias("_e"))["_e"]
        .fill_null(float("nan"))
        .to_numpy()
        .astype(np.float64),
    )


def skewed(findings: tuple[Finding, ...]) -> tuple[Signal, ...]:
    """A signal for each consistency clause that is broken: the model is served what it did not learn from."""
    return tuple(
        Signal(
            kind="skew",
            about=one.clause,
            measure="share of values that differ",
            size=one.value or 0.0,
            evidence=CERTAIN,
            since=None,
            rows=one.rows,
            message=one.message,
        )
        for one in findings
        if one.status is Status.BROKEN
    )


def _refused(workspace: Workspace, contract: Contract, *, now: datetime) -> tuple[Refused, ...]:
    """What the door refused, delivery by delivery, with the first reason of each row."""
    product = contract.product.name
    counted = []
    for source in data_of(contract).sources:
        held = read_table(workspace, product, source.name + QUARANTINE, known_at=now)
        reasons: dict[str, dict[str, int]] = {}
        if held.height:
            for batch, text in held.filter(pl.col(STATE) == OPEN).select(BATCH, REASONS).iter_rows():
                first = next(iter(json.loads(text)), "")
                mine = reasons.setdefault(batch, {})
                mine[first] = mine.get(first, 0) + 1
        counted += [
            Refused(
                source=source.name,
                at=one.arrived_at,
                rows=one.rows,
                refused=one.quarantined,
                reasons=tuple(reasons.get(one.id, {}).items()),
            )
            for one in _ingested(workspace, product, source.name)
        ]
    return tuple(counted)


def _arrivals(workspace: Workspace, contract: Contract, *, now: datetime) -> tuple[Arrivals, ...]:
    """What each source sent, as the monitors want it."""
    found = []
    for source in data_of(contract).sources:
        rows = read_table(workspace, contract.product.name, source.name, known_at=now)
        batches = [
            one for one in _ingested(workspace, contract.product.name, source.name) if one.arrived_at <= now
        ]
        if not batches:
            continue
        since = now - _DAY
        times = (
            rows.get_column(ARRIVAL_TIME) if rows.height else pl.Series([], dtype=pl.Datetime("us", "UTC"))
        )
        # A refused row arrived as well: what is wrong with it is not that the feed is silent.
        came = [one.arrived_at for one in batches if one.quarantined]
        if len(times):
            came.append(times.max())  # type: ignore[arg-type]  # a column of times
        found.append(
            Arrivals(
                source=source.name,
                watched_since=batches[0].arrived_at,
                last_arrival=max(came, default=None),
                newest_event=rows.get_column(EVENT_TIME).max() if rows.height else None,  # type: ignore[arg-type]  # a column of times
                rows=(int((times > since).sum()) if len(times) else 0)
                + sum(one.quarantined for one in batches if one.arrived_at > since),
                repeated=sum(one.duplicates for one in batches if one.arrived_at > since),
                window_s=_DAY.total_seconds(),
            )
        )
    return tuple(found)


def _ingested(workspace: Workspace, product: str, source: str) -> list[Batch]:
    return [
        one.event.batch
        for one in workspace.history(product)
        if isinstance(one.event, BatchIngested) and one.event.batch.source == source
    ]


def _batches(workspace: Workspace, product: str, source: str) -> list[tuple[datetime, int]]:
    return [(one.arrived_at, one.duplicates) for one in _ingested(workspace, product, source)]


def _feed_states(workspace: Workspace, contract: Contract, *, now: datetime) -> dict[str, FeedState]:
    found = {}
    empty = pl.Series([], dtype=pl.Datetime("us", "UTC"))
    for source in data_of(contract).sources:
        times = []
        for name in (source.name, source.name + QUARANTINE):
            rows = read_table(workspace, contract.product.name, name, known_at=now)
            times.append(rows.get_column(ARRIVAL_TIME) if rows.height else empty)
        batches = _batches(workspace, contract.product.name, source.name)
        if batches or source.kind is not SourceKind.LABELS:
            begun = min((at for at, _ in batches), default=now)
            found[source.name] = feed_state(times[0], times[1], watched_since=begun, now=now)
    return found


def _all_findings(contract: Contract, measured: tuple[Finding, ...], *, now: datetime) -> tuple[Finding, ...]:
    """A finding for each clause that speaks of live traffic; what nobody measured is said so."""
    known = {one.clause: one for one in measured}
    return tuple(
        known.get(clause.path)
        or judge(
            clause,
            None,
            stage=Stage.LIVE,
            now=now,
            reason="nothing is known about this feed"
            if is_feed_clause(clause)
            else "it is not watched on live traffic yet",
        )
        for clause in contract.clauses
        if Stage.LIVE in clause.stages
    )


def _quiet(workspace: Workspace, product: str) -> tuple[Quiet, ...]:
    told = noted(workspace.root, product, _QUIET) or []
    return tuple(Quiet(incident=name, since=datetime.fromisoformat(since)) for name, since in told)
