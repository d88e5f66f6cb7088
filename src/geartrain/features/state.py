"""The mutable state behind online features: one source's events, arranged for reading and for correction."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np

from geartrain.features.exact import Ints
from geartrain.features.log import EntityLog, Held
from geartrain.features.naming import Name
from geartrain.features.plan import FOREVER, Stream
from geartrain.features.tiles import Tiling
from geartrain.features.waiting import Lane, Waiting, many

#: One delivery of an event: its arrival, its event time, and its entity in each stream of the source.
Version = tuple[int, int, tuple[Name | None, ...]]

#: From so many rows on a batch is taken as a whole.
TOGETHER = 64


class OnlineStream:
    """A stream's definition and its entities' logs; events before `floor_us` were evicted."""

    __slots__ = ("_waiting", "bound", "floor_us", "lane", "logs", "stream", "tiling")

    def __init__(self, stream: Stream, bound: int, waiting: Waiting, lane: Lane) -> None:
        self.stream = stream
        self.bound = bound
        # Rows of a table replace each other: there is nothing to fold.
        table = any(slot.whole for slot in stream.slots)
        self.tiling = None if table else Tiling(stream)
        self.logs: dict[Name, EntityLog] = {}
        self.floor_us = -FOREVER
        self._waiting, self.lane = waiting, lane

    def log(self, entity: Name) -> EntityLog:
        """The entity's log, a new one where there was none."""
        log = self.logs.get(entity)
        if log is None:
            log = self.logs[entity] = EntityLog(self.stream.slots, self.tiling, self.bound)
        return log

    def known(self, entity: Name) -> EntityLog | None:
        """The entity's log with everything that waited for it sorted in; None where nothing is known of it."""
        rows = self.lane.rows_of(entity) if self._waiting.size else None
        if rows:
            if many(rows):
                self._sort_in(entity, np.array(rows[::-1]))
            else:
                self._insert(entity, rows)
        return self.logs.get(entity)

    def known_all(self, entities: Sequence[Name | None]) -> list[EntityLog | None]:
        """What `known` says of each; None for nobody."""
        if self._waiting.size:
            for entity in entities:
                if entity is not None:
                    self.known(entity)
        logs = self.logs
        return [None if entity is None else logs.get(entity) for entity in entities]

    def sort_all_in(self) -> None:
        """Sort in whatever waits for anybody."""
        for entity, (times, ids, arrivals, columns) in self.lane.everything():
            if times[0] >= self.floor_us:
                self.log(entity).extend(times, ids, arrivals, columns)
                continue
            late = int(np.searchsorted(times, self.floor_us))
            if late < times.size:
                kept = [column[late:] for column in columns]
                self.log(entity).extend(times[late:], ids[late:], arrivals[late:], kept)

    def follow(self, waiting: Waiting, lane: Lane) -> None:
        """Read new columns from now on; nothing waits in the old ones."""
        self._waiting, self.lane = waiting, lane

    def _insert(self, entity: Name, rows: Sequence[int]) -> None:
        waiting, lane, log = self._waiting, self.lane, self.log(entity)
        for row in reversed(rows):
            time_us = int(waiting.times[row])
            if time_us >= self.floor_us:
                log.insert(time_us, str(waiting.ids[row]), int(waiting.arrivals[row]), FOREVER, lane.one(row))

    def _sort_in(self, entity: Name, rows: Ints) -> None:
        kept = rows[self._waiting.times[rows] >= self.floor_us]
        if kept.size:
            self.log(entity).extend(*self.lane.many(kept))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Deliveries column by column: entities and held values once for each stream of the source."""

    ids: Sequence[Name]
    times: Ints
    arrivals: Ints
    entities: Sequence[Sequence[Name | None]]
    held: Sequence[Sequence[Any]]

    def part(self, chosen: Sequence[bool]) -> Batch:
        """The deliveries for which *chosen* says so."""
        mask = np.array(chosen)
        return Batch(
            ids=list(compress(self.ids, chosen)),
            times=self.times[mask],
            arrivals=self.arrivals[mask],
            entities=[list(compress(one, chosen)) for one in self.entities],
            held=[[column[mask] for column in one] for one in self.held],
        )


class OnlineSource:
    """A source's streams, and every delivery of each event id that can still matter.

    Attributes:
        versions: For each event id its deliveries, or the row of `waiting` that is its only one.
        waiting: What came by the batch and is not in the logs yet, or was not when it came.
    """

    __slots__ = ("key", "latest_us", "streams", "versions", "waiting")

    def __init__(self, key: str, members: Sequence[Stream], bound: int) -> None:
        self.key = key
        self.waiting = Waiting([one.slots for one in members])
        self.streams = tuple(
            OnlineStream(one, bound, self.waiting, lane)
            for one, lane in zip(members, self.waiting.lanes, strict=True)
        )
        self.versions: dict[Name, tuple[Version, ...] | int] = {}
        self.latest_us: int | None = None

    def take(
        self,
        event_id: Name,
        time_us: int,
        arrival_us: int,
        entities: tuple[Name | None, ...],
        held: Sequence[Sequence[Held]],
    ) -> bool:
        """Take one delivery; False where the event is too old to matter."""
        versions = self._versions_of(event_id)
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
            (*versions, version)
            if until_us == FOREVER
            else tuple(sorted((*versions, version), key=_by_arrival))
        )
        for one, entity, values in zip(self.streams, entities, held, strict=True):
            if entity is not None and time_us >= one.floor_us and one not in folded:
                one.log(entity).insert(time_us, str(event_id), arrival_us, until_us, values)
        return True

    def take_all(self, batch: Batch) -> int:
        """Take the deliveries of a batch; how many were taken.

        Events that are new are taken as a whole; those of an id that is known, or that
        comes twice, one by one in their order: only they can concern each other.
        """
        count = len(batch.ids)
        if not count:
            return 0
        if count < TOGETHER:
            return self._take_each(batch)
        if self._take_whole(batch):
            return count
        often = Counter(batch.ids)
        floor_us = max(one.floor_us for one in self.streams)
        fresh = [
            time_us >= floor_us and often[event_id] == 1 and event_id not in self.versions
            for event_id, time_us in zip(batch.ids, batch.times.tolist(), strict=True)
        ]
        whole = batch.part(fresh)
        taken = len(whole.ids)
        if taken and not self._take_whole(whole):
            taken = self._take_each(whole)
        return taken + self._take_each(batch.part([not one for one in fresh]))

    def evict(self, now_us: int, lateness_us: int) -> None:
        """Forget events that no read from *now_us* - *lateness_us* on can reach."""
        self.absorb()
        for one in self.streams:
            if one.stream.horizon_us is None:
                continue
            one.floor_us = max(one.floor_us, now_us - lateness_us - one.stream.horizon_us)
            for entity, log in list(one.logs.items()):
                log.evict(one.floor_us)
                if not log.times and not log.tiles:
                    del one.logs[entity]
        floor = min(one.floor_us for one in self.streams)
        for event_id, versions in list(self.versions.items()):
            assert not isinstance(versions, int)
            if versions[0][1] < floor or (len(versions) > 1 and any(one[1] < floor for one in versions)):
                kept = tuple(version for version in versions if version[1] >= floor)
                if kept:
                    self.versions[event_id] = kept
                else:
                    del self.versions[event_id]

    def absorb(self) -> None:
        """Sort everything that waits into the logs, and let go of the columns."""
        waiting = self.waiting
        if not waiting.size:
            return
        with uncollected():
            self._absorb()

    def _absorb(self) -> None:
        waiting = self.waiting
        for one in self.streams:
            one.sort_all_in()
        whole = zip(
            waiting.arrivals[: waiting.size].tolist(),
            waiting.times[: waiting.size].tolist(),
            zip(*(lane.everybody() for lane in waiting.lanes), strict=True),
            strict=True,
        )
        self.versions.update(
            (event_id, (version,))
            for event_id, version in zip(waiting.ids, whole, strict=True)
            if event_id is not None
        )
        self.waiting = Waiting([one.stream.slots for one in self.streams])
        for one, lane in zip(self.streams, self.waiting.lanes, strict=True):
            one.follow(self.waiting, lane)

    def _take_whole(self, batch: Batch) -> bool:
        """Take the batch into the columns; False, and nothing taken, where an id is not new or an event too old."""
        versions, ids = self.versions, batch.ids
        if int(batch.times.min()) < max(one.floor_us for one in self.streams):
            return False
        if not versions.keys().isdisjoint(ids):
            return False
        known, begin = len(versions), self.waiting.size
        versions.update(zip(ids, range(begin, begin + len(ids)), strict=True))
        if len(versions) - known != len(ids):
            for event_id in set(ids):
                del versions[event_id]
            return False
        self.waiting.add(ids, batch.times, batch.arrivals, batch.entities, batch.held)
        latest = int(batch.arrivals.max())
        if self.latest_us is None or latest > self.latest_us:
            self.latest_us = latest
        for one in self.streams:
            for entity in one.lane.crowded(one.bound):
                one.known(entity)
        return True

    def _take_each(self, batch: Batch) -> int:
        held = [list(zip(*(column.tolist() for column in columns), strict=True)) for columns in batch.held]
        return sum(
            self.take(event_id, time_us, arrival_us, who, values)
            for event_id, time_us, arrival_us, who, values in zip(
                batch.ids,
                batch.times.tolist(),
                batch.arrivals.tolist(),
                zip(*batch.entities, strict=True),
                zip(*held, strict=True),
                strict=True,
            )
        )

    def _versions_of(self, event_id: Name) -> tuple[Version, ...]:
        """The deliveries of an event, all of them in their logs."""
        found = self.versions.get(event_id, ())
        if not isinstance(found, int):
            return found
        waiting = self.waiting
        version = (int(waiting.arrivals[found]), int(waiting.times[found]), waiting.entities(found))
        for one, entity in zip(self.streams, version[2], strict=True):
            if entity is not None:
                one.known(entity)
        waiting.ids[found] = None
        self.versions[event_id] = (version,)
        return (version,)

    def _folded(self, versions: tuple[Version, ...]) -> set[OnlineStream]:
        """The streams in which a delivery of the event is in a tile, which cannot be corrected."""
        return {
            one
            for _, time_us, entities in versions
            for one, entity in zip(self.streams, entities, strict=True)
            if entity in one.logs and not one.logs[entity].holds(time_us)
        }

    def _make_room(
        self, event_id: Name, arrival_us: int, versions: tuple[Version, ...]
    ) -> tuple[int, tuple[Version, ...]]:
        """End the visibility of the delivery before this one, and say when this one's ends."""
        earlier = [version for version in versions if version[0] < arrival_us]
        later = [version for version in versions if version[0] > arrival_us]
        for arrived, time_us, entities in versions:
            for one, entity in zip(self.streams, entities, strict=True):
                log = None if entity is None else one.logs.get(entity)
                if log is not None and arrived == arrival_us:
                    log.remove(time_us, str(event_id), arrived)
                elif log is not None and earlier and arrived == earlier[-1][0]:
                    log.close(time_us, str(event_id), arrived, arrival_us)
        return (later[0][0] if later else FOREVER), (*earlier, *later)


@contextmanager
def uncollected() -> Iterator[None]:
    """Make very many small objects without the collector looking at all of them again and again."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _by_arrival(version: Version) -> int:
    return version[0]
