"""The bus in a SQLite file: nothing to start, and durable before a publisher is told so.

Publishers that come at the same time share one commit, and so one `fsync`, which is what
a publish costs. Readers see a commit as soon as it is made: in the same process at once,
in another by looking at the file's version every few milliseconds.

One member a group: it holds a lock of the operating system, which is free again the
moment its process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Condition, Lock, local
from typing import IO
from zlib import crc32

from geartrain.adapters.sqlite_files import open_file, told
from geartrain.errors import BusUnavailable, GeartrainError, WorkspaceBusy
from geartrain.ports.bus import Member, Message

#: How often a reader looks for what other processes wrote.
_LOOK_S = 0.004
#: Messages that a search through a topic holds at once.
_AT_ONCE = 10_000
_PLAIN = re.compile(r"[^A-Za-z0-9._-]")

_TABLES = """
CREATE TABLE IF NOT EXISTS messages (
    topic TEXT NOT NULL, part INTEGER NOT NULL, place INTEGER NOT NULL,
    at_us INTEGER NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (topic, part, place)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ends (
    topic TEXT NOT NULL, part INTEGER NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (topic, part)
) WITHOUT ROWID;
"""


class _Waiting:
    """A publish that waits for its commit."""

    __slots__ = ("done", "error", "messages", "places", "topic")

    def __init__(self, topic: str, messages: Sequence[tuple[str, bytes]]) -> None:
        self.topic, self.messages = topic, messages
        self.places: list[tuple[int, int]] = []
        self.error: Exception | None = None
        self.done = False


class SqliteBus:
    """A `Bus` in one file; *partitions* of each topic, *clock* in microseconds since 1970.

    Args:
        path: The file; its folder must exist.
        partitions: Fixed for the life of the file.
        clock: What `Message.at_us` is taken from.
        busy_timeout_s: How long a publish waits for another process's.
    """

    def __init__(
        self,
        path: Path,
        *,
        partitions: int = 1,
        clock: Callable[[], int] = lambda: time.time_ns() // 1000,
        busy_timeout_s: float = 10.0,
    ) -> None:
        self._path, self._partitions, self._clock, self._busy_s = path, partitions, clock, busy_timeout_s
        self._waiting: list[_Waiting] = []
        self._gate, self._writing = Lock(), Lock()
        self._news = Condition()
        self._own = local()
        self._all: list[sqlite3.Connection] = []
        with self._told(), self._connection() as connection:
            connection.executescript(_TABLES)

    def publish(self, topic: str, messages: Sequence[tuple[str, bytes]]) -> tuple[tuple[int, int], ...]:
        """Append messages; see the port. Whoever holds the pen commits for all who wait."""
        mine = _Waiting(topic, messages)
        with self._gate:
            self._waiting.append(mine)
        with self._writing:
            if not mine.done:
                with self._gate:
                    group, self._waiting = self._waiting, []
                self._commit(group)
        if mine.error is not None:
            raise mine.error
        return tuple(mine.places)

    def subscribe(self, topic: str, *, group: str, member: Member) -> SqliteSubscription:
        """Join *group* as its only member; see the port."""
        return SqliteSubscription(self, topic, group, member)

    def ends(self, topic: str) -> Mapping[int, int]:
        """For each partition the offset that the next message gets."""
        with self._told():
            found = dict(
                self._own_connection().execute("SELECT part, place FROM ends WHERE topic = ?", (topic,))
            )
        return {part: found.get(part, 0) for part in range(self._partitions)}

    def forget(self, topic: str, partition: int, *, before: int) -> int:
        """Delete the messages before an offset that every reader has committed; how many were deleted."""
        with self._told(), self._writing, self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            gone = connection.execute(
                "DELETE FROM messages WHERE topic = ? AND part = ? AND place < ?", (topic, partition, before)
            ).rowcount
            connection.execute("COMMIT")
        return gone

    def holding(self, topic: str, chosen: Callable[[Message], bool]) -> tuple[tuple[int, int], ...]:
        """Where messages stand that *chosen* says; reads the whole topic, a part at a time."""
        found: list[tuple[int, int]] = []
        for partition in self.ends(topic):
            begin = 0
            while messages := self.after(topic, partition, begin=begin, most=_AT_ONCE):
                found += [(partition, one.offset) for one in messages if one.value and chosen(one)]
                begin = messages[-1].offset + 1
        return tuple(found)

    def blank(self, topic: str, places: Sequence[tuple[int, int]]) -> None:
        """Overwrite messages with nothing, in the file and in its write-ahead log."""
        with self._told(), self._writing, self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "UPDATE messages SET name = '', value = x'' WHERE topic = ? AND part = ? AND place = ?",
                [(topic, part, place) for part, place in places],
            )
            connection.execute("COMMIT")
            self._empty_log(connection)

    def close(self) -> None:
        """Close the connections of every thread."""
        with self._gate:
            everyone, self._all = self._all, []
        for connection in everyone:
            connection.close()

    # For the subscription.

    def first(self, topic: str, partition: int) -> int | None:
        """The first offset that is still kept; None where nothing is."""
        with self._told():
            row = (
                self._own_connection()
                .execute("SELECT min(place) FROM messages WHERE topic = ? AND part = ?", (topic, partition))
                .fetchone()
            )
        return None if row is None else row[0]

    def after(self, topic: str, partition: int, *, begin: int, most: int) -> list[Message]:
        """The messages from offset *begin* on, at most so many."""
        with self._told():
            rows = self._own_connection().execute(
                "SELECT place, name, value, at_us FROM messages WHERE topic = ? AND part = ? AND place >= ? "
                "ORDER BY place LIMIT ?",
                (topic, partition, begin, most),
            )
            return [
                Message(partition=partition, offset=place, key=name, value=value, at_us=at_us)
                for place, name, value, at_us in rows
            ]

    def wait(self, timeout_s: float) -> None:
        """Sleep until something was published here, or for a look at what others published."""
        with self._news:
            self._news.wait(min(timeout_s, _LOOK_S))

    def lock_path(self, topic: str, group: str) -> Path:
        """The file whose lock is the place in *group*."""
        return self._path.with_name(f"{self._path.name}.{_PLAIN.sub('_', f'{topic}.{group}')}.lock")

    def _empty_log(self, connection: sqlite3.Connection) -> None:
        """Bring the write-ahead log into the file and cut it off: it holds old pages until then."""
        until = time.monotonic() + self._busy_s
        while True:
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                return
            if time.monotonic() > until:
                raise BusUnavailable(
                    "another process has been reading the bus for too long",
                    where=str(self._path), found="its write-ahead log still holds old pages",
                    hint="do it again in a moment",
                )  # fmt: skip
            time.sleep(_LOOK_S)

    def _commit(self, group: Sequence[_Waiting]) -> None:
        try:
            with self._told(), self._connection() as connection:
                connection.execute("BEGIN IMMEDIATE")
                self._write(connection, group)
                connection.execute("COMMIT")
        except (GeartrainError, sqlite3.Error, TypeError, ValueError) as error:
            for one in group:
                one.error = error
        for one in group:
            one.done = True
        with self._news:
            self._news.notify_all()

    def _write(self, connection: sqlite3.Connection, group: Sequence[_Waiting]) -> None:
        at_us, rows = self._clock(), []
        ends: dict[tuple[str, int], int] = {}
        for one in group:
            one.places = []
            for key, value in one.messages:
                part = crc32(key.encode()) % self._partitions
                place = ends.get((one.topic, part))
                if place is None:
                    found = connection.execute(
                        "SELECT place FROM ends WHERE topic = ? AND part = ?", (one.topic, part)
                    ).fetchone()
                    place = found[0] if found else 0
                rows.append((one.topic, part, place, at_us, key, value))
                one.places.append((part, place))
                ends[one.topic, part] = place + 1
        connection.executemany("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)", rows)
        connection.executemany(
            "INSERT OR REPLACE INTO ends VALUES (?, ?, ?)",
            [(topic, part, place) for (topic, part), place in ends.items()],
        )

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """The thread's connection, with whatever was begun and not committed taken back."""
        connection = self._own_connection()
        try:
            yield connection
        finally:
            if connection.in_transaction:
                connection.rollback()

    def _own_connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = open_file(self._path, busy_timeout_s=self._busy_s)
            connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten
            self._own.connection = connection
            with self._gate:
                self._all.append(connection)
        return connection

    def _told(self) -> AbstractContextManager[None]:
        return told(self._path, "the bus", BusUnavailable)


class SqliteSubscription:
    """The one member of a group; reads each partition in turn."""

    def __init__(self, bus: SqliteBus, topic: str, group: str, member: Member) -> None:
        self._bus, self._topic, self._member = bus, topic, member
        self._lock = _hold(bus.lock_path(topic, group))
        self._next: dict[int, int] = {}
        self._turn = 0
        try:
            for partition in bus.ends(topic):
                self._next[partition] = self._begin(partition)
        except BaseException:
            self._lock.close()
            raise

    def poll(self, *, most: int, timeout_s: float) -> Sequence[Message]:
        """The next messages; see the port."""
        until = time.monotonic() + timeout_s
        while True:
            found = self._take(most)
            left = until - time.monotonic()
            if found or left <= 0:
                return found
            self._bus.wait(left)

    def partitions(self) -> frozenset[int]:
        """All of them."""
        return frozenset(self._next)

    def close(self) -> None:
        """Leave the group; see the port."""
        try:
            while self._next:
                partition, _ = self._next.popitem()
                self._member.lost(partition)
        finally:
            self._lock.close()

    def _take(self, most: int) -> list[Message]:
        """From one partition after the other, beginning with another one each time."""
        found: list[Message] = []
        held = sorted(self._next)
        self._turn += 1
        for place in range(len(held)):
            partition = held[(self._turn + place) % len(held)]
            more = self._bus.after(
                self._topic, partition, begin=self._next[partition], most=most - len(found)
            )
            if more:
                self._next[partition] = more[-1].offset + 1
                found.extend(more)
            if len(found) >= most:
                break
        return found

    def _begin(self, partition: int) -> int:
        begin, end = self._member.gained(partition), self._bus.ends(self._topic)[partition]
        first = self._bus.first(self._topic, partition)
        oldest = end if first is None else first
        if begin > end or begin < oldest:
            raise BusUnavailable(
                "the bus does not hold the messages that come next",
                where=f"{self._topic}, partition {partition}",
                found=f"messages {oldest} to {end - 1}, wanted from {begin} on"
                if end
                else f"no messages, wanted from {begin} on",
                hint="the state was made from another bus, or messages were deleted; rebuild it from the lake",
            )
        return begin


def _hold(path: Path) -> IO[str]:
    """The lock at *path*, free again when the file is closed or the process has ended."""
    lock = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        found = f"process {lock.read().strip() or 'unknown'}"
        lock.close()
        raise WorkspaceBusy(
            "another process reads the bus for this group",
            where=str(path), found=found, hint="one member a group; wait until it has ended",
        ) from error  # fmt: skip
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock
