"""YAML to plain values, with the line and column of every key and value.

The file is read by YAML 1.2's core rules: only `true` and `false` are booleans, and
`yes`, `no`, `on`, `12:30` and `2026-01-01` stay the text that a person wrote. What
YAML lets pass in silence is reported here: a key written twice, a key without a value,
a tag that would build an object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from geartrain.domain.clause import Mark
from geartrain.errors import ContractUnreadable, Problem

Plain = str | int | float | bool | None | list["Plain"] | dict[str, "Plain"]
Path = tuple[str | int, ...]

#: Larger files are not contracts; the bound also keeps nested aliases from growing without end.
MOST_BYTES = 1_000_000
MOST_VALUES = 50_000

_NULL, _BOOL = "tag:yaml.org,2002:null", "tag:yaml.org,2002:bool"
_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_PLAIN_TAGS = {
    "tag:yaml.org,2002:str",
    "tag:yaml.org,2002:map",
    "tag:yaml.org,2002:seq",
    _NULL,
    _BOOL,
    _INT,
    _FLOAT,
}


class _Loader(yaml.SafeLoader):
    """Composes nodes with YAML 1.2's core types."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own shape


for _tag, _pattern, _first in (
    (_NULL, r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    (_BOOL, r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    (_INT, r"^[-+]?[0-9]+$", list("-+0123456789")),
    (
        _FLOAT,
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        list("-+.0123456789"),
    ),
):
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), _first)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What stands in the file, and where.

    Attributes:
        content: The plain value; keys are text, keys without a value are left out.
        marks: The place of each path: the key's in a mapping, the item's in a list.
        problems: What reading alone found wrong.
    """

    content: dict[str, Plain]
    marks: dict[Path, Mark]
    problems: tuple[Problem, ...]

    def mark(self, path: Path) -> Mark:
        """The place of *path*, or of the nearest thing above it that was written."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.marks:
                return self.marks[path[:length]]
        return Mark(line=1, column=1)

    def value(self, path: Path) -> Plain:
        """What was written at *path*, None where nothing was."""
        value: Plain = self.content
        for step in path:
            match value, step:
                case dict(), str() if step in value:
                    value = value[step]
                case list(), int() if step < len(value):
                    value = value[step]
                case _:
                    return None
        return value


def read(text: str, *, origin: str) -> Document:
    """Read *text* as one YAML mapping.

    Raises:
        ContractUnreadable: It is empty, not YAML, or not a mapping of sections.
    """
    if not text.strip():
        raise ContractUnreadable(
            "the contract is empty", where=origin, hint="`geartrain new` writes one to begin with"
        )
    if len(text.encode(errors="replace")) > MOST_BYTES:
        raise ContractUnreadable(
            "the file is too large for a contract", where=origin, found=f"{len(text):,} characters"
        )
    try:
        node = yaml.compose(text, Loader=_Loader)  # composing builds nodes only, never objects
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{origin}:{mark.line + 1}:{mark.column + 1}" if mark else origin
        raise ContractUnreadable(
            "this is not YAML", where=place, found=_said(error), hint=_advice(text, mark)
        ) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ContractUnreadable(
            "this is not text in YAML", where=origin, found=str(error).splitlines()[0]
        ) from error
    reader = _Reader(origin=origin)
    if not isinstance(node, MappingNode):
        raise ContractUnreadable(
            "a contract is a mapping of sections",
            where=origin,
            found="nothing but comments" if node is None else _kind(node),
            hint="it begins with `product:`, `decision:` and `team:`",
        )
    content = reader.mapping(node, ())
    return Document(content=content, marks=reader.marks, problems=tuple(reader.problems))


def dotted(path: Path) -> str:
    """The path as people write it.

    >>> dotted(("costs", "errors", 2, "truth"))
    'costs.errors.2.truth'
    """
    return ".".join(str(step) for step in path)


def shown(value: object, most: int = 60) -> str:
    """A value as it would stand in the file, cut where it is long.

    >>> shown({"at_most": [1, True]})
    '{at_most: [1, true]}'
    """
    match value:
        case None:
            text = "nothing"
        case bool():
            text = "true" if value else "false"
        case str():
            text = f'"{value}"'
        case dict():
            text = "{" + ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            text = "[" + ", ".join(shown(item) for item in value) + "]"
        case _:
            text = str(value)
    return text if len(text) <= most else text[: most - 3] + "..."


