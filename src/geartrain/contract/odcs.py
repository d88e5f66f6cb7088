"""The Open Data Contract Standard, version 3.1: the data section out, and in.

What the standard has a word for is said in that word, so that other tools check it too;
what only geartrain knows stands in `customProperties` under `geartrain.`. A contract that
was exported and taken back means the same.

Source: Open Data Contract Standard v3.1.0 (Bitol, LF AI & Data), sections Schema, Data quality, SLA.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import yaml

from geartrain.contract.foreign import Draft, Taken, anchored, length_pattern, slug, taken_over, whole_pattern
from geartrain.contract.units import number
from geartrain.domain.contract import Contract, FieldTerms, FieldType, Missing, SourceTerms
from geartrain.errors import ContractUnreadable

VERSION = "v3.1.0"
_OWN = "geartrain."
_TYPES = {
    FieldType.TEXT: "string",
    FieldType.STRING: "string",
    FieldType.INTEGER: "integer",
    FieldType.NUMBER: "number",
    FieldType.BOOLEAN: "boolean",
    FieldType.TIMESTAMP: "timestamp",
    FieldType.OBJECT: "object",
}
_FOREIGN = {
    "string": "string",
    "date": "timestamp",
    "timestamp": "timestamp",
    "time": "string",
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
    "object": "object",
    "array": "object",
    "map": "object",
    "vector": "object",
}
_SECONDS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
}
_COUNT_OF_BAD = re.compile(
    r"^\s*select\s+count\(\s*\*\s*\)\s+from\s+\S+\s+where\s+(.+?)\s*;?\s*$", re.IGNORECASE | re.DOTALL
)
_NEGATED = re.compile(r"^NOT \((.*)\)$", re.DOTALL)
#: What describes a column and asks nothing of a row.
_SILENT = {
    "name", "id", "physicalType", "physicalName", "businessName", "tags", "description", "examples",
    "authoritativeDefinitions", "primaryKeyPosition", "customProperties", "logicalType", "required", "unique",
    "primaryKey", "classification", "logicalTypeOptions", "quality", "relationships", "enum", "properties",
    "criticalDataElement", "semanticType", "synonyms",
}  # fmt: skip


def to_odcs(contract: Contract) -> dict[str, Any]:
    """The data section as an ODCS document, ready for YAML or JSON."""
    sources = contract.data.sources if contract.data is not None else ()
    document: dict[str, Any] = {
        "apiVersion": VERSION,
        "kind": "DataContract",
        "id": contract.product.name,
        "version": contract.id[:12],
        "name": contract.product.title or contract.product.name,
        "status": "active",
        "description": {"purpose": contract.product.problem},
        "schema": [_object(source) for source in sources],
    }
    freshness = [
        {
            "property": "freshness",
            "value": source.freshness_s,
            "unit": "s",
            "element": f"{source.name}.{source.event_time or source.key}",
        }
        for source in sources
        if source.freshness_s is not None
    ]
    return {**document, **({"slaProperties": freshness} if freshness else {})}


def _object(source: SourceTerms) -> dict[str, Any]:
    own = {
        "kind": source.kind.value,
        "key": source.key,
        "event_time": source.event_time,
        "arrival_time": source.arrival_time,
        "decision_key": source.decision_key,
        "location": source.location,
        "on_bad_row": source.on_bad_row.value,
        "every_column_listed": source.every_column_listed or None,
        "csv": _said(asdict(source.csv)) if source.csv is not None else None,
        "clock_ahead": f"{source.clock_ahead_s:g} seconds" if source.clock_ahead_s != 86_400 else None,
    }
    quality: list[dict[str, Any]] = [
        {
            "type": "sql",
            "name": name,
            "query": f"SELECT COUNT(*) FROM {source.name} WHERE NOT ({condition})",  # noqa: S608 - a document, not run
            "mustBe": 0,
        }
        for name, condition in source.rules
    ]
    if source.rows_per_day is not None:
        quality.append(
            {
                "type": "library",
                "metric": "rowCount",
                "name": "rows_per_day",
                "description": "good rows in the last 24 hours",
                "mustBeGreaterOrEqualTo": source.rows_per_day,
            }
        )
    return _said(
        {
            "name": source.name,
            "logicalType": "object",
            "properties": [_property(terms, source) for terms in source.fields],
            "quality": quality or None,
            "customProperties": _customs(own),
        }
    )


def _property(terms: FieldTerms, source: SourceTerms) -> dict[str, Any]:
    own = {
        "unit": terms.unit or None,
        "path": terms.path,
        "missing": terms.missing.value if terms.missing is not Missing.UNKNOWN else None,
        "feature": None if terms.feature or terms.name in _named(source) else False,
        "known_after": None if terms.known_after_s is None else f"{terms.known_after_s:g} seconds",
        "file_digest": terms.file_digest,
        "type": "text" if terms.type is FieldType.TEXT else None,
    }
    options = {
        "minimum": _whole(terms.minimum, terms.type),
        "maximum": _whole(terms.maximum, terms.type),
        "pattern": None if terms.pattern is None else anchored(terms.pattern),
    }
    allowed = {
        "type": "library",
        "metric": "invalidValues",
        "arguments": {"validValues": list(terms.values)},
        "mustBe": 0,
    }
    return _said(
        {
            "name": terms.name,
            "logicalType": _TYPES[terms.type],
            "description": terms.description or None,
            "required": terms.required or None,
            "unique": terms.unique or None,
            "primaryKey": True if terms.name == source.key else None,
            "primaryKeyPosition": 1 if terms.name == source.key else None,
            "classification": "sensitive" if terms.sensitive else None,
            "logicalTypeOptions": _said(options) or None,
            "relationships": [{"type": "foreignKey", "to": terms.refers_to}] if terms.refers_to else None,
            "quality": [allowed] if terms.values else None,
            "customProperties": _customs(own) or None,
        }
    )


def from_odcs(text: str) -> Taken:
    """The `data` section that an ODCS document describes, and what in it has no place here.

    Raises:
        ContractUnreadable: It is no YAML, or no data contract of version 3.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ContractUnreadable(
            "the data contract is no YAML", found=str(error), hint="see the line"
        ) from error
    if not isinstance(document, dict) or document.get("kind") != "DataContract":
        raise ContractUnreadable(
            "this is no data contract of the Open Data Contract Standard",
            found=str(document)[:60],
            hint="it begins with `kind: DataContract` and `apiVersion: v3.1.0`",
        )
    if not str(document.get("apiVersion", "")).startswith("v3."):
        raise ContractUnreadable(
            "this version of the standard is not read",
            found=str(document.get("apiVersion")),
            hint="version 3 is; its schema is a list of objects with properties",
        )
    drafts = [_draft(one) for one in document.get("schema") or ()]
    notes = tuple(_slas(document.get("slaProperties") or (), drafts))
    others = {"servers", "roles", "price", "support", "team"} & set(document)
    return taken_over(drafts, (*(f"{one}: nothing here speaks of it" for one in sorted(others)), *notes))


