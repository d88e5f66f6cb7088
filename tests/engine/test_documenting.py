"""Documents of a real release: numbers from its evidence, words from people, and neither loses the other."""

import json
from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer

from geartrain.documents.rendering import Rendered, documents_of
from geartrain.domain.digest import short
from geartrain.domain.roles import Role
from geartrain.engine import documenting, releasing
from geartrain.engine.documenting import (
    begin_notes,
    document_facts,
    keep_documents,
    read_notes,
    standings,
    stray_notes,
)
from geartrain.engine.ingesting import Door
from geartrain.errors import DocumentEdited, ProseUnreadable, ReleaseUnknown

CONTRACT = {
    "product": {"name": "tumours", "title": "Tumours", "problem": "which samples are malignant", "out_of_scope": ["screening"]},
    "decision": {
        "task": "binary", "unit": "one sample", "label": "diagnosis", "label_delay": "0 days", "positive": "malignant",
        "actions": {"malignant": "biopsy", "benign": "wait"},
    },
    "costs": {"currency": "EUR", "false_negative": 10, "false_positive": 1},
    "success": {"recall": {"at_least": 0.5}, "expected_cost": {"at_most": 0.9, "relative_to": "most-frequent"}},
    "data": {"split": {"shares": [0.5, 0.2, 0.3]}, "sources": {"rows": {"kind": "decisions", "key": "id", "fields": {
        "id": {"type": "string", "required": True}, "radius": {"type": "number"}, "texture": {"type": "number"},
        "diagnosis": {"type": "string", "values": ["malignant", "benign"]},
    }}}},
}  # fmt: skip


@pytest.fixture
def rows():
    bunch = load_breast_cancer()
    return pl.DataFrame(
        {
            "id": [f"s{place}" for place in range(len(bunch.target))],
            "radius": bunch.data[:, 0],
            "texture": bunch.data[:, 1],
            "diagnosis": [str(bunch.target_names[one]) for one in bunch.target],
        }
    )


@pytest.fixture
def world(memory, product, built, rows, now):
    """A workspace with one judged release, its product and a function that builds another."""
    workspace, made = memory(), product(CONTRACT)
    Door(workspace, made.contract).take("rows", rows, content=b"rows", now=now)

    def build(seed: int, at=now) -> str:
        return built(workspace, made, seed=seed, at=at)["release"]

    return workspace, made, build


def texts(facts) -> dict[str, str]:
    return {one.name: one.content.decode() for one in documents_of(facts)}


def test_words_survive_and_numbers_are_new(world, now) -> None:
    """Generate, write, retrain, generate again: the words stand as written, flagged; every number is the new release's."""
    workspace, made, build = world
    first = build(3)
    facts = document_facts(workspace, "tumours", "latest", now=now, folder=made.folder)
    home = made.folder / documenting.FOLDER
    keep_documents(home, documents_of(facts))
    asks = [one.ask for one in standings(facts)]
    began = begin_notes(made.folder, facts, asks)
    assert len(began) == len(asks)
    again = document_facts(workspace, "tumours", "latest", now=now, folder=made.folder)
    assert {one.words for one in standings(again)} == {"missing"}, "a question is no answer"
    caveat = made.folder / "prose" / "model-card" / "caveats.md"
    header = caveat.read_text(encoding="utf-8")
    caveat.write_text(
        header.replace("by:", "by: Dev", 1) + "\nSamples under 5 mm are few.\n", encoding="utf-8"
    )
    words = caveat.read_bytes()
    told = document_facts(workspace, "tumours", "latest", now=now, folder=made.folder)
    keep_documents(home, documents_of(told))
    before = (home / "model-card.md").read_text(encoding="utf-8")
    assert "Samples under 5 mm are few." in before
    assert "Read again" not in before

    later = now + timedelta(days=1)
    second = build(5, later)
    renewed = document_facts(workspace, "tumours", "latest", now=later, folder=made.folder)
    keep_documents(home, documents_of(renewed))
    after = (home / "model-card.md").read_text(encoding="utf-8")

    assert first != second
    assert begin_notes(made.folder, renewed, asks) == ()
    assert caveat.read_bytes() == words
    assert "Samples under 5 mm are few." in after
    assert f"**Read again:** written for release {short(first)}, now {short(second)}." in after
    assert (first in before, second in before) == (True, False)
    assert (first in after, second in after) == (False, True)
    assert facts.findings != renewed.findings
    for one in renewed.findings:
        if one.value is not None and one.clause.startswith("success"):
            assert f'"value": {json.dumps(one.value)}' in after


