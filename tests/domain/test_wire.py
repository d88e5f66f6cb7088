"""Nouns come back from JSON as they went."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.domain import events
from geartrain.domain.chain import EVENT_TYPES, decode_event, encode_event
from geartrain.domain.clause import Clause, Comparison, Parameter
from geartrain.domain.features import Aggregation, Feature, FeatureSet, RequestFeature, WindowFeature
from geartrain.domain.finding import Measurement
from geartrain.domain.reading import reader
from geartrain.domain.roles import Role
from geartrain.domain.wire import decode, encode

REQUEST = RequestFeature(name="amount", expression="amount")
WINDOW = WindowFeature(
    name="n", source="tx", entity="card", aggregation=Aggregation.COUNT, width_us=86_400_000_000
)

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text(), st.floats(allow_nan=False)
)


@pytest.mark.parametrize("kind", list(EVENT_TYPES.values()), ids=list(EVENT_TYPES))
def test_every_event_type_can_be_read_back(kind: type) -> None:
    """No event holds a part that JSON loses: its type has a reader, down to the last field."""
    with pytest.raises(msgspec.ValidationError):
        reader(kind)([], "$")
    assert EVENT_TYPES[kind.__name__] is kind


@given(features=st.lists(st.sampled_from([REQUEST, WINDOW]), max_size=4))
@settings(max_examples=20)
def test_the_two_kinds_of_feature_are_told_apart(features: list[Feature]) -> None:
    """A feature set with both kinds in any order is the same after a round trip."""
    made = FeatureSet(features=tuple(features))

    assert decode(encode(made), FeatureSet) == made


@given(value=st.one_of(scalars, st.lists(scalars, max_size=3).map(tuple)))
@settings(max_examples=100)
def test_a_clauses_parameters_come_back_equal(value: Parameter) -> None:
    """Numbers, text, truth values, nothing and lists of them keep their meaning."""
    clause = Clause(
        path="a.b",
        metric="m",
        comparison=Comparison.AT_MOST,
        bound=1.5,
        owner=Role.DOMAIN,
        parameters=(("p", value),),
    )

    again = decode(encode(clause), Clause)

    assert again == clause
    assert encode(again) == encode(clause)


@pytest.mark.parametrize("value", [math.inf, -math.inf, 0.1, 3.0])
def test_interval_ends_may_be_infinite(value: float) -> None:
    """A ratio whose interval has no upper end is still a measurement that can be stored."""
    seen = Measurement(value=0.0, low=-math.inf, high=value)

    assert decode(encode(seen), Measurement) == seen


def test_times_come_back_in_utc() -> None:
    """A time keeps its instant and its zone."""
    started = events.RetrainingStarted(
        product="p",
        trigger="alarm",
        champion="c",
        since=None,
        until=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    )

    assert decode_event(*encode_event(started)) == started


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (b'{"reason":1,"incident":"i","product":"p"}', "$.reason"),
        (b'{"incident":"i","product":"p"}', "reason"),
        (b"[]", "$"),
    ],
)
def test_what_is_not_the_noun_is_refused_with_its_path(content: bytes, path: str) -> None:
    """The message names the place inside the document."""
    with pytest.raises(msgspec.ValidationError) as caught:
        decode(content, events.IncidentClosed)
    assert path in str(caught.value)


def test_a_type_without_a_json_form_is_refused_loudly() -> None:
    """A noun that could not be read back is our own mistake, told when its reader is made."""

    @dataclass(frozen=True)
    class Odd:
        part: bytes

    with pytest.raises(TypeError, match="cannot be read back"):
        decode(b'{"part":"x"}', Odd)