def _draft(schema: Mapping[str, Any]) -> Draft:
    draft = Draft(name=slug(str(schema.get("name"))))
    draft.terms.update(_own(schema))
    draft.from_elsewhere = not draft.terms
    keys = [one for one in schema.get("properties") or () if one.get("primaryKey")]
    if "key" not in draft.terms and len(keys) == 1:
        draft.terms["key"] = keys[0]["name"]
    elif len(keys) > 1:
        draft.note("primaryKey", "a row is named by one column, not by several together")
    _take_properties(draft, schema.get("properties") or (), "", "")
    for rule in schema.get("quality") or ():
        _take_rule_of_rows(draft, rule)
    if schema.get("relationships"):
        draft.note("relationships", "say them at the column that refers to another")
    return draft


def _take_properties(draft: Draft, properties: Iterable[Mapping[str, Any]], before: str, path: str) -> None:
    for one in properties:
        name = before + str(one["name"])
        place = f"{path}.{one['name']}"
        inner = one.get("properties")
        if inner:
            _take_properties(draft, inner, f"{name}_", place)
            continue
        _take_property(draft, name, one)
        if before:
            draft.fields[name].setdefault("path", f"${place}")


def _take_property(draft: Draft, name: str, said: Mapping[str, Any]) -> None:
    kind = str(said.get("logicalType", "string"))
    terms: dict[str, Any] = {"type": _FOREIGN.get(kind, "string")}
    draft.fields[name] = terms
    if kind in {"array", "map", "vector", "time"}:
        draft.note(name, f"logicalType {kind} is kept as {terms['type']}")
    for key in ("required", "unique", "description"):
        if said.get(key):
            terms[key] = said[key]
    if said.get("primaryKey") and draft.from_elsewhere:
        terms["required"] = True
    if said.get("classification"):
        terms["sensitive"] = said["classification"] not in {"public", "internal"}
    if said.get("enum"):
        terms["values"] = [str(one["value"]) for one in said["enum"]]
    _take_options(draft, name, terms, said.get("logicalTypeOptions") or {})
    for relation in said.get("relationships") or ():
        target = _target(str(relation.get("to", "")))
        if target is None:
            draft.note(name, f"the relationship to {relation.get('to')} is not one column of one source")
        else:
            terms["refers_to"] = target
    for rule in said.get("quality") or ():
        _take_rule_of_field(draft, name, terms, rule)
    terms.update(_own(said))
    for key in sorted(set(said) - _SILENT):
        draft.note(name, f"{key}: {said[key]}")


