"""The workspace: where a team's products live, with the ports that reach its stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import RLock

from geartrain.domain import events as ev
from geartrain.domain.digest import digest
from geartrain.domain.events import Event, Recorded
from geartrain.errors import LedgerConflict
from geartrain.ports.blobs import Blobs
from geartrain.ports.lake import Lake
from geartrain.ports.ledger import Ledger
from geartrain.ports.notifier import Notifier
from geartrain.release.state import EMPTY, ReleaseState, fold

#: Who the ledger names when no person acted.
MACHINE = "geartrain"

_TRIES = 20


@dataclass(slots=True, kw_only=True, eq=False)
class _Streams:
    """The products that the ledger has named up to a position."""

    position: int = 0
    products: set[str] = field(default_factory=set)
    lock: RLock = field(default_factory=RLock)


@dataclass(slots=True, kw_only=True, eq=False)
class _History:
    """What was read of one stream so far; a ledger only grows, so it never goes stale."""

    stream: str
    recorded: list[Recorded] = field(default_factory=list)
    identities: set[str] = field(default_factory=set)
    releases: ReleaseState = EMPTY
    folded: int = 0
    lock: RLock = field(default_factory=RLock)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Workspace:
    """One team's stores, each behind its port.

    Attributes:
        root: The folder; everything local lives below it.
        signing_key: Makes the Ed25519 private key that signs bundles, on first use.
    """

    root: Path
    ledger: Ledger
    lake: Lake
    blobs: Blobs
    notifier: Notifier
    signing_key: Callable[[], bytes]
    _histories: dict[str, _History] = field(default_factory=dict)
    _streams: _Streams = field(default_factory=_Streams)

    def products(self) -> tuple[str, ...]:
        """Every product that has a history here, by name."""
        streams = self._streams
        with streams.lock:
            for recorded in self.ledger.read_all(after=streams.position):
                streams.position = recorded.position
                if recorded.stream.startswith(_OF_PRODUCT):
                    streams.products.add(recorded.stream.removeprefix(_OF_PRODUCT))
            return tuple(sorted(streams.products))

    def history(self, product: str) -> tuple[Recorded, ...]:
        """Everything that was ever decided about *product*, in order."""
        history = self._history_of(stream_of(product))
        with history.lock:
            self._refresh(history)
            return tuple(history.recorded)

    def releases(self, product: str) -> ReleaseState:
        """Where the product's releases stand now: the fold of its history, fed with what is new."""
        return self.standing(product)[0]

    def standing(self, product: str) -> tuple[ReleaseState, int]:
        """Where the releases stand, and the version of the history that says so."""
        history = self._history_of(stream_of(product))
        with history.lock:
            self._refresh(history)
            history.releases = fold(history.recorded[history.folded :], start=history.releases)
            history.folded = len(history.recorded)
            return history.releases, history.folded

    def record(
        self, product: str, events: Iterable[Event], *, now: datetime, actor: str = MACHINE
    ) -> tuple[Recorded, ...]:
        """Append *events* to the product's history."""
        return self.ledger.append(stream_of(product), tuple(events), at=now, actor=actor)

    def record_once(
        self, product: str, events: Iterable[Event], *, now: datetime, actor: str = MACHINE
    ) -> tuple[Recorded, ...]:
        """Append those of *events* that the history does not hold yet.

        A step that was cut off is run again; what it recorded the first time stands. Two
        events are the same when `identity` says so.
        """
        stream = stream_of(product)
        wanted = {identity(event): event for event in events}
        for _ in range(_TRIES):
            history = self._history_of(stream)
            with history.lock:
                self._refresh(history)
                new = [event for name, event in wanted.items() if name not in history.identities]
                seen = len(history.recorded)
            if not new:
                return ()
            try:
                return self.ledger.append(stream, new, at=now, actor=actor, expected_version=seen)
            except LedgerConflict:
                continue
        raise LedgerConflict(
            "others keep writing to this history",
            where=stream,
            hint="try again; if it goes on, see who else works on this product",
        )

    def _history_of(self, stream: str) -> _History:
        # One call of `setdefault` is atomic, so two threads get the same history.
        return self._histories.setdefault(stream, _History(stream=stream))

    def _refresh(self, history: _History) -> None:
        """Read what is new; the caller holds the lock, or two threads would read the same news twice."""
        for recorded in self.ledger.read(history.stream, after=len(history.recorded)):
            history.recorded.append(recorded)
            history.identities.add(identity(recorded.event))


_OF_PRODUCT = "product/"


def stream_of(product: str) -> str:
    """The ledger stream that holds a product's history."""
    return f"{_OF_PRODUCT}{product}"


def identity(event: Event) -> str:
    """What makes two events the same piece of work, whenever it was measured."""
    kind = type(event).__name__
    match event:
        case ev.VariantMeasured():
            return digest((kind, event.model, event.reference))
        case ev.FindingsRecorded():
            return digest((kind, event.stage, event.subject, event.contract))
        case ev.ReleaseProposed() | ev.ModelTrained() | ev.TrialRecorded() | ev.SnapshotTaken():
            return digest((kind, event.id))
        case ev.PoolOpened():
            # Which look it is depends on when it was counted; the look itself does not.
            return digest(
                (
                    kind,
                    event.product,
                    event.pool,
                    event.contract,
                    event.snapshot,
                    event.candidate,
                    event.purpose,
                )
            )
        case ev.PoolAnswered():
            return digest((kind, event.product, event.rows_of, event.meter, event.question))
        case ev.BatchIngested():
            return digest((kind, event.batch.product, event.batch.source, event.batch.id))
        case ev.IncidentOpened():
            return digest((kind, event.incident.id))
        case _:
            return digest((kind, event))
