"""Editing a contract's text by what is meant: comments, order and spelling of the rest stay as they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from io import StringIO
from typing import TYPE_CHECKING, Any

from geartrain.errors import ContractUnreadable

if TYPE_CHECKING:
    from ruamel.yaml import YAML

#: What every promise may say besides its bound, in the order in which people say it.
USUAL = ("because", "severity", "owner")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One value of a clause as the text spells it.

    Attributes:
        name: Its key; an inner key is joined by a dot.
        value: The spelling; empty where the text does not say it.
    """

    name: str
    value: str


def leaves_of(text: str, path: str) -> tuple[Leaf, ...] | None:
    r"""The values that the text says at *path*, such as `success.recall`; None where it says nothing there.

    A promise that is spelled as a bare value has one leaf with an empty name.

    >>> leaves_of("success:\n  recall: {at_least: 0.97}", "success.recall")[0]
    Leaf(name='at_least', value='0.97')
    """
    _, document = _read(text)
    node = _at(document, path)
    if node is None:
        return None
    if not isinstance(node, Mapping):
        return (Leaf(name="", value=_spelled(node)),) if _plain(node) else None
    told = tuple(Leaf(name=str(name), value=_spelled(value)) for name, value in node.items() if _plain(value))
    return told + tuple(Leaf(name=name, value="") for name in USUAL if name not in node)


@lru_cache(maxsize=32)
def spelled_out(text: str, paths: tuple[str, ...]) -> frozenset[str]:
    """Those of *paths* at which the text says something that can be edited by itself.

    >>> sorted(spelled_out("success: {recall: {at_least: 0.97}}", ("success.recall", "data.a.freshness")))
    ['success.recall']
    """
    _, document = _read(text)
    found = ((path, _at(document, path)) for path in paths)
    return frozenset(
        path for path, node in found if isinstance(node, Mapping) or (node is not None and _plain(node))
    )


def _at(document: Any, path: str) -> Any:
    """What the text says at *path*; None where it says nothing there."""
    for step in path.split("."):
        if not isinstance(document, Mapping) or step not in document:
            return None
        document = document[step]
    return document


def changed(text: str, path: str, values: Mapping[str, str]) -> str:
    """The text with *values* at *path*: each key gets the spelling given, and an empty one is taken out.

    A value is read as YAML reads it, so `0.97` stays a number and `10 ms` a text.
    A path that the text does not know is added at the end of its section.

    Raises:
        ContractUnreadable: The text is not YAML, or the path leads through a bare value.
    """
    yaml, document = _read(text)
    *sections, name = path.split(".")
    node: Any = document
    for step in sections:
        if node.get(step) is None:
            node[step] = yaml.map()
        node = node[step]
        if not isinstance(node, Mapping):
            raise ContractUnreadable("this path leads through a bare value", where=path)
    if set(values) == {""}:
        node[name] = _value(yaml, values[""])
    else:
        if not isinstance(node.get(name), Mapping):
            node[name] = yaml.map()
        for key, spelling in values.items():
            if spelling.strip():
                if key not in node[name] or _spelled(node[name][key]) != spelling.strip():
                    node[name][key] = _value(yaml, spelling)
            else:
                node[name].pop(key, None)
    written = StringIO()
    yaml.dump(document, written)
    return written.getvalue()


def _read(text: str) -> tuple[YAML, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    try:
        document = yaml.load(text)
    except YAMLError as error:
        raise ContractUnreadable("the contract is not YAML", found=str(error).splitlines()[0]) from error
    if not isinstance(document, Mapping):
        raise ContractUnreadable("the contract is not a YAML mapping", found=type(document).__name__)
    return yaml, document


def _value(yaml: YAML, spelling: str) -> Any:
    """What the spelling means in YAML; a text that YAML would read as something nested stays a text."""
    from ruamel.yaml.error import YAMLError

    told = " ".join(spelling.split())
    try:
        value = yaml.load(told)
    except YAMLError:
        return told
    return told if isinstance(value, Mapping) else value


def _plain(value: object) -> bool:
    return not isinstance(value, Mapping) and not (
        isinstance(value, list) and any(isinstance(one, Mapping | list) for one in value)
    )


def _spelled(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list():
            return "[" + ", ".join(_spelled(one) for one in value) + "]"
        case _:
            return str(value).strip()
