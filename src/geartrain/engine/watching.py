"""Watch a live release: costs from late labels, drift from profiles, feeds; one incident a cause."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from geartrain.domain.clause import Clause, Stage
from geartrain.domain.contract import Cause, Contract, MonitoringTerms
from geartrain.domain.events import IncidentClosed, IncidentOpened
from geartrain.domain.finding import Finding, judge
from geartrain.domain.incident import Incident, Signal
from geartrain.domain.prediction import Floats
from geartrain.engine.workspace import Workspace
from geartrain.monitoring import losses
from geartrain.monitoring.drift import DriftState, drift
from geartrain.monitoring.feeds import Arrivals, LabelArrivals, watch_feeds
from geartrain.monitoring.profile import Profile, merge, observe
from geartrain.monitoring.triage import Quiet, Triage, triage

#: What the cost monitor is about, in signals and incidents.
COST = "expected_cost"


@dataclass(slots=True, kw_only=True, eq=False)
class Watch:
    """The monitors of one live release.

    Attributes:
        reference: The profile of the rows that trained the release.
        costs: The page and trigger on realised costs.
        started: When this release went live.
        replaced: Whether it replaced another one then.
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

    @property
    def terms(self) -> MonitoringTerms:
        """The contract's monitoring terms, or the defaults where it is silent."""
        return self.contract.monitoring or MonitoringTerms()

    def saw(self, features: pl.DataFrame, *, since: datetime) -> None:
        """Take the features of decisions that were made since *since*."""
        if features.height == 0:
            return
        part = observe(self.reference, features.to_arrow())
        self.window = part if self.window is None else merge(self.window, part)
        self.window_from = self.window_from or since

    def matured(self, costs: Floats, at_us: NDArray[np.int64]) -> None:
        """Take what decisions cost whose truth has become known, with the times of that."""
        if len(costs):
            self.costs = losses.take(self.costs, costs, at_us)

    def signals(
        self, *, now: datetime, arrivals: tuple[Arrivals, ...], labels: LabelArrivals | None
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
            )
            self.drift_state, self.drift_signals = found.state, found.signals
            self.window, self.window_from = None, None
        return (
            *watch_feeds(self.contract, arrivals, labels=labels, now=now),
            *self.drift_signals,
            *losses.signals(self.costs),
        )

    def look(
        self,
        signals: tuple[Signal, ...],
        *,
        now: datetime,
        open_incidents: tuple[Incident, ...],
        cost_per_day: float | None = None,
    ) -> Triage:
        """Sort *signals* into incidents."""
        found = triage(
            signals,
            contract=self.contract,
            now=now,
            open_incidents=open_incidents,
            quiet=self.quiet,
            live_since=self.started if self.replaced else None,
            cost_per_day=cost_per_day,
        )
        self.quiet = found.quiet
        return found

    def rearm(self) -> None:
        """Begin again after the cause was dealt with."""
        self.costs = losses.rearm(self.costs)
        self.drift_state, self.drift_signals = DriftState(), ()
        self.window, self.window_from = None, None

    def findings(self, *, now: datetime) -> tuple[Finding, ...]:
        """The live clauses on cost, with an interval that may be read at any time."""
        seen = losses.measure(self.costs)
        return tuple(
            judge(clause, seen, stage=Stage.LIVE, now=now, reason=self.costs.note)
            for clause in self.contract.clauses
            if _on_absolute_cost(clause)
        )


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
    )


def write_down(workspace: Workspace, contract: Contract, found: Triage, *, now: datetime) -> None:
    """Record what triage decided and call the owners of new incidents."""
    product = contract.product.name
    events: list[IncidentOpened | IncidentClosed] = [IncidentOpened(incident=one) for one in found.opened]
    events += [
        IncidentClosed(product=product, incident=one.incident, reason=one.reason) for one in found.closed
    ]
    if events:
        workspace.record(product, events, now=now)
    workspace.notifier.resend()
    for incident in found.opened:
        workspace.notifier.notify(incident, contract.holders(incident.owner))


def open_incidents(workspace: Workspace, product: str) -> tuple[Incident, ...]:
    """The incidents that were opened and not closed."""
    found: dict[str, Incident] = {}
    for recorded in workspace.history(product):
        match recorded.event:
            case IncidentOpened(incident=incident):
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
