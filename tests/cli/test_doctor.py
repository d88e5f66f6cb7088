"""`geartrain doctor`: what is wrong is told as a check, whatever it is."""

from __future__ import annotations

import json

import pytest

from geartrain.cli.main import run
from geartrain.wiring import Settings, open_workspace


@pytest.fixture
def folder(tmp_path):
    """A workspace without a product."""
    root = tmp_path / ".geartrain"
    space = open_workspace(Settings(root=root))
    space.ledger.close()
    return root


def _checks(folder, capsys) -> tuple[int, dict[str, dict]]:
    code = run(["doctor", "--workspace", str(folder), "--json"])
    document = json.loads(capsys.readouterr().out)
    return code, {one["name"]: one for one in document["result"]["checks"]}


def test_a_damaged_segment_of_the_log_is_named(folder, capsys):
    """What a server kept because it could not read all of it does not lie there unseen."""
    well, checks = _checks(folder, capsys)
    assert (well, checks["prediction log"]["well"]) == (0, True)
    (folder / "journal").mkdir()
    (folder / "journal" / "s-1.journal.damaged").write_bytes(b"?")

    code, checks = _checks(folder, capsys)

    assert code == 1
    assert "s-1.journal.damaged" in checks["prediction log"]["found"]


def test_a_workspace_that_cannot_be_opened_is_one_of_the_findings(folder, capsys):
    """The machine's checks are told all the same: this command is for when nothing works."""
    for path in folder.glob("ledger.db*"):
        path.unlink()
    (folder / "ledger.db").mkdir()

    code, checks = _checks(folder, capsys)

    assert code == 1
    assert checks["Python"]["well"]
    assert not checks["workspace"]["well"]
    assert checks["workspace"]["hint"]
