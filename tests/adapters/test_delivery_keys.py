"""Idempotency keys outlive processes: in a file and in PostgreSQL."""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from geartrain.adapters.delivery_keys import KEPT, SqlDeliveryKeys
from geartrain.testing.delivery_keys import MemoryDeliveryKeys, check_delivery_keys

POSTGRES = os.environ.get("GEARTRAIN_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1/test")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_file_keeps_the_promises_of_the_port(tmp_path):
    """The suite that every store of keys passes, with a second opening as another process would have it."""
    check_delivery_keys(*[lambda: SqlDeliveryKeys(tmp_path / "deliveries.db")] * 2)


def test_the_fake_keeps_them_too():
    """The store that tests use instead."""
    held = MemoryDeliveryKeys()
    check_delivery_keys(lambda: held, lambda: held)


@pytest.mark.service
def test_postgresql_keeps_them_too():
    """The same code passes the same suite on PostgreSQL."""
    try:
        engine = sa.create_engine(POSTGRES, connect_args={"connect_timeout": 2})
        engine.connect().close()
    except sa.exc.SQLAlchemyError:
        pytest.skip("no PostgreSQL answers; set GEARTRAIN_TEST_POSTGRES to one that may be written to")
    schema = f"keys_{uuid.uuid4().hex[:12]}"
    try:
        check_delivery_keys(*[lambda: SqlDeliveryKeys(POSTGRES, schema=schema)] * 2)
    finally:
        with engine.begin() as connection:
            connection.execute(sa.schema.DropSchema(schema, cascade=True, if_exists=True))


def test_an_old_key_is_forgotten_and_no_key_is_readable(tmp_path):
    """After a month a key is free again, so the file does not grow for ever; it holds digests only."""
    keys = SqlDeliveryKeys(tmp_path / "deliveries.db")

    assert keys.claim("shop", "order of Zora", "a" * 64, now=NOON)
    assert not keys.claim("shop", "order of Zora", "b" * 64, now=NOON + KEPT * 0.99)
    assert keys.claim("shop", "order of Zora", "b" * 64, now=NOON + KEPT)
    keys.close()
    assert b"Zora" not in (tmp_path / "deliveries.db").read_bytes()
