"""Schemas of data frames, from pandera and dataframely, as the fields of a source.

They are read by what they say of themselves; neither library is imported here.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geartrain.contract.foreign import Draft, Taken, length_pattern, slug, taken_over, whole_pattern
from geartrain.errors import ContractUnreadable

_TYPES = (
    ("bool", "boolean"),
    ("uint", "integer"),
    ("int", "integer"),
    ("float", "number"),
    ("decimal", "number"),
    ("datetime", "timestamp"),
    ("timestamp", "timestamp"),
    ("date", "timestamp"),
    ("struct", "object"),
    ("list", "object"),
    ("array", "object"),
    ("str", "string"),
    ("utf8", "string"),
    ("categor", "string"),
    ("enum", "string"),
    ("object", "string"),
)


def load_schema(place: str, *, folder: Path) -> object:
    """The object that `module:Name` names; modules in *folder* are found. This runs the module's code.

    Raises:
        ContractUnreadable: There is no such module or name.
    """
    module, _, name = place.partition(":")
    sys.path.insert(0, str(folder))
    try:
        found: object = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ContractUnreadable(
            "this schema cannot be found", where=place, found=str(error), hint="write module:Name"
        ) from error
    finally:
        sys.path.remove(str(folder))
    return found


def from_pandera(schema: Any, *, name: str) -> Taken:
    """What a pandera `DataFrameSchema` or `DataFrameModel` says of its columns.

    Raises:
        ContractUnreadable: It is neither.
    """
    whole = schema.to_schema() if hasattr(schema, "to_schema") else schema
    if not isinstance(getattr(whole, "columns", None), Mapping):
        raise ContractUnreadable("this is no pandera schema", where=name, found=str(type(schema)))
    draft = Draft(name=slug(name))
    for column, said in whole.columns.items():
        terms: dict[str, Any] = {"type": _type(draft, str(column), str(said.dtype))}
        terms["required"] = not said.nullable
        terms["unique"] = bool(said.unique)
        terms["description"] = said.description or None
        draft.fields[str(column)] = terms
        for check in said.checks:
            _take_check(draft, str(column), terms, check)
        if said.regex:
            draft.note(str(column), "the name is a pattern for several columns")
    for check in whole.checks or ():
        draft.note("", f"the check {check.name} over several columns; write it as a rule in SQL")
    unique = list(whole.unique or ())
    if len(unique) == 1:
        draft.fields[unique[0]]["unique"] = True
        draft.terms["key"] = unique[0]
    elif unique:
        draft.note("unique", f"{', '.join(unique)} together name a row; a source has one key")
    return taken_over([_listed(draft, strict=bool(whole.strict))])


def _take_check(draft: Draft, column: str, terms: dict[str, Any], check: Any) -> None:
    said = dict(check.statistics or {})
    match check.name:
        case "greater_than_or_equal_to":
            terms["min"] = said["min_value"]
        case "less_than_or_equal_to":
            terms["max"] = said["max_value"]
        case "in_range" if said.get("include_min", True) and said.get("include_max", True):
            terms["min"], terms["max"] = said["min_value"], said["max_value"]
        case "equal_to":
            terms["values"] = [str(said["value"])]
        case "isin":
            terms["values"] = [str(one) for one in said["allowed_values"]]
        case "str_matches":
            terms["pattern"] = whole_pattern(str(said["pattern"]), start=True)
        case "str_contains":
            terms["pattern"] = whole_pattern(str(said["pattern"]))
        case "str_length":
            terms["pattern"] = length_pattern(said.get("min_value"), said.get("max_value"))
        case "greater_than" | "less_than":
            sign, bound = (
                (">", said["min_value"]) if check.name == "greater_than" else ("<", said["max_value"])
            )
            draft.terms.setdefault("rules", {})[slug(f"{column} {check.name}")] = f'"{column}" {sign} {bound}'
        case _:
            draft.note(column, f"the check {check.name or 'without a name'}")


def from_dataframely(schema: Any, *, name: str) -> Taken:
    """What a dataframely `Schema` says of its columns.

    Raises:
        ContractUnreadable: It is none.
    """
    if not callable(getattr(schema, "columns", None)):
        raise ContractUnreadable("this is no dataframely schema", where=name, found=str(type(schema)))
    draft = Draft(name=slug(name))
    keys: list[str] = []
    for column, said in schema.columns().items():
        told = {
            key: value for key, value in vars(said).items() if value is not None and not key.startswith("_")
        }
        terms: dict[str, Any] = {"type": _type(draft, column, type(said).__name__)}
        draft.fields[column] = terms
        terms["required"] = not told.pop("nullable", False)
        terms["unique"] = bool(told.pop("unique", False))
        if told.pop("primary_key", False):
            keys.append(column)
        _take_column(draft, column, terms, told)
    if len(keys) == 1:
        draft.terms["key"] = keys[0]
        draft.fields[keys[0]]["unique"] = True
    elif keys:
        draft.note("primary_key", f"{', '.join(keys)} together name a row; a source has one key")
    for rule in schema._schema_validation_rules():  # noqa: SLF001 - the only place where a schema tells its rules
        if rule != "primary_key":
            draft.note("", f"the rule {rule}; write it as a rule in SQL")
    return taken_over([_listed(draft, strict=True)])


def _take_column(draft: Draft, column: str, terms: dict[str, Any], told: dict[str, Any]) -> None:
    numeric = terms["type"] in {"integer", "number"}
    for key, value in told.items():
        match key:
            case "min" | "max" if numeric:
                terms[key] = value
            case "min_exclusive" | "max_exclusive" if numeric:
                sign = ">" if key == "min_exclusive" else "<"
                draft.terms.setdefault("rules", {})[slug(f"{column} {key}")] = f'"{column}" {sign} {value}'
            case "regex":
                terms["pattern"] = whole_pattern(str(value))
            case "min_length" | "max_length" if "regex" not in told and terms["type"] == "string":
                terms["pattern"] = length_pattern(told.get("min_length"), told.get("max_length"))
            case "is_in" | "categories":
                terms["values"] = [str(one) for one in value]
            case "allow_inf" | "allow_nan" if not value:
                pass  # a number here is always finite
            case "time_unit" | "sqlalchemy_use_enum" | "doc":
                pass  # how it is kept in memory or elsewhere, not what it may be
            case "time_zone" if value == "UTC":
                pass
            case "check":
                draft.note(column, "a check in Python")
            case _:
                draft.note(column, f"{key} {value}")


def _listed(draft: Draft, *, strict: bool) -> Draft:
    if strict:
        draft.terms["every_column_listed"] = True
    return draft


def _type(draft: Draft, column: str, said: str) -> str:
    """The contract's type for a type's name."""
    for part, kind in _TYPES:
        if part in said.lower():
            return kind
    draft.note(column, f"the type {said} is kept as string")
    return "string"
