"""The replay's command line: what it refuses, and how it says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from geartrain.cli.main import run

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "card-fraud"


def test_a_replay_without_history_says_which_file_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rows that are decided about must come from somewhere."""
    code = run(["replay", "--product", str(EXAMPLE), "--workspace", str(tmp_path / "ws")])

    told = capsys.readouterr()
    assert code == 2
    assert "error[source.unreadable]" in told.err
    assert "--source transactions=FILE" in told.err
    assert told.out == ""


def test_a_source_without_a_name_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file alone does not say whose rows it holds."""
    code = run(
        ["replay", "--product", str(EXAMPLE), "--workspace", str(tmp_path / "ws"), "--source", "x.csv"]
    )

    assert code == 2
    assert "NAME=FILE" in capsys.readouterr().err


def test_the_demo_never_removes_a_workspace_that_it_did_not_make(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A team's own workspace in the way stays as it is."""
    ledger = tmp_path / ".geartrain" / "ledger.db"
    ledger.parent.mkdir()
    ledger.write_bytes(b"ours")

    code = run(["demo", "--into", str(tmp_path)])

    assert code == 2
    assert "no demo made" in capsys.readouterr().err
    assert ledger.read_bytes() == b"ours"
