"""`new` writes a product that reads back, and never over anything."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Shell


def test_a_product_without_data_has_a_contract_that_reads(tmp_path: Path, shell: Shell) -> None:
    """Without a file there is a contract to fill in, and it parses as it stands."""
    assert shell(tmp_path, "new", "Later On").code == 0

    checked = shell(tmp_path / "Later On", "contract", "check", "--json")

    assert checked.document["result"]["product"] == "later-on"


def test_nothing_is_overwritten(tmp_path: Path, shell: Shell) -> None:
    """A folder with anything in it is left as it is."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")

    said = shell(tmp_path, "new", "mine")

    assert said.code == 2
    assert "nothing is overwritten" in said.err
    assert [one.name for one in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_data_without_a_label_is_asked_about(tmp_path: Path, shell: Shell) -> None:
    """The columns are listed, so that one can be named."""
    (tmp_path / "rows.csv").write_text("a,b\n1,x\n2,y\n")

    said = shell(tmp_path, "new", "one", "--data", "rows.csv")

    assert said.code == 2
    assert "columns a, b" in said.err
    assert "--label" in said.err


def test_an_example_brings_its_rows(tmp_path: Path, shell: Shell) -> None:
    """The example's folder can be ingested at once."""
    said = shell(tmp_path, "new", "clinic", "--example", "tumour-triage", "--json")

    data = said.document["result"]["data"]
    assert said.code == 0
    taken = shell(tmp_path / "clinic", "ingest", f"samples={tmp_path / data['samples']}")
    assert "569 accepted" in taken.out


def test_an_unknown_example_names_those_that_are_there(tmp_path: Path, shell: Shell) -> None:
    """A wrong name is answered with the right ones."""
    said = shell(tmp_path, "new", "x", "--example", "nothing")

    assert said.code == 2
    assert "tumour-triage" in said.err
