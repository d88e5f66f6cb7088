"""Snapshots of online state in a SQLite file: state and offset are one row, replaced in one commit."""

from __future__ import annotations

from contextlib import AbstractContextManager
from hashlib import blake2b
from pathlib import Path
from threading import Lock

from geartrain.adapters.sqlite_files import open_file, told
from geartrain.errors import OnlineUnavailable
from geartrain.ports.online_store import Stored

_TABLE = """
CREATE TABLE IF NOT EXISTS states (
    name TEXT PRIMARY KEY, place INTEGER NOT NULL, content BLOB NOT NULL, digest BLOB NOT NULL
)
"""


class SqliteSnapshots:
    """`Snapshots` in one file, from any thread and several processes."""

    def __init__(self, path: Path, *, busy_timeout_s: float = 10.0) -> None:
        self._path, self._one_at_a_time = path, Lock()
        with self._told():
            self._connection = open_file(path, busy_timeout_s=busy_timeout_s)
            self._connection.execute(_TABLE)

    def load(self, name: str) -> Stored | None:
        """What was saved last; see the port."""
        with self._one_at_a_time, self._told():
            row = self._connection.execute(
                "SELECT place, content, digest FROM states WHERE name = ?", (name,)
            ).fetchone()
        if row is None:
            return None
        stored = Stored(offset=row[0], content=row[1])
        if row[2] != _digest(stored):
            raise OnlineUnavailable(
                "this snapshot of online features is damaged",
                where=f"{self._path}, {name}",
                hint="delete the file: the state is rebuilt from the lake or the bus",
            )
        return stored

    def save(self, name: str, stored: Stored) -> None:
        """Replace state and offset; see the port."""
        with self._one_at_a_time, self._told():
            self._connection.execute(
                "INSERT INTO states VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
                "place = excluded.place, content = excluded.content, digest = excluded.digest "
                "WHERE excluded.place >= states.place",
                (name, stored.offset, stored.content, _digest(stored)),
            )

    def forget(self, beginning: str) -> int:
        """Remove every state whose name begins so, and its bytes from the file; it is rebuilt from the lake."""
        with self._one_at_a_time, self._told():
            gone = self._connection.execute(
                "DELETE FROM states WHERE substr(name, 1, ?) = ?", (len(beginning), beginning)
            ).rowcount
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return int(gone)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _told(self) -> AbstractContextManager[None]:
        return told(self._path, "a store of online features", OnlineUnavailable)


def _digest(stored: Stored) -> bytes:
    made = blake2b(str(stored.offset).encode(), digest_size=16)
    made.update(stored.content)
    return made.digest()
