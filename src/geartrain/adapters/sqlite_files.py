"""SQLite files of our own: opened for durable writing, their errors told in geartrain's words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geartrain.adapters.full_disk import disk_full
from geartrain.errors import GeartrainError

#: SQLite says FULL for ENOSPC, and an I/O error for a quota or file size limit that was met.
_FULL = frozenset({"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_TRUNCATE"})


def open_file(path: Path, *, busy_timeout_s: float) -> sqlite3.Connection:
    """A connection whose commits are on the disk when they return; transactions are begun by hand."""
    connection = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def told(where: Path, what: str, kind: type[GeartrainError]) -> Iterator[None]:
    """Run a block; what SQLite answers becomes a full disk, or *kind* said of *what* it is to us."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "") or ""
        if name in _FULL:
            raise disk_full(str(where), error) from error
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise kind(
                f"another process has been writing to {what} for too long",
                where=str(where), found=str(error), hint="try again in a moment",
            ) from error  # fmt: skip
        raise kind(
            f"the file does not answer as {what}",
            where=str(where), found=str(error), hint="check that it is there, whole, and may be written to",
        ) from error  # fmt: skip
