"""Many entities of one stream, read at one moment by the kernel that serves tables.

Whoever asks about a hundred entities pays Python's price for each of them, if they are
read one by one. Their logs are plain arrays, so they are laid end to end instead, both
edges of every window are counted for all entities at once, and each aggregation is one
call for all entities and windows. The values are those of `EntityLog.tell`, bit for bit:
the kernel and the algebra agree, and a test holds them to it.

Texts, and entities whose older events are in tiles, are read one by one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.features import Aggregation, WindowFeature
from geartrain.features.exact import Floats, Ints
from geartrain.features.kernel import Events, reduce_windows
from geartrain.features.log import EntityLog
from geartrain.features.plan import FOREVER, Stream

#: From so many entities on it is cheaper to read them together.
TOGETHER = 16

#: Of what a value is made beside its window: features that are alike share one call.
_Kind = tuple[Aggregation, int | None, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One slot's features: a feature of each kind, and for each feature its name, kind and window."""

    slot: int
    kinds: tuple[WindowFeature, ...]
    places: tuple[tuple[str, int, int], ...]


class Together:
    """A stream's features of numbers, arranged for reading many entities at once.

    Attributes:
        names: The features, in the order of the columns of `of`.
    """

    __slots__ = ("_asked", "_edges", "_horizon_us", "_kinds", "_places", "_stream", "names")

    def __init__(self, stream: Stream) -> None:
        numbers = [(one, slot) for one, slot in stream.features if not stream.slots[slot].textual]
        self._stream, self._horizon_us = stream, stream.horizon_us
        self._edges = tuple(dict.fromkeys((one.delay_us, one.width_us) for one, _ in numbers))
        by_slot: dict[int, list[WindowFeature]] = {}
        for one, slot in numbers:
            by_slot.setdefault(slot, []).append(one)
        self._asked = tuple(self._arranged(slot, some) for slot, some in by_slot.items())
        self.names = tuple(name for one in self._asked for name, _, _ in one.places)

    def of(self, logs: Sequence[EntityLog], at_us: int, known_us: int) -> list[list[float | None]]:
        """For each log the value of every feature of `names`.

        Args:
            logs: Of different entities or of the same, none of them with tiles.
            at_us: The time from which windows reach back.
            known_us: The time by which deliveries must have arrived.
        """
        starts = self._begins(logs, at_us)
        lengths = np.array(list(map(len, [log.times for log in logs])), dtype=np.int64)
        if starts is not None:
            lengths -= starts
        times = _ints(_laid([log.times for log in logs], starts))
        seen = self._seen(logs, starts, known_us)
        owners = np.repeat(np.arange(len(logs)), lengths)
        windows = len(self._edges)
        moments = np.full(windows * len(logs), at_us, dtype=np.int64)
        whole: tuple[Ints, Ints] | None = None
        columns: list[Floats] = []
        for asked in self._asked:
            values = np.frombuffer(_laid([log.columns[asked.slot] for log in logs], starts))
            counts = seen
            if not self._stream.slots[asked.slot].whole and any(log.gaps[asked.slot] for log in logs):
                there = ~np.isnan(values)
                counts = there if counts is None else counts & there
            if counts is None:
                if whole is None:
                    whole = self._bounds(times, lengths, at_us)
                (low, high), events = whole, Events(owners, times, values)
            else:
                held = np.bincount(owners[counts], minlength=len(logs))
                low, high = self._bounds(times[counts], held, at_us)
                events = Events(owners[counts], times[counts], values[counts])
            made = reduce_windows(asked.kinds, events, low, high, moments)
            shaped = [one.reshape(windows, len(logs)) for one in made]
            columns += [shaped[kind][window] for _, kind, window in asked.places]
        return _told(np.array(columns).T)

    def _arranged(self, slot: int, features: Sequence[WindowFeature]) -> _Asked:
        kinds: dict[_Kind, WindowFeature] = {}
        for one in features:
            kinds.setdefault(_kind(one), one)
        order = list(kinds)
        return _Asked(
            slot=slot,
            kinds=tuple(kinds.values()),
            places=tuple(
                (one.name, order.index(_kind(one)), self._edges.index((one.delay_us, one.width_us)))
                for one in features
            ),
        )

    def _begins(self, logs: Sequence[EntityLog], at_us: int) -> list[int] | None:
        """Where each log's events begin that any window reaches; None where that is the first everywhere."""
        if self._horizon_us is None:
            return None
        first_us = at_us - self._horizon_us
        times = [log.times for log in logs]
        if all(not one or one[0] >= first_us for one in times):
            return None
        return [bisect_left(one, first_us) for one in times]

    def _seen(
        self, logs: Sequence[EntityLog], starts: Sequence[int] | None, known_us: int
    ) -> NDArray[np.bool_] | None:
        """Which deliveries are visible; None where all are."""
        seen: NDArray[np.bool_] | None = None
        if max([log.newest for log in logs]) > known_us:
            seen = _ints(_laid([log.arrivals for log in logs], starts)) <= known_us
        if any(log.corrected for log in logs):
            open_still = _ints(_laid([log.untils for log in logs], starts)) > known_us
            seen = open_still if seen is None else seen & open_still
        return seen

    def _bounds(self, times: Ints, lengths: Ints, at_us: int) -> tuple[Ints, Ints]:
        """The slice of each window of each entity, windows one after the other."""
        ends = np.cumsum(lengths)
        begins = ends - lengths
        some = lengths > 0
        padded = np.append(times, FOREVER)
        found: dict[int, Ints] = {}

        def before(edge_us: int) -> Ints:
            """For each entity the place of its first event from the edge on."""
            if edge_us not in found:
                passed = np.add.reduceat((padded < edge_us).astype(np.int64), begins)
                found[edge_us] = begins + np.where(some, passed, 0)
            return found[edge_us]

        low, high = [], []
        for delay_us, width_us in self._edges:
            high.append(before(at_us - delay_us))
            low.append(before(-FOREVER if width_us is None else at_us - delay_us - width_us))
        return np.concatenate(low), np.concatenate(high)


def _kind(feature: WindowFeature) -> _Kind:
    return feature.aggregation, feature.n, feature.half_life_us


def _laid(columns: Sequence[Any], starts: Sequence[int] | None) -> bytes:
    """Arrays of eight bytes an item, end to end, each from its start on."""
    if starts is not None:
        columns = [column[start:] for column, start in zip(columns, starts, strict=True)]
    return b"".join(columns)


def _ints(content: bytes) -> Ints:
    return np.frombuffer(content, dtype=np.int64)


def _told(values: Floats) -> list[list[float | None]]:
    """The values as Python's own, None for NaN."""
    nothing = np.isnan(values)
    if not nothing.any():
        return values.tolist()  # type: ignore[no-any-return]
    told = values.astype(object)
    told[nothing] = None
    return told.tolist()  # type: ignore[no-any-return]
