"""JSON values into nouns, led by the nouns' own types.

msgspec reads JSON text, but cannot tell two dataclasses of one union apart (a feature is a
request's or a window's) and knows no infinite interval ends, so the last step is done here.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Callable, Hashable
from datetime import datetime
from functools import cache

import msgspec

Reader = Callable[[object, str], object]

#: NaN is not among them: it equals nothing, so what held it could not come back as it went.
_INFINITE = ("inf", "-inf")


def reader(kind: object) -> Reader:
    """A function that turns a JSON value, found at a path, into a *kind*.

    It raises `msgspec.ValidationError` with the path where the value is no *kind*.

    Raises:
        TypeError: Nouns may not hold a *kind*: it has no JSON form that can be read back.
    """
    return _made(kind)


@cache
def _made(kind: Hashable) -> Reader:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _union(typing.get_args(kind))
    if origin is tuple:
        return _tuple(typing.get_args(kind))
    if isinstance(kind, type):
        if dataclasses.is_dataclass(kind):
            return _dataclass(kind)
        if issubclass(kind, enum.Enum):
            return _made_of_text(kind, kind)
        if kind is datetime:
            return _made_of_text(kind, datetime.fromisoformat)
        if kind is float:
            return _float
        if kind in (str, int, bool, types.NoneType):
            return _exactly(kind)
    raise TypeError(f"nouns may not hold a {kind!r}: it cannot be read back from JSON")


def _dataclass(kind: type) -> Reader:
    hints = typing.get_type_hints(kind)
    fields = {one.name: one for one in dataclasses.fields(kind) if one.metadata.get("digest", True)}
    required = tuple(
        name
        for name, one in fields.items()
        if one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
    )
    readers = {name: reader(hints[name]) for name in fields}

    def read(value: object, path: str) -> object:
        if not isinstance(value, dict):
            raise _wrong(kind.__name__, value, path)
        for name in required:
            if name not in value:
                raise msgspec.ValidationError(f"Object missing required field `{name}` - at `{path}`")
        return kind(
            **{name: readers[name](item, f"{path}.{name}") for name, item in value.items() if name in fields}
        )

    return read


def _union(kinds: tuple[object, ...]) -> Reader:
    nouns = [(one, reader(one)) for one in kinds if dataclasses.is_dataclass(one)]
    # Whole floats are written as integers: where both may stand, an integer stays one.
    others = [reader(one) for one in sorted(kinds, key=_float_last) if not dataclasses.is_dataclass(one)]

    def read(value: object, path: str) -> object:
        if isinstance(value, dict):
            for noun, read_noun in nouns:
                if _fits(noun, value):
                    return read_noun(value, path)
        for read_other in others:
            try:
                return read_other(value, path)
            except msgspec.ValidationError:
                continue
        raise _wrong(" | ".join(getattr(one, "__name__", str(one)) for one in kinds), value, path)

    return read


def _float_last(kind: object) -> bool:
    return kind is float


def _fits(noun: typing.Any, value: dict[str, object]) -> bool:
    fields = {one.name: one for one in dataclasses.fields(noun)}
    needed = {
        name
        for name, one in fields.items()
        if one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
    }
    return needed <= value.keys() <= fields.keys()


def _tuple(kinds: tuple[object, ...]) -> Reader:
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        one = reader(kinds[0])

        def read_any(value: object, path: str) -> object:
            if not isinstance(value, list):
                raise _wrong("array", value, path)
            return tuple(one(item, f"{path}[{place}]") for place, item in enumerate(value))

        return read_any

    readers = tuple(reader(one) for one in kinds)

    def read_fixed(value: object, path: str) -> object:
        if not isinstance(value, list) or len(value) != len(kinds):
            raise _wrong(f"array of {len(kinds)}", value, path)
        return tuple(
            read(item, f"{path}[{place}]")
            for place, (read, item) in enumerate(zip(readers, value, strict=True))
        )

    return read_fixed


def _made_of_text(kind: type, make: Callable[[str], object]) -> Reader:
    def read(value: object, path: str) -> object:
        if not isinstance(value, str):
            raise _wrong(kind.__name__, value, path)
        try:
            return make(value)
        except ValueError as error:
            raise _wrong(kind.__name__, value, path) from error

    return read


def _exactly(kind: type) -> Reader:
    def read(value: object, path: str) -> object:
        if type(value) is not kind:
            raise _wrong(kind.__name__, value, path)
        return value

    return read


def _float(value: object, path: str) -> object:
    if isinstance(value, dict) and value.keys() == {"float"} and value["float"] in _INFINITE:
        return float(str(value["float"]))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong("float", value, path)
    return float(value)


def _wrong(expected: str, value: object, path: str) -> msgspec.ValidationError:
    return msgspec.ValidationError(f"Expected `{expected}`, got `{type(value).__name__}` - at `{path}`")
