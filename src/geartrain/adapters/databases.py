"""The two databases that adapters speak to, by one spelling of their addresses and one way to connect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

from geartrain.adapters.sqlite_files import write_ahead


def database_url(url: str | Path) -> sa.URL:
    """The URL of a database: a path is a SQLite file, PostgreSQL is reached through psycopg."""
    if isinstance(url, Path) or "://" not in url:
        return sa.URL.create("sqlite", database=str(url))
    made = sa.make_url(url)
    return (
        made.set(drivername="postgresql+psycopg") if made.drivername in {"postgresql", "postgres"} else made
    )


def connectable(
    url: sa.URL, *, busy_timeout_s: float, on_begin: Callable[[sa.Connection], None] | None = None
) -> sa.Engine:
    """An engine for *url*; SQLite writes ahead, syncs every commit, and begins only when it is told to.

    *on_begin* says `BEGIN` for SQLite where SQLAlchemy begins a transaction; without it
    whoever writes says so.
    """
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, connect_args={"connect_timeout": 5}, pool_pre_ping=True)
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": busy_timeout_s})

    @sa.event.listens_for(engine, "connect")
    def durable(connection: Any, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        write_ahead(connection, patience_s=busy_timeout_s)
        connection.execute("PRAGMA synchronous=FULL").close()

    if on_begin is not None:
        sa.event.listen(engine, "begin", on_begin)
    return engine
