"""The lake as Delta tables in folders: one writer a table, whole appends, each delivery once.

An append is one Delta commit that carries the batch's id as an application
transaction, so "is this batch in the table?" is answered by the same atomic file that
made it be there, also after a kill between any two instructions. Files are flushed
to the disk before the append is acknowledged.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from geartrain.adapters.full_disk import disk_full, took_no_more
from geartrain.adapters.lake_files import KEYS, TableFiles, files_with
from geartrain.data.storable import TIMESTAMP, aligned, joined, storable
from geartrain.errors import LakeUnreadable, WorkspaceBusy
from geartrain.ports.lake import ARRIVAL_TIME, BATCH, EVENT_TIME

_LOG = "_delta_log"
#: Statistics on more columns than the ones that scans filter by would only slow appends down.
#: A server commits several times a second: what was replaced stays for an hour, for readers that began before, and commits that a
#: checkpoint has replaced for two minutes, since each commit lists the folder of commits (a reader that is further behind takes
#: the checkpoint). Delta's own week and month would be a million files by then.
_CONFIGURATION = {
    "delta.dataSkippingStatsColumns": ",".join(KEYS),
    "delta.checkpointInterval": "50",
    "delta.deletedFileRetentionDuration": "interval 1 hours",
    "delta.logRetentionDuration": "interval 2 minutes",
}
#: After how many times that small files are joined those below how many bytes are. A row is written again once in each step
#: and not each time: with one step the work, the memory and the files that were replaced grow with the table.
_STEPS = ((64, 32 * 2**20), (8, 8 * 2**20), (1, 2**20))
#: Rows that are read together: whoever looks for one row by name reads so many of its file, and memory holds them.
_GROUP_ROWS = 4096


class DeltaLake:
    """A `Lake` under the folder *root*.

    Args:
        busy_timeout_s: How long an append waits while another process writes the table.
        compact_every: After how many commits small files are joined.
    """

    def __init__(self, root: str | Path, *, busy_timeout_s: float = 30.0, compact_every: int = 50) -> None:
        self._root = Path(root)
        self._busy_timeout_s = busy_timeout_s
        self._compact_every = compact_every
        self._open: dict[str, Any] = {}
        self._files: dict[str, TableFiles] = {}
        self._one_at_a_time = threading.RLock()

    def append(self, table: str, rows: pa.Table, *, batch: str) -> bool:
        """Append *rows* as *batch*; see the port.

        Raises:
            WorkspaceBusy: Another process kept the table's lock for too long.
            LakeUnreadable: The table is there but damaged.
        """
        rows = _complete(rows, batch)
        with _told(table, self._folder(table)), self._writing(table):
            held = self._held(table)
            if held is not None and held.transaction_version(batch) is not None:
                return False
            if rows.num_rows == 0:
                return True
            self._commit(table, held, rows, batch)
            times, rest = divmod(self._open[table].version() + 1, self._compact_every)
            if not rest:
                self._join_files(self._open[table], below=_below(times))
            return True

    def in_turn(self, table: str) -> AbstractContextManager[object]:
        """One at a time, by a lock of its own beside that of the table's writers; see the port."""
        return self._locked(f"{_quoted(table)}.turn", table)

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
        """Rows by arrival and event time, read from the files that may hold them; see the port."""
        with _told(table, self._folder(table)):
            dataset = self._rows(table)
            if dataset is None:
                return pa.table({})
            wanted = None if columns is None else [name for name in columns if name in dataset.schema.names]
            condition = _condition(dataset.schema, arrived_by, since, until, among)
            if among is not None and wanted != [among[0]]:
                dataset = files_with(dataset, condition)
            found: pa.Table
            if most is None:
                found = dataset.to_table(columns=wanted, filter=condition)
            else:
                found = dataset.head(most, columns=wanted, filter=condition, batch_size=max(most, 1))
            return found

    def batches(self, table: str) -> frozenset[str]:
        """The batches that the table holds."""
        found = self.scan(table, columns=(BATCH,))
        return frozenset(found.column(BATCH).unique().to_pylist()) if found.num_columns else frozenset()

    def version(self, table: str) -> str:
        """The number of the table's last commit, and which table it is; see the port."""
        with _told(table, self._folder(table)):
            held = self._fresh(table)
            return "" if held is None else f"{held.metadata().id}:{held.version()}"

    def tables(self) -> Iterator[str]:
        """The names of all tables, sorted."""
        found: list[str] = []
        for folder, below, _ in os.walk(self._root):
            if _LOG in below:
                below.clear()
                parts = Path(folder).relative_to(self._root).parts
                name = "/".join(_unquoted(part) for part in parts)
                if self._fresh(name) is not None:
                    found.append(name)
            else:
                below[:] = [name for name in below if not name.startswith(".")]
        return iter(sorted(found))

    def compact(self, table: str) -> None:
        """Join small files and write a checkpoint; see the port."""
        with _told(table, self._folder(table)), self._writing(table):
            held = self._held(table)
            if held is not None:
                self._join_files(held, below=_STEPS[0][1])

    def erase(self, table: str, column: str, values: Collection[str]) -> int:
        """Remove rows for good: rewritten without them, then every old file is deleted; see the port."""
        with _told(table, self._folder(table)), self._writing(table):
            held = self._held(table)
            if held is None or column not in _schema(held).names:
                return 0
            gone = _named(held, column, values)
            if gone:
                self._leave_out(held, column, values)
            # Again even where no row is left: a kill may have come between the two.
            held.create_checkpoint()
            held.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
            return gone

    def _leave_out(self, held: Any, column: str, values: Collection[str]) -> None:
        """Write the table again without the rows; a Delta `DELETE` would keep *values* in its history."""
        from deltalake import write_deltalake
        from pyarrow import dataset

        source = held.to_pyarrow_dataset()
        gone = _one_of(source.schema, column, values)
        others = source.scanner(filter=~gone | dataset.field(column).is_null()).to_reader()
        write_deltalake(held, others, mode="overwrite", configuration=_CONFIGURATION)
        held.update_incremental()
        _flush(Path(held.table_uri.removeprefix("file://")), held.version())

    def _commit(self, table: str, held: Any, rows: pa.Table, batch: str) -> None:
        from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

        once = CommitProperties(app_transactions=[Transaction(batch, 1, _millis())])
        folder = self._folder(table)
        if held is None:
            folder.mkdir(parents=True, exist_ok=True)
            write_deltalake(folder, rows, mode="append", commit_properties=once, configuration=_CONFIGURATION)
            held = DeltaTable(folder)
        else:
            rows, widen = aligned(rows, _schema(held))
            if widen:
                self._rewrite(held, rows, widen, once)
            else:
                write_deltalake(held, rows, mode="append", schema_mode="merge", commit_properties=once)
        self._open[table] = held
        _flush(folder, held.version())

    def _rewrite(self, held: Any, rows: pa.Table, widen: Mapping[str, pa.DataType], once: Any) -> None:
        """Widen columns of the whole table and add *rows*, in one commit. Rare: feeds seldom change types."""
        from deltalake import write_deltalake

        together = joined(held.to_pyarrow_dataset().to_table(), rows, widen)
        write_deltalake(
            held, together, mode="overwrite", schema_mode="overwrite", commit_properties=once,
            configuration=_CONFIGURATION,
        )  # fmt: skip

    def _join_files(self, held: Any, *, below: int) -> None:
        """Join files of fewer than *below* bytes, and let go of what was replaced long enough ago."""
        from deltalake import WriterProperties

        if not held.metadata().configuration.items() >= _CONFIGURATION.items():
            held.alter.set_table_properties(_CONFIGURATION)  # made by an earlier version
        before = held.version()
        written = WriterProperties(max_row_group_size=_GROUP_ROWS, compression="SNAPPY")
        held.optimize.compact(target_size=below, max_concurrent_tasks=1, writer_properties=written)
        if held.version() != before:
            _flush(Path(held.table_uri.removeprefix("file://")), held.version())
        # All files that the table does not name: a checkpoint forgets them, and a killed append never named its own.
        held.vacuum(dry_run=False, full=True)
        held.create_checkpoint()
        held.cleanup_metadata()

    def _held(self, table: str) -> Any | None:
        """The table at its newest version, kept open between appends; None where there is none."""
        from deltalake import DeltaTable

        held = self._open.get(table)
        if held is not None and self._there(table):
            held.update_incremental()
            return held
        if not self._there(table):
            self._open.pop(table, None)
            return None
        self._open[table] = DeltaTable(self._folder(table))
        return self._open[table]

    def _fresh(self, table: str) -> Any | None:
        """The table for one reader, at its newest version; None where there is none."""
        with self._one_at_a_time:
            return self._held(table)

    def _rows(self, table: str) -> Any | None:
        """The table's rows at its newest version as a dataset; None where there is no table."""
        with self._one_at_a_time:
            held = self._held(table)
            if held is None:
                return None
            files = self._files.get(table)
            if files is None:
                files = self._files[table] = TableFiles(self._folder(table))
            return files.dataset(held)

    def _there(self, table: str) -> bool:
        """Whether a first commit was made; a kill before it leaves a folder without one."""
        log = self._folder(table) / _LOG
        return log.is_dir() and any(name.suffix in {".json", ".parquet"} for name in log.iterdir())

    def _folder(self, table: str) -> Path:
        parts = table.split("/")
        if not all(parts):
            raise ValueError(f"this is not the name of a table: {table!r}")
        return self._root.joinpath(*(_quoted(part) for part in parts))

    @contextmanager
    def _writing(self, table: str) -> Iterator[None]:
        """Hold the table's lock against other threads and processes; a death lets go of it."""
        with self._one_at_a_time, self._locked(_quoted(table), table):
            yield

    @contextmanager
    def _locked(self, name: str, table: str) -> Iterator[None]:
        locks = self._root / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        handle = os.open(locks / name, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._wait_for(handle, table)
            yield
        finally:
            os.close(handle)

    def _wait_for(self, handle: int, table: str) -> None:
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    raise WorkspaceBusy(
                        "another process is writing to this table",
                        where=f"lake/{table}",
                        found=f"its lock was held for more than {self._busy_timeout_s:g} s",
                        hint="wait until it has ended, then run the same command again",
                    ) from error
                time.sleep(0.005)
            else:
                return


def _below(times: int) -> int:
    """The size of the files that are joined at the *times*-th time."""
    return next(size for every, size in _STEPS if times % every == 0)


def _named(held: Any, column: str, values: Collection[str]) -> int:
    """How many rows have one of *values*, compared as text."""
    source = held.to_pyarrow_dataset()
    return int(source.count_rows(filter=_one_of(source.schema, column, values)))


def _one_of(schema: pa.Schema, column: str, values: Collection[str]) -> Any:
    """The condition that *column*, told as text, is one of *values*; of a text column it can rule out whole files."""
    from pyarrow import dataset

    if column not in schema.names:
        return dataset.scalar(value=False)
    asked = dataset.field(column)
    if schema.field(column).type != pa.string():
        asked = asked.cast(pa.string())
    return asked.isin(pa.array(sorted(values), pa.string()))


def _complete(rows: pa.Table, batch: str) -> pa.Table:
    """Storable rows, the lake's own columns first, `_batch` filled in.

    Raises:
        ValueError: A row has no event or arrival time.
    """
    if BATCH not in rows.column_names:
        rows = rows.append_column(BATCH, pa.array([batch] * rows.num_rows, pa.string()))
    rows = storable(rows)
    for name in (EVENT_TIME, ARRIVAL_TIME):
        missing = name not in rows.column_names or rows.schema.field(name).type != TIMESTAMP
        if rows.num_rows and (missing or rows.column(name).null_count):
            raise ValueError(f"every row of the lake needs a time in `{name}`")
    first = [name for name in KEYS if name in rows.column_names]
    return rows.select([*first, *(name for name in rows.column_names if name not in KEYS)])


def _condition(
    schema: pa.Schema,
    arrived_by: datetime | None,
    since: datetime | None,
    until: datetime | None,
    among: tuple[str, Collection[str]] | None,
) -> Any | None:
    from pyarrow import dataset

    parts = []
    if arrived_by is not None:
        parts.append(dataset.field(ARRIVAL_TIME) <= pa.scalar(arrived_by, TIMESTAMP))
    if since is not None:
        parts.append(dataset.field(EVENT_TIME) >= pa.scalar(since, TIMESTAMP))
    if until is not None:
        parts.append(dataset.field(EVENT_TIME) < pa.scalar(until, TIMESTAMP))
    if among is not None:
        parts.append(_one_of(schema, *among))
    condition = None
    for part in parts:
        condition = part if condition is None else condition & part
    return condition


def _schema(held: Any) -> pa.Schema:
    return pa.schema(held.schema().to_arrow())


def _millis() -> int:
    """When a transaction was made, by the system clock: Delta's bookkeeping, never read by geartrain."""
    return int(datetime.now(UTC).timestamp() * 1000)


def _flush(folder: Path, version: int) -> None:
    """Put a commit and the files that it names onto the disk, past the system's cache."""
    commit = folder / _LOG / f"{version:020}.json"
    paths = [commit]
    for line in commit.read_bytes().splitlines():
        added = json.loads(line).get("add")
        if added is not None:
            paths.append(folder / added["path"])
    for path in (*paths, folder / _LOG, folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _quoted(name: str) -> str:
    """*name* as one safe file name: every other byte as `~` and two hexadecimal digits."""
    safe = re.sub(
        r"[^A-Za-z0-9_.-]", lambda match: "".join(f"~{byte:02x}" for byte in match.group().encode()), name
    )
    return safe if not safe.startswith(".") else "~2e" + safe[1:]


def _unquoted(name: str) -> str:
    raw = re.sub(rb"~([0-9a-f]{2})", lambda match: bytes([int(match.group(1), 16)]), name.encode())
    return raw.decode()


@contextmanager
def _told(table: str, folder: Path) -> Iterator[None]:
    """Tell what Delta, Arrow or the system answered in geartrain's own words."""
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (DeltaError, pa.ArrowException, OSError) as error:
        if took_no_more(error):
            raise disk_full(f"lake/{table}", error) from error
        raise LakeUnreadable(
            f"the table `{table}` cannot be read or written",
            where=str(folder),
            found=str(error),
            hint="restore the folder from a copy; `geartrain doctor` checks every table",
        ) from error
