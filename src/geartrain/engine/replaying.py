"""Replay history through the real loop on a virtual clock, one day after the other.

Ingest, features, decisions, labels, monitors, retraining, gates and rollout are those of a
living product.

What is different from living is only who moves the clock and who signs: in a replay the
people named in the contract sign what the gates let pass, and waive what is merely
unproven, in their names and marked as the replay's doing. What is broken, they refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from geartrain.domain.columns import microseconds
from geartrain.domain.digest import short
from geartrain.domain.events import Recorded, Refused
from geartrain.engine.bench import Builder, Document
from geartrain.engine.building import order, run_id
from geartrain.engine.diary import Diary
from geartrain.engine.ingesting import Door
from geartrain.engine.loop import Loop
from geartrain.engine.policies import Policies
from geartrain.engine.products import Product
from geartrain.engine.proposing import adopt
from geartrain.engine.rows import OUTCOMES, keys_of, table_of
from geartrain.engine.signing import sign_for_the_team
from geartrain.engine.workspace import Workspace
from geartrain.engine.world import KEY, TRUTH, World, read_world
from geartrain.errors import GeartrainError, PoolClosed, TrainingImpossible
from geartrain.features.online import OnlineFeatures
from geartrain.ports.lake import ARRIVAL_TIME, EVENT_TIME
from geartrain.ports.teller import Silence, Teller
from geartrain.ports.workflow import Workflows

#: The name of the build plan, as wiring registers it.
BUILD = "build"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayTerms:
    """How a replay goes.

    Attributes:
        live_after_s: How much history is only taken in before the first model is built.
        seed: Decides every chance.
        days: Stop after so many days; None goes to the end of history.
        trials: Settings that each search tries; None takes the contract's.
        schedule_s: How often the policy "retrain on schedule" refits.
    """

    live_after_s: float
    seed: int = 0
    days: int | None = None
    trials: int | None = None
    schedule_s: float = 30 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replayed:
    """What came out.

    Attributes:
        went_live: When the first release went live, or None if none ever could.
        costs: `at`, `policy`, `decisions`, `cost`: one row a day and policy, of decided rows with known truth.
        history: The ledger of the product.
        diary: What was decided and served, row by row.
    """

    product: str
    began: datetime
    ended: datetime
    went_live: datetime | None
    costs: pl.DataFrame
    history: tuple[Recorded, ...]
    diary: Diary
    documents: tuple[Document, ...] = field(default=())
    plain_errors: bool = False

    def document_of(self, release: str | None) -> Document | None:
        """The run that built *release*, or None."""
        return next((one for one in self.documents if one["release"] == release), None)


def replay(
    workspace: Workspace,
    product: Product,
    files: Mapping[str, Path],
    terms: ReplayTerms,
    *,
    workflows: Workflows,
    clock_ns: Callable[[], int],
    teller: Teller | None = None,
) -> Replayed:
    """Live through the history in *files*, one file for each source.

    Raises:
        SourceUnreadable: A file cannot be read.
        TrainingImpossible: Not even the first model can be trained.
    """
    told = teller or Silence()
    world = read_world(product.contract, files)
    began = world.begins
    ended = min(world.ends, began + timedelta(days=terms.days)) if terms.days else world.ends
    live_from = began + timedelta(seconds=terms.live_after_s)
    stage = set_stage(workspace, product, world, terms, workflows=workflows, clock_ns=clock_ns)
    days = (ended - began).days
    for number in told.track(range(days), label=f"replaying {days} days of {product.name}", total=days):
        day = began + timedelta(days=number)
        stage.live_through(day, live_from=live_from)
    if stage.loop is not None:
        stage.policies.finish(stage.loop, stage.diary, world)
    return Replayed(
        product=product.name,
        began=began,
        ended=ended,
        went_live=stage.went_live,
        costs=stage.policies.table(),
        history=workspace.history(product.name),
        diary=stage.diary,
        documents=stage.all_documents(),
        plain_errors=_plain_errors(product),
    )


def set_stage(
    workspace: Workspace,
    product: Product,
    world: World,
    terms: ReplayTerms,
    *,
    workflows: Workflows,
    clock_ns: Callable[[], int],
) -> Stage:
    """A product in a world before its first day; the contract is adopted."""
    adopt(workspace, product, now=world.begins, actor="replay")
    return Stage(
        workspace=workspace,
        product=product,
        world=world,
        terms=terms,
        workflows=workflows,
        builder=Builder(workspace=workspace, product=product, clock_ns=clock_ns, timings=400),
        door=Door(workspace, product.contract),
        online=_online(product),
        diary=Diary(),
    )


def _plain_errors(product: Product) -> bool:
    """Whether every wrong decision costs one and every right one nothing: then a cost is a share of errors."""
    contract = product.contract
    costs = contract.costs
    plain = costs is None or all(entry.cost in {"1", "1.0"} for entry in costs.entries if entry.cost != "0")
    return contract.decision.task.has_classes and contract.decision.abstain is None and plain


def _online(product: Product) -> OnlineFeatures:
    return OnlineFeatures(product.features, keys=keys_of(product.contract))


@dataclass(slots=True, kw_only=True, eq=False)
class Stage:
    """The replay's own state: everything that a running system would hold in memory."""

    workspace: Workspace
    product: Product
    world: World
    terms: ReplayTerms
    workflows: Workflows
    builder: Builder
    door: Door
    online: OnlineFeatures
    diary: Diary
    policies: Policies = field(default_factory=Policies)
    loop: Loop | None = None
    went_live: datetime | None = None
    documents: list[Document] = field(default_factory=list)
    refused_until: datetime | None = None

    def all_documents(self) -> tuple[Document, ...]:
        """Every run that built a release, the first one first."""
        rollout = self.loop.rollout if self.loop else None
        return (*self.documents, *(rollout.built if rollout else ()))

    def live_through(self, day: datetime, *, live_from: datetime) -> None:
        """One day: deliveries, requests, labels, then the evening's look at everything."""
        night = day + timedelta(days=1)
        arrivals = self._take_in(day, night)
        requests = self.world.asked(day, night)
        asked = self._walk(requests, arrivals, reads=self.loop is not None)
        if self.loop is not None:
            decided = self.loop.decide(requests, asked, day=day, now=night)
            self.diary.add(decided)
            self.policies.decided(decided)
        self._labels_in(day, night)
        if self.loop is not None:
            self.loop.evening(self.diary, self.world, day=day, now=night)
            self.policies.evening(self.loop, now=night, every_s=self.terms.schedule_s)
        elif night >= live_from and (self.refused_until is None or night >= self.refused_until):
            self._go_live(night)

    def _take_in(self, day: datetime, night: datetime) -> list[tuple[int, str, dict[str, object], int]]:
        """Deliveries through the door; what passed, in order of arrival."""
        arrivals: list[tuple[int, str, dict[str, object], int]] = []
        for delivery in self.world.delivered(day, night):
            taken = self.door.take(delivery.source, delivery.rows, content=delivery.content, now=night)
            arrivals.extend(
                (microseconds(row[ARRIVAL_TIME]), delivery.source, row, microseconds(row[EVENT_TIME]))
                for row in taken.good.iter_rows(named=True)
            )
            if self.loop is not None:
                self.loop.arrived(delivery.source, taken)
        arrivals.sort(key=lambda one: one[0])
        return arrivals

    def _walk(
        self,
        requests: pl.DataFrame,
        arrivals: list[tuple[int, str, dict[str, object], int]],
        *,
        reads: bool,
    ) -> list[dict[str, float | str | None]]:
        """Apply events and read features in the order in which they happened."""
        read: list[dict[str, float | str | None]] = []
        place = 0
        if reads:
            for row in requests.iter_rows(named=True):
                at_us = microseconds(row[EVENT_TIME])
                while place < len(arrivals) and arrivals[place][0] <= at_us:
                    self._apply(arrivals[place])
                    place += 1
                read.append(self.online.read(row, at_us))
        for arrival in arrivals[place:]:
            self._apply(arrival)
        return read

    def _apply(self, arrival: tuple[int, str, dict[str, object], int]) -> None:
        arrived_us, source, row, happened_us = arrival
        self.online.apply(source, row, event_time_us=happened_us, arrival_us=arrived_us)

    def _labels_in(self, day: datetime, night: datetime) -> None:
        """Labels that decision rows carry come as outcomes, when they are due."""
        if not self.world.label_in_row:
            return
        told = self.world.told(day, night)
        if told.height == 0:
            return
        rows = told.select(
            pl.col(ARRIVAL_TIME).alias(EVENT_TIME),
            pl.col(ARRIVAL_TIME),
            pl.col(KEY).alias("key"),
            pl.col(TRUTH).cast(pl.String).alias("label"),
        )
        batch = f"outcomes-{day:%Y-%m-%d}"
        table = table_of(self.product.name, OUTCOMES)
        self.workspace.lake.append(
            table, rows.with_columns(pl.lit(batch).alias("_batch")).to_arrow(), batch=batch
        )

    def _go_live(self, now: datetime) -> None:
        """Build the first release; the team signs it if its gates pass."""
        document = self._built(now)
        if document is None or not sign_for_the_team(
            self.workspace, self.product.contract, str(document["release"]), now=now
        ):
            self.refused_until = now + timedelta(days=7)
            return
        self.loop = Loop(
            workspace=self.workspace,
            product=self.product,
            builder=self.builder,
            workflows=self.workflows,
            seed=self.terms.seed,
            trials=self.terms.trials,
        )
        self.loop.go_live(document, now=now, online=self.online)
        self.policies.begin(self.loop, document)
        self.went_live = now

    def _built(self, now: datetime) -> Document | None:
        asked = order(self.product, now=now, seed=self.terms.seed, trials=self.terms.trials)
        try:
            built = self.workflows.run(run_id(BUILD, asked), BUILD, asked)
        except (TrainingImpossible, PoolClosed) as error:
            self.loop_refused(error, now)
            return None
        assert isinstance(built, dict)
        self.documents.append(built)
        return built

    def loop_refused(self, error: GeartrainError, now: datetime) -> None:
        """Write down that no first model could be built."""
        event = Refused(
            product=self.product.name,
            what="build",
            subject=short(self.product.contract.id),
            reason=error.message,
        )
        self.workspace.record(self.product.name, [event], now=now)
