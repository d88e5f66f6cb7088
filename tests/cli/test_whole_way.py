"""From a file of rows to a live release, by commands alone, for every task."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Shell, rows_of


@pytest.mark.parametrize(
    ("name", "ending"), [("wine", "csv"), ("diabetes", "parquet"), ("breast-cancer", "ndjson")]
)
def test_a_file_of_rows_becomes_a_live_release(name: str, ending: str, tmp_path: Path, shell: Shell) -> None:
    """`new`, then every verb in the order in which it is named as the next one, works unchanged."""
    frame, label = rows_of(name)
    file = tmp_path / f"rows.{ending}"
    {"csv": frame.write_csv, "parquet": frame.write_parquet, "ndjson": frame.write_ndjson}[ending](file)  # type: ignore[operator]  # writers differ
    assert shell(tmp_path, "new", name, "--data", str(file), "--label", label).code == 0
    home = tmp_path / name

    taken = shell(home, "ingest", "--json")
    asked = shell(home, "feasibility", "--json")
    trained = shell(home, "train", "--trials", "2", "--json")
    compressed = shell(home, "compress", "--json")
    judged = shell(home, "evaluate", "--json")
    signed = [
        shell(home, "release", "sign", "--role", role, "--as", "you").code
        for role in ("product", "domain", "engineering", "science")
    ]
    live = shell(home, "release", "promote")

    (batch,) = taken.document["result"]["batches"]
    assert batch["batch"]["accepted"] == frame.height
    assert {one["verdict"] for one in asked.document["result"]["prospects"]} <= {"can", "unknown"}
    assert trained.code == 0, trained.err
    assert len(trained.document["result"]["trials_recorded"]) >= 3
    assert any(row["chosen"] for row in compressed.document["result"]["variants"])
    assert {one["status"] for one in judged.document["result"]["findings"]} == {"kept"}
    assert [asked.code, trained.code, compressed.code, judged.code, *signed] == [0] * 8
    assert live.code == 0, live.err
    assert "is live" in live.out
    if name == "breast-cancer":
        _documented(home, shell)
        _after(home, shell)


def _documented(home: Path, shell: Shell) -> None:
    """A live release has its documents; what people still have to write is asked for, and their files are theirs."""
    written = shell(home, "document", "write", "champion", "--json")
    assert written.code == 0, written.err
    names = {Path(one).name for one in written.document["result"]["files"]}
    assert {
        "one-page.html",
        "model-card.md",
        "technical-file.md",
        "ml-bom.cdx.json",
        "ml-test-score.md",
    } <= names
    assert all((home / "documents" / one).exists() for one in names)
    assert written.document["result"]["missing"]["technical-file"] > 0

    asked = shell(home, "document", "prose", "--begin", "--json")
    assert (asked.code, len(asked.document["result"]["begun"]) > 20) == (1, True)
    note = home / "prose" / "one-page" / "objection.md"
    note.write_text(
        note.read_text(encoding="utf-8").replace("by:", "by: you") + "\nWrite to the clinic.\n",
        encoding="utf-8",
    )
    words = note.read_bytes()
    assert shell(home, "document", "write").code == 0
    assert note.read_bytes() == words
    assert "Write to the clinic." in (home / "documents" / "one-page.md").read_text(encoding="utf-8")

    scored = shell(home, "document", "score", "--json").document["result"]
    assert len(scored["tests"]) == 28
    assert scored["score"] == min(scored["sums"].values())
    told = {one["test"]: one for one in scored["tests"]}
    assert (told["M1"]["points"], told["I6"]["points"]) == (1.0, 0.0)

    (home / "documents" / "one-page.md").write_text("mine", encoding="utf-8")
    refused = shell(home, "document", "write")
    assert (refused.code, "document.edited" in refused.err) == (2, True)
    assert shell(home, "document", "write", "nothing-of-that-name").code == 2


def _after(home: Path, shell: Shell) -> None:
    """What follows on a live release: it is watched, refuses what is too early, and is not served torn."""
    watched = shell(home, "monitor", "--json")
    assert watched.code == 0
    assert "no decision of the live release" in " ".join(watched.document["result"]["missing"])
    assert {one["status"] for one in watched.document["result"]["findings"]} == {"not measured"}

    again = shell(home, "ingest")
    assert (again.code, "nothing was changed" in again.out) == (0, True)

    idle = shell(home, "retrain", "--json")
    assert idle.document["result"]["retrained"] is False

    release = watched.document["result"]["release"]
    model = next((home / ".geartrain" / "bundles" / release).rglob("*.onnx"))
    model.chmod(0o644)
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    torn = shell(home, "release", "verify", str(model.parents[0]))
    assert torn.code == 2
    assert "release.bundle-tampered" in torn.err
    assert shell(home, "monitor").code == 2
