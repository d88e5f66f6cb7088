"""Rows from a database: one question in SQL, asked without the right to change anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import polars as pl

from geartrain.data.documents import column_of, flat
from geartrain.data.storable import json_text
from geartrain.errors import SourceUnreadable

_ADBC = "adbc+"
_DRIVERS = {"sqlite": "adbc_driver_sqlite", "postgresql": "adbc_driver_postgresql"}
#: What the database is told before it is asked, so that a question cannot change it.
_READ_ONLY = {"sqlite": "PRAGMA query_only = ON", "postgresql": "SET TRANSACTION READ ONLY"}


def read_query(url: str, sql: str) -> pl.DataFrame:
    """The rows that *sql* answers with, in its own column names.

    *url* is one of SQLAlchemy (`postgresql+psycopg://...`, `sqlite:///file.db`), or `adbc+sqlite:`
    and `adbc+postgresql:` for a driver that hands over Arrow columns. Exact decimals come as text,
    so that the door reads them and not a float in between; times without a zone are UTC.

    Raises:
        SourceUnreadable: The database does not answer, or not to this; the password is never told.
    """
    return _by_arrow(url, sql) if url.startswith(_ADBC) else _by_rows(url, sql)


def _by_rows(url: str, sql: str) -> pl.DataFrame:
    import sqlalchemy as sa
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    try:
        address = sa.make_url(url)
    except ArgumentError as error:
        raise SourceUnreadable(
            "this is not the address of a database",
            hint="write such as postgresql+psycopg://user@host/name or sqlite:///rows.db",
        ) from error
    where = address.render_as_string(hide_password=True)
    try:
        engine = sa.create_engine(address)
        with engine.connect() as connection:
            if address.get_backend_name() in _READ_ONLY:
                connection.execute(sa.text(_READ_ONLY[address.get_backend_name()]))
            answer = connection.execution_options(stream_results=True).exec_driver_sql(sql)
            if not answer.returns_rows:
                raise SourceUnreadable(
                    "the query answers with no rows", where=where, hint="it begins with SELECT"
                )
            names = _names(tuple(answer.keys()), where)
            columns: list[list[object]] = [[] for _ in names]
            for row in answer:
                for column, value in zip(columns, row, strict=True):
                    column.append(_plain(value))
            connection.rollback()
        engine.dispose()
    except (SQLAlchemyError, ImportError) as error:
        raise _unanswered(where, error) from error
    return pl.DataFrame([column_of(name, values) for name, values in zip(names, columns, strict=True)])


def _by_arrow(url: str, sql: str) -> pl.DataFrame:
    import importlib

    kind, _, place = url.removeprefix(_ADBC).partition(":")
    where = f"{_ADBC}{kind}:" + (place.rpartition("@")[2] if "@" in place else place)
    if kind not in _DRIVERS:
        raise SourceUnreadable(
            "no ADBC driver is known for this database",
            where=where,
            hint=f"known: {', '.join(sorted(_DRIVERS))}",
        )
    try:
        connect: Callable[..., Any] = importlib.import_module(f"{_DRIVERS[kind]}.dbapi").connect
        address = place.removeprefix("///") if kind == "sqlite" else f"{kind}:{place}"
        with connect(address) as connection, connection.cursor() as cursor:
            cursor.execute(_READ_ONLY[kind])
            cursor.execute(sql)
            table = cursor.fetch_arrow_table()
    except ImportError as error:
        raise SourceUnreadable(
            "this driver is not installed", where=where, found=str(error), hint="pip install 'geartrain[sql]'"
        ) from error
    except Exception as error:
        if not any(
            base.__name__ == "Error" for base in type(error).__mro__
        ):  # what DB-API 2 calls its errors
            raise
        raise _unanswered(where, error) from error
    names = _names(tuple(table.column_names), where)
    return flat(pl.DataFrame([_by_column(name, table.column(name)) for name in names]))


def _by_column(name: str, column: Any) -> pl.Series:
    """A column of the driver: as it is where it is plain, else value by value as `_by_rows` has it.

    Drivers wrap what Arrow has no word for (exact decimals, JSON, UUIDs), and Polars knows
    neither all of Arrow's types nor those.
    """
    import pyarrow as pa

    kind = column.type
    checks = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_string)
    if any(check(kind) for check in checks):
        return pl.Series(name, pl.from_arrow(column))
    values = column.to_pylist()
    if getattr(kind, "extension_name", "") == "arrow.json":
        values = [None if one is None else json.loads(one) for one in values]
        return column_of(
            name, [one if one is None or isinstance(one, str) else json_text(one) for one in values]
        )
    return column_of(name, [_plain(one) for one in values])


def _names(names: tuple[str, ...], where: str) -> tuple[str, ...]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SourceUnreadable(
            "two columns of the answer have the same name",
            where=where,
            found=", ".join(twice),
            hint="name them with AS",
        )
    return names


def _plain(value: object) -> object:
    """A value of the driver as a feed would send it."""
    match value:
        case datetime():
            return value if value.tzinfo else value.replace(tzinfo=UTC)
        case date() | time():
            return value.isoformat()
        case Decimal():
            return str(value)
        case bytes() | memoryview():
            return bytes(value).hex()
        case dict() | list():
            return json_text(value)
        case None | bool() | int() | float() | str():
            return value
    return str(value)


def _unanswered(where: str, error: Exception) -> SourceUnreadable:
    reason = getattr(error, "orig", None) or error
    return SourceUnreadable(
        "the database did not answer the query",
        where=where,
        found=str(reason).strip().splitlines()[0] if str(reason).strip() else type(reason).__name__,
        hint="check the address, the user's rights and the SQL; nothing was taken",
    )
