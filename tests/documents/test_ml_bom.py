"""The ML-BOM is CycloneDX 1.7 by its own schema, and holds every number with its slice and interval."""

import json
from dataclasses import replace
from typing import Any

import pytest

from geartrain.documents.ml_bom import ml_bom
from geartrain.documents.prose import Note

VALIDATION = pytest.importorskip("cyclonedx.validation.json", reason="cyclonedx-python-lib is not installed")


def faults(content: bytes) -> object:
    """What the published schema has against it; the schemas lie in the library, so nothing is fetched."""
    from cyclonedx.schema import SchemaVersion

    return VALIDATION.JsonStrictValidator(SchemaVersion.V1_7).validate_str(content.decode())


def card(content: bytes) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(content)["metadata"]["component"]["modelCard"]
    return told


def test_it_is_valid_by_the_published_schema(samples) -> None:
    """The validator that the standard's own library brings has nothing against it, and it can say no."""
    content = ml_bom(samples.model_facts())

    assert json.loads(content)["specVersion"] == "1.7"
    assert faults(content) is None
    assert faults(content.replace(b'"lowerBound"', b'"lower"')) is not None


def test_metrics_have_value_slice_and_interval(samples) -> None:
    """Each measured finding is there with the ends of its interval; an exact fact has none."""
    facts = samples.model_facts()
    metrics = card(ml_bom(facts))["quantitativeAnalysis"]["performanceMetrics"]
    told = {(one["type"], one.get("slice", "")): one for one in metrics}

    recall = told["recall", ""]
    assert (float(recall["value"]), recall["confidenceInterval"]) == (
        0.96,
        {"lowerBound": "0.92", "upperBound": "0.99"},
    )
    assert ("recall", "`worst radius` < 16") in told
    over = told["recall", "age: over 50"]["confidenceInterval"]
    assert (float(over["lowerBound"]), float(over["upperBound"])) == pytest.approx((0.89, 0.98))
    assert ("recall", "age: under 18") not in told, "no verdict on a group that is too small"
    assert "confidenceInterval" not in told["latency_p99 (ms)", ""]


def test_limits_owners_and_groups_at_risk_are_in_it(samples) -> None:
    """What is not kept is a limitation; each fairness promise and each small group an assessment; data have owners."""
    facts = samples.model_facts()
    content = ml_bom(facts)
    considered = card(content)["considerations"]

    assert "not for: a final diagnosis" in considered["technicalLimitations"]
    assert any("calibration_error" in one and "broken" in one for one in considered["technicalLimitations"])
    assert considered["users"] == [facts.contract.product.serves]
    risks = {one["groupAtRisk"]: one for one in considered["fairnessAssessments"]}
    assert "no verdict about recall: 3 rows count" in [
        one["harms"].split(",")[0]
        for one in considered["fairnessAssessments"]
        if one["groupAtRisk"] == "age: under 18"
    ]
    assert "the groups of clinics" in risks
    assert not any("benefits" in one for one in risks.values()), "nobody wrote them, so nobody says them"
    (waived,) = considered["ethicalConsiderations"]
    assert waived["mitigationStrategy"] == "300 more samples arrive by the summer"
    (data,) = [one for one in json.loads(content)["components"] if one["type"] == "data"]
    assert data["data"][0]["governance"]["owners"] == [{"contact": {"name": "Dr. Dana Okafor"}}]
    assert card(content)["modelParameters"]["datasets"] == [{"ref": data["bom-ref"]}]


def test_what_people_wrote_is_in_it_with_its_writer(samples) -> None:
    """Benefits and mitigation come from notes alone, and carry the flag of a stale one."""
    facts = samples.model_facts()
    notes = (
        Note(
            document="ml-bom",
            section="benefits",
            text="Fewer needless biopsies.",
            by="Bo",
            contract=facts.contract.id,
        ),
        Note(
            document="ml-bom",
            section="mitigation",
            text="A pathologist reads each.",
            by="Bo",
            release="dead" * 16,
        ),
    )
    assessed = card(ml_bom(replace(facts, notes=notes)))["considerations"]["fairnessAssessments"][0]

    assert assessed["benefits"] == "Fewer needless biopsies. (Bo)"
    assert "written for release deaddeaddead, now" in assessed["mitigationStrategy"]
    assert faults(ml_bom(replace(facts, notes=notes))) is None


def test_the_signed_bill_is_its_base(samples) -> None:
    """Every package of the bundle's bill stays in it, and the same facts give the same bytes."""
    library = {"type": "library", "bom-ref": "pkg:pypi/numpy@2.3.0", "name": "numpy", "version": "2.3.0"}
    base = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": [library]}
    facts = samples.model_facts(bill=json.dumps(base).encode())

    assert library in json.loads(ml_bom(facts))["components"]
    assert faults(ml_bom(facts)) is None
    assert ml_bom(facts) == ml_bom(samples.model_facts(bill=json.dumps(base).encode()))


def test_hostile_names_stay_valid(samples) -> None:
    """Quotes, control characters and turned text in names cannot break the document."""
    contract = samples.contract_of()
    evil = replace(contract.product, problem='"},{"x":"\x00\n', serves="\u202e<b>", intended_use=("a\tb",))

    assert faults(ml_bom(samples.model_facts(contract=replace(contract, product=evil)))) is None


def test_a_model_without_anything_measured_is_valid_too(samples) -> None:
    """No findings, groups or notes: the lists are empty or absent, nothing is invented."""
    facts = samples.model_facts(findings=(), tables=(), waivers=(), history=())
    content = ml_bom(facts)

    assert faults(content) is None
    assert card(content)["quantitativeAnalysis"]["performanceMetrics"] == []
    assert "fairnessAssessments" not in card(content)["considerations"]
