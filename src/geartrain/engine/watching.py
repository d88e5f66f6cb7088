"""Watch a live release: costs from late labels, drift from profiles, feeds; one incident a cause."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from geartrain.domain.clause import Clause, Stage
from geartrain.domain.contract import Cause, Contract, MonitoringTerms
from geartrain.domain.events import (
    ContractAdopted,
    IncidentClosed,
    IncidentOpened,
    IncidentUpdated,
    Recorded,
    StageEntered,
)
from geartrain.domain.finding import Finding, judge
from geartrain.domain.incident import Incident, LossSplit, Signal
from geartrain.domain.prediction import Floats
from geartrain.domain.release import ReleaseStage
from geartrain.engine.workspace import Workspace
from geartrain.monitoring import losses
from geartrain.monitoring.drift import FEWEST_TOLD, DriftState, drift
from geartrain.monitoring.explaining import Told, explain, split_since
from geartrain.monitoring.feeds import Arrivals, LabelArrivals, watch_feeds
from geartrain.monitoring.profile import Profile, merge
from geartrain.monitoring.profiling import observe
from geartrain.monitoring.refusals import Refused, watch_refusals
from geartrain.monitoring.sketch import quantiles
from geartrain.monitoring.slow import SlowMonitor, begin_slow, slow_signals, take_latencies
from geartrain.monitoring.triage import CAUSES, Quiet, Side, SideChange, Triage, recaused, triage
from geartrain.monitoring.triage import COST as COST_KINDS
from geartrain.monitoring.worth import Codes, codes_of, worths

#: What the cost monitor is about, in signals and incidents.
COST = "expected_cost"
#: So many parts of windows are remembered, to tell a jump of a column from a slope.
_PARTS = 120
#: Signals whose cause the split of the loss can tell.
_SPLIT = frozenset({Cause.POPULATION, Cause.CONCEPT})


@dataclass(slots=True, kw_only=True, eq=False)
class Watch:
    """The monitors of one live release.

    Attributes:
        reference: The profile of the rows that trained the release.
        costs: The page and trigger on realised costs.
        started: When this release went live.
        replaced: Whether it replaced another one then.
        slow: The pages on the latency clauses.
        changes: What changed on the model's side while it was live.
        latest: The profile of the last part of the window.
        codes: Where the window's rows fall in the reference's bins, part by part, in their order.
        days: The medians of the number columns, part by part as rows came in.
    """

    contract: Contract
    reference: Profile
    costs: losses.LossMonitor
    started: datetime
    replaced: bool
    drift_state: DriftState = field(default_factory=DriftState)
    quiet: tuple[Quiet, ...] = ()
    drift_signals: tuple[Signal, ...] = ()
    window: Profile | None = None
    window_from: datetime | None = None
    latest: Profile | None = None
    codes: list[dict[str, Codes]] = field(default_factory=list)
    slow: tuple[SlowMonitor, ...] = ()
    changes: tuple[SideChange, ...] = ()
    days: defaultdict[str, deque[float]] = field(default_factory=lambda: defaultdict(_recent))

    @property
    def terms(self) -> MonitoringTerms:
        """The contract's monitoring terms, or the defaults where it is silent."""
        return self.contract.monitoring or MonitoringTerms()

    def saw(self, features: pl.DataFrame, *, since: datetime) -> None:
        """Take the features of decisions that were made since *since*, in the order in which they were made."""
        if features.height == 0:
            return
        part = observe(self.reference, features.to_arrow())
        for column in part.numbers:
            if column.known:
                self.days[column.name].append(float(quantiles(column.sketch, np.array([0.5]))[0]))
        self.codes.append(codes_of(self.reference, features))
        self.window = part if self.window is None else merge(self.window, part)
        thin = self.latest is not None and part.rows < FEWEST_TOLD
        self.latest = merge(self.latest, part) if thin and self.latest is not None else part
        self.window_from = self.window_from or since

    def matured(self, costs: Floats, at_us: NDArray[np.int64]) -> None:
        """Take what decisions cost whose truth has become known, with the times of that."""
        if len(costs):
            self.costs = losses.take(self.costs, costs, at_us)

    def answered(self, latencies_ms: Floats, at_us: NDArray[np.int64]) -> None:
        """Take how long answers took."""
        self.slow = tuple(take_latencies(one, latencies_ms, at_us) for one in self.slow)

    def signals(
        self,
        *,
        now: datetime,
        arrivals: tuple[Arrivals, ...],
        labels: LabelArrivals | None,
        refused: tuple[Refused, ...] = (),
        skew: tuple[Signal, ...] = (),
    ) -> tuple[Signal, ...]:
        """Everything that is noticed now; drift is looked at whenever its window is full."""
        length = timedelta(seconds=self.terms.window_s)
        if self.window is not None and self.window_from is not None and now - self.window_from >= length:
            found = drift(
                self.reference,
                self.window,
                self.drift_state,
                started=self.window_from,
                alpha=self.terms.false_alarm_alpha,
                days={name: tuple(values) for name, values in self.days.items()},
                latest=self.latest,
                effective=self._worths(),
            )
            self.drift_state, self.drift_signals = found.state, found.signals
            self._open_window()
        return (
            *watch_feeds(self.contract, arrivals, labels=labels, now=now),
            *watch_refusals(refused, now=now),
            *self.drift_signals,
            *self._cost_signals(),
            *skew,
            *slow_signals(self.slow),
        )

    def _worths(self) -> dict[str, float]:
        """How many independent rows one row of the window is worth, by hypothesis; parts follow each other."""
        names = self.codes[0] if self.codes else ()
        return worths(
            self.reference, {name: np.concatenate([one[name] for one in self.codes]) for name in names}
        )

    def _open_window(self) -> None:
        self.window, self.window_from, self.latest = None, None, None
        self.codes = []

    def _cost_signals(self) -> tuple[Signal, ...]:
        """Costs are counted when their truth arrives; what cost more was decided the label delay before."""
        delay = timedelta(seconds=self.contract.decision.label_delay_s)
        return tuple(
            replace(one, since=max(one.since - delay, self.started)) if one.since is not None else one
            for one in losses.signals(self.costs)
        )

    def look(
        self,
        signals: tuple[Signal, ...],
        *,
        now: datetime,
        open_incidents: tuple[Incident, ...],
        told: Told | None = None,
    ) -> Triage:
        """Sort *signals* into incidents, and say of each what *told*, the release's decisions, tell of it.

        The loss is only split where a signal is new: what folds into an open incident is decided.
        """
        split = self._split(signals, open_incidents, told)
        found = triage(
            signals,
            contract=self.contract,
            now=now,
            open_incidents=open_incidents,
            quiet=self.quiet,
            live_since=self.started if self.replaced else None,
            changes=self.changes,
            split=split,
        )
        self.quiet = found.quiet
        if told is None:
            return found
        updated = tuple(explain(one, told, now=now, split=split or one.split) for one in found.updated)
        done = {one.id for one in updated} | {one.incident for one in found.closed}
        return replace(
            found,
            opened=tuple(explain(one, told, now=now, split=split) for one in found.opened),
            updated=(*updated, *self._settled(told, open_incidents, without=done, now=now)),
        )

    def _settled(
        self, told: Told, open_incidents: tuple[Incident, ...], *, without: set[str], now: datetime
    ) -> Iterator[Incident]:
        """Open incidents whose cost can be split only now that enough truths have come."""
        for incident in open_incidents:
            if incident.id in without or not unsettled(incident) or incident.began_at is None:
                continue
            split = split_since(told, incident.began_at)
            if split is not None and split.concept is not None:
                yield explain(recaused(incident, split, self.terms), told, now=now, split=split)

    def _split(
        self, signals: tuple[Signal, ...], open_incidents: tuple[Incident, ...], told: Told | None
    ) -> LossSplit | None:
        asked = tuple(one for one in signals if CAUSES.get(one.kind) in _SPLIT and one.since is not None)
        if told is None or not has_news(asked, open_incidents):
            return None
        # The cost tells best since when it costs more; a drift may have been there long before.
        costs = [one.since for one in asked if one.kind in COST_KINDS and one.since is not None]
        since = min(costs or [one.since for one in asked if one.since is not None])
        return split_since(told, since)

    def rearm(self) -> None:
        """Begin again after the cause was dealt with."""
        self.costs = losses.rearm(self.costs)
        self.drift_state, self.drift_signals = DriftState(), ()
        self._open_window()

    def findings(self, *, now: datetime) -> tuple[Finding, ...]:
        """The live clauses on cost, with an interval that may be read at any time."""
        seen = losses.measure(self.costs)
        return tuple(
            judge(clause, seen, stage=Stage.LIVE, now=now, reason=self.costs.note)
            for clause in self.contract.clauses
            if _on_absolute_cost(clause)
        )


