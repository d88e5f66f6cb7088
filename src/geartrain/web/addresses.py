"""Addresses inside the room: all state stands in them."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode


def address(path: str, query: Mapping[str, str] | None = None, **changes: str | None) -> str:
    """*path* with *query* in which *changes* are made; None takes a name out.

    >>> address("/x", {"a": "1", "b": "2"}, a=None, c="3 4")
    '/x?b=2&c=3+4'
    """
    told = {name: value for name, value in {**(query or {}), **changes}.items() if value not in {None, ""}}
    return f"{path}?{urlencode(told)}" if told else path
