"""Whatever is handed in: an exit code, and a message that says what, where and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from tests.cli.conftest import CONTRACT, Said, Shell, csv_of


def _says(said: Said, code: int, *parts: str) -> None:
    assert said.code == code, said.err
    assert [part for part in (*parts, "hint:") if part not in said.err] == []


def test_an_unreadable_contract(tiny: Path, shell: Shell) -> None:
    """A contract that is no YAML is told with its line."""
    (tiny / "product.yaml").write_text("product: [unclosed\n")

    _says(shell(tiny, "train"), 2, "product.yaml:")


def test_a_missing_contract(tmp_path: Path, shell: Shell) -> None:
    """Where there is none, the command that writes one is named."""
    _says(shell(tmp_path, "train"), 2, "contract.unreadable", "geartrain new")


def test_a_contradictory_contract(tiny: Path, shell: Shell) -> None:
    """Two bounds that no model can keep together are named before anything runs."""
    both = CONTRACT.replace(
        "success:\n",
        "success:\n  recall: {at_least: 0.9, because: a}\n"
        "  recall_low: {metric: recall, at_most: 0.5, because: b}\n",
    )
    (tiny / "product.yaml").write_text(both)

    _says(shell(tiny, "feasibility"), 2, "contract.invalid", "recall")


def test_a_missing_column(tiny: Path, shell: Shell) -> None:
    """A batch without a required column is not taken at all."""
    (tiny / "rows.csv").write_text("id,amuont,outcome\na,1,bad\n")

    _says(shell(tiny, "ingest", "rows.csv"), 2, "source.column-missing", "`amount`", "amuont")


def test_wrong_values_wait_in_quarantine_and_can_be_repaired(tiny: Path, shell: Shell) -> None:
    """Bad rows are counted with their reasons, listed as they came, mended by rule, and then accepted."""
    file = csv_of(tiny, "rows.csv", "a,1,bad", "b,many,good", "c,200000,good", "d,,bad")

    taken = shell(tiny, "ingest", file)
    waiting = shell(tiny, "ingest", "quarantine", "--json")
    mended = shell(
        tiny, "ingest", "repair", "rows", "--set", "amount=amount / 1000", "--reason", "is above", "--json"
    )
    after = shell(tiny, "ingest", "quarantine", "--json")

    assert taken.code == 0
    assert "1 accepted, 3 in quarantine" in taken.out
    assert len(waiting.document["result"]["sources"]["rows"]) == 3
    assert waiting.code == 1
    assert mended.document["result"]["batch"]["accepted"] == 1
    assert len(after.document["result"]["sources"]["rows"]) == 2


def test_a_repair_of_a_column_that_is_not_there(tiny: Path, shell: Shell) -> None:
    """A misspelled column is named with those that can be set, and the rows wait as they did."""
    shell(tiny, "ingest", csv_of(tiny, "rows.csv", "a,many,bad"))

    _says(shell(tiny, "ingest", "repair", "rows", "--set", "agee=30"), 2, "agee", "amount, id, outcome")
    waiting = shell(tiny, "ingest", "quarantine", "--json").document["result"]["sources"]["rows"]
    assert len(waiting) == 1


def test_a_history_that_is_not_there(tiny: Path, shell: Shell) -> None:
    """An unknown type is refused with the known ones; a type or product without events is named as such."""
    shell(tiny, "ingest", csv_of(tiny, "rows.csv", "a,1,bad"))

    unknown = shell(tiny, "ledger", "show", "--type", "Foo")
    none = shell(tiny, "ledger", "show", "--type", "StageEntered", "--product", "tiny")
    elsewhere = shell(tiny, "ledger", "show", "--product", "foo")

    assert (unknown.code, "'Foo'" in unknown.err, "BatchIngested" in unknown.err) == (2, True, True)
    assert (none.code, none.out) == (0, "no events of type StageEntered of the product tiny yet\n")
    assert (elsewhere.code, elsewhere.out) == (0, "no events of a product 'foo'; products: tiny\n")


def test_a_batch_without_one_good_row_is_a_no(tiny: Path, shell: Shell) -> None:
    """Where nothing was accepted the exit code says so, and the rows are kept."""
    file = csv_of(tiny, "rows.csv", "a,many,bad")

    said = shell(tiny, "ingest", file)

    assert said.code == 1
    assert "1 in quarantine" in said.out


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_file(content: str, tiny: Path, shell: Shell) -> None:
    """An empty file is not a batch of no rows."""
    (tiny / "rows.csv").write_text(content)

    _says(shell(tiny, "ingest", "rows.csv"), 2, "source.unreadable", "the file is empty", "rows.csv")


def test_a_half_written_parquet_file(tiny: Path, shell: Shell) -> None:
    """A file that was cut off is refused whole."""
    pl.DataFrame({"id": ["a"] * 99, "amount": [1.0] * 99, "outcome": ["bad"] * 99}).write_parquet(
        tiny / "whole.parquet"
    )
    content = (tiny / "whole.parquet").read_bytes()
    (tiny / "rows.parquet").write_bytes(content[: len(content) // 2])

    _says(shell(tiny, "ingest", "rows.parquet"), 2, "source.unreadable", "rows.parquet")


def test_an_unknown_source(tiny: Path, shell: Shell) -> None:
    """The sources that the contract knows are named."""
    file = csv_of(tiny, "rows.csv", "a,1,bad")

    _says(shell(tiny, "ingest", f"orders={file}"), 2, "no source `orders`", "found: rows")


@pytest.mark.parametrize("verb", ["train", "compress", "evaluate", "feasibility", "monitor", "retrain"])
def test_a_missing_workspace(verb: str, tiny: Path, shell: Shell) -> None:
    """A command that needs rows does not make an empty workspace, and names the one command that does."""
    said = shell(tiny, verb)
    _says(said, 2, "workspace.missing", "`geartrain ingest FILE` makes one")
    assert "geartrain new" not in said.err
    assert not (tiny / ".geartrain").exists()


def test_a_label_of_an_unknown_class(tiny: Path, shell: Shell) -> None:
    """At the door it is a bad row, not a third class."""
    file = csv_of(tiny, "rows.csv", "a,1,bad", "b,2,ugly")

    said = shell(tiny, "ingest", file)

    assert "outcome: is not one of" in said.out


def test_rows_of_one_class_only(tiny: Path, shell: Shell) -> None:
    """What cannot be learned is said, with the class that is not there, and not tried."""
    csv_of(tiny, "rows.csv", *(f"r{number},{number},good" for number in range(90)))
    shell(tiny, "ingest", "rows.csv")

    said = shell(tiny, "train", "--trials", "1", "--json")

    assert said.code == 2
    assert said.document["error"]["code"] == "training.impossible"
    assert "bad" in said.err


def test_stages_out_of_order(tiny: Path, shell: Shell) -> None:
    """Before anything was trained, every later stage names the first one that is missing."""
    csv_of(tiny, "rows.csv", "a,1,bad")
    shell(tiny, "ingest", "rows.csv")

    for verb in ("compress", "evaluate"):
        said = shell(tiny, verb)
        _says(said, 2, "`train` has not been run", "run `geartrain train` first")
        assert "the stage before it" not in said.err


def test_a_second_process_has_to_wait(tiny: Path, shell: Shell) -> None:
    """While another process works in the workspace, a run is exit code 75: try again."""
    csv_of(tiny, "rows.csv", "a,1,bad")
    shell(tiny, "ingest", "rows.csv")
    code = (
        "import sys; from pathlib import Path; from geartrain.wiring import only_worker\n"
        "with only_worker(Path('.geartrain')): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tiny,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ.copy(),
    ) as other:
        assert other.stdout is not None and other.stdin is not None
        assert other.stdout.readline() == "held\n"

        said = shell(tiny, "train")

        other.stdin.close()
    _says(said, 75, "workspace.busy", f"process {other.pid}")


def test_with_json_nothing_else_is_on_standard_output(tiny: Path, shell: Shell) -> None:
    """An error is one document too."""
    said = shell(tiny, "train", "--json")

    assert said.document["ok"] is False
    assert said.document["error"]["code"] == "workspace.missing"


#: A promise of fairness, written where the section `success` begins.
ALIKE = """\
fairness:
  alike: {groups: amount < 30, definition: equal_opportunity, at_most: 0.1, because: so}
