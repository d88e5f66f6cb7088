"""Opening a SQLite database waits its turn, also where SQLite itself would not."""

from __future__ import annotations

import sqlite3
import subprocess
import sys

import pytest

from geartrain.adapters.sqlite_files import write_ahead

OPEN = """
import sys
from pathlib import Path
from geartrain.adapters.ledger import SqlLedger
print("ready", flush=True)
sys.stdin.readline()
SqlLedger(Path(sys.argv[1])).version("s")
"""


class Locked:
    """A connection whose database is locked for so many tries."""

    def __init__(self, tries: int, code: int = sqlite3.SQLITE_BUSY) -> None:
        self.tries, self.code, self.asked = tries, code, 0

    def execute(self, _statement: str) -> Locked:
        self.asked += 1
        if self.asked <= self.tries:
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = self.code
            raise error
        return self

    def close(self) -> None:
        pass


def test_a_database_that_another_process_makes_is_waited_for():
    """It is tried again until it is free, and no longer than it is worth."""
    free_soon, never_free = Locked(3), Locked(10**9)
    write_ahead(free_soon, patience_s=5, pause_s=0)
    assert free_soon.asked == 4
    with pytest.raises(sqlite3.OperationalError):
        write_ahead(never_free, patience_s=0.05, pause_s=0.01)
    assert never_free.asked > 1


def test_what_no_waiting_mends_is_told_at_once():
    """A database that may not be written is no matter of patience."""
    read_only = Locked(10**9, code=sqlite3.SQLITE_READONLY)
    with pytest.raises(sqlite3.OperationalError):
        write_ahead(read_only, patience_s=60)
    assert read_only.asked == 1


def test_many_processes_may_make_one_ledger_at_once(tmp_path):
    """Six that begin at the same moment all get it."""
    begun = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, str(tmp_path / "ledger.db")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for one in begun:
        assert one.stdout.readline() == "ready\n"
    for one in begun:
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in begun:
        _, errors = one.communicate(timeout=60)
        assert one.returncode == 0, errors
