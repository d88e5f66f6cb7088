"""Idempotency keys in a SQL database: a SQLite file in the workspace, PostgreSQL by URL, the same code.

A key is kept as a digest of itself: senders may have written a person's name into it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import sqlalchemy as sa

from geartrain.adapters.databases import connectable, database_url
from geartrain.adapters.ledger_errors import told
from geartrain.domain.columns import microseconds

#: How long a key stands for its delivery, and after how many claims old ones are looked for.
KEPT = timedelta(days=31)
_LOOK_EVERY = 1000
_ADVISORY_KEY = 7_243_614


class SqlDeliveryKeys:
    """`DeliveryKeys` in SQLite or PostgreSQL.

    Args:
        url: A database URL, or the path of a SQLite file, which is made where there is none.
        schema: PostgreSQL: the schema that holds the table; None is the default one.

    Raises:
        LedgerUnavailable: The database does not answer.
    """

    def __init__(self, url: str | Path, *, schema: str | None = None) -> None:
        made = database_url(url)
        self._where = made.render_as_string(hide_password=True)
        self._sqlite = made.get_backend_name() == "sqlite"
        metadata = sa.MetaData(schema=schema)
        self._table = sa.Table(
            "delivery_keys",
            metadata,
            sa.Column("key", sa.String(64), primary_key=True),
            sa.Column("delivery", sa.String(64), nullable=False),
            sa.Column("at_us", sa.BigInteger, nullable=False, index=True),
        )
        self._claims = 0
        with told(self._where):
            self._engine = connectable(made, busy_timeout_s=10.0)
            with self._engine.begin() as connection:
                self._only_one_writes(connection)
                if schema is not None and not self._sqlite:
                    connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
                metadata.create_all(connection)

    def claim(self, product: str, key: str, digest: str, *, now: datetime) -> bool:
        """Insert the key where it is new, and compare; see the port."""
        table, named = self._table, sha256(f"{product}\n{key}".encode()).hexdigest()
        known = sa.select(table.c.delivery).where(table.c.key == named)
        with told(self._where), self._engine.connect() as reading:
            found = reading.execute(known.where(table.c.at_us > _us(now - KEPT))).scalar_one_or_none()
        if found is not None:
            return bool(found == digest)
        with self._writing() as connection:
            if self._claims % _LOOK_EVERY == 0:
                connection.execute(sa.delete(table).where(table.c.at_us <= _us(now - KEPT)))
            self._claims += 1
            connection.execute(sa.delete(table).where(table.c.key == named, table.c.at_us <= _us(now - KEPT)))
            first = connection.execute(known).scalar_one_or_none()
            if first is None:
                connection.execute(sa.insert(table).values(key=named, delivery=digest, at_us=_us(now)))
        return bool(first in {None, digest})

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with told(self._where), self._engine.begin() as connection:
            self._only_one_writes(connection)
            yield connection

    def _only_one_writes(self, connection: sa.Connection) -> None:
        """Writers form one line, so that a key that was new is still new when it is written."""
        if self._sqlite:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_KEY)))


def _us(moment: datetime) -> int:
    return microseconds(moment)
