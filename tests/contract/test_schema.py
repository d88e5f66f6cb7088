"""The JSON Schema that editors read agrees with the parser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from geartrain.contract.metrics import METRICS
from geartrain.contract.models import ContractText
from geartrain.contract.reading import read
from geartrain.contract.schema import right_at, schema

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*/product.yaml"))


def _errors(text: str) -> list[str]:
    return [
        error.json_path for error in Draft202012Validator(schema()).iter_errors(read(text, origin="").content)
    ]


def test_it_is_a_schema_of_its_dialect() -> None:
    """Editors can load it."""
    document = schema()

    Draft202012Validator.check_schema(document)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_right_contracts_fit(complete: str, short: str) -> None:
    """The least and the most that can be said are both valid."""
    assert _errors(complete) == []
    assert _errors(short) == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_the_examples_fit(path: Path) -> None:
    """What the project ships is valid in an editor."""
    assert _errors(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("  serves:", "  srves:", "$.product"),
        ("task: binary", "task: binry", "$.decision.task"),
        ("trials: 8", "trials: many", "$.retraining.trials"),
        ("owner: domain}", "owner: domian}", "$.success.recall.owner"),
        ("metric: expected_cost", "metric: expected_csot", "$.success.beats_the_ear.metric"),
        ("type: integer", "type: int", "$.data.sources.nights.fields.age.type"),
    ],
)
def test_slips_are_seen_in_the_editor(complete: str, old: str, new: str, where: str) -> None:
    """Unknown keys, wrong types and words that are not in a closed list."""
    assert old in complete

    assert where in _errors(complete.replace(old, new, 1))


def test_every_section_and_key_explains_itself() -> None:
    """Each section has a description, each metric is listed, and nothing is nullable."""
    document: dict[str, Any] = schema()

    for name in ContractText.model_fields:
        assert right_at((name,)), name
    assert set(METRICS) == set(document["$defs"]["SuccessClause"]["properties"]["metric"]["enum"])
    assert "'null'" not in repr(document)


def test_callers_cannot_spoil_it() -> None:
    """Each call gives its own copy."""
    schema().clear()

    assert schema()
