import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa

from geartrain.adapters.ledger import SqlLedger
from geartrain.errors import (
    DiskFull,
    LedgerTampered,
    LedgerUnavailable,
    WorkspaceBusy,
)
from geartrain.testing.ledger import NOON, _adopted, check_ledger

POSTGRES = os.environ.get("GEARTRAIN_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1/test")

_WRITER = """
import sys
from geartrain.adapters.ledger import SqlLedger
from geartrain.errors import LedgerConflict
from geartrain.testing.ledger import NOON, _adopted
url, name, count, batch = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
ledger = SqlLedger(url)
print("ready", flush=True)
for number in range(count):
    while True:
        try:
            ledger.append("shared", [_adopted(number)] * batch, at=NOON, actor=name,
                          expected_version=ledger.version("shared"))
            break
        except LedgerConflict:
            continue
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


def _writer(url, name, *, count, batch=1):
    return subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(url), name, str(count), str(batch)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_sqlite_keeps_the_promises_of_the_port(tmp_path):
    """The default ledger passes the suite that every adapter passes."""
    numbers = itertools.count()
    check_ledger(lambda: SqlLedger(tmp_path / f"{next(numbers)}.db"))


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
        return SqlLedger(POSTGRES, schema=schemas[-1])

    try:
        check_ledger(make)
        ledger = make()
        ledger.append("s", [_adopted(1), _adopted(2)], at=NOON, actor="Ada")
        with engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE {schemas[-1]}.events SET actor = 'Eve' WHERE position = 1")
        with pytest.raises(LedgerTampered, match="position 1"):
            ledger.verify()
        ledger.close()
    finally:
        with engine.begin() as connection:
            for schema in schemas:
                connection.execute(sa.schema.DropSchema(schema, cascade=True, if_exists=True))
        engine.dispose()


def test_it_survives_being_closed_and_opened(path):
    """What was acknowledged is there for the next process."""
    first = SqlLedger(path)
    made = first.append("s", [_adopted(1), _adopted(2)], at=NOON, actor="Ada")
    first.close()

    again = SqlLedger(path)
    assert tuple(again.read_all()) == made
    assert again.verify() == 2


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET body = replace(body, '\"p\"', '\"q\"') WHERE position = 3",
        "UPDATE events SET body = body || ' ' WHERE position = 3",
        "UPDATE events SET at = '2026-03-01T12:00:00.000001Z' WHERE position = 3",
        "UPDATE events SET actor = 'Eve' WHERE position = 3",
        "UPDATE events SET stream = 'other', version = 1 WHERE position = 3",
        "UPDATE events SET version = 99 WHERE position = 3",
        "UPDATE events SET type = 'Refused' WHERE position = 3",
        "UPDATE events SET previous = hash WHERE position = 3",
        "UPDATE events SET hash = previous WHERE position = 3",
        "UPDATE events SET position = 77 WHERE position = 3",
        "DELETE FROM events WHERE position = 3",
        "DELETE FROM events WHERE position = 5",
        "DELETE FROM events",
        "DELETE FROM ledger_head",
        "UPDATE ledger_head SET length = 4",
        "UPDATE ledger_head SET hash = 'x'",
        "UPDATE events SET body = (SELECT body FROM events WHERE position = 4) WHERE position = 3",
        "INSERT INTO events SELECT 6, stream, 6, at, actor, type, body, hash, hash FROM events WHERE position = 5",
    ],
)
def test_verify_finds_every_change(path, change):
    """Whatever is changed, moved, added or cut off, the chain says so."""
    ledger = SqlLedger(path)
    ledger.append("s", [_adopted(number) for number in range(5)], at=NOON, actor="Ada")
    assert ledger.verify() == 5
    ledger.close()
    with sqlite3.connect(path) as connection:
        connection.execute(change)
    connection.close()

    with pytest.raises(LedgerTampered):
        SqlLedger(path).verify()


def test_nothing_is_built_on_an_end_that_was_cut_off(path):
    """An append after the last events were deleted is refused, not chained onto the gap."""
    ledger = SqlLedger(path)
    ledger.append("s", [_adopted(1), _adopted(2)], at=NOON, actor="Ada")
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM events WHERE position = 2")
    connection.close()

    with pytest.raises(LedgerTampered):
        ledger.append("s", [_adopted(3)], at=NOON, actor="Ada")


def test_five_hundred_events_take_less_than_a_tenth_of_a_second(path):
    """A batch of trials must not hold up the loop."""
    ledger = SqlLedger(path)
    events = [_adopted(number) for number in range(500)]
    took = []
    for _ in range(5):
        start = time.perf_counter()
        ledger.append("s", events, at=NOON, actor="Ada")
        took.append(time.perf_counter() - start)

    assert min(took) < 0.1


def test_two_processes_append_in_one_line(path):
    """Two writers of one workspace interleave; nothing is lost, the chain holds."""
    writers = [_writer(path, name, count=40) for name in ("one", "two")]
    for writer in writers:
        _, errors = writer.communicate(timeout=50)
        assert writer.returncode == 0, errors

    ledger = SqlLedger(path)
    assert ledger.verify() == 80
    assert sorted({one.actor for one in ledger.read("shared")}) == ["one", "two"]


def test_a_kill_in_the_middle_leaves_whole_appends_only(path):
    """SIGKILL at any moment loses at most the append that was not acknowledged."""
    SqlLedger(path).close()
    for delay in (0.0, 0.02, 0.05):
        writer = _writer(path, "killed", count=100_000, batch=7)
        assert writer.stdout.readline() == "ready\n"
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        writer.communicate(timeout=20)

        ledger = SqlLedger(path)
        assert ledger.verify() % 7 == 0
        ledger.close()


def test_a_locked_ledger_says_who_is_in_the_way(path):
    """Another process that keeps the write lock is a reason to try again, not a crash."""
    ledger = SqlLedger(path, busy_timeout_s=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(WorkspaceBusy) as told:
        ledger.append("s", [_adopted(1)], at=NOON, actor="Ada")
    assert ledger.version("s") == 0, "readers are not held up"
    other.execute("ROLLBACK")
    other.close()

    assert told.value.exit_code == 75
    assert len(ledger.append("s", [_adopted(1)], at=NOON, actor="Ada")) == 1


def test_a_full_disk_is_said_and_nothing_is_kept(path):
    """A database that cannot grow refuses the append and keeps what it had."""
    ledger = SqlLedger(path)
    ledger.append("s", [_adopted(1)], at=NOON, actor="Ada")
    ledger.close()
    script = (
        "import resource, sys\n"
        "from geartrain.adapters.ledger import SqlLedger\n"
        "from geartrain.errors import DiskFull\n"
        "from geartrain.testing.ledger import NOON, _adopted\n"
        "ledger = SqlLedger(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    ledger.append('s', [_adopted(n) for n in range(2000)], at=NOON, actor='Ada')\n"
        "except DiskFull as error:\n"
        "    print(error.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=50
    )

    assert done.stdout == "disk.full\n", done.stderr
    assert SqlLedger(path).verify() == 1


def test_a_real_full_disk_is_said(tmp_path):
    """The same on a file system that is really full."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("this machine does not let us mount a small disk")
    try:
        ledger = SqlLedger(disk / "ledger.db")
        ledger.append("s", [_adopted(1)], at=NOON, actor="Ada")
        with pytest.raises(DiskFull):
            ledger.append("s", [_adopted(number) for number in range(4000)], at=NOON, actor="Ada")
        assert ledger.verify() == 1
        ledger.close()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_database_that_does_not_answer_is_named_without_its_password():
    """A person sees where geartrain looked, and no secret."""
    with pytest.raises(LedgerUnavailable) as told:
        SqlLedger("postgresql://someone:secret@127.0.0.1:1/nowhere")

    assert "127.0.0.1" in str(told.value)
    assert "secret" not in str(told.value)