def _recent() -> deque[float]:
    return deque(maxlen=_PARTS)


def _on_absolute_cost(clause: Clause) -> bool:
    return (
        clause.metric == COST
        and clause.relative_to is None
        and clause.where is None
        and Stage.LIVE in clause.stages
    )


def begin_watch(
    contract: Contract,
    reference: Profile,
    *,
    reference_costs: Floats,
    decisions_per_day: float,
    started: datetime,
    replaced: bool,
) -> Watch:
    """Monitors calibrated on what the release cost on its sealed rows."""
    terms = contract.monitoring or MonitoringTerms()
    plan = losses.plan_of(terms, about=COST, decisions_per_day=decisions_per_day)
    return Watch(
        contract=contract,
        reference=reference,
        costs=losses.begin(plan, reference_costs),
        started=started,
        replaced=replaced,
        slow=begin_slow(contract),
    )


def side_changes(history: Iterable[Recorded], *, since: datetime) -> tuple[SideChange, ...]:
    """What people or the loop changed about how decisions are made, from the ledger, after *since*."""
    found = []
    for recorded in history:
        if recorded.at <= since:
            continue
        match recorded.event:
            case ContractAdopted(contract=contract):
                words = f"the contract {contract[:12]} was adopted"
                found.append(SideChange(at=recorded.at, side=Side.CONTRACT, words=words))
            case StageEntered(stage=ReleaseStage.CANARY, release=release, share=share):
                words = f"release {release[:12]} went into canary on {share:.0%}"
                found.append(SideChange(at=recorded.at, side=Side.RELEASE, words=words))
            case _:
                continue
    return tuple(found)


