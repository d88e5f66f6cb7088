"""Tables in SQLite or PostgreSQL whose writers form one line: what one has read is still so when it writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from geartrain.adapters.databases import connectable, database_url
from geartrain.adapters.ledger_errors import told


class OneWriter:
    """The tables of *metadata*, made where there are none, read by many and written by one at a time.

    Args:
        url: A database URL, or the path of a SQLite file, which is made where there is none.
        advisory_key: PostgreSQL: the lock that its writers wait for, another one for each store.
        private: SQLite: only the file's owner may read it.

    Raises:
        LedgerUnavailable: The database does not answer.
    """

    def __init__(
        self, url: str | Path, metadata: sa.MetaData, *, advisory_key: int, private: bool = False
    ) -> None:
        made = database_url(url)
        self._where = made.render_as_string(hide_password=True)
        self._sqlite = made.get_backend_name() == "sqlite"
        self._advisory_key = advisory_key
        with told(self._where):
            if private and self._sqlite:
                _only_for_us(Path(made.database or ""))
            self._engine = connectable(made, busy_timeout_s=10.0)
        with self.writing() as connection:
            if metadata.schema is not None and not self._sqlite:
                connection.execute(sa.schema.CreateSchema(metadata.schema, if_not_exists=True))
            metadata.create_all(connection)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection to ask with."""
        with told(self._where), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction during which nobody else writes."""
        with told(self._where), self._engine.begin() as connection:
            if self._sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(self._advisory_key)))
            yield connection

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def _only_for_us(file: Path) -> None:
    """Make the file readable by its owner alone before SQLite makes it for everybody."""
    file.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
