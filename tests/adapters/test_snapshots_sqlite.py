"""Snapshots in a file: state and offset in one commit."""

from __future__ import annotations

import itertools
import sqlite3
import subprocess
import sys

import pytest

from geartrain.adapters.snapshots_sqlite import SqliteSnapshots
from geartrain.engine.held_features import HeldFeatures
from geartrain.errors import OnlineUnavailable
from geartrain.ports.online_store import Stored
from geartrain.testing.online_store import (
    FEATURES,
    KEYS,
    MemorySnapshots,
    check_online_store,
    check_snapshots,
)


def test_files_and_memory_keep_the_promises_of_the_port(tmp_path):
    """The default and the fake pass the suite that every store of snapshots passes."""
    numbers = itertools.count()
    check_snapshots(lambda: SqliteSnapshots(tmp_path / f"{next(numbers)}.db"))
    check_snapshots(MemorySnapshots)


def test_features_held_in_the_process_keep_the_promises_of_the_port(tmp_path):
    """In memory with snapshots in a file: what another store's state would say."""
    check_online_store(
        lambda: HeldFeatures(FEATURES, keys=KEYS, snapshots=SqliteSnapshots(tmp_path / "s.db"), name="p")
    )


def test_a_damaged_snapshot_is_not_believed(tmp_path):
    """Bytes that changed are told, with what to do."""
    path = tmp_path / "s.db"
    held = SqliteSnapshots(path)
    held.save("a", Stored(offset=7, content=b"state"))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE states SET place = 8")
    with pytest.raises(OnlineUnavailable, match="damaged") as told:
        held.load("a")
    assert "rebuilt" in told.value.hint


def test_a_full_disk_keeps_the_snapshot_before(tmp_path):
    """A snapshot that does not fit leaves state and offset as they were."""
    path = tmp_path / "s.db"
    held = SqliteSnapshots(path)
    held.save("a", Stored(offset=1, content=b"small"))
    held.close()
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from geartrain.adapters.snapshots_sqlite import SqliteSnapshots\n"
        "from geartrain.errors import DiskFull\n"
        "from geartrain.ports.online_store import Stored\n"
        "held = SqliteSnapshots(Path(sys.argv[1]))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    held.save('a', Stored(offset=2, content=bytes(300_000)))\n"
        "except DiskFull as error:\n"
        "    print(error.code, held.load('a'))\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=60
    )

    assert told.stdout == "disk.full Stored(offset=1, content=b'small')\n", told.stderr
