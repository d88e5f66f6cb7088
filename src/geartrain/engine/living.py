"""A workspace that serves: its live releases answer, and what people decide elsewhere takes effect here.

`Living` holds all that a server needs of a workspace. It follows the ledger: a release
that is promoted, put on a canary or rolled back by any process answers here a moment
later, swapped whole, so that no request fails. A bundle that is not byte for byte what
was signed is never loaded; what answered before goes on, and everybody is told.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event, RLock, Thread

import numpy as np

from geartrain.domain.clause import Clause
from geartrain.domain.contract import Contract
from geartrain.domain.data import Batch
from geartrain.domain.events import (
    BatchIngested,
    ContractAdopted,
    Recorded,
    Refused,
    RolledBack,
    RowsErased,
    RowsRepaired,
    StageEntered,
)
from geartrain.domain.features import Encoding
from geartrain.domain.finding import Finding
from geartrain.domain.prediction import Decision, Outcome
from geartrain.domain.release import ReleaseStage
from geartrain.engine.bundles import load_bundle
from geartrain.engine.bus_door import consumer_of
from geartrain.engine.consistency import noted_consistency
from geartrain.engine.hosting import served_of, typical_of
from geartrain.engine.live_features import LiveFeatures
from geartrain.engine.live_state import OpenShared
from geartrain.engine.logbook import key_of, log_records
from geartrain.engine.outcomes import LoggedDecisions, OutcomeBook, keys_held, rows_with_truth
from geartrain.engine.releasing import releases
from geartrain.engine.rows import data_of, frame_of, table_of
from geartrain.engine.workspace import Workspace
from geartrain.errors import BundleTampered, GeartrainError, ProductUnknown
from geartrain.monitoring.profile import from_bytes
from geartrain.ports.bus import Bus
from geartrain.ports.delivery_keys import DeliveryKeys
from geartrain.ports.online_store import Snapshots
from geartrain.release.state import Judged, ReleaseRecord, ReleaseState
from geartrain.serving.host import FeatureSkew, OutcomeStatus, ServingHost
from geartrain.serving.journal import LoggedDecision
from geartrain.serving.log import PredictionLog
from geartrain.serving.log_terms import LogLimits
from geartrain.serving.runtime import RawRow, Served

JOURNAL = "journal"
#: How often the ledger is looked at.
LOOK_S = 0.5
#: After so many looks a release that could not be loaded is tried again.
_TRY_AGAIN_LOOKS = 20
_LATENCY = "budget.latency_p99"
_LOADING = "load the bundle"


@dataclass(slots=True, kw_only=True, eq=False)
class _Living:
    """One product's parts.

    Attributes:
        contract: The champion's contract, as its bundle has it.
        loaded: What was loaded for each role: the release and its share of the traffic.
        troubles: What is wrong with a role's release.
    """

    features: LiveFeatures
    outcomes: OutcomeBook
    logged: LoggedDecisions
    contract: Contract
    loaded: dict[ReleaseStage, tuple[str, float]] = field(default_factory=dict)
    troubles: dict[ReleaseStage, str] = field(default_factory=dict)


class Living:
    """Serves the live releases of a workspace's products.

    *session* makes the journal's names unique over the life of the workspace. *tell* gets
    a line for whoever reads the server's log. *only* names the products to serve; empty
    serves all that were ever adopted here. *snapshots* keep the features' state over restarts,
    *shared* opens a store for replicas instead, and *open_bus* the bus that brings
    events, None as long as there is none; *keys* remember what
    idempotency keys stand for.

    Attributes:
        host: What the HTTP floor speaks to.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
        session: str,
        tell: Callable[[str], None],
        only: Sequence[str] = (),
        limits: LogLimits | None = None,
        snapshots: Snapshots | None = None,
        shared: OpenShared | None = None,
        open_bus: Callable[[], Bus | None] = lambda: None,
        keys: DeliveryKeys | None = None,
    ) -> None:
        self._workspace = workspace
        self._now = now
        self._tell = tell
        self._only = frozenset(only)
        self._books = RLock()
        self._snapshots, self._shared, self._open_bus = snapshots, shared, open_bus
        self._bus: Bus | None = None
        self._keys = keys
        self._consumers: dict[str, Thread] = {}
        self._products: dict[str, _Living] = {}
        self._encodings: dict[str, Encoding] = {}
        self._position = 0
        self._changed: set[str] = set()
        self._looks = 0
        self._ending = Event()
        self._follower: Thread | None = None
        log = PredictionLog(
            workspace.root / JOURNAL, self._deliver, session=session, limits=limits, tell=tell
        )
        self.host = ServingHost(
            log=log,
            now=now,
            new_id=new_id,
            record_outcomes=self._record_outcomes,
            take_events=self._take_events,
            claim_key=None if keys is None else self._claim_key,
            find_decisions=self._find_decisions,
            promises=self._promises,
            staleness=self._staleness,
            skew=self._skew,
        )

    def begin(self) -> None:
        """Load what is live now, and follow the ledger from here on.

        Raises:
            LedgerUnavailable: The ledger cannot be read.
        """
        self.look()
        self._follower = Thread(target=self._follow, name="release-follower", daemon=True)
        self._follower.start()

    def end(self) -> None:
        """Follow no more, and deliver what was answered."""
        self._ending.set()
        if self._follower is not None:
            self._follower.join()
        for consumer in self._consumers.values():
            consumer.join()
        with self._books:
            self._keep(at_once=True)
        self.host.close()
        if self._bus is not None:
            self._bus.close()
        if self._snapshots is not None:
            self._snapshots.close()
        if self._keys is not None:
            self._keys.close()

    def contract(self, product: str) -> Contract:
        """The contract of the release that answers for *product*.

        Raises:
            ProductUnknown: None does.
        """
        return self._living(product).contract

    def example_row(self, product: str) -> dict[str, object]:
        """A row of the product's decision source, as a request would send it; empty without rows."""
        contract = self.contract(product)
        source = data_of(contract).decisions
        table = table_of(product, source.name)
        names = tuple(one.name for one in source.fields if one.name != contract.decision.label)
        held = frame_of(self._workspace.lake.scan(table, columns=names or None, most=1))
        if not held.height:
            return {}
        row = held.row(0, named=True)
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in row.items()
            if value is not None and not name.startswith("_") and name != contract.decision.label
        }

    def look(self) -> None:
        """Take note of everything that the ledger tells since the last look.

        Raises:
            LedgerUnavailable: The ledger cannot be read; the next look begins where this one did.
        """
        with self._books:
            for recorded in self._workspace.ledger.read_all(after=self._position):
                self._note(recorded)
                self._position = recorded.position
            self._looks += 1
            if self._looks % _TRY_AGAIN_LOOKS == 0:
                # Somebody may have put back what was damaged.
                self._changed |= set(self.host.problems)
            for product in sorted(self._changed):
                self._arrange(product)
                self._changed.discard(product)
            self._keep(at_once=False)

    def _keep(self, *, at_once: bool) -> None:
        """Whatever the ledger told up to here is in the features of the next decision."""
        for living in self._products.values():
            living.features.keep(self._position, now=self._now(), at_once=at_once)

        self._consume()

    def _consume(self) -> None:
        """Read the bus, as soon as there is one, for each product that answers."""
        if self._snapshots is None or self._follower is None:
            return
        self._bus = self._bus or self._open_bus()
        if self._bus is None:
            return
        for product, living in self._products.items():
            if product in self._consumers:
                continue

            def take(source: str, rows: Sequence[RawRow], living: _Living = living) -> Batch:
                return living.features.take(source, rows, now=self._now())

            made = consumer_of(
                self._bus, self._workspace, product, take=take, offsets=self._snapshots, tell=self._tell
            )
            thread = Thread(target=made.run, args=(self._ending,), name=f"bus-{product}", daemon=True)
            self._consumers[product] = thread
            thread.start()

    def _follow(self) -> None:
        while not self._ending.wait(LOOK_S):
            try:
                self.look()
            except (GeartrainError, OSError) as error:
                self._tell(f"the ledger cannot be followed for now: {error}")

    def _note(self, recorded: Recorded) -> None:
        match recorded.event:
            case ContractAdopted(product=name) | StageEntered(product=name) | RolledBack(product=name):
                if not self._only or name in self._only:
                    self._changed.add(name)
            case BatchIngested(batch=batch) if batch.product in self._products:
                self._products[batch.product].features.catch_up(batch, now=self._now())
            case RowsRepaired(product=name) | RowsErased(product=name) if name in self._products:
                self._products[name].features.refresh(now=self._now())
            case _:
                return

    # Releases.

    def _arrange(self, product: str) -> None:
        """Let exactly the releases answer that the ledger says should."""
        state = releases(self._workspace, product)
        if state.champion is None:
            return
        self._load_into(product, ReleaseStage.LIVE, state.champion, 1.0)
        living = self._products.get(product)
        if living is None:
            return
        challenger = state.record(state.challenger) if state.challenger else None
        for stage in (ReleaseStage.CANARY, ReleaseStage.SHADOW):
            if challenger is not None and challenger.stage is stage:
                self._load_into(product, stage, challenger.id, challenger.share)
            elif stage in living.loaded or stage in living.troubles:
                self._put(product, stage, None, 0.0)
                living.loaded.pop(stage, None)
                living.troubles.pop(stage, None)
        previous = self.host.lane(product).previous
        stood = None if previous is None else state.record(previous.release)
        if stood is not None and stood.stage is ReleaseStage.ROLLED_BACK:
            # What was taken back must not come back because something else fails.
            self.host.set_previous(product, None)
        self.host.set_problem(product, "; ".join(living.troubles.values()))

    def _load_into(self, product: str, stage: ReleaseStage, release: str, share: float) -> None:
        living = self._products.get(product)
        if living is not None and living.loaded.get(stage) == (release, share):
            living.troubles.pop(stage, None)
            return
        try:
            served = self._load(product, release)
        except (GeartrainError, OSError) as error:
            self._refuse(product, stage, release, error)
            return
        living = self._products[product]
        self._put(product, stage, served, share)
        living.loaded[stage] = (release, share)
        living.troubles.pop(stage, None)

    def _put(self, product: str, stage: ReleaseStage, served: Served | None, share: float) -> None:
        match stage:
            case ReleaseStage.CANARY:
                self.host.set_canary(product, served, share=share)
            case ReleaseStage.SHADOW:
                self.host.set_shadow(product, served, share=share)
            case _ if served is not None:
                clause = self.contract(product).clause(_LATENCY)
                self.host.swap(product, served, promised_s=clause.bound / 1e3 if clause else None)
            case _:
                return

    def _load(self, product: str, release: str) -> Served:
        """The release, checked byte for byte and tried once, with the features that it needs."""
        loaded = load_bundle(self._workspace, release)
        if loaded.release.product != product:
            raise BundleTampered(
                "the bundle belongs to another product", where=product, found=loaded.release.product
            )
        living = self._products.get(product)
        if living is None:
            living = _Living(
                features=LiveFeatures(
                    self._workspace,
                    loaded.contract,
                    books=self._books,
                    tell=self._tell,
                    snapshots=self._snapshots,
                    shared=self._shared,
                ),
                outcomes=OutcomeBook(self._workspace, product),
                logged=LoggedDecisions(self._workspace, product),
                contract=loaded.contract,
            )
        fields = data_of(loaded.contract).decisions.fields
        encode = living.features.encode_of(loaded.encoding, fields=fields, now=self._now())
        typical = typical_of(from_bytes(loaded.profile)) if loaded.profile else {}
        served = served_of(loaded, encode, typical=typical)
        served.predict(np.full((1, len(served.columns)), np.nan, dtype=np.float32))
        living.features.adopt(loaded.contract)
        living.contract = loaded.contract
        self._encodings[release] = loaded.encoding
        self._products[product] = living
        return served

    def _refuse(
        self, product: str, stage: ReleaseStage, release: str, error: GeartrainError | OSError
    ) -> None:
        reason = (
            error.message if isinstance(error, GeartrainError) else f"it cannot be read: {error.strerror}"
        )
        problem = f"release {release[:12]} is {stage} but was not loaded: {reason}"
        living = self._products.get(product)
        before = living.loaded.get(stage) if living else None
        goes_on = f"; release {before[0][:12]} goes on" if before else ""
        if problem not in self.host.problems.get(product, ""):
            self._tell(f"{product}: {problem}{goes_on}; {error}")
        if living is not None:
            living.troubles[stage] = problem + goes_on
        self.host.set_problem(product, problem + goes_on)
        refused = Refused(product=product, what=_LOADING, subject=release, reason=problem)
        self._workspace.record_once(product, [refused], now=self._now())

    # What the host asks for.

    def _living(self, product: str) -> _Living:
        living = self._products.get(product)
        if living is None:
            raise ProductUnknown("no release answers for that product")
        return living

    def _deliver(self, batch: str, records: Sequence[LoggedDecision]) -> None:
        log_records(self._workspace, records, batch=batch, encoding_of=self._encoding_of)

    def _encoding_of(self, product: str, release: str) -> Encoding | None:
        """How a release reads features; None where its bundle is not to be trusted any more."""
        del product
        if release not in self._encodings:
            try:
                self._encodings[release] = load_bundle(self._workspace, release).encoding
            except GeartrainError as error:
                self._tell(f"decisions of release {release[:12]} are logged without features: {error}")
                return None
        return self._encodings[release]

    def _find_decisions(self, product: str, decisions: Collection[str]) -> Mapping[str, Decision]:
        return self._living(product).logged.find(decisions)

    def _record_outcomes(
        self, product: str, outcomes: Sequence[Outcome], made: Mapping[str, Decision]
    ) -> Sequence[OutcomeStatus]:
        living = self._living(product)
        statuses, news = living.outcomes.record(
            outcomes, rule=self.host.lane(product).champion.rule, find=made.get
        )
        if news:
            self._learn(living, news)
        return statuses

    def _learn(self, living: _Living, news: Sequence[tuple[Decision, Outcome]]) -> None:
        """Rows that only a request ever carried become rows to learn from, now that their truth is known."""
        held = keys_held(self._workspace, living.contract, {key_of(decision) for decision, _ in news})
        wanted = {decision.id for decision, _ in news if key_of(decision) not in held}
        logged = living.logged.rows(wanted)
        if wanted - logged.keys() and self.host.log.flush(timeout_s=5.0):
            logged |= living.logged.rows(wanted - logged.keys(), look_again=True)
        rows = rows_with_truth(living.contract, news, logged.get, held=held)
        if rows:
            living.features.take(data_of(living.contract).decisions.name, rows, now=self._now())

    def _claim_key(self, product: str, key: str, digest: str) -> bool:
        assert self._keys is not None
        return self._keys.claim(product, key, digest, now=self._now())

    def _take_events(self, product: str, source: str, rows: Sequence[RawRow], now: datetime) -> Batch:
        return self._living(product).features.take(source, rows, now=now)

    def _staleness(self, product: str, now: datetime) -> float | None:
        return self._living(product).features.silent_s(now)

    def _skew(self, product: str) -> FeatureSkew | None:
        told = noted_consistency(self._workspace, product)
        if told is None:
            return None
        return FeatureSkew(
            cells=told["cells"],
            causes=tuple(told["causes"].items()),
            checked_at=datetime.fromisoformat(told["checked_at"]),
        )

    def _promises(self, product: str) -> Sequence[tuple[Clause, Finding | None]]:
        living = self._living(product)
        with self._books:
            state = releases(self._workspace, product)
        release = self.host.lane(product).champion.release
        latest = latest_findings(state, state.record(release))
        return tuple((clause, latest.get(clause.path)) for clause in living.contract.clauses)


def latest_findings(state: ReleaseState, record: ReleaseRecord | None) -> dict[str, Finding]:
    """Of each clause what was measured last about the release or its model.

    A later look that could measure nothing (no labels yet, no traffic) does not hide what
    was measured before it.
    """
    if record is None:
        return {}
    subjects = {record.id, record.release.model}
    judged: list[Judged] = [one for one in state.judged if one.subject in subjects]
    found: dict[str, Finding] = {}
    for one in sorted(judged, key=lambda one: one.at):
        for finding in one.findings:
            if finding.value is not None or finding.clause not in found:
                found[finding.clause] = finding
    return found
