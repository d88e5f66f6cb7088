"""The ML-BOM: the signed bill of materials with the model's card in it, as CycloneDX 1.7.

Source: CycloneDX 1.7 JSON schema, `component.modelCard` and `component.data`
(https://cyclonedx.org/docs/1.7/json/). Values and interval ends are strings there.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any

from geartrain.documents.facts import DocumentFacts, GroupLine
from geartrain.documents.prose import Ask, Note, flag
from geartrain.documents.spelling import number, size
from geartrain.domain.contract import SourceTerms
from geartrain.domain.digest import short
from geartrain.domain.finding import Finding
from geartrain.domain.roles import Role

NAME = "ml-bom"
SPEC = "1.7"

BENEFITS = Ask(
    document=NAME,
    section="benefits",
    missing="what the compared groups gain from the product",
    question="What do the people in the compared groups gain from the product?",
    owner=Role.DOMAIN,
)
MITIGATION = Ask(
    document=NAME,
    section="mitigation",
    missing="what is done against harm to the compared groups",
    question="What is done against harm to the compared groups?",
    owner=Role.DOMAIN,
)
ETHICS = Ask(
    document=NAME,
    section="ethical-considerations",
    missing="the ethical risks of the product",
    question="Which ethical risks does the product have, and what is done against them?",
    owner=Role.DOMAIN,
)
ASKS = (BENEFITS, MITIGATION, ETHICS)


def ml_bom(facts: DocumentFacts) -> bytes:
    """The bill as JSON bytes; the same facts give the same bytes.

    The bundle's own bill lists the model and every package and is covered by the release's
    id. This one adds what a reader of the model needs: metrics with slice and interval,
    limits, groups at risk, owners of the data. What nobody measured or wrote is left out, as
    the schema asks for no invented text.
    """
    bill: dict[str, Any] = (
        json.loads(facts.bill) if facts.bill else {"bomFormat": "CycloneDX", "components": []}
    )
    sources = facts.contract.data.sources if facts.contract.data else ()
    datasets = [_dataset(facts, source) for source in sources]
    component = {**bill.get("metadata", {}).get("component", _bare(facts))}
    component["modelCard"] = _card(facts, [str(one["bom-ref"]) for one in datasets])
    component["properties"] = [
        *component.get("properties", []),
        {"name": "geartrain:release", "value": facts.id},
    ]
    document: dict[str, Any] = {
        **bill,
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC}.schema.json",
        "specVersion": SPEC,
        "version": 1,
        "metadata": {
            "component": component,
            "timestamp": facts.made_at.isoformat(),
            "tools": {
                "components": [{"type": "application", "name": "geartrain", "version": facts.made_with}]
            },
        },
        "components": [*bill.get("components", []), *datasets],
    }
    document.pop("serialNumber", None)
    told = json.dumps(document, sort_keys=True, allow_nan=False)
    named = uuid.UUID(bytes=hashlib.sha256(told.encode()).digest()[:16], version=5)
    document["serialNumber"] = f"urn:uuid:{named}"
    return (
        json.dumps(document, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False).encode() + b"\n"
    )


def _bare(facts: DocumentFacts) -> dict[str, Any]:
    model = facts.model
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{model.id}",
        "name": model.product,
        "version": model.id,
        "hashes": [{"alg": "SHA-256", "content": model.artifact}],
    }


def _card(facts: DocumentFacts, datasets: list[str]) -> dict[str, Any]:
    kinds = sorted({one.type.value for one in facts.model.encoding.feature_set.features})
    task = facts.model.task
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": task.value,
            "architectureFamily": facts.model.algorithm,
            "modelArchitecture": facts.model.variant or "reference",
            "datasets": [{"ref": one} for one in datasets],
            "inputs": [{"format": one} for one in kinds],
            "outputs": [{"format": "probability of each class" if task.has_classes else "number"}],
        },
        "quantitativeAnalysis": {
            "performanceMetrics": [
                *(_metric(facts, one) for one in facts.findings if one.value is not None),
                *(_group_metric(one) for one in facts.groups if one.value is not None),
            ]
        },
        "considerations": _considerations(facts),
        "properties": [
            {"name": f"geartrain:parameter:{name}", "value": str(value)} for name, value in facts.model.params
        ],
    }


def _metric(facts: DocumentFacts, one: Finding) -> dict[str, Any]:
    clause = facts.clause(one)
    kind = clause.metric if clause else one.clause
    if clause and clause.relative_to:
        kind += f" relative to {clause.relative_to}"
    told: dict[str, Any] = {"type": f"{kind} ({one.unit})" if one.unit else kind, "value": repr(one.value)}
    if clause and clause.where:
        told["slice"] = clause.where
    if clause and (groups := clause.parameter("groups")) is not None:
        told["slice"] = f"between the groups of {groups}"
    return _with_interval(told, one.low, one.high)


def _group_metric(one: GroupLine) -> dict[str, Any]:
    told = {"type": one.quantity, "value": repr(one.value), "slice": f"{one.attribute}: {one.group}"}
    return _with_interval(told, one.low, one.high)


def _with_interval(told: dict[str, Any], low: float | None, high: float | None) -> dict[str, Any]:
    if low is not None and high is not None and low != high:
        told["confidenceInterval"] = {"lowerBound": repr(low), "upperBound": repr(high)}
    return told


def _considerations(facts: DocumentFacts) -> dict[str, Any]:
    terms = facts.contract.product
    told: dict[str, Any] = {
        "users": [terms.serves] if terms.serves else [],
        "useCases": list(terms.intended_use),
        "technicalLimitations": [
            *(f"not for: {one}" for one in terms.out_of_scope),
            *(f"{one.clause}: {one.message}" for one in facts.open_findings),
            *(f"nothing is promised about {one}" for one in facts.contract.silent),
        ],
        "performanceTradeoffs": [
            f"variant {short(one.model)}: 99 of 100 single rows within {number(one.speed.p99_us)} µs,"
            f" {size(one.speed.size_bytes)}; {'chosen' if one.chosen else 'not chosen'}: {one.reason}"
            for one in facts.variants
        ],
        "ethicalConsiderations": [
            *(
                {"name": f"{one.clause} is not kept and was allowed", "mitigationStrategy": one.reason}
                for one in facts.waivers
            ),
            *({"name": text} for text in _written(facts, ETHICS)),
        ],
        "fairnessAssessments": _fairness(facts),
    }
    return {name: value for name, value in told.items() if value}


def _fairness(facts: DocumentFacts) -> list[dict[str, str]]:
    """One for each fairness clause, and one for each group that could not be judged."""
    said = []
    for one in facts.section("fairness"):
        clause = facts.clause(one)
        groups = str(clause.parameter("groups")) if clause else one.clause
        named = groups if groups.isidentifier() else one.clause.rsplit(".", maxsplit=1)[-1].replace("_", " ")
        told = {"groupAtRisk": f"the groups of {named}", "harms": one.message}
        waiver = facts.waiver(one.clause)
        mitigation = [*_written(facts, MITIGATION), *([f"waived: {waiver.reason}"] if waiver else [])]
        if mitigation:
            told["mitigationStrategy"] = " ".join(mitigation)
        if benefits := _written(facts, BENEFITS):
            told["benefits"] = " ".join(benefits)
        said.append(told)
    said += [
        {
            "groupAtRisk": f"{one.attribute}: {one.group}",
            "harms": f"no verdict about {one.quantity}: {one.reason}",
        }
        for one in facts.groups
        if one.value is None
    ]
    return said


def _written(facts: DocumentFacts, ask: Ask) -> list[str]:
    """A person's words with their writer and flag, where there are any."""
    return [_signed(note, facts) for note in facts.notes if note.path == ask.path and not note.empty]


