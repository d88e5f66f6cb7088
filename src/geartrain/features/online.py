"""The same features, kept up to date event by event and read while a client waits.

Of each entity the raw deliveries are kept, sorted by event time and id, each visible
from its arrival until the next delivery of the same id. So the state does not depend on
the order in which deliveries were applied, and a read at any time within the horizon
says what `point_in_time` says for it, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from geartrain.domain.columns import ARRIVAL_TIME, EVENT_TIME, as_text, microseconds_of, texts_of
from geartrain.domain.features import FeatureSet, RequestFeature
from geartrain.errors import FeatureInvalid
from geartrain.features.log import FOREVER, EntityLog, Held
from geartrain.features.plan import Stream, key_of, streams
from geartrain.features.terms import term_of_row

#: One delivery of an event: its arrival, its event time, and its entity in each stream of the source.
Version = tuple[int, int, tuple[str | None, ...]]


class OnlineStream:
    """A stream's definition and its entities' logs; events before `floor_us` were evicted."""

    __slots__ = ("floor_us", "logs", "stream")

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.logs: dict[str, EntityLog] = {}
        self.floor_us = -FOREVER


class OnlineSource:
    """A source's streams, and every delivery of each event id that can still matter."""

    __slots__ = ("key", "latest_us", "streams", "versions")

    def __init__(self, key: str, members: Sequence[Stream]) -> None:
        self.key = key
        self.streams = tuple(OnlineStream(one) for one in members)
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
        if versions:
            until_us, versions = self._make_room(event_id, arrival_us, versions)
        version = (arrival_us, time_us, entities)
        self.versions[event_id] = (
            (*versions, version) if until_us == FOREVER else tuple(sorted((*versions, version)))
        )
        for one, entity, values in zip(self.streams, entities, held, strict=True):
            if entity is not None and time_us >= one.floor_us:
                log = one.logs.get(entity)
                if log is None:
                    log = one.logs[entity] = EntityLog(one.stream.slots)
                log.insert(time_us, event_id, arrival_us, until_us, values)
        return True

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


class OnlineFeatures:
    """The state behind online features: one writer applies events, readers in the same process read.

    Args:
        features: The definitions, the same that training used.
        keys: The column that names a row, for each source that a window reads.

    Raises:
        FeatureInvalid: A window reads a source without a key.
    """

    def __init__(self, features: FeatureSet, *, keys: Mapping[str, str] | None = None) -> None:
        self.features = features
        members: dict[str, list[Stream]] = {}
        for stream in streams(features):
            members.setdefault(stream.source, []).append(stream)
        self.sources = {
            name: OnlineSource(key_of(name, keys or {}), group) for name, group in members.items()
        }
        place = {
            (source, one.stream.entity): one for source, held in self.sources.items() for one in held.streams
        }
        self._windows = [
            (feature, index, place[stream.source, stream.entity])
            for stream in streams(features)
            for feature, index in stream.features
        ]
        self._blank: dict[str, float | str | None] = dict.fromkeys(one.name for one in features.features)
        self._requests = [one for one in features.features if isinstance(one, RequestFeature)]

    def apply(self, source: str, row: Mapping[str, object], *, event_time_us: int, arrival_us: int) -> bool:
        """Take one event; applying it again changes nothing.

        Returns:
            False where it changes no feature: no window reads its source, it has no id,
            or it is older than what is kept.
        """
        state = self.sources.get(source)
        event_id = None if state is None else as_text(row.get(state.key))
        if state is None or event_id is None:
            return False
        entities = tuple(as_text(row.get(one.stream.entity)) for one in state.streams)
        held = [[slot.of_row(row) for slot in one.stream.slots] for one in state.streams]
        return state.take(event_id, event_time_us, arrival_us, entities, held)

    def apply_rows(self, source: str, rows: pl.DataFrame) -> int:
        """Take a batch with `_event_time` and `_arrival_time`, faster than one by one; how many were taken."""
        state = self.sources.get(source)
        if state is None or not rows.height:
            return 0
        for name in (state.key, EVENT_TIME, ARRIVAL_TIME):
            if name not in rows.columns:
                raise FeatureInvalid(
                    f"there is no column `{name}`", where=source, found="columns: " + ", ".join(rows.columns),
                    hint="rows come from the lake with their key and both clocks",
                )  # fmt: skip
        ids = texts_of(rows.get_column(state.key)).to_list()
        times = microseconds_of(rows.get_column(EVENT_TIME)).to_list()
        arrivals = microseconds_of(rows.get_column(ARRIVAL_TIME)).to_list()
        nobody = [None] * rows.height
        entities = zip(
            *(
                texts_of(rows.get_column(one.stream.entity)).to_list()
                if one.stream.entity in rows.columns
                else nobody
                for one in state.streams
            ),
            strict=True,
        )
        held = zip(
            *(
                zip(*(slot.of_frame(rows).tolist() for slot in one.stream.slots), strict=True)
                for one in state.streams
            ),
            strict=True,
        )
        take = state.take
        return sum(
            take(event_id, time_us, arrival_us, who, values)
            for event_id, time_us, arrival_us, who, values in zip(
                ids, times, arrivals, entities, held, strict=True
            )
            if event_id is not None and time_us is not None and arrival_us is not None
        )

    def read(
        self, row: Mapping[str, object], at_us: int, *, known_us: int | None = None
    ) -> dict[str, float | str | None]:
        """Every feature for the decision *row* at *at_us*, in the order of the definitions.

        Args:
            row: What the request carries; an entity that it lacks has no history.
            at_us: The decision's time, from which windows reach back.
            known_us: The time by which events must have arrived; *at_us* if None.
        """
        known_us = at_us if known_us is None else known_us
        found = self._blank.copy()
        for request in self._requests:
            found[request.name] = term_of_row(request.expression, request.type, row)
        logs: dict[int, EntityLog] = {}
        for feature, index, place in self._windows:
            log = logs.get(id(place))
            if log is None:
                entity = as_text(row.get(place.stream.entity))
                log = place.logs.get(entity or "") if entity is not None else None
                log = logs[id(place)] = EntityLog(place.stream.slots) if log is None else log
            found[feature.name] = log.value(feature, index, at_us, known_us)
        return found

    def evict(self, now_us: int, *, lateness_us: int = 0) -> None:
        """Forget what no read from *now_us* - *lateness_us* on can reach.

        Later deliveries of forgotten events are not taken. A window without a width
        reaches everything, so its stream keeps everything.
        """
        for source in self.sources.values():
            source.evict(now_us, lateness_us)

    def latest_arrival_us(self, source: str) -> int | None:
        """When the last event of *source* arrived, or None before the first: how stale the features are."""
        state = self.sources.get(source)
        return None if state is None else state.latest_us