def _take_options(draft: Draft, name: str, terms: dict[str, Any], options: Mapping[str, Any]) -> None:
    numeric = terms["type"] in {"integer", "number"}
    for key, value in options.items():
        if key in {"minimum", "maximum"} and numeric:
            terms[key[:3]] = value
        elif key == "pattern":
            terms["pattern"] = whole_pattern(str(value))
        elif key in {"minLength", "maxLength"} and "pattern" not in options:
            terms["pattern"] = length_pattern(options.get("minLength"), options.get("maxLength"))
        else:
            draft.note(name, f"logicalTypeOptions.{key}: {value}")


def _take_rule_of_field(draft: Draft, name: str, terms: dict[str, Any], rule: Mapping[str, Any]) -> None:
    arguments = rule.get("arguments") or {}
    match rule.get("metric") or rule.get("rule"):
        case "nullValues" | "missingValues" if _is_none(rule):
            terms["required"] = True
        case "invalidValues" if _is_none(rule) and set(arguments) & {"validValues", "pattern"}:
            if "validValues" in arguments:
                terms["values"] = [str(one) for one in arguments["validValues"]]
            if "pattern" in arguments:
                terms["pattern"] = whole_pattern(str(arguments["pattern"]))
        case "duplicateValues" if _is_none(rule):
            terms["unique"] = True
        case _ if (condition := _condition(rule)) is not None:
            draft.terms.setdefault("rules", {})[slug(rule.get("name") or f"{name} rule")] = condition
        case _:
            draft.note(name, f"quality {_rule_said(rule)}")


def _take_rule_of_rows(draft: Draft, rule: Mapping[str, Any]) -> None:
    condition = _condition(rule)
    if condition is not None:
        rules = draft.terms.setdefault("rules", {})
        rules[slug(rule.get("name") or f"rule {len(rules) + 1}")] = condition
    elif rule.get("metric") == "rowCount" and rule.get("name") == "rows_per_day":
        draft.terms["rows_per_day"] = rule["mustBeGreaterOrEqualTo"]
    else:
        draft.note("quality", _rule_said(rule))


def _condition(rule: Mapping[str, Any]) -> str | None:
    """The condition of every good row, where a query counts the bad ones and none is allowed."""
    counted = _COUNT_OF_BAD.match(str(rule.get("query", "")))
    if counted is None or not _is_none(rule):
        return None
    negated = _NEGATED.match(counted.group(1))
    return negated.group(1) if negated else f"NOT ({counted.group(1)})"


def _is_none(rule: Mapping[str, Any]) -> bool:
    """Whether no row may break the rule; a share that is allowed has no place at a single row."""
    return rule.get("mustBe") == 0 or rule.get("mustBeLessOrEqualTo") == 0 or rule.get("mustBeLessThan") == 1


def _slas(slas: Iterable[Mapping[str, Any]], drafts: list[Draft]) -> Iterator[str]:
    by_name = {draft.name: draft for draft in drafts}
    for sla in slas:
        source = slug(str(sla.get("element", "")).split(".")[0])
        unit = _SECONDS.get(str(sla.get("unit", "d")).lower())
        if sla.get("property") in {"freshness", "latency"} and source in by_name and unit:
            seconds = float(sla["value"]) * unit
            by_name[source].terms["freshness"] = {"at_most": f"{number(seconds)} seconds"}
        else:
            yield f"slaProperties: {sla.get('property')} {sla.get('value')} {sla.get('unit', '')}".rstrip()


def _target(to: str) -> str | None:
    """`customers.id`, also where it is written as a path through the document."""
    parts = [part for part in re.split(r"[./]", to) if part not in {"schema", "properties", "#", ""}]
    return f"{slug(parts[0])}.{parts[1]}" if len(parts) == 2 else None


def _rule_said(rule: Mapping[str, Any]) -> str:
    told = {
        key: value for key, value in rule.items() if key not in {"id", "tags", "dimension", "description"}
    }
    return ", ".join(f"{key} {value}" for key, value in told.items()) or str(rule.get("description"))


def _customs(own: Mapping[str, object]) -> list[dict[str, object]]:
    return [{"property": f"{_OWN}{key}", "value": value} for key, value in own.items() if value is not None]


def _own(said: Mapping[str, Any]) -> dict[str, Any]:
    customs = said.get("customProperties") or ()
    return {
        str(one["property"]).removeprefix(_OWN): one["value"]
        for one in customs
        if str(one.get("property", "")).startswith(_OWN)
    }


def _said(terms: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in terms.items() if value is not None}


def _whole(bound: float | None, kind: FieldType) -> float | int | None:
    return int(bound) if bound is not None and (kind is FieldType.INTEGER or bound == int(bound)) else bound


def _named(source: SourceTerms) -> set[str | None]:
    """The columns that are never features, whatever is said of them."""
    return {source.key, source.event_time, source.arrival_time, source.decision_key}
