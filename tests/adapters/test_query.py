"""Rows from a database: every type as a feed would send it, and no right to change anything."""

import os
import sqlite3

import pytest
import sqlalchemy as sa

from geartrain.adapters.query import read_query
from geartrain.errors import SourceUnreadable

POSTGRES = os.environ.get("GEARTRAIN_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1/test")


@pytest.fixture
def sqlite(tmp_path):
    """A file with a few rows."""
    path = tmp_path / "rows.db"
    database = sqlite3.connect(path)
    database.execute("create table t (id integer, name text, amount real)")
    database.executemany("insert into t values (?, ?, ?)", [(1, "ä", 2.5), (2, None, None)])
    database.commit()
    return path


@pytest.mark.parametrize("scheme", ["sqlite", "adbc+sqlite"])
def test_sqlite_answers_by_rows_and_by_columns(sqlite, scheme):
    """Both ways give the same rows; neither lets a statement change the table."""
    if scheme.startswith("adbc"):
        pytest.importorskip("adbc_driver_sqlite")
    url = f"{scheme}:///{sqlite}"

    assert read_query(url, "select * from t order by id").rows() == [(1, "ä", 2.5), (2, None, None)]
    assert read_query(url, "select * from t where id > 5").columns == ["id", "name", "amount"]
    for sql in ("update t set id = 3", "select * from nowhere", "select 1 as a, 2 as a"):
        with pytest.raises(SourceUnreadable):
            read_query(url, sql)
    assert read_query(url, "select sum(id) as s from t").rows() == [(3,)]


PLAIN = (
    "select 1::int8 as id, 12.30::numeric(9,2) as amount, '{\"b\": [1]}'::jsonb as nested,"
    " timestamp '2026-03-01 12:00' as at, timestamptz '2026-03-01 12:00+02' as zoned, date '2026-03-01' as day,"
    " time '10:00' as clock, true as ok, 1.5::float8 as share, 'ä'::text as name, array[1,2] as many,"
    " '\\x00ff'::bytea as raw, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid as own, null::int8 as nothing"
)


@pytest.mark.service
@pytest.mark.parametrize("driver", ["psycopg", "adbc"])
def test_postgresql_hands_over_exact_decimals_and_nested_values(driver):
    """A numeric is not bent through a float; a time without a zone is UTC; jsonb is JSON text; by either driver."""
    try:
        sa.create_engine(POSTGRES, connect_args={"connect_timeout": 2}).connect().close()
    except sa.exc.SQLAlchemyError as error:
        pytest.skip(f"no PostgreSQL answers: {type(error).__name__}")
    url = POSTGRES
    if driver == "adbc":
        pytest.importorskip("adbc_driver_postgresql", reason="needs the extra `sql`")
        url = "adbc+" + POSTGRES.replace("+psycopg", "")

    row = read_query(url, PLAIN).row(0, named=True)

    assert (row["id"], row["amount"], row["nested"], row["day"], row["clock"], row["ok"]) == (
        1, "12.30", '{"b":[1]}', "2026-03-01", "10:00:00", True,
    )  # fmt: skip
    assert row["at"].isoformat() == "2026-03-01T12:00:00+00:00"
    assert row["zoned"].isoformat() == "2026-03-01T10:00:00+00:00"
    assert (row["share"], row["name"], row["many"], row["raw"]) == (1.5, "ä", "[1,2]", "00ff")
    assert (row["own"], row["nothing"]) == ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", None)
    assert read_query(url, "select 1 as id where false").columns == ["id"]
    assert read_query(url, "select interval '2 days' as wait").height == 1
    for sql, word in (
        ("create table should_not_be (id int)", "did not answer"),
        ("select 1 as a, 2 as a", "same name"),
        ("select * from nowhere", "did not answer"),
    ):
        with pytest.raises(SourceUnreadable, match=word):
            read_query(url, sql)


@pytest.mark.parametrize(
    "url", ["nonsense", "postgresql+psycopg://u:secret@127.0.0.1:1/x", "adbc+oracle://u:secret@h/x"]
)
def test_a_database_that_does_not_answer_is_said_without_its_password(url):
    """An address that is none, a port where nobody is, a driver that nobody knows."""
    with pytest.raises(SourceUnreadable) as told:
        read_query(url, "select 1")
    assert "secret" not in str(told.value)
