"""Online features in the process's own memory, with snapshots: the store that needs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import RLock

import polars as pl

from geartrain.domain.columns import ARRIVAL_TIME, EVENT_TIME
from geartrain.domain.features import FeatureSet
from geartrain.errors import FeatureInvalid
from geartrain.features.online import EXACT_EVENTS, OnlineFeatures
from geartrain.ports.online_store import Arrived, Snapshots, Stored

_CLOCK = pl.Datetime("us", "UTC")
#: From so many events on they are applied as a table.
_TABLE = 64
_LARGEST = 2**63
_EXACT = 2**53


class HeldFeatures:
    """An `OnlineStore` in memory: one state a partition, read together.

    What one partition does not hold another may, so a read looks into all that are held
    here. Events of one id must come by one partition: a correction elsewhere is not seen
    as one. A process that holds only some partitions knows only their events; there,
    messages have to be keyed by the entity and requests sent to whoever holds it.

    Args:
        features: What is computed.
        keys: The column that names a row, for each source.
        snapshots: Where states are kept, by *name*, definitions and partition.
        lateness_us: How much later than its window an event is still taken.
    """

    def __init__(
        self,
        features: FeatureSet,
        *,
        keys: Mapping[str, str],
        snapshots: Snapshots,
        name: str,
        lateness_us: int = 0,
        exact_events: int = EXACT_EVENTS,
    ) -> None:
        self._features, self._keys, self._exact_events = features, dict(keys), exact_events
        self._snapshots, self._name, self._lateness_us = snapshots, name, lateness_us
        self._parts: dict[int, OnlineFeatures] = {}
        self._offsets: dict[int, int] = {}
        self._blank = OnlineFeatures(features, keys=keys)
        self._one_at_a_time = RLock()

    def open(self, partition: int) -> int:
        """Load the partition's last snapshot; one that cannot be read is as if there was none."""
        stored = self._snapshots.load(self._place(partition))
        state, offset = OnlineFeatures(self._features, keys=self._keys, exact_events=self._exact_events), 0
        if stored is not None:
            try:
                state = OnlineFeatures.restore(
                    self._features, stored.content, exact_events=self._exact_events
                )
                offset = stored.offset
            except FeatureInvalid:
                # Of an older format: the bus still has the events, or says that it has not.
                offset = 0
        with self._one_at_a_time:
            self._parts[partition], self._offsets[partition] = state, offset
        return offset

    def apply(self, partition: int, *, begin: int, end: int, events: Sequence[Arrived]) -> bool:
        """Take events; see the port."""
        with self._one_at_a_time:
            if self._offsets.get(partition) != begin:
                return False
            apply_events(self._parts[partition], events)
            self._offsets[partition] = end
        return True

    def commit(self, partition: int) -> None:
        """Save the partition's state with its offset."""
        with self._one_at_a_time:
            stored = Stored(offset=self._offsets[partition], content=self._parts[partition].snapshot())
        self._snapshots.save(self._place(partition), stored)

    def release(self, partition: int) -> None:
        """Forget the partition."""
        with self._one_at_a_time:
            self._parts.pop(partition, None)
            self._offsets.pop(partition, None)

    def read(
        self, rows: Sequence[Mapping[str, object]], at_us: int, *, known_us: int | None = None
    ) -> list[dict[str, float | str | None]]:
        """Every feature of each row; see the port."""
        with self._one_at_a_time:
            first, *others = self._parts.values() or (self._blank,)
            return first.read_all(rows, at_us, known_us=known_us, others=others)

    def evict(self, now_us: int) -> None:
        """Forget what no window reaches."""
        with self._one_at_a_time:
            for state in self._parts.values():
                state.evict(now_us, lateness_us=self._lateness_us)

    def latest_arrival_us(self, source: str) -> int | None:
        """When the last event of *source* arrived."""
        with self._one_at_a_time:
            latest = [state.latest_arrival_us(source) for state in self._parts.values()]
        return max((one for one in latest if one is not None), default=None)

    def close(self) -> None:
        """Let go of the snapshots; nothing is saved by closing."""
        self._snapshots.close()

    def _place(self, partition: int) -> str:
        return f"{self._name}/{self._features.id}/{partition}"


def apply_events(state: OnlineFeatures, events: Sequence[Arrived]) -> None:
    """Apply events to *state*: many of one source as a table, where their values are of one kind."""
    by_source: dict[str, list[Arrived]] = {}
    for event in events:
        by_source.setdefault(event.source, []).append(event)
    for source, some in by_source.items():
        together = source in state.sources and len(some) >= _TABLE
        table = _table_of(state, source, some) if together else None
        if table is not None:
            state.apply_rows(source, table)
            continue
        for event in some:
            state.apply(
                source, event.row, event_time_us=event.event_time_us, arrival_us=event.arrival_time_us
            )


def _table_of(state: OnlineFeatures, source: str, events: Sequence[Arrived]) -> pl.DataFrame | None:
    """The columns that *source*'s features read; None where the events are better taken one by one.

    So it is where a column holds values of several kinds, and where some event carries a
    column by the name of an expression: a table has it in every row or in none.
    """
    columns: dict[str, pl.Series] = {}
    plain, expressions = state.columns_read(source)
    for name in sorted(plain | expressions):
        if not any(name in event.row for event in events):
            continue
        column = _column(name, [event.row.get(name) for event in events])
        if column is None or name not in plain:
            return None
        columns[name] = column
    if state.sources[source].key not in columns:
        return None
    columns[EVENT_TIME] = pl.Series(EVENT_TIME, [one.event_time_us for one in events], dtype=pl.Int64)
    columns[ARRIVAL_TIME] = pl.Series(ARRIVAL_TIME, [one.arrival_time_us for one in events], dtype=pl.Int64)
    return pl.DataFrame(columns).with_columns(pl.col(EVENT_TIME, ARRIVAL_TIME).cast(_CLOCK))


def _column(name: str, values: list[object]) -> pl.Series | None:
    kinds = set(map(type, values)) - {type(None)}
    if not kinds:
        return pl.Series(name, values, dtype=pl.String)
    if kinds == {str}:
        return pl.Series(name, values, dtype=pl.String)
    if kinds == {bool}:
        return pl.Series(name, values, dtype=pl.Boolean)
    if kinds == {float}:
        return pl.Series(name, values, dtype=pl.Float64)
    whole = [value for value in values if type(value) is int]
    if kinds == {int} and min(whole) >= -_LARGEST and max(whole) < _LARGEST:
        return pl.Series(name, values, dtype=pl.Int64)
    if kinds == {int, float} and max(map(abs, whole)) < _EXACT:
        floats = [float(value) if isinstance(value, int | float) else None for value in values]
        return pl.Series(name, floats, dtype=pl.Float64)
    return None