success:"""


@pytest.mark.parametrize(
    ("said", "slip", "parts"),
    [
        ("label: outcome", "label: yy", ("decision.label: there is no column `yy`", "id, amount, outcome")),
        (
            "false_negative: 1",
            "false_negative: 60 + foo",
            ("costs.false_negative: there is no column `foo`", "id, amount, outcome"),
        ),
        (
            "success:",
            ALIKE.replace("amount", "amoun"),
            ("fairness.alike.groups: there is no column `amoun`",),
        ),
        (
            "success:",
            ALIKE.replace("amount", "agee"),
            ("fairness.alike.groups: there is no column `agee`", "id, amount, outcome"),
        ),
    ],
)
def test_a_misspelled_column_in_a_contract(
    said: str, slip: str, parts: tuple[str, ...], tiny: Path, shell: Shell
) -> None:
    """A check names the clause, the name that is found nowhere and the columns that are known."""
    (tiny / "product.yaml").write_text(CONTRACT.replace(said, slip))

    _says(shell(tiny, "contract", "check"), 2, "contract.invalid", *parts)


def test_a_name_in_a_contract_may_be_a_feature(tiny: Path, shell: Shell) -> None:
    """A cost may be said over a feature, so a name of features.py is no misspelling."""
    (tiny / "product.yaml").write_text(
        CONTRACT.replace("false_negative: 1", "false_negative: 60 + thousands")
    )
    (tiny / "features.py").write_text(
        "from geartrain.features.declaring import feature_set, request\n"
        'features = feature_set(request("thousands", "amount / 1000"))\n'
    )

    assert shell(tiny, "contract", "check").code == 0


def test_a_contract_without_fields_cannot_know_its_columns(tiny: Path, shell: Shell) -> None:
    """Where no column is listed, no name is called misspelled."""
    start = CONTRACT.index("      fields:")
    bare = CONTRACT[:start] + CONTRACT[CONTRACT.index("team:") :]
    (tiny / "product.yaml").write_text(
        bare.replace("false_negative: 1", "false_negative: 60 + foo").replace(
            "positive: bad", "positive: bad\n  negative: good"
        )
    )

    assert shell(tiny, "contract", "check").code == 0


def test_hints_name_only_what_there_is(tiny: Path, shell: Shell) -> None:
    """A folder without a contract and a file of an unknown or wrong ending are answered with a way that exists."""
    (tiny / "empty").mkdir()
    (tiny / "rows.dat").write_text("id,amount,outcome\na,1,bad\n")
    (tiny / "rows.parquet").write_text("id,amount,outcome\na,1,bad\n")
    (tiny / "rows.ndjson").write_text("id,amount,outcome\na,1,bad\n")

    nowhere = shell(tiny / "empty", "contract", "check")
    _says(nowhere, 2, "contract.unreadable", "name its folder")
    assert "--product" not in nowhere.err
    _says(shell(tiny, "ingest", "rows.dat"), 2, "its name ends as its content is: .csv")
    for name in ("rows.parquet", "rows.ndjson"):
        _says(shell(tiny, "ingest", name), 2, "ends as its content is: .csv, .parquet or .ndjson")
