import itertools
import os
import stat
import uuid

import pytest
import sqlalchemy as sa

from geartrain.adapters.accounts import SqlAccounts
from geartrain.testing.accounts import _account, check_accounts

POSTGRES = os.environ.get("GEARTRAIN_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1/test")


def test_sqlite_keeps_the_promises_of_the_port(tmp_path):
    """SQLite passes the suite."""
    numbers = itertools.count()
    check_accounts(lambda: SqlAccounts(tmp_path / f"{next(numbers)}.db"))


@pytest.mark.service
def test_postgresql_keeps_the_promises_of_the_port():
    """The same code passes the same suite on PostgreSQL."""
    try:
        engine = sa.create_engine(POSTGRES, connect_args={"connect_timeout": 2})
        engine.connect().close()
    except sa.exc.OperationalError:
        pytest.skip("no PostgreSQL answers; set GEARTRAIN_TEST_POSTGRES to one that may be written to")
    schemas = []

    def make():
        schemas.append(f"geartrain_{uuid.uuid4().hex[:12]}")
        return SqlAccounts(POSTGRES, schema=schemas[-1])

    try:
        check_accounts(make)
    finally:
        with engine.begin() as connection:
            for schema in schemas:
                connection.execute(sa.schema.DropSchema(schema, cascade=True, if_exists=True))
        engine.dispose()


def test_nobody_else_on_the_machine_can_read_the_file(tmp_path):
    """The file and its log are readable by their owner alone."""
    store = SqlAccounts(tmp_path / "accounts.db")
    store.add(_account("Ada"))
    assert stat.S_IMODE((tmp_path / "accounts.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "accounts.db-wal").stat().st_mode) == 0o600
    store.close()


def test_accounts_outlive_the_process(tmp_path):
    """What was added is there for the next process."""
    first = SqlAccounts(tmp_path / "accounts.db")
    first.add(_account("Ada"))
    first.close()
    assert SqlAccounts(tmp_path / "accounts.db").account("Ada") == _account("Ada")
