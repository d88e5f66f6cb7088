"""Nouns to JSON and back, for the ledger, bundles and HTTP: decode(encode(x)) == x."""

from __future__ import annotations

import typing
from typing import TypeVar

import msgspec

from geartrain.domain import events
from geartrain.domain.digest import canonical
from geartrain.domain.reading import reader

T = TypeVar("T")

EVENT_TYPES: dict[str, type[events.Event]] = {kind.__name__: kind for kind in typing.get_args(events.Event)}


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


def encode_event(event: events.Event) -> tuple[str, bytes]:
    """The event's type and its canonical JSON."""
    return type(event).__name__, encode(event)


def decode_event(kind: str, content: bytes | str) -> events.Event:
    """The event of type *kind* from its JSON.

    Raises:
        KeyError: No event type has that name.
    """
    return decode(content, EVENT_TYPES[kind])
