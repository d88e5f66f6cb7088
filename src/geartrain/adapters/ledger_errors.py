"""What a database's own errors mean for whoever asked the ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from geartrain.adapters.full_disk import disk_full, took_no_more
from geartrain.errors import (
    GeartrainError,
    LedgerConflict,
    LedgerTampered,
    LedgerUnavailable,
    WorkspaceBusy,
)

#: SQLite says FULL for ENOSPC and an I/O error for a quota or file size limit that was met.
_FULL = frozenset({"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_TRUNCATE"})
_DAMAGED = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB"})

#: PostgreSQL's SQLSTATE for a full disk, a lock not granted in time, a row that is there already.
_PG_DISK_FULL, _PG_LOCKED, _PG_UNIQUE = "53100", "55P03", "23505"


@contextmanager
def told(where: str) -> Iterator[None]:
    """Run a block and tell what the database at *where* answered in geartrain's own words."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise _meaning(error, where) from error
    except sa.exc.SQLAlchemyError as error:
        raise LedgerUnavailable(
            "the ledger's database does not answer as a ledger", where=where, found=str(error)
        ) from error
    except OSError as error:
        if took_no_more(error):
            raise disk_full(where, error) from error
        raise LedgerUnavailable(
            "the ledger's file cannot be opened", where=where, found=str(error)
        ) from error


def _meaning(error: sa.exc.DBAPIError, where: str) -> GeartrainError:
    original = error.orig
    found = str(original).strip()
    if isinstance(original, sqlite3.Error):
        return _sqlite_meaning(original, where, found)
    state = getattr(original, "sqlstate", None)
    if state == _PG_DISK_FULL:
        return disk_full(where, found)
    if state == _PG_LOCKED:
        return _busy(where, found)
    if state == _PG_UNIQUE:
        return _conflict(where, found)
    return _unavailable(where, found)


def _sqlite_meaning(error: sqlite3.Error, where: str, found: str) -> GeartrainError:
    name = getattr(error, "sqlite_errorname", "")
    if name in _FULL:
        return disk_full(where, found)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return _busy(where, found)
    if isinstance(error, sqlite3.IntegrityError):
        return _conflict(where, found)
    if name.startswith(tuple(_DAMAGED)):
        return LedgerTampered(
            "the ledger's file is damaged",
            where=where,
            found=found,
            hint="restore the ledger from a copy, and find out who changed it",
        )
    return _unavailable(where, found)


def _busy(where: str, found: str) -> WorkspaceBusy:
    return WorkspaceBusy(
        "another process is writing to the ledger", where=where, found=found, hint="try again in a moment"
    )


def _conflict(where: str, found: str) -> LedgerConflict:
    return LedgerConflict(
        "somebody else appended first",
        where=where,
        found=found,
        hint="read the stream again and decide again",
    )


def _unavailable(where: str, found: str) -> LedgerUnavailable:
    return LedgerUnavailable(
        "the ledger's database does not answer",
        where=where,
        found=found,
        hint="check that it is there, that it runs, and that this user may write to it",
    )
