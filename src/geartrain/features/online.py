"""The same features, kept up to date event by event and read while a client waits.

if TYPE_CHECKING:
    import polars as pl

Of each entity the raw deliveries are kept, sorted by event time and id, each visible
from its arrival until the next delivery of the same id. So the state does not depend on
the order in which deliveries were applied, and a read at any time within the horizon
says what `point_in_time` says for it, bit for bit. Only an entity with more events than
a bound has its older ones folded (`features.tiles`, which states the error).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from geartrain.domain.columns import ARRIVAL_TIME, EVENT_TIME, microseconds_of, texts_of
from geartrain.domain.features import FeatureSet, FunctionFeature, RequestFeature
from geartrain.errors import FeatureInvalid
from geartrain.features.checking import columns_read
from geartrain.features.functions import call_on_row
from geartrain.features.log import EntityLog, windows_of
from geartrain.features.naming import name_of, names_of
from geartrain.features.plan import Stream, key_of, streams
from geartrain.features.state import Batch, OnlineSource, uncollected
from geartrain.features.storing import fill_source, restore_sources, store_sources
from geartrain.features.terms import term_of_row
from geartrain.features.together import TOGETHER, Together

if TYPE_CHECKING:
    import polars as pl

#: An entity with more events than this within its longest window is served from tiles.
EXACT_EVENTS = 10_000


class OnlineFeatures:
    """The state behind online features: one writer applies events, readers in the same process read.

    Args:
        features: The definitions, the same that training used.
        keys: The column that names a row, for each source that a window reads.
        exact_events: Up to how many events of an entity are kept one by one, with exact
            windows; of an entity with more the older are folded (`features.tiles` says
            what that may change).

    Raises:
        FeatureInvalid: A window reads a source without a key.
    """

    def __init__(
        self,
        features: FeatureSet,
        *,
        keys: Mapping[str, str] | None = None,
        exact_events: int = EXACT_EVENTS,
    ) -> None:
        self.features = features
        self.exact_events = exact_events
        members: dict[str, list[Stream]] = {}
        for stream in streams(features):
            members.setdefault(stream.source, []).append(stream)
        self.sources = {
            name: OnlineSource(key_of(name, keys or {}), group, exact_events)
            for name, group in members.items()
        }
        place = {one.stream: one for source, held in self.sources.items() for one in held.streams}
        self._streams = [place[stream] for stream in streams(features)]
        self._empty = [EntityLog(one.stream.slots) for one in self._streams]
        self._windows = [windows_of(one.stream.features) for one in self._streams]
        #: For reading many at once: the features of numbers together, those of texts one by one.
        self._together = [Together(one.stream) for one in self._streams]
        self._texts = [
            windows_of([(feature, slot) for feature, slot in stream.features if stream.slots[slot].textual])
            for stream in self.streams
        ]
        self._blank: dict[str, float | str | None] = dict.fromkeys(one.name for one in features.features)
        #: What reads features that stand before it, and so is made last and in order.
        self._last = {
            one.name
            for one in features.features
            if isinstance(one, FunctionFeature)
            or (
                isinstance(one, RequestFeature)
                and features.made_before(one).intersection(columns_read(one.expression))
            )
        }
        self._requests = [
            one for one in features.features if isinstance(one, RequestFeature) and one.name not in self._last
        ]

    def apply(self, source: str, row: Mapping[str, object], *, event_time_us: int, arrival_us: int) -> bool:
        """Take one event; applying it again changes nothing.

        Returns:
            False where it changes no feature: no window reads its source, it has no id,
            or it is older than what is kept.
        """
        state = self.sources.get(source)
        event_id = None if state is None else name_of(row.get(state.key))
        if state is None or event_id is None:
            return False
        entities = tuple(name_of(row.get(one.stream.member)) for one in state.streams)
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
        clocks = [microseconds_of(rows.get_column(name)) for name in (EVENT_TIME, ARRIVAL_TIME)]
        named = rows.get_column(state.key)
        ids = named if named.dtype.is_integer() else texts_of(named)
        events = ids.is_not_null() & clocks[0].is_not_null() & clocks[1].is_not_null()
        if not events.all():
            rows, ids = rows.filter(events), ids.filter(events)
            clocks = [one.filter(events) for one in clocks]
        nobody = [None] * rows.height
        batch = Batch(
            ids=names_of(ids),  # type: ignore[arg-type]
            times=clocks[0].to_numpy(),
            arrivals=clocks[1].to_numpy(),
            entities=[
                names_of(rows.get_column(one.stream.member)) if one.stream.member in rows.columns else nobody
                for one in state.streams
            ],
            held=[[slot.of_frame(rows) for slot in one.stream.slots] for one in state.streams],
        )
        return state.take_all(batch)

    def read(
        self,
        row: Mapping[str, object],
        at_us: int,
        *,
        known_us: int | None = None,
        others: Sequence[OnlineFeatures] = (),
    ) -> dict[str, float | str | None]:
        """Every feature for the decision *row* at *at_us*, in the order of the definitions.

        Args:
            row: What the request carries; an entity that it lacks has no history.
            at_us: The decision's time, from which windows reach back.
            known_us: The time by which events must have arrived; *at_us* if None.
            others: States of the same definitions that hold other events, as other partitions do.
        """
        return self.read_all([row], at_us, known_us=known_us, others=others)[0]

    def read_all(
        self,
        rows: Sequence[Mapping[str, object]],
        at_us: int,
        *,
        known_us: int | None = None,
        others: Sequence[OnlineFeatures] = (),
    ) -> list[dict[str, float | str | None]]:
        """What `read` says of each row, at less cost for many."""
        logs = []
        for place, one in enumerate(self._streams):
            name = one.stream.entity
            entities = [name_of(row.get(name)) for row in rows]
            known = one.known_all(entities)
            for state in others:
                more = state._streams[place].known_all(entities)  # noqa: SLF001
                known = [_joined(*both) for both in zip(known, more, strict=True)]
            logs.append(known)
        return self.answer_all(rows, logs, at_us, known_us=known_us)

    def answer_all(
        self,
        rows: Sequence[Mapping[str, object]],
        logs: Sequence[Sequence[EntityLog | None]],
        at_us: int,
        *,
        known_us: int | None = None,
    ) -> list[dict[str, float | str | None]]:
        """Every feature of each row, from the logs of the entities that it wants: by stream, then by row; None where nothing is known."""
        known_us = at_us if known_us is None else known_us
        told = [self._blank.copy() for _ in rows]
        for request in self._requests:
            for found, row in zip(told, rows, strict=True):
                found[request.name] = term_of_row(request.expression, request.type, row)
        for place, (empty, held) in enumerate(zip(self._empty, logs, strict=True)):
            self._tell(place, told, [empty if log is None else log for log in held], at_us, known_us)
        if self._last:
            for found, row in zip(told, rows, strict=True):
                self._finish(found, row)
        return told

    def _tell(
        self,
        place: int,
        told: Sequence[dict[str, float | str | None]],
        logs: Sequence[EntityLog],
        at_us: int,
        known_us: int,
    ) -> None:
        """Put the values of the stream at *place* into *told*, one for each log."""
        together, windows = self._together[place], self._windows[place]
        tiled = any(log.tiles for log in logs)
        plain = [number for number, log in enumerate(logs) if not log.tiles] if tiled else range(len(logs))
        if len(plain) < TOGETHER or not together.names:
            for found, log in zip(told, logs, strict=True):
                log.tell(found, windows, at_us, known_us)
            return
        values = together.of([logs[number] for number in plain] if tiled else logs, at_us, known_us)
        for number, some in zip(plain, values, strict=True):
            told[number].update(zip(together.names, some, strict=True))
        texts = self._texts[place]
        if tiled or texts:
            for found, log in zip(told, logs, strict=True):
                log.tell(found, windows if log.tiles else texts, at_us, known_us)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The streams in the order in which `answer_all` means them."""
        return tuple(one.stream for one in self._streams)

    def columns_read(self, source: str) -> tuple[frozenset[str], frozenset[str]]:
        """The columns of *source* that the state needs of each event, and the expressions over them."""
        streams = self.sources[source].streams
        slots = [slot for one in streams for slot in one.stream.slots]
        texts = frozenset(text for slot in slots for text in (slot.column, slot.where) if text is not None)
        names = {self.sources[source].key, *(one.stream.member for one in streams)}
        plain = frozenset(names.union(*map(columns_read, texts)))
        return plain, texts - plain

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

    def _finish(self, found: dict[str, float | str | None], row: Mapping[str, object]) -> None:
        """Make what reads features that stand before it."""
        before: dict[str, object] = {}
        made: dict[str, object] = {}
        for one in self.features.features:
            if isinstance(one, FunctionFeature):
                found[one.name] = call_on_row(one, before, row)
            elif isinstance(one, RequestFeature) and one.name in self._last:
                found[one.name] = term_of_row(one.expression, one.type, {**row, **made})
            before[one.name] = found[one.name]
            if not isinstance(one, RequestFeature):
                made[one.name] = found[one.name]

    @property
    def feeds(self) -> tuple[str, ...]:
        """The sources that windows read, whose silence means something; tables that change slowly are none."""
        read = {one.source for one in self.features.windows}
        return tuple(name for name in self.sources if name in read)

    def snapshot(self) -> bytes:
        """The whole state as bytes, the same for the same deliveries in whatever order they came.

        Where an entity's events were folded, the order decides which are in tiles.
        """
        with uncollected():
            return store_sources(self.features, self.sources)

    @classmethod
    def restore(
        cls, features: FeatureSet, content: bytes, *, exact_events: int = EXACT_EVENTS
    ) -> OnlineFeatures:
        """The state that `snapshot` wrote.

        Raises:
            FeatureInvalid: The bytes are no snapshot, or one of other definitions.
        """
        with uncollected():
            stored = restore_sources(features, content)
            keys = {name: one.key for name, one in stored.items()}
            restored = cls(features, keys=keys, exact_events=exact_events)
            for name, one in stored.items():
                fill_source(restored.sources[name], one)
            return restored


def _joined(one: EntityLog | None, other: EntityLog | None) -> EntityLog | None:
    """What two states know of one entity."""
    if one is None or other is None:
        return other if one is None else one
    return one.joined(other)
