"""Hot keys: old events of an entity folded into tiles, so that memory and reading stay bounded.

Below a bound an entity's events are kept one by one and every window is exact. Above it
the older half is folded into tiles, states of the same algebra (`features.algebra`). A
tile cannot be cut, so an edge of a window that falls into one moves to the tile's end:

- the far edge may reach back further, and the near edge of a delayed window may end
  earlier, by less than 1/64 of that window's width (`SHARE`); a window never reaches
  past its near edge, and between the edges every event counts once;
- windows that begin within the newest events, at least half the bound, stay exact;
- a decayed sum of a tile is carried forward instead of being summed anew: beside the
  moved edge its relative error stays below 1e-12;
- a correction of an event that is in a tile is not taken, and a read at an earlier
  time sees tiles as they are known now.

Tiles lie on a grid of powers of two that gets coarser with age, so their number follows
the windows (at most 129 for a window without delay), however many events there are.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, assert_never

import numpy as np

from geartrain.domain.features import Aggregation, WindowFeature
from geartrain.features.algebra import Algebra, Told, algebra_of, of_one
from geartrain.features.exact import exact_units
from geartrain.features.plan import FOREVER, Stream

#: The largest share of its width by which tiles may move a window's edge.
SHARE = 1 / 64

#: What an aggregation of a slot is; features that differ in their window only share it.
Kind = tuple[int, Aggregation, int | None, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """The events of one stretch of time: the first's and the last's time, and a state for each kind."""

    first_us: int
    last_us: int
    states: tuple[Any, ...]


class Tiling:
    """How a stream's events are folded: its kinds of aggregation and the edges of its windows."""

    __slots__ = ("_examples", "algebras", "edges", "kinds", "places")

    def __init__(self, stream: Stream) -> None:
        self.kinds: tuple[Kind, ...] = tuple(dict.fromkeys(_kind(*one) for one in stream.features))
        examples = {_kind(feature, slot): feature for feature, slot in stream.features}
        self.places = {kind: place for place, kind in enumerate(self.kinds)}
        self._examples = tuple(examples[kind] for kind in self.kinds)
        self.algebras = tuple(tiled_algebra(one) for one in self._examples)
        edges: set[tuple[int, int]] = set()
        for feature, _ in stream.features:
            if feature.width_us is None:
                edges |= {(feature.delay_us, feature.delay_us)} if feature.delay_us else set()
                continue
            edges |= {(feature.delay_us + feature.width_us, feature.width_us)}
            edges |= {(feature.delay_us, feature.width_us)} if feature.delay_us else set()
        self.edges = tuple(sorted(edges))

    def hop_us(self, age_us: int) -> int:
        """How wide a tile of that age may be: a power of two, below the tolerance of every edge still to pass."""
        ahead = [width for edge, width in self.edges if edge >= age_us]
        return 1 << max(0, int(min(ahead) * SHARE).bit_length() - 1) if ahead else FOREVER

    def tile_of(
        self,
        ids: Sequence[str],
        times: Sequence[int],
        columns: Sequence[Sequence[Any]],
        counts: Sequence[Any],
    ) -> Tile:
        """The tile of events, at least one, that stand in order.

        Args:
            ids: What the events are called.
            times: When they happened.
            columns: For each slot their values.
            counts: For each slot the places of those that count, or None where all do.
        """
        chosen = [
            (columns[slot], times, ids)
            if places is None
            else (
                [columns[slot][place] for place in places],
                [times[place] for place in places],
                [ids[place] for place in places],
            )
            for slot, places in enumerate(counts)
        ]
        return Tile(
            first_us=times[0],
            last_us=times[-1],
            states=tuple(
                self._bulk(place, *chosen[kind[0]], at_us=times[-1]) for place, kind in enumerate(self.kinds)
            ),
        )

    def _bulk(
        self, place: int, values: Sequence[Any], times: Sequence[int], ids: Sequence[str], *, at_us: int
    ) -> Any:
        if not len(times):
            return self.algebras[place].empty
        return _state(self._examples[place], values, times, ids, at_us)

    def cell_end_us(self, times: Sequence[int], start: int, stop: int, now_us: int) -> int:
        """One past the last of the events `start:stop` that may share a tile with the first of them."""
        hop = self.hop_us(now_us - times[start])
        while True:
            end = stop if hop == FOREVER else bisect_left(times, (times[start] // hop + 1) * hop, start, stop)
            narrower = self.hop_us(now_us - times[end - 1])
            if narrower >= hop:
                return end
            hop = narrower

    def joined(self, one: Tile, other: Tile) -> Tile:
        """Both tiles as one."""
        return Tile(
            first_us=min(one.first_us, other.first_us),
            last_us=max(one.last_us, other.last_us),
            states=tuple(
                algebra.merge(a, b)
                for algebra, a, b in zip(self.algebras, one.states, other.states, strict=True)
            ),
        )

    def folded(self, tiles: Sequence[Tile], now_us: int) -> list[Tile]:
        """The tiles in order, joined where they lie in one cell of the grid of their age."""
        kept: list[Tile] = []
        for tile in sorted(tiles, key=lambda tile: (tile.first_us, tile.last_us)):
            if kept:
                before = kept[-1]
                hop = self.hop_us(now_us - tile.last_us)
                if hop == FOREVER or before.first_us // hop == tile.last_us // hop:
                    kept[-1] = self.joined(before, tile)
                    continue
            kept.append(tile)
        return kept

    def value(
        self,
        feature: WindowFeature,
        slot: int,
        tiles: Sequence[Tile],
        values: Sequence[Any],
        times: Sequence[int],
        ids: Sequence[str],
        at_us: int,
    ) -> Told:
        """The feature over those tiles and the events after them, given by their values, times and ids."""
        place = self.places[_kind(feature, slot)]
        algebra = self.algebras[place]
        state = reduce(algebra.merge, (tile.states[place] for tile in tiles), algebra.empty)
        if len(times):
            state = algebra.merge(state, _state(feature, values, times, ids, at_us))
        return algebra.finalize(state, at_us)


def tiled_algebra(feature: WindowFeature) -> Algebra:
    """The feature's algebra with states of bounded size: only that of a decayed sum is another one."""
    if feature.aggregation is not Aggregation.DECAYED_SUM:
        return algebra_of(feature)
    half_life_us = feature.half_life_us or 1

    def carried(state: tuple[int, float], to_us: int) -> float:
        return state[1] * math.pow(2.0, -((to_us - state[0]) / half_life_us))

    def merge(one: Any, other: Any) -> Any:
        if one is None or other is None:
            return other if one is None else one
        later = max(one[0], other[0])
        return later, carried(one, later) + carried(other, later)

    return replace(
        algebra_of(feature),
        empty=None,
        prepare=lambda event: (event.time_us, float(event.value)),
        merge=merge,
        inverse=None,
        finalize=lambda state, at_us: None if state is None else carried(state, at_us),
    )


def _state(
    feature: WindowFeature, values: Sequence[Any], times: Sequence[int], ids: Sequence[str], at_us: int
) -> Any:
    """The state of events, at least one, that stand in order."""
    match feature.aggregation:
        case Aggregation.COUNT:
            return (len(times),)
        case Aggregation.SUM | Aggregation.MEAN:
            return len(times), exact_units(np.asarray(values, dtype=np.float64))
        case Aggregation.RATIO:
            return len(times), sum(1 for value in values if value)
        case Aggregation.MIN:
            return min(values)
        case Aggregation.MAX:
            return max(values)
        case Aggregation.TIME_SINCE:
            return times[-1]
        case Aggregation.DISTINCT:
            return Counter(values)
        case Aggregation.FIRST:
            return (times[0], len(ids[0]), ids[0]), values[0]
        case Aggregation.LAST:
            return (times[-1], len(ids[-1]), ids[-1]), values[-1]
        case Aggregation.LAST_N:
            newest = range(len(times) - 1, max(-1, len(times) - 1 - (feature.n or 1)), -1)
            return tuple(((times[place], len(ids[place]), ids[place]), values[place]) for place in newest)
        case Aggregation.DECAYED_SUM:
            total = of_one(feature, values, times, at_us)
            return None if total is None else (at_us, float(total))
        case _:
            assert_never(feature.aggregation)


def _kind(feature: WindowFeature, slot: int) -> Kind:
    return slot, feature.aggregation, feature.half_life_us, feature.n