def test_numbers_are_those_of_the_signed_evidence(world, now) -> None:
    """Findings, model, bill and report are read from bundle and ledger; nothing needs the run's own file."""
    workspace, made, build = world
    release = build(3)
    facts = document_facts(workspace, "tumours", short(release), now=now)

    assert facts.id == release
    assert facts.contract.id == made.contract.id
    assert facts.rows
    assert {one.name for one in facts.baselines} >= {"most-frequent", "simplest-model"}
    assert len(facts.trials) >= 2
    assert facts.snapshot is not None
    bill = json.loads(texts(facts)["ml-bom.cdx.json"])
    assert any(one.get("purl", "").startswith("pkg:pypi/lightgbm@") for one in bill["components"])
    assert bill["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": facts.model.artifact}]
    validation = pytest.importorskip(
        "cyclonedx.validation.json", reason="cyclonedx-python-lib is not installed"
    )
    from cyclonedx.schema import SchemaVersion

    assert (
        validation.JsonStrictValidator(SchemaVersion.V1_7).validate_str(texts(facts)["ml-bom.cdx.json"])
        is None
    )
    signed = json.loads(facts.bill)
    assert validation.JsonStrictValidator(SchemaVersion.V1_7).validate_str(json.dumps(signed)) is None
    assert signed["specVersion"] == "1.7"


def test_documents_are_as_known_at_a_time(world, now) -> None:
    """A later signature is not in a document of an earlier day; a release of tomorrow does not exist yet."""
    workspace, made, build = world
    release, later = build(3), now + timedelta(days=2)
    releasing.sign(workspace, made.contract, release=release, role=Role.DOMAIN, person="Bo", now=later)

    assert (
        "Bo, 3 Mar 2026" in texts(document_facts(workspace, "tumours", release, now=later))["model-card.md"]
    )
    assert document_facts(workspace, "tumours", release, now=now).sign_offs == ()
    with pytest.raises(ReleaseUnknown):
        document_facts(workspace, "tumours", release, now=now - timedelta(days=1))


def test_words_typed_into_a_generated_file_are_not_lost(tmp_path) -> None:
    """An edited document is not written over, nor is a file that geartrain did not make; an unchanged one is."""
    documents = tuple(
        Rendered(name=name, media_type="text/markdown", content=b"made\n")
        for name in ("model-card.md", "one-page.md")
    )
    home = tmp_path / "out"
    keep_documents(home, documents)
    keep_documents(home, tuple(replace(one, content=one.content + b"\n") for one in documents))
    card = home / "model-card.md"
    card.write_text(card.read_text(encoding="utf-8") + "by hand\n", encoding="utf-8")

    with pytest.raises(DocumentEdited) as told:
        keep_documents(home, documents)
    assert told.value.where == str(card)
    assert "by hand" in card.read_text(encoding="utf-8")

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "one-page.md").write_text("mine", encoding="utf-8")
    with pytest.raises(DocumentEdited):
        keep_documents(tmp_path / "mine", documents)
    assert not (tmp_path / "mine" / "model-card.md").exists()


def test_unreadable_notes_are_named_and_strays_are_told(tmp_path) -> None:
    """A note that is not text stops with its place; a file in no document's folder is said, not ignored in silence."""
    folder = tmp_path / "prose" / "model-card"
    folder.mkdir(parents=True)
    (tmp_path / "prose" / "modelcard").mkdir()
    (tmp_path / "prose" / "modelcard" / "caveats.md").write_text("lost?", encoding="utf-8")
    (folder / "caveats.txt").write_text("lost?", encoding="utf-8")
    assert read_notes(tmp_path) == ()
    assert stray_notes(tmp_path) == ("prose/model-card/caveats.txt", "prose/modelcard/caveats.md")

    (folder / "caveats.md").write_bytes(b"\xff\xfe\x00words")
    with pytest.raises(ProseUnreadable) as told:
        read_notes(tmp_path)
    assert told.value.where == str(folder / "caveats.md")
    (folder / "caveats.md").write_bytes(b"x" * (documenting.LONGEST_NOTE + 1))
    with pytest.raises(ProseUnreadable):
        read_notes(tmp_path)
