"""The lake: rows as they arrived, on two clocks."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

import pyarrow as pa

#: Columns that the lake adds to every row; names of sources' own columns never begin with `_`.
EVENT_TIME = "_event_time"
ARRIVAL_TIME = "_arrival_time"
BATCH = "_batch"


class Lake(Protocol):
    """Append-only tables by name, such as `card-fraud/transactions`.

    Every row has `_event_time` and `_arrival_time` (timestamp, microseconds, UTC) and
    `_batch`, the id of the delivery that brought it. An append is all or nothing, and
    appending the same (table, batch) again changes nothing. Nested values are kept as JSON
    text, every type as the narrowest one that holds all values the column was ever given
    (whole numbers, decimals, text, truth, UTC microseconds, bytes).
    """

    def append(self, table: str, rows: pa.Table, *, batch: str) -> bool:
        """Append *rows*, adding columns that are new; False if *batch* is in the table already.

        An append of no rows leaves nothing behind and returns True. A column in which
        nothing was ever said (all null, without a type) is not kept.

        Raises:
            DiskFull: Nothing was appended.
            WorkspaceBusy: Another process has been writing the table for too long.
            ValueError: A row lacks one of its two times, or *table* is not a name.
        """

    def in_turn(self, table: str) -> AbstractContextManager[object]:
        """One at a time, among all threads and processes that ask for their turn at *table*.

        For whoever looks first and appends what is not there: between the two nobody else who
        does the same appends. It may be used within itself by no one, and holds up nobody who does not ask.

        Raises:
            WorkspaceBusy: Others have had their turn for too long.
        """

    def scan(
        self,
        table: str,
        *,
        arrived_by: datetime | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        columns: tuple[str, ...] | None = None,
        among: tuple[str, Collection[str]] | None = None,
        most: int | None = None,
    ) -> pa.Table:
        """Rows with arrival at most *arrived_by* and event time in [*since*, *until*), at most *most* of them.

        *among* is a column and the values, told as text, of which it has one: whoever looks for a few rows
        by name has those in memory and no others. In no particular order, and with *most* any of
        them, without reading the others. A table that does not exist yet is empty: zero rows, zero
        columns; of *columns*, those that no batch has brought yet are left out.

        Raises:
            LakeUnreadable: The table is there but damaged.
        """

    def batches(self, table: str) -> frozenset[str]:
        """The batches that the table holds."""

    def version(self, table: str) -> str:
        """Names what the table holds: another name after every append that added rows; empty where there is none.

        It costs no scan, so that what was counted once need not be counted again. It may
        change while the rows do not, as after a compaction.
        """

    def tables(self) -> Iterator[str]:
        """The names of all tables, sorted."""

    def compact(self, table: str) -> None:
        """Join small files; readers and the table's rows are not affected."""

    def erase(self, table: str, column: str, values: Collection[str]) -> int:
        """Remove for good the rows whose *column*, told as text, is one of *values*; how many there were.

        The only thing that ever takes rows out of a table. Afterwards no file of the table
        holds their bytes. The batches that brought them stay known, so that a delivery that
        is sent again does not bring them back. May be repeated: after a kill, the same call
        finishes what was begun.

        Raises:
            WorkspaceBusy: Another process kept the table for too long.
            LakeUnreadable: The table is there but damaged.
        """
