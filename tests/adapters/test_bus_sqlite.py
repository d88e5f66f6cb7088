"""The embedded bus: what the port promises, and what it survives."""

from __future__ import annotations

import itertools
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from geartrain.adapters.bus_sqlite import SqliteBus
from geartrain.errors import BusUnavailable, DiskFull, WorkspaceBusy
from geartrain.testing.bus import MemoryBus, Reader, check_bus, read_messages

_WRITER = """
import sys
from pathlib import Path
from geartrain.adapters.bus_sqlite import SqliteBus
bus = SqliteBus(Path(sys.argv[1]))
print("ready", flush=True)
for number in range(int(sys.argv[2])):
    bus.publish("t", [("k", f"{number}:{place}".encode()) for place in range(7)])
    print(number, flush=True)
"""


@pytest.mark.parametrize("partitions", [1, 3])
def test_the_embedded_bus_keeps_the_promises_of_the_port(tmp_path, partitions):
    """SQLite passes the suite that every bus passes."""
    numbers = itertools.count()
    check_bus(lambda: SqliteBus(tmp_path / f"{next(numbers)}.db", partitions=partitions))


@pytest.mark.parametrize("partitions", [1, 3])
def test_the_fake_keeps_the_promises_of_the_port(partitions):
    """The bus that tests use is held to the same suite."""
    check_bus(lambda: MemoryBus(partitions=partitions))


def test_publishers_at_once_share_a_commit(tmp_path):
    """While one commit is under way others wait together, and the next commit is theirs."""
    from concurrent.futures import ThreadPoolExecutor

    bus = SqliteBus(tmp_path / "bus.db")
    commits = []
    write = bus._write

    def slow(connection, group):
        commits.append(len(group))
        time.sleep(0.05)
        write(connection, group)

    bus._write = slow
    with ThreadPoolExecutor(8) as pool:
        places = list(pool.map(lambda n: bus.publish("t", [("k", str(n).encode())]), range(8)))

    assert sorted(place for ((_, place),) in places) == list(range(8))
    assert len(commits) < 8
    assert sum(commits) == 8


def test_a_kill_while_publishing_loses_nothing_acknowledged(tmp_path):
    """SIGKILL at any moment leaves whole publishes, with every acknowledged one among them."""
    path = tmp_path / "bus.db"
    SqliteBus(path).close()
    acknowledged = 0
    for delay in (0.0, 0.05):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path), "100000"], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout.readline() == "ready\n"
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        acknowledged += len(writer.stdout.read().split("\n")) - 1
        writer.wait(20)

        bus = SqliteBus(path)
        held = bus.ends("t")[0]
        found = read_messages(bus, "t", wanted=held)
        assert [one.offset for one in found] == list(range(held))
        assert held % 7 == 0
        assert held >= acknowledged * 7
        bus.close()


def test_a_torn_last_record_is_as_if_it_was_never_written(tmp_path):
    """Bytes cut off the end of the journal take the last commit with them, and nothing else."""
    path, torn = tmp_path / "bus.db", tmp_path / "torn.db"
    bus = SqliteBus(path)
    for number in range(5):
        bus.publish("t", [("k", f"{number}-{place}".encode() * 50) for place in range(4)])
    journal = path.with_name("bus.db-wal").read_bytes()
    torn.write_bytes(path.read_bytes())
    torn.with_name("torn.db-wal").write_bytes(journal[:-100])
    bus.close()

    again = SqliteBus(torn)
    assert again.ends("t") == {0: 16}
    assert [one.offset for one in read_messages(again, "t", wanted=16)] == list(range(16))
    assert again.publish("t", [("k", b"next")]) == ((0, 16),)


def test_a_full_disk_is_said_and_nothing_is_kept(tmp_path):
    """A bus that cannot grow refuses the publish and keeps what it had."""
    path = tmp_path / "bus.db"
    bus = SqliteBus(path)
    bus.publish("t", [("k", b"kept")])
    bus.close()
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from geartrain.adapters.bus_sqlite import SqliteBus\n"
        "from geartrain.errors import DiskFull\n"
        "bus = SqliteBus(Path(sys.argv[1]))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    bus.publish('t', [('k', bytes(300_000))])\n"
        "except DiskFull as error:\n"
        "    print(error.code)\n"
        "print(bus.ends('t'))\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=60
    )

    assert told.stdout == "disk.full\n{0: 1}\n", told.stderr
    assert [one.value for one in read_messages(SqliteBus(path), "t", wanted=1)] == [b"kept"]
    assert issubclass(DiskFull, Exception)


def test_the_place_in_a_group_is_free_when_its_process_is_killed(tmp_path):
    """Two consumers at once are refused across processes; a killed one is in nobody's way."""
    path = tmp_path / "bus.db"
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from geartrain.adapters.bus_sqlite import SqliteBus\n"
        "from geartrain.testing.bus import Reader\n"
        "held = SqliteBus(Path(sys.argv[1])).subscribe('t', group='g', member=Reader())\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    other = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "ready\n"
    bus = SqliteBus(path)
    with pytest.raises(WorkspaceBusy) as told:
        bus.subscribe("t", group="g", member=Reader())
    assert str(other.pid) in told.value.found
    bus.subscribe("t", group="another", member=Reader()).close()
    other.kill()
    other.wait(20)
    bus.subscribe("t", group="g", member=Reader()).close()


def test_a_reader_hears_of_another_process_soon(tmp_path):
    """What another process publishes is read without being asked for again."""
    path = tmp_path / "bus.db"
    bus = SqliteBus(path)
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path), "1"], stdout=subprocess.PIPE)
    found = read_messages(bus, "t", wanted=7)
    writer.communicate(timeout=20)

    assert [one.value for one in found] == [f"0:{place}".encode() for place in range(7)]


def test_messages_that_are_gone_are_said_not_skipped(tmp_path):
    """A state that is ahead of the bus, or too far behind it, is not fed with a gap."""
    bus = SqliteBus(tmp_path / "bus.db")
    bus.publish("t", [("k", str(number).encode()) for number in range(10)])
    with pytest.raises(BusUnavailable, match="does not hold"):
        bus.subscribe("t", group="g", member=Reader({0: 11}))
    assert bus.forget("t", 0, before=4) == 4
    assert [one.offset for one in read_messages(bus, "t", wanted=6, begins={0: 4})] == [4, 5, 6, 7, 8, 9]
    with pytest.raises(BusUnavailable, match="does not hold"):
        bus.subscribe("t", group="g", member=Reader({0: 3}))
    assert bus.forget("t", 0, before=10) == 6
    assert bus.publish("t", [("k", b"on")]) == ((0, 10),), "offsets count on when everything was deleted"


def test_a_file_that_is_no_bus_is_said(tmp_path):
    """Somebody else's bytes are not taken for a bus, and a lock held for too long is told."""
    path = tmp_path / "bus.db"
    path.write_bytes(b"this is not a database at all, but it is long enough to be looked at" * 20)
    with pytest.raises(BusUnavailable, match="does not answer as the bus"):
        SqliteBus(path)
    bus = SqliteBus(tmp_path / "other.db", busy_timeout_s=0.05)
    other = sqlite3.connect(tmp_path / "other.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(BusUnavailable, match="too long"):
        bus.publish("t", [("k", b"1")])
    other.close()
    assert bus.publish("t", [("k", b"1")]) == ((0, 0),)
