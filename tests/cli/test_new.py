"""`new` writes a product that reads back, and never over anything."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from tests.cli.conftest import Shell

from geartrain.engine.products import load_product
from geartrain.features.offline import point_in_time
from geartrain.testing.ledger import NOON


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


def test_free_text_alone_begins_with_counts_over_it(tmp_path: Path, shell: Shell) -> None:
    """Where the only other column is free text, the folder has functions over it, and they compute."""
    lines = [
        f'{("buy", "see")[n % 2]},"Hello number {n} this is a longer message of WORDS, see www.x.org or more"'
        for n in range(60)
    ]
    (tmp_path / "mail.csv").write_text("\n".join(["kind,message", *lines]) + "\n")

    begun = shell(tmp_path, "new", "mail", "--data", "mail.csv", "--label", "kind")
    checked = shell(tmp_path / "mail", "contract", "check")
    taken = shell(tmp_path / "mail", "ingest")
    product = load_product(tmp_path / "mail")
    frame = pl.DataFrame(
        {
            "row_id": ["a", "b"],
            "message": ["Ab 12 www.x.org", None],
            "_event_time": [NOON, NOON],
            "_arrival_time": [NOON, NOON],
        }
    )
    features = point_in_time(product.features, frame, {"rows": frame}, keys={"rows": "row_id"})

    assert (begun.code, checked.code, taken.code) == (0, 0, 0)
    assert features.columns == [
        f"message_{one}" for one in ("characters", "words", "digits", "capitals", "links")
    ]
    assert features.rows() == [(15.0, 3.0, 2.0, 1.0, 1.0), (None,) * 5]


def test_what_is_said_of_a_file_needs_the_file(tmp_path: Path, shell: Shell) -> None:
    """A label without rows is refused and not passed over, and nothing is written."""
    for option in ("--label", "--positive"):
        said = shell(tmp_path, "new", "one", option, "left")

        assert said.code == 2
        assert "name it with --data" in said.err
    assert not (tmp_path / "one").exists()


def test_the_next_command_can_be_pasted(tmp_path: Path, shell: Shell) -> None:
    """A folder whose name has a space is quoted."""
    (tmp_path / "rows.csv").write_text("a,b\n1,x\n2,y\n1,x\n2,y\n")

    said = shell(tmp_path, "new", "my bank", "--data", "rows.csv", "--label", "b")

    assert said.code == 0
    assert "next: cd 'my bank', then" in said.out
