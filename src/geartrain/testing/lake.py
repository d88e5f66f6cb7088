"""What every lake must do, and a lake in memory that does it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from threading import Lock

import pyarrow as pa
import pyarrow.compute as pc

from geartrain.data.storable import TIMESTAMP, aligned, joined, storable
from geartrain.ports.lake import ARRIVAL_TIME, BATCH, EVENT_TIME, Lake

START = datetime(2026, 3, 1, tzinfo=UTC)


class MemoryLake:
    """A `Lake` that lives as long as the process: for tests and for replays."""

    def __init__(self) -> None:
        self._turns: defaultdict[str, Lock] = defaultdict(Lock)
        self.held: dict[str, pa.Table] = {}
        self._taken: set[tuple[str, str]] = set()
        self._erasures = 0

    def copy(self) -> MemoryLake:
        """A lake with the same rows so far; what is appended to one is not in the other."""
        other = MemoryLake()
        other.held, other._taken, other._erasures = dict(self.held), set(self._taken), self._erasures
        return other

    def append(self, table: str, rows: pa.Table, *, batch: str) -> bool:
        """Append *rows* as *batch*; see the port."""
        if not all(table.split("/")):
            raise ValueError(f"this is not the name of a table: {table!r}")
        if BATCH not in rows.column_names:
            rows = rows.append_column(BATCH, pa.array([batch] * rows.num_rows, pa.string()))
        rows = storable(rows)
        for name in (EVENT_TIME, ARRIVAL_TIME):
            missing = name not in rows.column_names or rows.schema.field(name).type != TIMESTAMP
            if rows.num_rows and (missing or rows.column(name).null_count):
                raise ValueError(f"every row of the lake needs a time in `{name}`")
        if (table, batch) in self._taken:
            return False
        if rows.num_rows == 0:
            return True
        held = self.held.get(table)
        if held is not None:
            rows, widen = aligned(rows, held.schema)
            rows = joined(held, rows, widen)
        self.held[table] = rows
        self._taken.add((table, batch))
        return True

    def erase(self, table: str, column: str, values: Collection[str]) -> int:
        """Remove rows for good; see the port."""
        held = self.held.get(table)
        if held is None or column not in held.column_names:
            return 0
        self.held[table] = held.filter(pc.invert(_one_of(held, column, values)))
        gone = int(held.num_rows - self.held[table].num_rows)
        self._erasures += bool(gone)
        return gone

    def in_turn(self, table: str) -> AbstractContextManager[object]:
        """One at a time; see the port."""
        return self._turns[table]

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
        """Rows by arrival and event time; see the port."""
        rows = self.held.get(table)
        if rows is None:
            return pa.table({})
        for name, compare, bound in (
            (ARRIVAL_TIME, pc.less_equal, arrived_by),
            (EVENT_TIME, pc.greater_equal, since),
            (EVENT_TIME, pc.less, until),
        ):
            if bound is not None:
                rows = rows.filter(compare(rows.column(name), pa.scalar(bound, TIMESTAMP)))
        if among is not None:
            rows = rows.filter(_one_of(rows, *among))
        if most is not None:
            rows = rows.slice(0, most)
        return (
            rows if columns is None else rows.select([name for name in columns if name in rows.column_names])
        )

    def batches(self, table: str) -> frozenset[str]:
        """The batches that the table holds."""
        return frozenset(batch for name, batch in self._taken if name == table)

    def version(self, table: str) -> str:
        """How many batches the table has taken, and how often rows were erased; see the port."""
        taken = len(self.batches(table))
        return f"{taken}:{self._erasures}" if taken else ""

    def tables(self) -> Iterator[str]:
        """The names of all tables, sorted."""
        return iter(sorted(self.held))

    def compact(self, table: str) -> None:
        """Join chunks."""
        if table in self.held:
            self.held[table] = self.held[table].combine_chunks()


def _one_of(rows: pa.Table, column: str, values: Collection[str]) -> pa.ChunkedArray:
    """Whether a row's *column*, told as text, is one of *values*."""
    if column not in rows.column_names:
        return pa.chunked_array([pa.array([False] * rows.num_rows, pa.bool_())])
    told = rows.column(column).cast(pa.string())
    return pc.fill_null(pc.is_in(told, value_set=pa.array(sorted(values), pa.string())), fill_value=False)


