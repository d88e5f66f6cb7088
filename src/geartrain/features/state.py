"""The mutable state behind online features: one source's events, arranged for reading and for correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from geartrain.features.log import EntityLog, Held
from geartrain.features.plan import FOREVER, Stream
from geartrain.features.tiles import Tiling

#: One delivery of an event: its arrival, its event time, and its entity in each stream of the source.
Version = tuple[int, int, tuple[str | None, ...]]


class OnlineStream:
    """A stream's definition and its entities' logs; events before `floor_us` were evicted."""

    __slots__ = ("bound", "floor_us", "logs", "stream", "tiling")

    def __init__(self, stream: Stream, bound: int) -> None:
        self.stream = stream
        self.bound = bound
        # Rows of a table replace each other: there is nothing to fold.
        table = any(slot.whole for slot in stream.slots)
        self.tiling = None if table else Tiling(stream)
        self.logs: dict[str, EntityLog] = {}
        self.floor_us = -FOREVER

    def log(self, entity: str) -> EntityLog:
        """The entity's log, a new one where there was none."""
        log = self.logs.get(entity)
        if log is None:
            log = self.logs[entity] = EntityLog(self.stream.slots, self.tiling, self.bound)
        return log


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Deliveries column by column: entities and held values once for each stream of the source."""

    ids: Sequence[str]
    times: Sequence[int]
    arrivals: Sequence[int]
    entities: Sequence[Sequence[str | None]]
    held: Sequence[Sequence[Sequence[Held]]]


class OnlineSource:
    """A source's streams, and every delivery of each event id that can still matter."""

    __slots__ = ("key", "latest_us", "streams", "versions")

    def __init__(self, key: str, members: Sequence[Stream], bound: int) -> None:
        self.key = key
        self.streams = tuple(OnlineStream(one, bound) for one in members)
        self.versions: dict[str, tuple[Version, ...]] = {}
        self.latest_us: int | None = None

    def take(
        self,
        event_id: str,
        time_us: int,
        arrival_us: int,
        entities: tuple[str | None, ...],
        held: Sequence[Sequence[Held]],
    ) -> bool:
        """Take one delivery; False where the event is too old to matter."""
        versions = self.versions.get(event_id, ())
        if not versions and all(time_us < one.floor_us for one in self.streams):
            return False
        if self.latest_us is None or arrival_us > self.latest_us:
            self.latest_us = arrival_us
        until_us = FOREVER
        folded: set[OnlineStream] = set()
        if versions:
            folded = self._folded(versions)
            until_us, versions = self._make_room(event_id, arrival_us, versions)
        version = (arrival_us, time_us, entities)
        self.versions[event_id] = (
            (*versions, version) if until_us == FOREVER else tuple(sorted((*versions, version)))
        )
        for one, entity, values in zip(self.streams, entities, held, strict=True):
            if entity is not None and time_us >= one.floor_us and one not in folded:
                one.log(entity).insert(time_us, event_id, arrival_us, until_us, values)
        return True

    def take_all(self, batch: Batch) -> int:
        """Take the deliveries of a batch; how many were taken."""
        ids, times, arrivals = batch.ids, batch.times, batch.arrivals
        new = len(set(ids)) == len(ids) and self.versions.keys().isdisjoint(ids)
        if not ids or not new or min(times) < max(one.floor_us for one in self.streams):
            entities = zip(*batch.entities, strict=True)
            held = zip(*batch.held, strict=True)
            return sum(
                self.take(event_id, time_us, arrival_us, who, values)
                for event_id, time_us, arrival_us, who, values in zip(
                    ids, times, arrivals, entities, held, strict=True
                )
            )
        self.latest_us = max(arrivals) if self.latest_us is None else max(self.latest_us, *arrivals)
        whole = zip(arrivals, times, zip(*batch.entities, strict=True), strict=True)
        self.versions.update(zip(ids, zip(whole, strict=True), strict=True))
        for one, entities_of_one, held_of_one in zip(self.streams, batch.entities, batch.held, strict=True):
            log = one.log
            for event_id, time_us, arrival_us, entity, values in zip(
                ids, times, arrivals, entities_of_one, held_of_one, strict=True
            ):
                if entity is not None:
                    log(entity).insert(time_us, event_id, arrival_us, FOREVER, values)
        return len(ids)

    def evict(self, now_us: int, lateness_us: int) -> None:
        """Forget events that no read from *now_us* - *lateness_us* on can reach."""
        for one in self.streams:
            if one.stream.horizon_us is None:
                continue
            one.floor_us = max(one.floor_us, now_us - lateness_us - one.stream.horizon_us)
            for entity, log in list(one.logs.items()):
                log.evict(one.floor_us)
                if not log.times:
                    del one.logs[entity]
        floor = min(one.floor_us for one in self.streams)
        for event_id, versions in list(self.versions.items()):
            if min(version[1] for version in versions) < floor:
                kept = tuple(version for version in versions if version[1] >= floor)
                if kept:
                    self.versions[event_id] = kept
                else:
                    del self.versions[event_id]

    def _folded(self, versions: tuple[Version, ...]) -> set[OnlineStream]:
        """The streams in which a delivery of the event is in a tile, which cannot be corrected."""
        return {
            one
            for _, time_us, entities in versions
            for one, entity in zip(self.streams, entities, strict=True)
            if entity in one.logs and not one.logs[entity].holds(time_us)
        }

    def _make_room(
        self, event_id: str, arrival_us: int, versions: tuple[Version, ...]
    ) -> tuple[int, tuple[Version, ...]]:
        """End the visibility of the delivery before this one, and say when this one's ends."""
        earlier = [version for version in versions if version[0] < arrival_us]
        later = [version for version in versions if version[0] > arrival_us]
        for arrived, time_us, entities in versions:
            for one, entity in zip(self.streams, entities, strict=True):
                log = None if entity is None else one.logs.get(entity)
                if log is not None and arrived == arrival_us:
                    log.remove(time_us, event_id, arrived)
                elif log is not None and earlier and arrived == earlier[-1][0]:
                    log.close(time_us, event_id, arrived, arrival_us)
        return (later[0][0] if later else FOREVER), (*earlier, *later)
