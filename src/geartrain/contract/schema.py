"""The JSON Schema of `product.yaml`, for editors, and the words of it for error messages."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from geartrain.contract.models import ContractText

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, object]:
    """JSON Schema (draft 2020-12) of a contract, with descriptions and examples.

    It says what an editor can know: keys, types, closed lists. What the sections mean
    together is only known to `parse`.
    """
    return copy.deepcopy(_schema())


def fragment(path: tuple[str | int, ...]) -> dict[str, Any]:
    """The schema of what may stand at *path*; empty where nothing may."""
    here = _schema()
    for step in path:
        here = next((found for one in _resolved(here) if (found := _inside(one, step))), {})
        if not here:
            return {}
    return here


def keys_at(path: tuple[str | int, ...]) -> tuple[str, ...]:
    """The keys that may stand in the mapping at *path*."""
    return tuple(key for one in _resolved(fragment(path)) for key in one.get("properties", {}))


def right_at(path: tuple[str | int, ...]) -> str:
    """What would be right at *path*, in words, with an example where there is one.

    >>> right_at(("decision", "task"))
    'one of binary, multiclass, regression'
    """
    here = fragment(path)
    options = _resolved(here)
    words = " or ".join(dict.fromkeys(said for one in options if (said := _words(one))))
    examples = [example for one in (here, *options) for example in one.get("examples", [])]
    if examples and words:
        return f"{words}, such as {examples[0]}"
    return words or str(here.get("description", ""))


@cache
def _schema() -> dict[str, Any]:
    raw = ContractText.model_json_schema(mode="validation")
    tidy: dict[str, Any] = _tidied(raw, naming=False)
    for definition in tidy["$defs"].values():
        bound = definition.pop("x-bare", None)
        if bound is not None:
            full = dict(definition)
            definition.clear()
            definition["anyOf"] = [full["properties"][bound], full]
    return {"$schema": DIALECT, "title": "geartrain contract", **tidy}


def _tidied(node: Any, *, naming: bool) -> Any:
    """Without nulls and generated titles: a key is left out, never empty. *naming*: keys are people's names."""
    if isinstance(node, list):
        return [_tidied(item, naming=False) for item in node]
    if not isinstance(node, dict):
        return node
    result = {
        key: _tidied(value, naming=key in {"properties", "$defs"} and not naming)
        for key, value in node.items()
        if naming or not (key == "title" or (key == "default" and value in (None, "")))
    }
    options = result.get("anyOf")
    if not naming and isinstance(options, list):
        options = [option for option in options if option != {"type": "null"}]
        if len(options) == 1:
            del result["anyOf"]
            result = {**options[0], **result}
        else:
            result["anyOf"] = options
    return result


def _resolved(node: dict[str, Any]) -> list[dict[str, Any]]:
    """The alternatives that *node* allows, references followed."""
    if "$ref" in node:
        node = _schema()["$defs"][node["$ref"].rsplit("/", 1)[1]]
    if "anyOf" in node:
        return [one for option in node["anyOf"] for one in _resolved(option)]
    return [node]


def _inside(node: dict[str, Any], step: str | int) -> dict[str, Any]:
    if isinstance(step, int):
        found = node.get("items", {})
    else:
        anything = [*node.get("patternProperties", {}).values(), node.get("additionalProperties", {})]
        found = node.get("properties", {}).get(step) or anything[0]
    return found if isinstance(found, dict) else {}


def _words(node: dict[str, Any]) -> str:
    if "enum" in node or "const" in node:
        options = node.get("enum", [node.get("const")])
        return ("one of " if len(options) > 1 else "") + ", ".join(str(option) for option in options)
    match node.get("type"):
        case "string":
            return str(node.get("description", "text")) if "examples" in node else "text"
        case "number":
            return "a number" + _range(node)
        case "integer":
            return "a whole number" + _range(node)
        case "boolean":
            return "true or false"
        case "array":
            return "a list"
        case "object":
            named = list(node.get("properties", {}))
            return "a mapping with " + ", ".join(named[:8]) if named else "a mapping"
        case list():
            return "a single value"
        case _:
            return ""


def _range(node: dict[str, Any]) -> str:
    if "minimum" in node and "maximum" in node:
        return f" from {node['minimum']} to {node['maximum']}"
    if "exclusiveMinimum" in node:
        return f" above {node['exclusiveMinimum']}"
    return f" of at least {node['minimum']}" if "minimum" in node else ""
