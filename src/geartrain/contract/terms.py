"""Every leaf of the contract that is not a clause, so that a diff can speak of all that was written.

A term's value is the meaning, not the spelling: `2 weeks` and `14 days` are one value.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from pydantic import BaseModel

from geartrain.contract.clauses import BUDGETS, VOLUMES
from geartrain.contract.desk import Desk
from geartrain.contract.promises import SuccessText
from geartrain.contract.promising import OWNERS
from geartrain.contract.reading import Path, dotted, shown
from geartrain.contract.units import Bytes, PerSecond, Seconds, number
from geartrain.domain.contract import Term
from geartrain.domain.roles import Role

#: Sections that hold clauses only.
_CLAUSES_ONLY = {"geartrain", "plausibility", "fairness", "integrity"}

_HIGHER, _LOWER = "higher", "lower"
#: In which direction a number asks more, by the last steps of its path.
_DIRECTIONS: dict[tuple[str, ...], str] = {
    ("costs", "false_negative"): _HIGHER,
    ("costs", "false_positive"): _HIGHER,
    ("costs", "otherwise"): _HIGHER,
    ("budget", "load"): _HIGHER,
    ("budget", "margin"): _LOWER,
    ("monitoring", "smallest_change"): _LOWER,
    ("retraining", "margin"): _LOWER,
    ("refuse_when", "quarantined_above"): _LOWER,
    ("refuse_when", "fewer_labels_than"): _HIGHER,
    ("refuse_when", "fewer_per_class_than"): _HIGHER,
}

_OF_THE_DOMAIN = {
    "values",
    "min",
    "max",
    "missing",
    "unit",
    "description",
    "sensitive",
    "pattern",
    "known_after",
}


def terms_of(desk: Desk) -> tuple[Term, ...]:
    """Every term of the sections that stand, by path."""
    found = [
        Term(
            path=dotted(path),
            value=value,
            owner=owner_of(path),
            tighter_when=tighter_when(path),
            mark=desk.document.mark(path),
        )
        for name, section in desk.shape.sections.items()
        if name not in _CLAUSES_ONLY
        for path, value in _leaves(section, (name,))
    ]
    return tuple(sorted(found, key=lambda term: term.path))


def owner_of(path: Path) -> Role:
    """Who answers for the term at *path*."""
    if path[:2] == ("data", "split"):
        return Role.SCIENCE
    if path[0] == "data" and "fields" in path and path[-1] in _OF_THE_DOMAIN:
        return Role.DOMAIN
    return OWNERS[str(path[0])]


def tighter_when(path: Path) -> str | None:
    """In which direction a larger number at *path* asks more, or None where neither does."""
    steps = tuple(str(step) for step in path)
    if steps[0] == "costs" and steps[-1] == "cost":
        return _HIGHER
    if steps[0] == "data" and steps[-2:-1] and "fields" in steps:
        return {"min": _HIGHER, "max": _LOWER}.get(steps[-1])
    return _DIRECTIONS.get(steps[-2:])


def _leaves(value: object, path: Path) -> Iterator[tuple[Path, str]]:
    if value is None or _is_clause(path):
        return
    match value:
        case SuccessText():
            yield from _leaves(value.baselines, (*path, "baselines"))
        case BaseModel():
            for name in type(value).model_fields:
                if name in value.model_fields_set:
                    yield from _leaves(getattr(value, name), (*path, name))
        case dict():
            for name, item in value.items():
                yield from _leaves(item, (*path, str(name.value if isinstance(name, Enum) else name)))
        case list() if any(isinstance(item, BaseModel) for item in value):
            for index, item in enumerate(value):
                yield from _leaves(item, (*path, index))
        case _:
            yield path, _text(value)


def _is_clause(path: Path) -> bool:
    if path[0] == "budget" and len(path) == 2:
        return path[1] in BUDGETS
    return path[:2] == ("data", "sources") and len(path) == 4 and path[3] in VOLUMES


def _text(value: object) -> str:
    match value:
        case Enum():
            return str(value.value)
        case Seconds() | PerSecond() | Bytes():
            return str(value)
        case bool():
            return "true" if value else "false"
        case int() | float():
            return number(value)
        case list():
            return shown([item.value if isinstance(item, Enum) else item for item in value], most=100_000)
        case _:
            return str(value)