def unsettled(incident: Incident) -> bool:
    """Whether more truths can still tell other cases from another concept."""
    return incident.cause in _SPLIT and (incident.split is None or incident.split.concept is None)


def has_news(signals: tuple[Signal, ...], known: tuple[Incident, ...]) -> bool:
    """Whether a signal is in no open incident yet; only then is it worth asking what is behind it."""
    held = {(one.kind, one.about) for incident in known for one in incident.signals}
    return any((one.kind, one.about) not in held for one in signals)


def write_down(workspace: Workspace, contract: Contract, found: Triage, *, now: datetime) -> None:
    """Record what triage decided; call the owners of new incidents, and of those that turned out to be theirs."""
    product = contract.product.name
    before = {one.id: one for one in open_incidents(workspace, product)} if found.updated else {}
    moved = [one for one in found.updated if one.id in before and before[one.id].cause is not one.cause]
    events: list[IncidentOpened | IncidentUpdated | IncidentClosed] = [
        IncidentOpened(incident=one) for one in found.opened
    ]
    events += [
        IncidentUpdated(incident=one, was=before[one.id].cause if one in moved else None)
        for one in found.updated
    ]
    events += [
        IncidentClosed(product=product, incident=one.incident, reason=one.reason) for one in found.closed
    ]
    if events:
        workspace.record(product, events, now=now)
    workspace.notifier.resend()
    for incident in (*found.opened, *moved):
        workspace.notifier.notify(incident, contract.holders(incident.owner))


def open_incidents(workspace: Workspace, product: str) -> tuple[Incident, ...]:
    """The incidents that were opened and not closed."""
    found: dict[str, Incident] = {}
    for recorded in workspace.history(product):
        match recorded.event:
            case IncidentOpened(incident=incident):
                found[incident.id] = incident
            case IncidentUpdated(incident=incident) if incident.id in found:
                found[incident.id] = incident
            case IncidentClosed(incident=name):
                found.pop(name, None)
            case _:
                continue
    return tuple(found.values())


def close_with_release(found: tuple[Incident, ...], release: str) -> tuple[IncidentClosed, ...]:
    """A new champion answers the incidents that were about the old one."""
    answered = {Cause.CONCEPT, Cause.POPULATION, Cause.MODEL}
    return tuple(
        IncidentClosed(product=one.product, incident=one.id, reason=f"answered by release {release[:12]}")
        for one in found
        if one.cause in answered
    )
