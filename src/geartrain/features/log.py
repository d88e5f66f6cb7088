"""The deliveries of one entity in one stream, in event order, ready for reading."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from geartrain.domain.features import Aggregation, WindowFeature
from geartrain.features.algebra import finite, of_one
from geartrain.features.exact import Ints, exact_sum
from geartrain.features.plan import FOREVER, Slot
from geartrain.features.tiles import Tile, Tiling

Held = float | str | None
#: Event time, id, from when until when it is visible, held values.
Delivery: TypeAlias = "tuple[int, str, int, int, Sequence[Held]]"
Column: TypeAlias = "array[float] | list[str | None]"  # arrays are generic only to type checkers


#: What is said of a window at once, in this order.
_BASIC = (Aggregation.COUNT, Aggregation.SUM, Aggregation.MEAN, Aggregation.MIN, Aggregation.MAX)
_OF_NOTHING = (0.0, None, None, None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """The features of one window that read one slot.

    Attributes:
        basic: Names, each with its place among what is said at once.
        sums: Whether any feature of the slot, in whatever window, needs a sum; `least`, `most` alike.
        others: The features that are said one by one.
    """

    slot: int
    basic: tuple[tuple[str, int], ...]
    sums: bool
    least: bool
    most: bool
    others: tuple[WindowFeature, ...]
    features: tuple[WindowFeature, ...]

    def said(
        self, column: Column, low: int, high: int, inner: tuple[Any, ...], inner_low: int
    ) -> tuple[Any, ...]:
        """The basic aggregations over `low:high`, those that somebody needs.

        *inner* is what was said of `inner_low:high`, whose extremes need not be looked for again.
        """
        count = high - low
        if not count:
            return _OF_NOTHING
        if not (self.sums or self.least or self.most):
            return (float(count),)
        values: list[Any] = column[low:high] if isinstance(column, list) else column[low:high].tolist()
        total = mean = least = most = None
        if self.sums:
            total = exact_sum(values)
            mean = finite(total / count)
            total = finite(total)
        if self.least or self.most:
            more = values[: inner_low - low]
            if self.least:
                least = min(more) if inner[3] is None else min(inner[3], *more)
            if self.most:
                most = max(more) if inner[4] is None else max(inner[4], *more)
        return float(count), total, mean, least, most


#: A delay and a width, with the features that have both, slot by slot.
Window: TypeAlias = "tuple[int, int | None, tuple[Members, ...]]"


def windows_of(features: Sequence[tuple[WindowFeature, int]]) -> tuple[Window, ...]:
    """A stream's features by delay, width and slot, narrow windows first, as `EntityLog.tell` takes them."""
    grouped: dict[tuple[int, int | None], dict[int, list[WindowFeature]]] = {}
    wanted: dict[int, set[Aggregation]] = {}
    for feature, slot in features:
        grouped.setdefault((feature.delay_us, feature.width_us), {}).setdefault(slot, []).append(feature)
        wanted.setdefault(slot, set()).add(feature.aggregation)
    order = sorted(grouped, key=lambda one: (one[0], FOREVER if one[1] is None else one[1]))
    return tuple(
        (*edges, tuple(_members(slot, held, wanted[slot]) for slot, held in grouped[edges].items()))
        for edges in order
    )


def _members(slot: int, held: Sequence[WindowFeature], wanted: set[Aggregation]) -> Members:
    basic = [one for one in held if one.aggregation in _BASIC]
    return Members(
        slot=slot,
        basic=tuple((one.name, _BASIC.index(one.aggregation)) for one in basic),
        sums=not wanted.isdisjoint({Aggregation.SUM, Aggregation.MEAN}),
        least=Aggregation.MIN in wanted,
        most=Aggregation.MAX in wanted,
        others=tuple(one for one in held if one not in basic),
        features=tuple(held),
    )


def column_for(slot: Slot) -> Column:
    """An empty column for a slot's values."""
    return [] if slot.textual else array("d")


def id_order(event_id: str) -> tuple[int, str]:
    """How events of one time are ordered: shorter ids first, so that 9 comes before 10."""
    return len(event_id), event_id


