"""The hash chain of the ledger: each event's hash covers its bytes and the hash before it.

The hash is taken over the *stored* text of the event, not over the decoded noun: a
byte that decoding would forgive (a space, a whole float) still breaks the chain.
"""

from __future__ import annotations

import typing

import msgspec

from geartrain.domain.digest import digest
from geartrain.domain.events import Event
from geartrain.domain.wire import decode, encode

#: What stands before the first event.
GENESIS = "0" * 64

EVENT_TYPES: dict[str, type[Event]] = {kind.__name__: kind for kind in typing.get_args(Event)}


def link(
    *, position: int, stream: str, version: int, at: str, actor: str, kind: str, body: str, previous: str
) -> str:
    """The hash of one event, chained through *previous*: 64 hexadecimal characters.

    >>> first = link(position=1, stream="s", version=1, at="2026-01-01T00:00:00.000000Z",
    ...              actor="Ada", kind="IncidentClosed", body="{}", previous=GENESIS)
    >>> first[:8], len(first)
    ('...', 64)
    """
    return digest((position, stream, version, at, actor, kind, body, previous))


def told_again(event: Event) -> tuple[str, str]:
    """The event's type and its JSON text, proven to be readable.

    A ledger is append-only, so what it cannot read back must never get in.

    Raises:
        TypeError: The event cannot be told again from its bytes, such as a NaN or a wrong type.
    """
    kind, body = encode_event(event)
    try:
        decode_event(kind, body)
    except msgspec.DecodeError as error:
        raise TypeError(f"this {kind} cannot be told again from its bytes: {error}") from error
    return kind, body.decode()


def encode_event(event: Event) -> tuple[str, bytes]:
    """The event's type and its canonical JSON."""
    return type(event).__name__, encode(event)


def decode_event(kind: str, content: bytes | str) -> Event:
    """The event of type *kind* from its JSON.

    Raises:
        KeyError: No event type has that name.
    """
    return decode(content, EVENT_TYPES[kind])
