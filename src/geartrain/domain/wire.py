"""Nouns to JSON and back, for the ledger, bundles and HTTP: decode(encode(x)) == x."""

from __future__ import annotations

import typing
from typing import TypeVar

import msgspec

from geartrain.domain.digest import canonical
from geartrain.domain.reading import reader

T = TypeVar("T")


def encode(noun: object) -> bytes:
    """The canonical JSON of *noun*."""
    return canonical(noun)


def decode(content: bytes | str, kind: type[T]) -> T:
    """Read JSON back into the noun *kind*, strictly.

    Raises:
        msgspec.ValidationError: The content is not a *kind*; the message has the path.
        msgspec.DecodeError: The content is not JSON.
    """
    return typing.cast("T", reader(kind)(msgspec.json.decode(content), "$"))
