"""A benchmark whose peer is not installed says in one line what to install."""

import runpy
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.parametrize("program", ["profiles/run.py", "features/windows.py"])
def test_a_peer_that_is_not_installed_is_asked_for_before_anything_is_made(program, monkeypatch):
    """No traceback, and not one only after the minutes in which the rows are made."""
    monkeypatch.setattr(sys, "argv", [program])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(SystemExit, match=r"^duckdb is needed .*: pip install duckdb$"):
        runpy.run_path(str(BENCHMARKS / program), run_name="__main__")
