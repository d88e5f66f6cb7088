"""The document against the models: every problem of shape at once, and what still stands.

What is wrong is cut out and the rest is validated again, so that one slip in one clause
does not hide what the sections get wrong together.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from geartrain.contract.models import ContractText
from geartrain.contract.reading import Document, Path, Plain, dotted, shown
from geartrain.contract.scalars import nearest_of
from geartrain.contract.schema import keys_at, right_at
from geartrain.errors import Problem

_REQUIRED = ("product", "decision", "team")
_TYPES = {
    "string_type": "this is not text",
    "int_type": "this is not a whole number",
    "int_from_float": "this is not a whole number",
    "bool_type": "this is not true or false",
    "list_type": "this is not a list",
    "dict_type": "this is not a mapping",
    "model_type": "this is not a mapping",
    "model_attributes_type": "this is not a mapping",
    "enum": "there is no such word here",
    "literal_error": "there is no such word here",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sections that could be read, each a validated model, and those that lost something.

    Attributes:
        sections: Each section by name, as far as it stands.
        damaged: The sections in which something was cut out or that are missing though required.
    """

    sections: dict[str, Any]
    damaged: frozenset[str]


@dataclass(slots=True, kw_only=True)
class _Findings:
    document: Document
    problems: list[Problem] = field(default_factory=list)


def validate(document: Document) -> tuple[Shape, tuple[Problem, ...]]:
    """Check every section's shape; all problems, and the sections as far as they stand."""
    findings = _Findings(document=document)
    fields = ContractText.model_fields
    sections: dict[str, Any] = {}
    damaged = {problem.path.split(".", 1)[0] for problem in document.problems}
    empty = {problem.path for problem in document.problems}
    for name, content in document.content.items():
        if name not in fields:
            _report(findings, (name,), "extra_forbidden", found=name)
            damaged.update(section for section in fields if nearest_of(name, (section,)).startswith("did"))
            continue
        standing, whole = _standing(name, copy.deepcopy(content), findings, empty)
        if standing is not None:
            sections[name] = standing
        if not whole:
            damaged.add(name)
    for name in _REQUIRED:
        if name not in document.content and name not in empty:
            damaged.add(name)
            _report(findings, (name,), "missing")
    return Shape(sections=sections, damaged=frozenset(damaged)), tuple(findings.problems)


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(ContractText.model_fields[name].rebuild_annotation())


def _standing(name: str, content: Plain, findings: _Findings, empty: set[str]) -> tuple[Any, bool]:
    """The section *name* without what is wrong in it (None where nothing is left), and whether it was whole."""
    holder: dict[str, Plain] = {name: content}
    adapter = _adapter(name)
    whole = True
    while name in holder:
        try:
            return adapter.validate_python(holder[name]), whole
        except ValidationError as error:
            for details in error.errors(include_url=False):
                path = (name, *_path(details))
                if whole and dotted(path) not in empty:
                    _explain(findings, path, details)
                _cut(holder, path, details)
            whole = False
    return None, False


def _path(details: ErrorDetails) -> Path:
    """The place in the document: pydantic's own steps, such as `[key]`, are not in it."""
    return tuple(step for step in details["loc"] if step != "[key]")


def _cut(holder: dict[str, Plain], path: Path, details: ErrorDetails) -> None:
    """Remove what is wrong: the value itself, or what cannot stand without it."""
    if details["type"] == "missing":
        path = path[:-1]
    here: Any = holder
    last: tuple[Any, str] | None = None
    for step in path:
        if isinstance(here, dict) and step in here:
            last = (here, str(step))
            here = here[step]
        else:
            break
    if last is not None:
        del last[0][last[1]]


def _explain(findings: _Findings, path: Path, details: ErrorDetails) -> None:
    kind = details["type"]
    context = details.get("ctx", {})
    if kind == "contract":
        _add(findings, path, context["said"], expected=context["right"], value=findings.document.value(path))
    elif kind == "missing":
        _report(findings, path, kind)
    elif kind == "extra_forbidden":
        _report(findings, path, kind, found=str(path[-1]))
    elif kind in _TYPES:
        expected = right_at(path)
        value = findings.document.value(path)
        if kind in {"enum", "literal_error"} and expected.startswith("one of "):
            expected = nearest_of(value, tuple(expected.removeprefix("one of ").split(", ")))
        elif kind == "string_type" and isinstance(value, int | float):
            expected = f'"{value if not isinstance(value, bool) else str(value).lower()}", in quotes'
        _add(findings, path, _TYPES[kind], expected=expected, value=value)
    else:
        said = details["msg"].replace("Input should", "it should").replace("items after validation", "items")
        _add(findings, path, said, expected=right_at(path), value=findings.document.value(path))


def _report(findings: _Findings, path: Path, kind: str, *, found: str = "") -> None:
    document = findings.document
    if kind == "missing":
        mark = document.mark(path[:-1])
        expected = right_at(path)
        message = f"`{path[-1]}` is missing"
    else:
        mark = document.mark(path)
        expected = nearest_of(found, keys_at(path[:-1]))
        message = f"there is no key `{found}` here"
    findings.problems.append(
        Problem(
            path=dotted(path),
            line=mark.line,
            column=mark.column,
            message=message,
            found="" if kind == "missing" else found,
            expected=expected,
        )
    )


def _add(findings: _Findings, path: Path, message: str, *, expected: str, value: Plain) -> None:
    mark = findings.document.mark(path)
    found = shown(value) if value is not None else shown(findings.document.value(path[:-1]))
    findings.problems.append(
        Problem(
            path=dotted(path),
            line=mark.line,
            column=mark.column,
            message=message,
            found=found,
            expected=expected,
        )
    )