def _signed(note: Note, facts: DocumentFacts) -> str:
    doubt = flag(note, facts.about)
    return f"{note.text} ({note.by or 'no name given'}{f'; {doubt}' if doubt else ''})"


def _dataset(facts: DocumentFacts, source: SourceTerms) -> dict[str, Any]:
    taken = facts.snapshot
    version = next((one for one in taken.sources if one.source == source.name), None) if taken else None
    data: dict[str, Any] = {
        "type": "dataset",
        "name": source.name,
        "description": f"{version.rows:,} rows as known on {taken.known_at.isoformat()}"
        if taken and version
        else "not in the ledger's snapshot",
        "governance": _governance(facts),
    }
    sensitive = [one.name for one in source.fields if one.sensitive]
    if sensitive:
        data["sensitiveData"] = sensitive
    return {
        "type": "data",
        "bom-ref": f"data:{facts.release.snapshot}:{source.name}",
        "name": source.name,
        "version": version.content if version else facts.release.snapshot,
        "data": [data],
    }


def _governance(facts: DocumentFacts) -> dict[str, Any]:
    """The domain's people own what the data mean, engineering's keep them: as the contract's terms are owned."""

    def held(role: Role) -> list[dict[str, Any]]:
        return [{"contact": {"name": name}} for name in facts.contract.holders(role)]

    told = {"owners": held(Role.DOMAIN), "custodians": held(Role.ENGINEERING)}
    return {name: value for name, value in told.items() if value}