class EntityLog:
    """Parallel columns sorted by (event time, id); delivery *i* is visible in [arrivals[i], untils[i]).

    Attributes:
        newest: No delivery arrived later.
        corrected: How many were replaced by a later delivery of the same id.
        gaps: For each slot, whether some delivery may not count for it.
        tiling: How old deliveries are folded where there are more than `bound`; None for never.
        tiles: Deliveries of events before `tiled_until_us`, folded.
    """

    __slots__ = (
        "arrivals", "bound", "columns", "corrected", "gaps", "ids", "newest", "slots", "tiled_until_us", "tiles",
        "tiling", "times", "untils",
    )  # fmt: skip

    def __init__(self, slots: Sequence[Slot], tiling: Tiling | None = None, bound: int = 0) -> None:
        self.slots = slots
        self.tiling = tiling
        self.bound = bound
        self.tiles: list[Tile] = []
        self.tiled_until_us = -FOREVER
        self.times: array[int] = array("q")
        self.arrivals: array[int] = array("q")
        self.untils: array[int] = array("q")
        self.ids: list[str] = []
        self.columns: list[Column] = [column_for(slot) for slot in slots]
        self.gaps = [False] * len(slots)
        self.newest = -FOREVER
        self.corrected = 0

    def insert(
        self, time_us: int, event_id: str, arrival_us: int, until_us: int, held: Sequence[Held]
    ) -> None:
        """Take a delivery in its place; at the end, where most belong, this costs no search."""
        times = self.times
        if time_us < self.tiled_until_us:
            assert self.tiling is not None
            counts: list[list[int] | None] = [[] if _is_gap(value) else None for value in held]
            self._fold([self.tiling.tile_of([event_id], [time_us], [[value] for value in held], counts)])
            self.newest = max(self.newest, arrival_us)
            return
        if not times or time_us > times[-1]:
            times.append(time_us)
            self.arrivals.append(arrival_us)
            self.untils.append(until_us)
            self.ids.append(event_id)
            for column, value in zip(self.columns, held, strict=False):
                column.append(value)  # type: ignore[arg-type]
        else:
            low = bisect_left(times, time_us)
            high = bisect_right(times, time_us, low)
            place = bisect_right(self.ids, id_order(event_id), low, high, key=id_order)
            times.insert(place, time_us)
            self.arrivals.insert(place, arrival_us)
            self.untils.insert(place, until_us)
            self.ids.insert(place, event_id)
            for column, value in zip(self.columns, held, strict=False):
                column.insert(place, value)  # type: ignore[arg-type]
        if self.newest < arrival_us:  # noqa: PLR1730 - max() costs twice as much here
            self.newest = arrival_us
        if until_us != FOREVER:
            self.corrected += 1
        for value in held:
            if value is None or value != value:  # noqa: PLR0124 - NaN is not itself
                self.gaps = [
                    gap or (_is_gap(one) and not slot.whole)
                    for gap, one, slot in zip(self.gaps, held, self.slots, strict=True)
                ]
                break
        if self.tiling is not None and len(times) > self.bound:
            self._shorten()

    def extend(self, times: Ints, ids: list[str], arrivals: Ints, columns: Sequence[Column]) -> None:
        """Take deliveries that stand in order, none of them corrected: behind the last in one step."""
        first = int(times[0])
        if first < self.tiled_until_us or (self.times and first <= self.times[-1]):
            for time_us, event_id, arrival_us, *held in zip(
                times.tolist(), ids, arrivals.tolist(), *columns, strict=True
            ):
                self.insert(time_us, event_id, arrival_us, FOREVER, held)
            return
        self.times.frombytes(times.tobytes())
        self.arrivals.frombytes(arrivals.tobytes())
        self.untils.extend([FOREVER] * len(ids))
        self.ids.extend(ids)
        for place, (slot, column, more) in enumerate(zip(self.slots, self.columns, columns, strict=True)):
            column.extend(more)  # type: ignore[arg-type]
            self.gaps[place] = self.gaps[place] or (not slot.whole and any(map(_is_gap, more)))
        self.newest = max(self.newest, int(arrivals.max()))
        if self.tiling is not None and len(self.times) > self.bound:
            self._shorten()

    def joined(self, other: EntityLog) -> EntityLog:
        """The deliveries of both, which have no event in common, for reading."""
        both = EntityLog(self.slots, self.tiling, self.bound)
        both.tiles = sorted((*self.tiles, *other.tiles), key=lambda tile: (tile.first_us, tile.last_us))
        both.tiled_until_us = max(self.tiled_until_us, other.tiled_until_us)
        rows = sorted(
            (time_us, id_order(event_id), which, place)
            for which, log in enumerate((self, other))
            for place, (time_us, event_id) in enumerate(zip(log.times, log.ids, strict=True))
        )
        for _, _, which, place in rows:
            log = (self, other)[which]
            both.times.append(log.times[place])
            both.arrivals.append(log.arrivals[place])
            both.untils.append(log.untils[place])
            both.ids.append(log.ids[place])
            for column, held in zip(both.columns, log.columns, strict=True):
                column.append(held[place])  # type: ignore[arg-type]
        both.recount()
        both.newest = max(self.newest, other.newest)
        return both

    def tell(
        self, found: dict[str, float | str | None], windows: Sequence[Window], at_us: int, known_us: int
    ) -> None:
        """Put the value of every feature of *windows* into *found*: `value` of each, at less cost.

        Features of one window share its slice and sum, and a wider window that holds no
        more events than the one before says the same.
        """
        times, columns = self.times, self.columns
        whole = self.newest <= known_us and not self.corrected
        told: dict[int, tuple[tuple[Any, ...], int]] = {}
        before_low = before_high = -1
        for delay_us, width_us, slots in windows:
            end = at_us - delay_us
            start = -FOREVER if width_us is None else end - width_us
            high = bisect_left(times, end)
            low = 0 if width_us is None else bisect_left(times, start, 0, high)
            if high != before_high or low > before_low:
                told, before_high = {}, high
            before_low = low
            tiled = bool(self.tiles) and start < self.tiled_until_us
            for members in slots:
                slot = members.slot
                if tiled or not whole or self.gaps[slot]:
                    for feature in members.features:
                        found[feature.name] = self.value(feature, slot, at_us, known_us)
                    continue
                if members.basic:
                    if low == high:
                        for name, place in members.basic:
                            found[name] = _OF_NOTHING[place]
                    else:
                        said, said_low = told.get(slot) or (_OF_NOTHING, high)
                        if said_low != low:
                            said = members.said(columns[slot], low, high, said, said_low)
                            told[slot] = said, low
                        for name, place in members.basic:
                            found[name] = said[place]
                for feature in members.others:
                    found[feature.name] = of_one(feature, columns[slot][low:high], times[low:high], at_us)  # type: ignore[arg-type]

    def holds(self, time_us: int) -> bool:
        """Whether an event of that time stands there one by one, so that it can be corrected."""
        return time_us >= self.tiled_until_us

    def close(self, time_us: int, event_id: str, arrival_us: int, until_us: int) -> None:
        """A delivery is visible until *until_us* only; one that was evicted is none of ours."""
        place = self._find(time_us, event_id, arrival_us)
        if place is not None:
            self.corrected += self.untils[place] == FOREVER
            self.untils[place] = until_us

    def remove(self, time_us: int, event_id: str, arrival_us: int) -> None:
        """Forget a delivery that another of the same id and arrival replaces."""
        place = self._find(time_us, event_id, arrival_us)
        if place is not None:
            self.corrected -= self.untils[place] != FOREVER
            for column in (self.times, self.arrivals, self.untils, self.ids, *self.columns):
                del column[place]

    def evict(self, before_us: int) -> None:
        """Forget deliveries of events before *before_us*."""
        self.tiles = [tile for tile in self.tiles if tile.last_us >= before_us]
        stop = bisect_left(self.times, before_us)
        if stop:
            self.corrected -= sum(until != FOREVER for until in self.untils[:stop])
            for column in (self.times, self.arrivals, self.untils, self.ids, *self.columns):
                del column[:stop]

    def value(self, feature: WindowFeature, slot: int, at_us: int, known_us: int) -> float | str | None:
        """The feature at *at_us*, of the deliveries visible at *known_us*."""
        end = at_us - feature.delay_us
        high = bisect_left(self.times, end)
        low = 0 if feature.width_us is None else bisect_left(self.times, end - feature.width_us, 0, high)
        column = self.columns[slot]
        if self.tiles and (feature.width_us is None or end - feature.width_us < self.tiled_until_us):
            return self._tiled(feature, slot, at_us, known_us, low, high)
        if self.newest <= known_us and not self.corrected and not self.gaps[slot]:
            return of_one(feature, column[low:high], self.times[low:high], at_us)  # type: ignore[arg-type]
        arrivals, untils, whole = self.arrivals, self.untils, self.slots[slot].whole
        seen = [
            index
            for index in range(low, high)
            if arrivals[index] <= known_us < untils[index] and (whole or not _is_gap(column[index]))
        ]
        times = self.times
        return of_one(feature, [column[index] for index in seen], [times[index] for index in seen], at_us)  # type: ignore[arg-type]

    def recount(self) -> None:
        """Bring the attributes up to date after the columns were filled from outside."""
        self.newest = max(self.arrivals, default=-FOREVER)
        self.corrected = sum(until != FOREVER for until in self.untils)
        self.gaps = [
            not slot.whole and any(map(_is_gap, column))
            for slot, column in zip(self.slots, self.columns, strict=True)
        ]

    def _tiled(
        self, feature: WindowFeature, slot: int, at_us: int, known_us: int, low: int, high: int
    ) -> float | str | None:
        """The feature over the deliveries `low:high` and the tiles before them."""
        assert self.tiling is not None
        end = at_us - feature.delay_us
        start = -FOREVER if feature.width_us is None else end - feature.width_us
        tiles = [tile for tile in self.tiles if tile.last_us >= start and tile.last_us < end]
        column, times = self.columns[slot], self.times
        if self.newest <= known_us and not self.corrected and not self.gaps[slot]:
            part = slice(low, high)
            return self.tiling.value(feature, slot, tiles, column[part], times[part], self.ids[part], at_us)
        seen = [
            index
            for index in range(low, high)
            if self.arrivals[index] <= known_us < self.untils[index] and not _is_gap(column[index])
        ]
        values, moments, ids = (
            [column[index] for index in seen],
            [times[index] for index in seen],
            [self.ids[index] for index in seen],
        )
        return self.tiling.value(feature, slot, tiles, values, moments, ids, at_us)

    def _shorten(self) -> None:
        """Fold the older half; events of one moment stay together."""
        assert self.tiling is not None
        stop = bisect_left(self.times, self.times[len(self.times) - self.bound // 2])
        if not stop:
            return
        made: list[Tile] = []
        start, now_us = 0, self.times[-1]
        while start < stop:
            end = self.tiling.cell_end_us(self.times, start, stop, now_us)
            kept = [place for place in range(start, end) if self.untils[place] == FOREVER]
            if kept:
                made.append(self._tile(kept))
            start = end
        self.tiled_until_us = self.times[stop]
        self.corrected -= sum(until != FOREVER for until in self.untils[:stop])
        for column in (self.times, self.arrivals, self.untils, self.ids, *self.columns):
            del column[:stop]
        self._fold(made)

    def _fold(self, more: list[Tile]) -> None:
        assert self.tiling is not None
        self.tiles = self.tiling.folded([*self.tiles, *more], self.times[-1])

    def _tile(self, places: Sequence[int]) -> Tile:
        assert self.tiling is not None
        ids, times, *columns = (
            [column[place] for place in places] for column in (self.ids, self.times, *self.columns)
        )
        counts = [
            [place for place, value in enumerate(column) if not _is_gap(value)] if gap else None
            for column, gap in zip(columns, self.gaps, strict=True)
        ]
        return self.tiling.tile_of(ids, times, columns, counts)  # type: ignore[arg-type]

    def _find(self, time_us: int, event_id: str, arrival_us: int) -> int | None:
        place = bisect_left(self.times, time_us)
        while place < len(self.times) and self.times[place] == time_us:
            if self.ids[place] == event_id and self.arrivals[place] == arrival_us:
                return place
            place += 1
        return None


def log_of(slots: Sequence[Slot], deliveries: Iterable[Delivery]) -> EntityLog:
    """The log of deliveries that stand in order of time and id."""
    log = EntityLog(slots)
    for time_us, event_id, arrival_us, until_us, held in deliveries:
        log.times.append(time_us)
        log.arrivals.append(arrival_us)
        log.untils.append(until_us)
        log.ids.append(event_id)
        for column, value in zip(log.columns, held, strict=True):
            column.append(value)  # type: ignore[arg-type]
    log.recount()
    return log


def _is_gap(value: Held) -> bool:
    """Whether a held value says that its delivery does not count."""
    return value is None or value != value  # noqa: PLR0124 - NaN is not itself
