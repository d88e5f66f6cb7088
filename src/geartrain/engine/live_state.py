"""What a server keeps of online features: in its own memory with snapshots, or in a store that replicas share.

The ledger says which deliveries were taken, in order, and the lake holds their rows: that
is the log from which either state is made, and a position in the ledger is its offset. So
a server that starts loads its last snapshot and applies the deliveries after it, instead
of reading the whole lake.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import RLock
from time import monotonic
from typing import Protocol

import polars as pl

from geartrain.domain.columns import microseconds_of
from geartrain.domain.events import BatchIngested, Recorded, RowsErased, RowsRepaired
from geartrain.domain.features import FeatureSet
from geartrain.errors import FeatureInvalid, GeartrainError, OnlineUnavailable
from geartrain.features.online import OnlineFeatures
from geartrain.ports.lake import ARRIVAL_TIME, EVENT_TIME
from geartrain.ports.online_store import Arrived, SharedStore, Snapshots, Stored

#: Rows that are applied before decisions get their turn again.
_AT_ONCE = 500
#: How much longer than its windows reach an event is kept: for clients whose clocks are behind.
LATENESS_US = 3_600_000_000
#: A snapshot is saved at most so often, and never for more than a 500th of the time: decisions wait meanwhile.
_SAVE_S = 60.0
_SAVE_SHARE = 500

#: The rows of a source's delivery, by its id, as the lake holds them.
RowsOf = Callable[[str, str], pl.DataFrame]
#: Opens the store that replicas share, for definitions, keys and a product's name.
OpenShared = Callable[[FeatureSet, Mapping[str, str], str], SharedStore]


def delivery_of(recorded: Recorded) -> tuple[str, str] | None:
    """The source and the id of the delivery that the event tells of; None where it tells of none."""
    match recorded.event:
        case BatchIngested(batch=batch):
            return batch.source, batch.id
        case RowsRepaired(source=source, batch=batch_id):
            return source, batch_id
    return None


class LiveState(Protocol):
    """The state for one set of definitions."""

    def read(self, row: Mapping[str, object], at_us: int) -> Mapping[str, float | str | None]:
        """Every feature of *row* at a time."""

    def apply(self, source: str, rows: pl.DataFrame) -> None:
        """Take rows of the lake; the next read sees them."""

    def follow(self, history: Sequence[Recorded], rows_of: RowsOf) -> None:
        """Take the deliveries that the state has not seen yet.

        Rows that were erased meanwhile are in no state: it is made anew then.
        """

    def keep(self, position: int, *, now_us: int, at_once: bool = False) -> None:
        """Everything up to *position* was applied: forget what is too old, and save if it is time to."""

    def latest_arrival_us(self, source: str) -> int | None:
        """When the last event of *source* arrived."""

    @property
    def feeds(self) -> tuple[str, ...]:
        """The sources whose silence means something."""


class KeptState:
    """A `LiveState` in the process's memory. Reads hold *reading*, and so does each small portion of rows.

    Attributes:
        replayed: How many deliveries were applied after the snapshot was loaded.
    """

    def __init__(
        self,
        features: FeatureSet,
        *,
        keys: Mapping[str, str],
        name: str,
        reading: RLock,
        snapshots: Snapshots | None,
        tell: Callable[[str], None],
    ) -> None:
        self._reading, self._snapshots, self._tell = reading, snapshots, tell
        self._features, self._keys = features, dict(keys)
        self._name = f"{name}/{features.id}"
        self._online, self._position = OnlineFeatures(features, keys=keys), 0
        self._changed, self._save_at = False, monotonic() + _SAVE_S
        self.replayed = 0
        stored = self._loaded()
        if stored is not None:
            try:
                self._online = OnlineFeatures.restore(features, stored.content)
                self._position = stored.offset
            except FeatureInvalid as error:
                self._tell(
                    f"{name}: the features' snapshot is not used, they are rebuilt from the lake: {error}"
                )

    def read(self, row: Mapping[str, object], at_us: int) -> Mapping[str, float | str | None]:
        """Every feature of *row*."""
        return self._online.read(row, at_us)

    def apply(self, source: str, rows: pl.DataFrame) -> None:
        """Take rows a few at a time, so that decisions do not wait for all of them."""
        for start in range(0, rows.height, _AT_ONCE):
            with self._reading:
                self._online.apply_rows(source, rows[start : start + _AT_ONCE])
        self._changed = self._changed or rows.height > 0

    def follow(self, history: Sequence[Recorded], rows_of: RowsOf) -> None:
        """Take the deliveries after the snapshot, or after what was followed before."""
        if any(isinstance(one.event, RowsErased) and one.position > self._position for one in history):
            with self._reading:
                self._online, self._position = OnlineFeatures(self._features, keys=self._keys), 0
        for recorded in history:
            delivery = delivery_of(recorded)
            if recorded.position <= self._position or delivery is None:
                continue
            if delivery[0] in self._online.sources:
                self.apply(delivery[0], rows_of(*delivery))
                self.replayed += 1
        self._position = history[-1].position if history else self._position
        self._changed = True

    def keep(self, position: int, *, now_us: int, at_once: bool = False) -> None:
        """Forget and save, now and then. What is too old is measured by the last arrival: a silent feed loses nothing."""
        if not self._changed or (not at_once and monotonic() < self._save_at):
            return
        began = monotonic()
        with self._reading:
            arrived = [self._online.latest_arrival_us(source) for source in self._online.sources]
            latest = max((one for one in arrived if one is not None), default=now_us)
            self._online.evict(min(now_us, latest), lateness_us=LATENESS_US)
            content = self._online.snapshot() if self._snapshots is not None else b""
        self._changed = False
        self._save_at = began + max(_SAVE_S, _SAVE_SHARE * (monotonic() - began))
        if self._snapshots is None:
            return
        try:
            self._snapshots.save(self._name, Stored(offset=position, content=content))
        except GeartrainError as error:
            self._tell(f"the features' state was not saved; it would be rebuilt from the one before: {error}")

    def latest_arrival_us(self, source: str) -> int | None:
        """When the last event of *source* arrived."""
        return self._online.latest_arrival_us(source)

    @property
    def feeds(self) -> tuple[str, ...]:
        """The sources whose silence means something."""
        return self._online.feeds

    def _loaded(self) -> Stored | None:
        try:
            return None if self._snapshots is None else self._snapshots.load(self._name)
        except OnlineUnavailable as error:
            self._tell(f"the features' snapshot cannot be read, they are rebuilt from the lake: {error}")
            return None


class SharedState:
    """A `LiveState` in a store that every replica reads and any may write: writes are idempotent by event.

    While the store is away reads raise, which a decision answers with the fallback; rows
    are in the lake by then, and `follow` brings them when the store is back.
    """

    def __init__(
        self,
        features: FeatureSet,
        store: SharedStore,
        *,
        keys: Mapping[str, str],
        tell: Callable[[str], None],
    ) -> None:
        self._store, self._tell = store, tell
        self._shape = OnlineFeatures(features, keys=keys)
        self._away = ""

    def read(self, row: Mapping[str, object], at_us: int) -> Mapping[str, float | str | None]:
        """Every feature of *row*, as the store knows it now."""
        return self._store.read([row], at_us)[0]

    def apply(self, source: str, rows: pl.DataFrame) -> None:
        """Take rows at once, before the ledger is followed; without a store that is left to `follow`."""
        try:
            at = self._store.open(0)
            self._store.apply(0, begin=at, end=at, events=self._events(source, rows))
        except OnlineUnavailable as error:
            self._note(error)

    def follow(self, history: Sequence[Recorded], rows_of: RowsOf) -> None:
        """Move the store's position on, delivery by delivery, whichever replica comes first."""
        try:
            at = self._store.open(0)
            if any(isinstance(one.event, RowsErased) and one.position > at for one in history) and at:
                self._store.erase()
                at = 0
            for recorded in history:
                delivery = delivery_of(recorded)
                if recorded.position <= at or delivery is None:
                    continue
                known = delivery[0] in self._shape.sources
                events = self._events(delivery[0], rows_of(*delivery)) if known else []
                if not self._store.apply(0, begin=at, end=recorded.position, events=events):
                    return  # another replica is at it
                at = recorded.position
            if history and history[-1].position > at:
                self._store.apply(0, begin=at, end=history[-1].position, events=())
        except OnlineUnavailable as error:
            self._note(error)
            return
        if self._away:
            self._tell("the store of online features answers again")
            self._away = ""

    def keep(self, position: int, *, now_us: int, at_once: bool = False) -> None:
        """What is too old expires in the store by itself."""
        del position, at_once
        self._store.evict(now_us)

    def latest_arrival_us(self, source: str) -> int | None:
        """When the last event of *source* arrived; None while the store is away."""
        try:
            return self._store.latest_arrival_us(source)
        except OnlineUnavailable as error:
            self._note(error)
            return None

    @property
    def feeds(self) -> tuple[str, ...]:
        """The sources whose silence means something."""
        return self._shape.feeds

    def _events(self, source: str, rows: pl.DataFrame) -> list[Arrived]:
        if source not in self._shape.sources or not rows.height:
            return []
        clocks = [microseconds_of(rows.get_column(name)).to_list() for name in (EVENT_TIME, ARRIVAL_TIME)]
        return [
            Arrived(source=source, event_time_us=happened, arrival_time_us=arrived, row=row)
            for row, happened, arrived in zip(rows.iter_rows(named=True), *clocks, strict=True)
        ]

    def _note(self, error: OnlineUnavailable) -> None:
        if not self._away:
            self._tell(f"decisions fall back, and events wait in the lake: {error}")
        self._away = error.message
