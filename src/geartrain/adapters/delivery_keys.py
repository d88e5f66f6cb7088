"""Idempotency keys in a SQL database: a SQLite file in the workspace, PostgreSQL by URL, the same code.

A key is kept as a digest of itself: senders may have written a person's name into it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import sqlalchemy as sa

from geartrain.adapters.one_writer import OneWriter
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
        metadata = sa.MetaData(schema=schema)
        self._table = sa.Table(
            "delivery_keys",
            metadata,
            sa.Column("key", sa.String(64), primary_key=True),
            sa.Column("delivery", sa.String(64), nullable=False),
            sa.Column("at_us", sa.BigInteger, nullable=False, index=True),
        )
        self._claims = 0
        self._store = OneWriter(url, metadata, advisory_key=_ADVISORY_KEY)

    def claim(self, product: str, key: str, digest: str, *, now: datetime) -> bool:
        """Insert the key where it is new, and compare; see the port."""
        table, named = self._table, sha256(f"{product}\n{key}".encode()).hexdigest()
        known = sa.select(table.c.delivery).where(table.c.key == named)
        with self._store.reading() as reading:
            found = reading.execute(known.where(table.c.at_us > _us(now - KEPT))).scalar_one_or_none()
        if found is not None:
            return bool(found == digest)
        with self._store.writing() as connection:
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
        self._store.close()


def _us(moment: datetime) -> int:
    return microseconds(moment)
