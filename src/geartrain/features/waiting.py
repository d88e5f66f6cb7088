"""Deliveries that came by the batch, kept column by column until their entity is asked for.

Sorting each event into its entity's log costs microseconds. A batch is appended to
columns as a whole instead, and each row is linked to the row before it of the same
entity, all in a few NumPy steps. Whoever reads an entity follows its links and sorts
those few rows in; an entity that nobody asks about costs nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from geartrain.features.exact import Ints
from geartrain.features.log import Column, column_for, id_order
from geartrain.features.naming import Name
from geartrain.features.plan import Slot

#: What a link says where no row comes before, and where the row is in its log already.
_FIRST, _SORTED_IN = -1, -2
#: From so many rows on they are sorted by NumPy.
_MANY = 12


#: Times, ids, arrivals and held columns of rows in order of time and id.
Sorted: TypeAlias = tuple[Ints, list[str], Ints, list[Column]]


class _Codes(dict[Name | None, int]):
    """Whole numbers from 0 on for names, a new one where a name is new; -1 for nobody."""

    def __init__(self) -> None:
        super().__init__({None: -1})
        self.names: list[Name] = []

    def __missing__(self, name: Name) -> int:
        code = self[name] = len(self.names)
        self.names.append(name)
        return code


class Waiting:
    """The rows of a source that came by the batch, and of each of its streams who waits for which."""

    __slots__ = ("arrivals", "ids", "lanes", "size", "times")

    def __init__(self, slots: Sequence[Sequence[Slot]]) -> None:
        self.size = 0
        self.ids: list[Name | None] = []
        self.times = np.empty(0, dtype=np.int64)
        self.arrivals = np.empty(0, dtype=np.int64)
        self.lanes = tuple(Lane(self, one) for one in slots)

    def add(
        self,
        ids: Sequence[Name],
        times: Ints,
        arrivals: Ints,
        entities: Sequence[Sequence[Name | None]],
        held: Sequence[Sequence[Any]],
    ) -> None:
        """Append a batch: entities and held columns once for each stream."""
        begin, end = self.size, self.size + len(ids)
        self.times, self.arrivals = _with_room(self.times, end), _with_room(self.arrivals, end)
        self.times[begin:end], self.arrivals[begin:end] = times, arrivals
        self.ids.extend(ids)
        for lane, who, columns in zip(self.lanes, entities, held, strict=True):
            lane.add(begin, end, who, columns)
        self.size = end

    def entities(self, row: int) -> tuple[Name | None, ...]:
        """Whose event the row is, in each stream."""
        return tuple(lane.entity(row) for lane in self.lanes)


class Lane:
    """One stream's view of the rows: whose each is, its held values, and the rows that wait for an entity."""

    __slots__ = ("_code", "_codes", "_columns", "_counts", "_heads", "_links", "_slots", "_waiting")

    def __init__(self, waiting: Waiting, slots: Sequence[Slot]) -> None:
        self._waiting, self._slots = waiting, slots
        self._codes = _Codes()
        self._code = np.empty(0, dtype=np.int64)
        self._links = np.empty(0, dtype=np.int64)
        self._heads = np.empty(0, dtype=np.int64)
        self._counts = np.empty(0, dtype=np.int64)
        self._columns: list[Any] = [[] if slot.textual else np.empty(0) for slot in slots]

    def add(self, begin: int, end: int, entities: Sequence[Name | None], columns: Sequence[Any]) -> None:
        """Take rows `begin:end` and link each to the row before it of the same entity."""
        code = np.fromiter(map(self._codes.__getitem__, entities), dtype=np.int64, count=end - begin)
        known = self._heads.size
        if known < len(self._codes.names):
            self._heads = _with_room(self._heads, len(self._codes.names))
            self._counts = _with_room(self._counts, len(self._codes.names))
            self._heads[known:], self._counts[known:] = _FIRST, 0
        self._code, self._links = _with_room(self._code, end), _with_room(self._links, end)
        self._code[begin:end] = code
        for place, (slot, column) in enumerate(zip(self._slots, columns, strict=True)):
            if slot.textual:
                self._columns[place].extend(column.tolist())
            else:
                self._columns[place] = _with_room(self._columns[place], end)
                self._columns[place][begin:end] = column
        order = np.argsort(code)
        code = code[order]
        if code[0] < 0:
            nobody = int(np.searchsorted(code, 0))
            self._links[begin + order[:nobody]] = _SORTED_IN
            code, order = code[nobody:], order[nobody:]
        if not code.size:
            return
        rows = begin + order
        starts = np.flatnonzero(np.concatenate(([True], code[1:] != code[:-1])))
        before = np.empty_like(rows)
        before[1:] = rows[:-1]
        before[starts] = self._heads[code[starts]]
        self._links[rows] = before
        stops = np.concatenate((starts[1:], [rows.size]))
        self._heads[code[starts]] = rows[stops - 1]
        self._counts[code[starts]] += stops - starts

    def entity(self, row: int) -> Name | None:
        """Whose event the row is."""
        code = int(self._code[row])
        return None if code < 0 else self._codes.names[code]

    def everybody(self) -> list[Name | None]:
        """Whose event each row is."""
        names = [*self._codes.names, None]  # nobody's code is -1, the last place
        return [names[code] for code in self._code[: self._waiting.size].tolist()]

    def crowded(self, bound: int) -> list[Name]:
        """The entities for whom more than *bound* rows wait."""
        return [self._codes.names[code] for code in np.flatnonzero(self._counts > bound).tolist()]

    def rows_of(self, entity: Name) -> list[int]:
        """The rows that wait for *entity*, newest delivery first; they wait no longer."""
        code = self._codes.get(entity)
        if code is None:
            return []
        row = int(self._heads[code])
        if row < 0:
            return []
        rows, links = [], self._links
        while row >= 0:
            rows.append(row)
            row = int(links[row])
        links[rows] = _SORTED_IN
        self._heads[code], self._counts[code] = _FIRST, 0
        return rows

    def everything(self) -> Iterator[tuple[Name, Sorted]]:
        """Every entity for whom rows wait, with these in order; they wait no longer."""
        rows = np.flatnonzero(self._links[: self._waiting.size] != _SORTED_IN)
        if not rows.size:
            return
        code = self._code[rows]
        order = np.lexsort((self._waiting.times[rows], code))
        rows, code = rows[order], code[order]
        self._links[rows] = _SORTED_IN
        self._heads[:], self._counts[:] = _FIRST, 0
        times, ids, arrivals, columns = self._gathered(rows, code)
        starts = np.flatnonzero(np.concatenate(([True], code[1:] != code[:-1])))
        stops = np.concatenate((starts[1:], [rows.size]))
        for one, start, stop in zip(code[starts].tolist(), starts.tolist(), stops.tolist(), strict=True):
            part = slice(start, stop)
            yield (
                self._codes.names[one],
                (times[part], ids[part], arrivals[part], [one[part] for one in columns]),
            )

    def one(self, row: int) -> list[float | str | None]:
        """The held values of a row."""
        return [
            column[row] if slot.textual else float(column[row])
            for slot, column in zip(self._slots, self._columns, strict=True)
        ]

    def many(self, rows: Ints) -> Sorted:
        """Rows of one entity, given in the order in which they came, in order of time and id."""
        rows = rows[np.argsort(self._waiting.times[rows], kind="stable")]
        return self._gathered(rows, np.zeros(rows.size, dtype=np.int64))

    def _gathered(self, rows: Ints, code: Ints) -> Sorted:
        """What rows in order of entity and time hold; rows of one moment get in order of id."""
        waiting = self._waiting
        times = waiting.times[rows]
        tied = np.flatnonzero((times[1:] == times[:-1]) & (code[1:] == code[:-1]))
        places = rows.tolist()
        ids = [str(waiting.ids[place]) for place in places]
        for run in np.split(tied, np.flatnonzero(np.diff(tied) > 1) + 1) if tied.size else ():
            part = slice(int(run[0]), int(run[-1]) + 2)
            stands = sorted(zip(ids[part], places[part], strict=True), key=lambda one: id_order(one[0]))
            ids[part] = [event_id for event_id, _ in stands]
            places[part] = [place for _, place in stands]
        rows = np.array(places)
        columns: list[Column] = []
        for slot, held in zip(self._slots, self._columns, strict=True):
            column = column_for(slot)
            if slot.textual:
                column.extend([held[place] for place in places])
            else:
                column.frombytes(held[rows].tobytes())  # type: ignore[union-attr]
            columns.append(column)
        return times, ids, waiting.arrivals[rows], columns


def many(rows: Sequence[int]) -> bool:
    """Whether so many rows are better sorted in together than one by one."""
    return len(rows) >= _MANY


def _with_room(values: NDArray[Any], size: int) -> NDArray[Any]:
    if values.size >= size:
        return values
    roomier = np.empty(max(size, 2 * values.size, 1024), dtype=values.dtype)
    roomier[: values.size] = values
    return roomier