def leaves(value: Plain, path: Path = ()) -> Iterator[tuple[Path, Plain]]:
    """Every path that holds something other than a mapping or a list, with its value."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Walks the nodes once, noting marks and problems."""

    origin: str
    marks: dict[Path, Mark] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    open_nodes: list[int] = field(default_factory=list)
    values: int = 0

    def mapping(self, node: MappingNode, path: Path) -> dict[str, Plain]:
        result: dict[str, Plain] = {}
        inherited: dict[str, Plain] = {}
        self._enter(node)
        for key_node, value_node in node.value:
            if isinstance(key_node, ScalarNode) and key_node.value == "<<" and key_node.style is None:
                inherited |= self._merged(value_node, path)
                continue
            if not isinstance(key_node, ScalarNode):
                self._problem(path, key_node, "a key must be a word", found=_kind(key_node), expected="text")
                continue
            key = _as_key(key_node)
            here = (*path, key)
            if key in result:
                first = self.marks[here]
                self._problem(
                    here,
                    key_node,
                    f"`{key}` stands here twice",
                    found=f"first in line {first.line}",
                    expected="each key once",
                )
                continue
            self.marks[here] = _mark(key_node)
            value = self.value(value_node, here)
            if value is None:
                self._problem(
                    here,
                    key_node,
                    "has no value",
                    found="nothing",
                    expected="a value, or leave the key out",
                )
                continue
            result[key] = value
        self.open_nodes.pop()
        return {**inherited, **result}

    def value(self, node: Node, path: Path) -> Plain:
        self.values += 1
        if self.values > MOST_VALUES:
            raise ContractUnreadable("the contract never ends: its aliases multiply", where=self.origin)
        if node.tag not in _PLAIN_TAGS:
            self._problem(path, node, "a tag cannot stand here", found=node.tag, expected="a plain value")
            return "?"
        if id(node) in self.open_nodes:
            self._problem(path, node, "an alias contains itself", expected="a plain value")
            return "?"
        match node:
            case MappingNode():
                return self.mapping(node, path)
            case SequenceNode():
                return self._sequence(node, path)
            case _:
                return _scalar(node)

    def _sequence(self, node: SequenceNode, path: Path) -> list[Plain]:
        self._enter(node)
        items: list[Plain] = []
        for item_node in node.value:
            here = (*path, len(items))
            self.marks[here] = _mark(item_node)
            item = self.value(item_node, here)
            if item is None:
                self._problem(here, item_node, "has no value", found="nothing", expected="a value")
                continue
            items.append(item)
        self.open_nodes.pop()
        return items

    def _merged(self, node: Node, path: Path) -> dict[str, Plain]:
        nodes = node.value if isinstance(node, SequenceNode) else [node]
        merged: dict[str, Plain] = {}
        for one in nodes:
            if isinstance(one, MappingNode) and id(one) not in self.open_nodes:
                merged = {**self.mapping(one, path), **merged}
            else:
                self._problem(path, one, "`<<` takes a mapping", found=_kind(one), expected="an alias")
        return merged

    def _enter(self, node: Node) -> None:
        self.open_nodes.append(id(node))

    def _problem(self, path: Path, node: Node, message: str, *, found: str = "", expected: str = "") -> None:
        mark = _mark(node)
        self.problems.append(
            Problem(
                path=dotted(path),
                line=mark.line,
                column=mark.column,
                message=message,
                found=found,
                expected=expected,
            )
        )


def _mark(node: Node) -> Mark:
    return Mark(line=node.start_mark.line + 1, column=node.start_mark.column + 1)


def _kind(node: Node) -> str:
    match node:
        case MappingNode():
            return "a mapping"
        case SequenceNode():
            return "a list"
        case _:
            return shown(str(node.value))


def _as_key(node: ScalarNode) -> str:
    value = _scalar(node)
    return shown(value) if isinstance(value, bool) else str(node.value) if value is None else str(value)


def _scalar(node: Node) -> str | int | float | bool | None:
    text = str(node.value)
    match node.tag:
        case "tag:yaml.org,2002:null":
            return None
        case "tag:yaml.org,2002:bool":
            return text.lower() == "true"
        case "tag:yaml.org,2002:int" if len(text) <= 18:
            return int(text)
        case "tag:yaml.org,2002:int" | "tag:yaml.org,2002:float":
            return float(text.replace(".inf", "inf").replace(".nan", "nan").replace(".Inf", "inf"))
        case _:
            return text


def _said(error: yaml.MarkedYAMLError) -> str:
    return ", ".join(part for part in (error.context, error.problem) if part)


def _advice(text: str, mark: yaml.Mark | None) -> str:
    lines = text.splitlines()
    line = lines[mark.line] if mark is not None and mark.line < len(lines) else ""
    if "\t" in line:
        return "indent with spaces, not with tabs"
    if "`" in line or "@" in line or "%" in line:
        return "put text that begins with ` @ or % in double quotes"
    return "look at the indentation, at missing colons and at unclosed quotes and brackets"
