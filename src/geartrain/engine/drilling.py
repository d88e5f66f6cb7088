"""Drills: inject a fault into a replay and see whether the right role is called, how soon, and only once.

The release is built once; each fault begins from a copy of that moment. Beside the faults runs a
control without one, in which nobody may be called. What is right stands in `EXPECTED`; the
monitors and triage never see it, and the score is a comparison.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from geartrain.data.reading import read_rows
from geartrain.domain.contract import Cause, Contract, MonitoringTerms
from geartrain.domain.events import IncidentOpened, IncidentUpdated
from geartrain.domain.incident import Incident
from geartrain.domain.roles import Role
from geartrain.engine.faults import SLOWER, Fault, FaultKind, fault_of, injected
from geartrain.engine.products import Product
from geartrain.engine.replaying import ReplayTerms, Stage, set_stage
from geartrain.engine.workspace import Workspace
from geartrain.engine.world import Latency, World, read_world
from geartrain.errors import TrainingImpossible
from geartrain.ports.teller import Silence, Teller
from geartrain.ports.workflow import Workflows

#: What each fault is, whoever looks: the answers that a drill is marked by.
EXPECTED: Mapping[FaultKind, Cause] = {
    FaultKind.NULL_BURST: Cause.COLUMN,
    FaultKind.UNIT_CHANGE: Cause.COLUMN,
    FaultKind.CATEGORY_RENAME: Cause.COLUMN,
    FaultKind.COLUMN_SWAP: Cause.COLUMN,
    FaultKind.STALE_FEED: Cause.FEED,
    FaultKind.DUPLICATED_BATCH: Cause.FEED,
    FaultKind.SUBGROUP_GROWTH: Cause.POPULATION,
    FaultKind.LABEL_FLIP: Cause.CONCEPT,
    FaultKind.LATENCY_SPIKE: Cause.MODEL,
}
#: The policy "retrain on schedule" has no part in a drill.
_NEVER_S = 1e9
#: Of the faults that a product can have, so many may be called by another cause first.
MOST_WRONG = 1
#: The share of the latency clause's bound that a simulated answer typically takes.
_TYPICAL = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillTerms:
    """How a drill goes.

    Attributes:
        live_after_s: History that is only taken in before the release is built.
        settle_s: How long the release is live before the fault begins.
        watch_s: How long is waited for an incident after it.
        kinds: The faults to inject.
    """

    live_after_s: float
    settle_s: float
    watch_s: float
    seed: int = 0
    trials: int | None = None
    kinds: tuple[FaultKind, ...] = tuple(FaultKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drilled:
    """What became of one fault; of the control where *fault* is None.

    Attributes:
        expected: The cause that would be right, and the role that the contract names for it.
        incidents: Every incident that was opened after the fault began, the first one first, as
            it stood at the end.
        called: The cause that the first one named when it was opened, and the role that was called then.
        after: How long the first one took.
    """

    fault: Fault | None
    expected: tuple[Cause, Role] | None
    incidents: tuple[Incident, ...]
    called: tuple[Cause, Role] | None
    after: timedelta | None

    @property
    def right(self) -> bool:
        """Whether the first incident names the right cause and calls its role; for the control, that none came."""
        if self.expected is None:
            return not self.incidents
        return self.called == self.expected

    @property
    def once(self) -> bool:
        """Whether nobody was called twice."""
        return len(self.incidents) == (0 if self.expected is None else 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exercise:
    """All drills of one product beside the control.

    Attributes:
        left_out: Faults that this product cannot have, and why.
    """

    began: datetime
    drills: tuple[Drilled, ...]
    control: Drilled
    left_out: tuple[tuple[FaultKind, str], ...] = ()

    @property
    def passed(self) -> bool:
        """All but `MOST_WRONG` right first, one incident each, none in the control."""
        wrong = sum(not one.right for one in self.drills)
        return (
            bool(self.drills)
            and wrong <= (MOST_WRONG if len(self.drills) > MOST_WRONG else 0)
            and all(one.once for one in self.drills)
            and self.control.right
        )


def drill(
    workspace: Workspace,
    product: Product,
    files: Mapping[str, Path],
    terms: DrillTerms,
    *,
    copied: Callable[[Workspace], Workspace],
    workflows: Workflows,
    clock_ns: Callable[[], int],
    teller: Teller | None = None,
) -> Exercise:
    """Live up to a moment, then once for each fault from there on, and once without any.

    *copied* makes an independent copy of a workspace. Nothing is retrained meanwhile: an incident
    shall not be answered before it was looked at.

    Raises:
        SourceUnreadable: A file cannot be read.
        TrainingImpossible: No release could go live on this history.
    """
    told = teller or Silence()
    product = replace(product, contract=replace(product.contract, retraining=None))
    contract = product.contract
    quiet = read_world(contract, files)
    quiet = replace(quiet, latency=_latency(contract, None, seed=terms.seed))
    stage = set_stage(workspace, product, quiet, _replayed(terms), workflows=workflows, clock_ns=clock_ns)
    live_from = quiet.begins + timedelta(seconds=terms.live_after_s)
    day = quiet.begins
    while stage.went_live is None or day < stage.went_live + timedelta(seconds=terms.settle_s):
        if day >= quiet.ends:
            raise TrainingImpossible(
                "the history ended before a release had been live for long enough to drill",
                where=product.name,
                hint="take a longer history, or a shorter --live-after and --settle",
            )
        stage.live_through(day, live_from=live_from)
        day += timedelta(days=1)
    frames = {name: read_rows(path) for name, path in files.items()}
    left_out: list[tuple[FaultKind, str]] = []
    drills: list[Drilled] = []
    control: Drilled | None = None
    asked: tuple[FaultKind | None, ...] = (None, *terms.kinds)
    for kind in told.track(asked, label=f"drilling {product.name}", total=len(asked)):
        fault = None
        if kind is not None:
            made = fault_of(contract, frames, kind, since=day, seed=terms.seed)
            if isinstance(made, str):
                left_out.append((kind, made))
                continue
            fault = made
        done = _drilled(stage, fault, files, terms, day=day, copied=copied)
        if fault is None:
            control = done
        else:
            drills.append(done)
    assert control is not None, "the control is always asked first"
    return Exercise(began=day, drills=tuple(drills), control=control, left_out=tuple(left_out))


def _replayed(terms: DrillTerms) -> ReplayTerms:
    return ReplayTerms(
        live_after_s=terms.live_after_s, seed=terms.seed, trials=terms.trials, schedule_s=_NEVER_S
    )


def _drilled(
    stage: Stage,
    fault: Fault | None,
    files: Mapping[str, Path],
    terms: DrillTerms,
    *,
    day: datetime,
    copied: Callable[[Workspace], Workspace],
) -> Drilled:
    """Go on from a copy of *stage* with *fault* in the world."""
    contract = stage.product.contract
    world = stage.world
    if fault is not None:
        world = read_world(contract, files, altered=lambda frames: injected(contract, frames, fault))
        world = replace(world, latency=_latency(contract, fault, seed=terms.seed))
    own = _forked(stage, world, copied(stage.workspace))
    now = day
    while now < min(day + timedelta(seconds=terms.watch_s), world.ends):
        own.live_through(now, live_from=day)
        now += timedelta(days=1)
    return marked(own.workspace, contract, fault, since=day)


def marked(workspace: Workspace, contract: Contract, fault: Fault | None, *, since: datetime) -> Drilled:
    """Compare what the ledger says happened after *since* with what is expected of *fault*."""
    found: dict[str, Incident] = {}
    first: datetime | None = None
    called: tuple[Cause, Role] | None = None
    for recorded in workspace.history(contract.product.name):
        match recorded.event:
            case IncidentOpened(incident=one) if recorded.at > since:
                found[one.id] = one
                first = first or recorded.at
                called = called or (one.cause, one.owner)
            case IncidentUpdated(incident=one) if one.id in found:
                found[one.id] = one
            case _:
                continue
    expected = None
    if fault is not None:
        cause = EXPECTED[fault.kind]
        expected = (cause, (contract.monitoring or MonitoringTerms()).owner(cause))
    return Drilled(
        fault=fault,
        expected=expected,
        incidents=tuple(found.values()),
        called=called,
        after=None if first is None else first - since,
    )


def _forked(stage: Stage, world: World, workspace: Workspace) -> Stage:
    """A stage that goes its own way; what never changes is shared, such as a loaded model."""
    shared = [stage.product, stage.workflows, stage.terms]
    if stage.loop is not None:
        shared += [stage.loop.champion, stage.loop.builder]
    memo: dict[int, object] = {id(one): one for one in shared}
    memo[id(stage.workspace)], memo[id(stage.world)] = workspace, world
    return copy.deepcopy(stage, memo)


def _latency(contract: Contract, fault: Fault | None, *, seed: int) -> Latency | None:
    bound = min(
        (one.bound for one in contract.clauses if one.path.startswith("budget.latency_p")), default=None
    )
    if bound is None:
        return None
    slow = fault is not None and fault.kind is FaultKind.LATENCY_SPIKE
    return Latency(
        typical_ms=_TYPICAL * bound,
        slower=SLOWER if slow else 1.0,
        since=fault.since if fault is not None and slow else None,
        seed=seed,
    )
