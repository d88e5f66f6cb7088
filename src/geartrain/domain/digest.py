"""Digests: one canonical form of a value, one name for its content.

Two values with the same content have the same digest whatever the order of
their keys; that is what lineage, caching, idempotency and signatures rest on.
A value that has no canonical form is refused loudly: an identity that was
computed by guessing could change without anyone noticing.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

#: The value of `metadata={"digest": ...}` for a field that a noun got later: while it holds its
#: default the noun keeps the identity, and so the signatures, that it had before there was the field.
UNLESS_DEFAULT = "unless default"


def canonical(value: object) -> bytes:
    """Encode *value* as canonical JSON: sorted keys, no spaces, UTC times, plain enums.

    >>> canonical({"b": 1, "a": (2, None)})
    b'{"a":[2,null],"b":1}'

    Raises:
        TypeError: The value, or a part of it, has no canonical form.
    """
    return json.dumps(
        plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def plain(value: object) -> object:
    """Reduce *value* to JSON's own types; fields marked `metadata={"digest": False}` are left out.

    So are those marked `UNLESS_DEFAULT` that hold their default. A whole float becomes an integer, so that 5.0 and 5 have one identity on every way
    through JSON.

    >>> plain(datetime(2026, 1, 2, tzinfo=UTC))
    '2026-01-02T00:00:00.000000Z'
    """
    match value:
        case None | bool() | str():
            return str(value) if isinstance(value, enum.Enum) else value
        case enum.Enum():
            return plain(value.value)
        case int():
            return int(value)
        case float():
            return _plain_float(value)
        case datetime():
            return _plain_time(value)
        case bytes():
            return f"sha256:{hashlib.sha256(value).hexdigest()}"
        case Path():
            return value.as_posix()
        case Mapping():
            return {_plain_key(key): plain(item) for key, item in value.items()}
        case tuple() | list():
            return [plain(item) for item in value]
        case set() | frozenset():
            return sorted((plain(item) for item in value), key=repr)
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if _is_told(field, value)
        }
    raise TypeError(f"no canonical form for {type(value).__qualname__}: {value!r}")


def _is_told(field: dataclasses.Field[object], noun: object) -> bool:
    told = field.metadata.get("digest", True)
    return bool(told) and (told != UNLESS_DEFAULT or getattr(noun, field.name) != field.default)


def digest(value: object) -> str:
    """Name the content of *value*: 64 hexadecimal characters of SHA-256 over its canonical form."""
    return hashlib.sha256(canonical(value)).hexdigest()


def digest_bytes(content: bytes) -> str:
    """Name raw bytes: 64 hexadecimal characters of SHA-256."""
    return hashlib.sha256(content).hexdigest()


def short(name: str) -> str:
    """The first 12 characters of a digest, for people; never an identity."""
    return name[:12]


def _plain_float(value: float) -> object:
    if math.isnan(value) or math.isinf(value):
        return {"float": repr(value)}
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _plain_time(value: datetime) -> str:
    if value.tzinfo is None:
        raise TypeError(f"a time without a zone has no canonical form: {value!r}")
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _plain_key(key: object) -> str:
    if isinstance(key, enum.Enum):
        return str(key.value)
    if not isinstance(key, str):
        raise TypeError(f"a mapping key must be text to be canonical: {key!r}")
    return key