def test_a_file_that_is_no_database_is_damaged(path):
    """Bytes that are not a ledger are never overwritten."""
    path.write_bytes(b"these are not the pages of a database, they are something else" * 100)

    with pytest.raises(LedgerTampered):
        SqlLedger(path)
    assert path.read_bytes().startswith(b"these are not")


def test_a_newer_layout_is_refused(path):
    """An old program does not write into what it does not understand."""
    SqlLedger(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE ledger_layout SET version = 99")
    connection.close()

    with pytest.raises(LedgerUnavailable, match="newer"):
        SqlLedger(path)


def test_an_event_of_a_newer_program_is_named(path):
    """An unknown event is not skipped: a fold without it would be a different state."""
    ledger = SqlLedger(path)
    ledger.append("s", [_adopted(1)], at=NOON, actor="Ada")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE events SET type = 'FromTheFuture'")
    connection.close()

    with pytest.raises(LedgerUnavailable, match="FromTheFuture"):
        list(ledger.read_all())


def test_an_unknown_field_of_an_old_event_is_forgiven(path):
    """Old and new programs read each other's events; verify still holds the bytes."""
    ledger = SqlLedger(path)
    ledger.append("s", [_adopted(1)], at=NOON, actor="Ada")
    with sqlite3.connect(path) as connection:
        connection.execute(
            """UPDATE events SET body = '{"added":1,"contract":"c","product":"p","text":"t"}'"""
        )
    connection.close()

    (read,) = ledger.read("s")
    assert read.event.contract == "c"


def test_long_histories_are_read_in_pages(path, monkeypatch):
    """Reading never needs the whole ledger in memory, and pages join without a seam."""
    monkeypatch.setattr("geartrain.adapters.ledger._PAGE", 3)
    ledger = SqlLedger(path)
    for number in range(4):
        ledger.append("s", [_adopted(number)] * 3, at=NOON, actor="Ada")
        ledger.append("t", [_adopted(number)], at=NOON, actor="Ada")

    assert [one.position for one in ledger.read_all()] == list(range(1, 17))
    assert [one.version for one in ledger.read("s", after=2)] == list(range(3, 13))
    assert ledger.verify() == 16
    assert Path(path).exists()
