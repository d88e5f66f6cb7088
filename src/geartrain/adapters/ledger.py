"""The ledger in a SQL database: SQLite in the workspace, PostgreSQL by URL, the same code.

One row of `ledger_head` holds the length and the last hash. Every append locks it
first (SQLite: `BEGIN IMMEDIATE`, PostgreSQL: `SELECT ... FOR UPDATE`), so appends of all
processes form one line, positions have no gaps, and rows cut off the end are noticed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from geartrain.adapters.databases import connectable, database_url
from geartrain.adapters.ledger_errors import told
from geartrain.domain.chain import GENESIS, decode_event, link, told_again
from geartrain.domain.digest import plain
from geartrain.domain.events import Event, Recorded
from geartrain.errors import LedgerConflict, LedgerTampered, LedgerUnavailable

#: The layout below; a database with a higher one was written by a newer geartrain.
SCHEMA_VERSION = 1

_PAGE = 2000
_ADVISORY_KEY = 7_243_611


class SqlLedger:
    """A `Ledger` in any database that SQLAlchemy reaches; made for SQLite and PostgreSQL.

    Args:
        url: A database URL such as `postgresql+psycopg://user@host/name`, or the path
            of a SQLite file, which is made where there is none.
        schema: PostgreSQL: the schema that holds the tables; None is the default one.
        busy_timeout_s: How long an append waits for another writer.

    Raises:
        LedgerUnavailable: The database does not answer, or is newer than this program.
    """

    def __init__(self, url: str | Path, *, schema: str | None = None, busy_timeout_s: float = 10.0) -> None:
        self._url = database_url(url)
        self._where = self._url.render_as_string(hide_password=True)
        self._sqlite = self._url.get_backend_name() == "sqlite"
        self._busy_timeout_ms = int(busy_timeout_s * 1000)
        self._schema = schema
        self._metadata = sa.MetaData(schema=schema)
        self._events, self._head, self._layout = _tables(self._metadata)
        with told(self._where):
            self._engine = connectable(self._url, busy_timeout_s=busy_timeout_s, on_begin=_begin)
            self._writing = self._engine.execution_options(geartrain_writes=True)
            self._prepare()

    def append(
        self,
        stream: str,
        events: Sequence[Event],
        *,
        at: datetime,
        actor: str,
        expected_version: int | None = None,
    ) -> tuple[Recorded, ...]:
        """Append *events*, durable when this returns; see the port.

        Every event is read back from its own bytes before it is kept: a ledger must
        never hold what it cannot tell again.
        """
        encoded = [told_again(event) for event in events]
        at_text = str(plain(at))
        with told(self._where), self._write() as connection:
            version = self._version(connection, stream)
            if expected_version is not None and version != expected_version:
                raise LedgerConflict(
                    f"somebody else appended to `{stream}` first",
                    where=self._where,
                    found=f"version {version}, expected {expected_version}",
                    hint="read the stream again and decide again",
                )
            length, previous = self._locked_head(connection)
            rows: list[dict[str, Any]] = []
            for offset, (kind, body) in enumerate(encoded, start=1):
                row: dict[str, Any] = {
                    "position": length + offset,
                    "stream": stream,
                    "version": version + offset,
                    "at": at_text,
                    "actor": actor,
                    "kind": kind,
                    "body": body,
                    "previous": previous,
                }
                previous = link(**row)
                rows.append({**row, "hash": previous})
            if rows:
                connection.execute(sa.insert(self._events), rows)
                connection.execute(sa.update(self._head).values(length=length + len(rows), hash=previous))
        return tuple(_recorded(row, event) for row, event in zip(rows, events, strict=True))

    def version(self, stream: str) -> int:
        """The number of events in *stream*."""
        with told(self._where), self._engine.begin() as connection:
            return self._version(connection, stream)

    def read(self, stream: str, *, after: int = 0) -> Iterator[Recorded]:
        """The events of *stream* with a version above *after*, in order."""
        table = self._events.c
        for row in self._pages(table.version, after, table.stream == stream):
            yield self._decoded(row)

    def read_all(self, *, after: int = 0) -> Iterator[Recorded]:
        """Every event with a position above *after*, in order."""
        for row in self._pages(self._events.c.position, after):
            yield self._decoded(row)

    def verify(self) -> int:
        """Recompute the whole chain, page by page, and return its length; see the port."""
        with told(self._where), self._engine.begin() as connection:
            promised, promised_hash = self._head_of(connection)
            last = connection.execute(sa.select(sa.func.max(self._events.c.position))).scalar_one() or 0
        self._hold(last <= promised, promised + 1, "an event was added behind the ledger's back")
        length, previous = 0, GENESIS
        versions: dict[str, int] = {}
        rows = self._pages(self._events.c.position, None)
        for row in itertools.islice(rows, promised):
            length += 1
            stream = row["stream"]
            expected = versions.get(stream, 0) + 1
            kept = dict(row)
            stored_hash = kept.pop("hash")
            self._hold(row["position"] == length, length, "an event is missing or out of order")
            self._hold(row["version"] == expected, length, f"the history of `{stream}` has a gap")
            self._hold(row["previous"] == previous, length, "it does not follow the event before it")
            self._hold(stored_hash == link(**kept), length, "its content is not what was recorded")
            versions[stream] = expected
            previous = stored_hash
        self._hold(length == promised, length + 1, f"{promised - length} events at the end are missing")
        self._hold(previous == promised_hash, length, "the recorded head is not the last event")
        return length

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def _hold(self, holds: bool, position: int, why: str) -> None:  # noqa: FBT001 - it reads as a sentence
        if not holds:
            raise LedgerTampered(
                f"the ledger does not hold at position {position}: {why}",
                where=self._where,
                hint="restore the ledger from a copy, and find out who changed it",
            )

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        with self._writing.connect() as connection, connection.begin():
            if not self._sqlite:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {self._busy_timeout_ms}")
                connection.execute(sa.select(self._head.c.id).with_for_update())
            yield connection

    def _prepare(self) -> None:
        """Make the tables where there are none; readers of a ready ledger take no lock."""
        with self._engine.begin() as connection:
            ready = sa.inspect(connection).has_table(self._layout.name, schema=self._schema)
        if not ready:
            with self._writing.connect() as connection, connection.begin():
                self._create(connection)
        with self._engine.begin() as connection:
            found = connection.execute(sa.select(self._layout.c.version)).scalar_one()
        if found > SCHEMA_VERSION:
            raise LedgerUnavailable(
                "the ledger was written by a newer geartrain",
                where=self._where,
                found=f"layout {found}, this program knows {SCHEMA_VERSION}",
                hint="upgrade geartrain",
            )

    def _create(self, connection: sa.Connection) -> None:
        if not self._sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_KEY)))
            if self._schema is not None:
                connection.execute(sa.schema.CreateSchema(self._schema, if_not_exists=True))
        self._metadata.create_all(connection)
        if connection.execute(sa.select(sa.func.count()).select_from(self._layout)).scalar_one() == 0:
            connection.execute(sa.insert(self._layout).values(version=SCHEMA_VERSION))
            connection.execute(sa.insert(self._head).values(id=1, length=0, hash=GENESIS))

    def _version(self, connection: sa.Connection, stream: str) -> int:
        table = self._events.c
        query = sa.select(sa.func.coalesce(sa.func.max(table.version), 0)).where(table.stream == stream)
        return int(connection.execute(query).scalar_one())

    def _head_of(self, connection: sa.Connection) -> tuple[int, str]:
        row = connection.execute(sa.select(self._head.c.length, self._head.c.hash)).one_or_none()
        if row is None:
            raise LedgerTampered("the ledger has lost its head", where=self._where)
        return int(row.length), str(row.hash)

    def _locked_head(self, connection: sa.Connection) -> tuple[int, str]:
        """The head, which `_write` has locked; refuses to build on an end that was cut off."""
        length, previous = self._head_of(connection)
        table = self._events.c
        last = connection.execute(
            sa.select(table.position, table.hash).order_by(table.position.desc()).limit(1)
        ).one_or_none()
        found = (0, GENESIS) if last is None else (last.position, last.hash)
        self._hold(found == (length, previous), length, "the last event is not the recorded head")
        return length, previous

    def _pages(
        self, order: sa.Column[Any], after: int | None, *conditions: sa.ColumnElement[bool]
    ) -> Iterator[Mapping[str, Any]]:
        """Rows in *order*, each page in a short transaction of its own, so that no reader holds anything up."""
        columns = [column.label(column.key) for column in self._events.c]
        last: Any = after
        while True:
            beyond = () if last is None else (order > last,)
            query = sa.select(*columns).where(*conditions, *beyond).order_by(order).limit(_PAGE)
            with told(self._where), self._engine.begin() as connection:
                page = connection.execute(query).mappings().all()
            yield from (dict(row) for row in page)
            if len(page) < _PAGE:
                return
            last = page[-1][order.key]

    def _decoded(self, row: Mapping[str, Any]) -> Recorded:
        try:
            return _recorded(row, decode_event(row["kind"], row["body"]))
        except KeyError as error:
            raise LedgerUnavailable(
                f"this program knows no event `{row['kind']}`",
                where=f"{self._where} position {row['position']}",
                hint="upgrade geartrain, or run `geartrain ledger verify`",
            ) from error
        except (msgspec.DecodeError, ValueError, TypeError) as error:
            raise LedgerTampered(
                f"the event at position {row['position']} cannot be read",
                where=self._where,
                found=str(error),
                hint="run `geartrain ledger verify`",
            ) from error


def _begin(connection: sa.Connection) -> None:
    """Writers take SQLite's only lock at once; readers of a write-ahead log take none."""
    writes = connection.get_execution_options().get("geartrain_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _tables(metadata: sa.MetaData) -> tuple[sa.Table, sa.Table, sa.Table]:
    """Events, the head, and the layout's version. Times and bodies are text: their bytes are hashed."""
    events = sa.Table(
        "events",
        metadata,
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True,
                  autoincrement=False),
        sa.Column("stream", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False, key="kind"),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("previous", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.UniqueConstraint("stream", "version"),
    )  # fmt: skip
    head = sa.Table(
        "ledger_head",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    layout = sa.Table("ledger_layout", metadata, sa.Column("version", sa.Integer, primary_key=True))
    return events, head, layout


def _recorded(row: Mapping[str, Any], event: Event) -> Recorded:
    return Recorded(
        position=row["position"],
        stream=row["stream"],
        version=row["version"],
        at=datetime.fromisoformat(row["at"]),
        actor=row["actor"],
        event=event,
        previous=row["previous"],
        hash=row["hash"],
    )
