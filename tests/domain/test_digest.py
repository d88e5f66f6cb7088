"""Digests name content: the same for the same, another for another, none by guessing."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from pathlib import PurePosixPath

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.domain.digest import UNLESS_DEFAULT, canonical, digest, digest_bytes, plain, short
from geartrain.domain.roles import Role

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)


def _shuffled(value: object, order: random.Random) -> object:
    if isinstance(value, dict):
        keys = list(value)
        order.shuffle(keys)
        return {key: _shuffled(value[key], order) for key in keys}
    return [_shuffled(one, order) for one in value] if isinstance(value, list) else value


@settings(max_examples=150)
@given(value=PLAIN, seed=st.integers(0, 1000))
def test_the_order_of_keys_means_nothing(value: object, seed: int) -> None:
    """Same content, same name."""
    assert digest(_shuffled(value, random.Random(seed))) == digest(value)


@settings(max_examples=150)
@given(PLAIN)
def test_a_round_through_json_keeps_the_name(value: object) -> None:
    """What was stored and read again is the same value; 5.0 and 5 are one."""
    again = json.loads(canonical(value))

    assert digest(again) == digest(value)


@settings(max_examples=150)
@given(one=PLAIN, other=PLAIN)
def test_other_content_has_another_name(one: object, other: object) -> None:
    """Equal canonical forms are the only equal names."""
    assert (digest(one) == digest(other)) == (canonical(one) == canonical(other))


def test_lists_have_an_order_and_sets_have_none() -> None:
    """(1, 2) is not (2, 1); {1, 2} is {2, 1}."""
    assert digest((1, 2)) != digest((2, 1))
    assert digest((1, 2)) == digest([1, 2])
    assert digest({"b", "a"}) == digest(frozenset({"a", "b"}))


def test_times_are_one_moment_in_any_zone() -> None:
    """Noon in UTC is 14 o'clock two hours east; a time without a zone has no name."""
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)

    assert digest(noon) == digest(noon.astimezone(timezone(timedelta(hours=2))))
    with pytest.raises(TypeError, match="without a zone"):
        digest(datetime(2026, 1, 1, 12))  # noqa: DTZ001 - that is the point


def test_what_has_no_canonical_form_is_refused() -> None:
    """An identity is never guessed."""
    for value in (object(), 3j, PurePosixPath, {1: "a"}, [object()]):
        with pytest.raises(TypeError):
            digest(value)


def test_enums_are_their_values() -> None:
    """A text enum is its text, another one its value, as a value and as a key."""

    class Colour(Enum):
        RED = 1

    assert plain(Role.DOMAIN) == "domain"
    assert type(plain(Role.DOMAIN)) is str
    assert plain(Colour.RED) == 1
    assert plain({Role.DOMAIN: 1}) == {"domain": 1}


def test_numbers_that_json_lacks_have_a_form_of_their_own() -> None:
    """NaN and infinities are told apart, from each other and from text."""
    names = {digest(value) for value in (float("nan"), float("inf"), float("-inf"), "nan", None, 0)}

    assert len(names) == 6
    assert digest(0.1) != digest(0.2)


def test_fields_can_stand_outside_identity() -> None:
    """A field marked so does not count."""

    @dataclass(frozen=True)
    class Noun:
        content: int
        place: int = field(default=0, metadata={"digest": False})

    assert digest(Noun(1, 2)) == digest(Noun(1, 3))
    assert digest(Noun(1)) != digest(Noun(2))


def test_bytes_are_named_by_their_sha256() -> None:
    """The published value of SHA-256 of nothing (FIPS 180-4 test vectors)."""
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    assert digest_bytes(b"") == empty
    assert plain(b"") == f"sha256:{empty}"
    assert short(empty) == "e3b0c44298fc"


def test_a_field_that_a_noun_got_later_leaves_old_names_alone() -> None:
    """Where it holds its default the noun has the name from before; another value is other content."""

    @dataclass(frozen=True)
    class Before:
        size: int

    @dataclass(frozen=True)
    class After:
        size: int
        unit: str = field(default="m", metadata={"digest": UNLESS_DEFAULT})

    assert digest(After(3)) == digest(Before(3))
    assert len({digest(After(3)), digest(After(3, "km")), digest(After(3, "mm"))}) == 3


def test_a_struct_is_told_by_the_names_of_its_fields():
    """A noun of the hot path has the canonical form that a dataclass with its fields would have."""

    class Struck(msgspec.Struct, array_like=True):
        b: int
        a: tuple[float, ...] = (1.0, 2.5)

    assert canonical(Struck(b=3)) == canonical({"a": (1, 2.5), "b": 3})
