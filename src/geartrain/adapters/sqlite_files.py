"""SQLite files of our own: opened for durable writing, their errors told in geartrain's words."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from geartrain.adapters.full_disk import disk_full
from geartrain.errors import GeartrainError

#: SQLite says FULL for ENOSPC, and an I/O error for a quota or file size limit that was met.
_FULL = frozenset({"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_TRUNCATE"})


def open_file(path: Path, *, busy_timeout_s: float) -> sqlite3.Connection:
    """A connection whose commits are on the disk when they return; transactions are begun by hand."""
    connection = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)
    try:
        write_ahead(connection, patience_s=busy_timeout_s)
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def write_ahead(connection: Any, *, patience_s: float, pause_s: float = 0.01) -> None:
    """Let SQLite write ahead, trying for *patience_s* seconds.

    Of two processes that make a database at the same time one is refused this at once: SQLite's
    own patience does not hold for the switch.

    Raises:
        sqlite3.OperationalError: The database was locked all the time, or cannot be written.
    """
    end = time.monotonic() + patience_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= end:
                raise
            time.sleep(pause_s)
        else:
            return


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