def rows_at(hours: list[int], *, arrived: list[int] | None = None, **columns: object) -> pa.Table:
    """A few rows with event times *hours* after `START`, which arrived then or at *arrived*."""
    times = pa.array([START + timedelta(hours=hour) for hour in hours], TIMESTAMP)
    seen = pa.array([START + timedelta(hours=hour) for hour in arrived or hours], TIMESTAMP)
    return pa.table({EVENT_TIME: times, ARRIVAL_TIME: seen, **columns})


def check_lake(make: Callable[[], Lake]) -> None:
    """Hold a lake to its port; *make* opens an empty one each time.

    Raises:
        AssertionError: With the promise that was not kept.
    """
    for check in (
        _check_empty, _check_once, _check_versions, _check_clocks, _check_columns, _check_types, _check_widening,
        _check_names, _check_erasure, _check_turns,
    ):  # fmt: skip
        check(make())


def _check_turns(lake: Lake) -> None:
    def once(number: int) -> None:
        with lake.in_turn("p/s"):
            if not lake.scan("p/s").num_rows:
                time.sleep(0.05)
                lake.append("p/s", rows_at([1], x=[float(number)]), batch=f"b{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(once, range(4)))
    assert lake.scan("p/s").num_rows == 1, "of those who look before they append one is first"
    with lake.in_turn("p/s"):
        assert lake.append("p/s", rows_at([2], x=[2.0]), batch="b9"), "who asks for no turn is not held up"


def _check_empty(lake: Lake) -> None:
    found = lake.scan("p/nothing")
    assert (found.num_rows, found.num_columns) == (0, 0), "a table that does not exist is empty"
    assert lake.batches("p/nothing") == frozenset(), "and holds no batch"
    assert list(lake.tables()) == [], "and is not listed"
    lake.compact("p/nothing")
    assert lake.append("p/s", rows_at([]), batch="b0"), "no rows are not a batch that is there already"
    assert lake.batches("p/s") == frozenset(), "and leave nothing behind"


def _check_once(lake: Lake) -> None:
    assert lake.append("p/s", rows_at([1, 2], x=[1.0, 2.0]), batch="b1"), "a new batch is appended"
    assert not lake.append("p/s", rows_at([1, 2], x=[1.0, 2.0]), batch="b1"), (
        "the same batch is not taken twice"
    )
    assert lake.append("p/t", rows_at([1], x=[9.0]), batch="b1"), "batches are counted a table at a time"
    assert lake.append("p/s", rows_at([3], x=[3.0]), batch="b2"), "another batch is appended"
    lake.compact("p/s")
    assert not lake.append("p/s", rows_at([3], x=[3.0]), batch="b2"), "compaction forgets no batch"
    found = lake.scan("p/s")
    assert sorted(found.column("x").to_pylist()) == [1.0, 2.0, 3.0], "every row is there once"
    assert sorted(found.column(BATCH).to_pylist()) == ["b1", "b1", "b2"], "with the batch that brought it"
    assert lake.batches("p/s") == {"b1", "b2"}, "the batches are listed"


def _check_versions(lake: Lake) -> None:
    assert lake.version("p/s") == "", "a table that does not exist has no version"
    lake.append("p/s", rows_at([1], x=[1.0]), batch="b1")
    first = lake.version("p/s")
    assert first, "a table has a version"
    lake.append("p/s", rows_at([1], x=[1.0]), batch="b1")
    lake.append("p/t", rows_at([1], x=[1.0]), batch="b1")
    assert lake.version("p/s") == first, "which stays while nothing is appended to it"
    lake.append("p/s", rows_at([2], x=[2.0]), batch="b2")
    assert lake.version("p/s") != first, "and changes when rows are"


def _check_clocks(lake: Lake) -> None:
    lake.append("p/s", rows_at([1, 2, 3], arrived=[1, 9, 3], x=[1, 2, 3]), batch="b1")

    def at(hour: int | None) -> datetime | None:
        return None if hour is None else START + timedelta(hours=hour)

    def seen(
        *, arrived_by: int | None = None, since: int | None = None, until: int | None = None
    ) -> list[int]:
        found = lake.scan("p/s", arrived_by=at(arrived_by), since=at(since), until=at(until))
        return sorted(found.column("x").to_pylist())

    assert seen(arrived_by=3) == [1, 3], "rows that arrived later were not known then"
    assert seen(arrived_by=0) == [], "before the first arrival nothing was known"
    assert seen(since=2) == [2, 3], "`since` is inclusive"
    assert seen(until=2) == [1], "`until` is exclusive"
    assert seen(arrived_by=3, since=2, until=4) == [3], "bounds are joined"
    moment, step = START + timedelta(hours=5, microseconds=584_695), timedelta(microseconds=1)
    exact = pa.array([moment], TIMESTAMP)
    lake.append("p/u", pa.table({EVENT_TIME: exact, ARRIVAL_TIME: exact}), batch="b1")
    assert lake.scan("p/u", since=moment, until=moment + step).num_rows == 1, "times count to the microsecond"
    assert lake.scan("p/u", arrived_by=moment).num_rows == 1, "on both clocks"
    assert lake.scan("p/u", since=moment + step).num_rows == 0, "and a moment later is later"
    for most, there in ((0, 0), (2, 2), (9, 3)):
        found = lake.scan("p/s", columns=("x",), most=most)
        assert found.num_rows == there, "`most` bounds the rows"
        assert found.column_names == ["x"], "whatever the columns"
    assert lake.scan("p/s", since=at(3), most=2).column("x").to_pylist() == [3], (
        "it counts rows that are wanted"
    )
    asked: tuple[tuple[str, tuple[str, ...], list[int]], ...] = (
        ("x", ("1", "3", "9"), [1, 3]), ("x", (), []), ("nobody", ("1",), []),
    )  # fmt: skip
    for column, values, rows in asked:
        found = lake.scan("p/s", columns=("x",), among=(column, values))
        assert sorted(found.column("x").to_pylist()) == rows, "`among` compares what a column says as text"
    lake.append("p/s", rows_at([4, 5], x=[4, 5], name=["ä", None]), batch="b2")
    assert lake.scan("p/s", among=("name", {"ä", "b"})).column("x").to_pylist() == [4], (
        "a missing value is none"
    )
    assert lake.scan("p/s", until=at(4), among=("name", {"ä"})).num_rows == 0, "beside the bounds"
    assert lake.scan("p/nothing", most=1).num_rows == 0, "a table that does not exist is empty"
    for name in (EVENT_TIME, ARRIVAL_TIME):
        assert lake.scan("p/s").schema.field(name).type == TIMESTAMP, "both clocks are UTC microseconds"
    for wrong in (rows_at([1]).drop_columns([EVENT_TIME]), rows_at([1]).drop_columns([ARRIVAL_TIME])):
        try:
            lake.append("p/s", wrong, batch="b9")
        except ValueError:
            continue
        raise AssertionError("a row without both clocks is refused")


def _check_columns(lake: Lake) -> None:
    lake.append("p/s", rows_at([1], x=[1]), batch="b1")
    lake.append("p/s", rows_at([2], y=["new"]), batch="b2")
    found = {row[BATCH]: row for row in lake.scan("p/s").to_pylist()}
    assert found["b1"]["y"] is None, "a column that is new is null in old rows"
    assert found["b2"]["x"] is None, "a column that is gone is null in new rows"
    assert lake.scan("p/s", columns=("y", "never")).column_names == ["y"], (
        "columns nobody brought are left out"
    )


def _check_types(lake: Lake) -> None:
    everything = rows_at(
        [1, 2],
        nothing=pa.nulls(2),
        nested=[{"a": 1, "b": [None, "é"]}, None],
        listed=[[1, 2], []],
        category=pa.array(["a", "b"]).dictionary_encode(),
        small=pa.array([1, None], pa.int8()),
        half=pa.array([0.5, None], pa.float32()),
        yes=[True, None],
        day=pa.array([0, 1], pa.date32()),
        naive=pa.array([0, 1], pa.timestamp("ns")),
    )
    lake.append("p/s", everything, batch="b1")
    (row,) = [row for row in lake.scan("p/s").to_pylist() if row["yes"]]
    assert "nothing" not in row, "a column in which nothing was ever said is not there"
    assert row["nested"] == '{"a":1,"b":[null,"é"]}', "nested values are JSON text"
    assert row["listed"] == "[1,2]", "lists are JSON text"
    assert (row["category"], row["small"], row["half"]) == ("a", 1, 0.5), "values come back"
    assert row["day"] == row["naive"] == datetime(1970, 1, 1, tzinfo=UTC), "times are UTC"
    lake.append("p/s", rows_at([3], nothing=[1.5], nested=pa.nulls(1), yes=pa.nulls(1)), batch="b2")
    assert lake.scan("p/s").num_rows == 3, "a column may be empty in one batch and full in another"


def _check_widening(lake: Lake) -> None:
    lake.append("p/s", rows_at([1], n=[1], same=[1]), batch="b1")
    lake.append("p/s", rows_at([2], n=[2.5], same=[2.0]), batch="b2")
    assert sorted(lake.scan("p/s").column("n").to_pylist()) == [1.0, 2.5], "whole numbers widen to decimals"
    assert sorted(lake.scan("p/s").column("same").to_pylist()) == [1, 2], "whole decimals are whole numbers"
    lake.append("p/s", rows_at([3], n=["three"]), batch="b3")
    assert set(lake.scan("p/s").column("n").to_pylist()) == {"1", "2.5", "three"}, (
        "and to text; nothing is lost"
    )
    lake.append("p/s", rows_at([4], n=[4]), batch="b4")
    assert lake.scan("p/s").num_rows == 4, "rows of the narrower type still fit"
    assert not lake.append("p/s", rows_at([2], n=[2.5], same=[2.0]), batch="b2"), "widening forgets no batch"
    assert lake.batches("p/s") == {"b1", "b2", "b3", "b4"}, "and no batch's name"


def _check_erasure(lake: Lake) -> None:
    assert lake.erase("p/nothing", "card", ["7"]) == 0, "what is not there cannot be erased"
    lake.append("p/s", rows_at([1, 2, 3], card=[7, 8, None], who=["it's", "b", "c"]), batch="b1")
    before = lake.version("p/s")
    assert lake.erase("p/s", "nobody", ["7"]) == 0, "nor can rows by a column that is not there"
    assert lake.erase("p/s", "card", ["7"]) == 1, "numbers are compared as text"
    assert lake.version("p/s") != before, "and the table is another one now"
    assert lake.scan("p/s").column("who").to_pylist() == ["b", "c"], "all other rows stay"
    assert lake.erase("p/s", "card", ["7"]) == 0, "erasing again finds nothing"
    assert lake.erase("p/s", "who", ["b", "it's"]) == 1, "text is compared as it stands, quotes too"
    lake.append("p/s", rows_at([1], card=[7], who=["it's"]), batch="b1")
    assert lake.scan("p/s").num_rows == 1, "a delivery that is sent again does not bring them back"


def _check_names(lake: Lake) -> None:
    names = ("a/b", "a/b__quarantine", "a b/ü", "a/.hidden", "a/../b")
    for name in names:
        lake.append(name, rows_at([1]), batch="b1")
    assert list(lake.tables()) == sorted(names), "names come back as they were given, sorted"
    for wrong in ("", "/a", "a//b"):
        try:
            lake.append(wrong, rows_at([1]), batch="b1")
        except ValueError:
            continue
        raise AssertionError(f"not the name of a table: {wrong!r}")
