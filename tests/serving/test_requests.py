"""Requests: what is taken, what is refused, and what an error tells."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.domain.contract import FieldTerms, FieldType
from geartrain.errors import RequestInvalid
from geartrain.serving.requests import DecisionRequest, RowChecks, decode_body, refuse

DECODER = msgspec.json.Decoder(DecisionRequest)

BAD_BODIES = {
    "empty": b"",
    "not json": b"{rows:",
    "a list": b"[1,2]",
    "NaN": b'{"row":{"a":NaN}}',
    "Infinity": b'{"row":{"a":-Infinity}}',
    "1e999": b'{"row":{"a":1e999}}',
    "deep": b'{"row":{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}}",
    "not utf-8": b'{"row":{"a":"\xff\xfe"}}',
    "trailing": b'{"row":{}} x',
    "rows of numbers": b'{"rows":[1]}',
    "rows as text": b'{"rows":"all"}',
    "explain as text": b'{"row":{},"explain":"yes"}',
    "at is no time": b'{"row":{},"at":"yesterday"}',
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_a_bad_body_is_the_client_s_fault(body):
    """Every malformed body is refused with one sentence, and the body is not repeated."""
    with pytest.raises(RequestInvalid) as caught:
        decode_body(body, DECODER)

    assert caught.value.message
    assert len(caught.value.message) < 200


@given(body=st.binary(max_size=200))
@settings(max_examples=200)
def test_no_bytes_break_the_decoder(body):
    """Whatever bytes come, they are a request or a refusal, never another error."""
    try:
        read: object = decode_body(body, DECODER)
    except RequestInvalid as refusal:
        read = refusal

    assert isinstance(read, DecisionRequest) or read.where == "request body"


def _terms(kind: FieldType, **more: object) -> FieldTerms:
    return FieldTerms(name="x", type=kind, **more)  # type: ignore[arg-type]  # the tests' own shorthand


CASES = [
    (_terms(FieldType.NUMBER), [1, 1.5, -3, 3.4e38, -3.4e38], ["1", True, [], {}, 10**400, 1e300, -3.5e38]),
    (_terms(FieldType.NUMBER, minimum=0, maximum=2), [0, 2, 1.5], [-0.1, 2.1]),
    (_terms(FieldType.INTEGER), [3, 3.0, 1e38], [3.5, "3", False, 2**70, 1e300, -1e300]),
    (_terms(FieldType.NUMBER, minimum=-1e300, maximum=1e300), [-2.5, 3e38], [1e299, -1e299]),
    (_terms(FieldType.INTEGER, values=("1", "2")), [1, 2.0], [3]),
    (_terms(FieldType.STRING, values=("a", "b")), ["a"], ["c", 1]),
    (_terms(FieldType.STRING, pattern="[a-z]{3}"), ["abc"], ["abcd", "ab", "ABC"]),
    (_terms(FieldType.TEXT), ["anything", ""], [1]),
    (_terms(FieldType.BOOLEAN), [True, False], [0, "true"]),
    (_terms(FieldType.TIMESTAMP), ["2026-01-02T03:04:05Z", 1_700_000_000_000_000], ["soon", 1.5, True]),
    (_terms(FieldType.OBJECT), [{}, []], ["{}", 1]),
]


@pytest.mark.parametrize(("terms", "good", "bad"), CASES, ids=lambda case: getattr(case, "type", None))
def test_values_are_checked_by_the_field_s_terms(terms, good, bad):
    """Each type takes its own values and nothing that only looks like them; null is a missing value."""
    checks = RowChecks([terms])

    assert checks.violations([{"x": value} for value in [*good, None]]) == ()
    assert len(checks.violations([{"x": value} for value in bad])) == len(bad)


@pytest.mark.parametrize("kind", [FieldType.NUMBER, FieldType.INTEGER])
def test_what_32_bits_cannot_hold_is_no_number(kind):
    """A model would decide about another number: that is refused as half a number of persons is, and says why."""
    expected = "a number" if kind is FieldType.NUMBER else "a whole number"
    others = [FieldTerms(name=name, type=FieldType.NUMBER) for name in "ab"]
    checks = RowChecks([_terms(kind), *others])

    (found,) = checks.violations([{"x": -1e300, "a": 3.4e38, "b": -3.4e38}])
    assert (found.path, found.expected) == ("rows[0].x", expected)
    assert found.found == "a number beyond 3.4e38, where 32 bits end"
    (whole,) = checks.violations([{"x": 2**63, "a": 1.0, "b": 1.0}])
    assert whole.found == "a number beyond 9.2e18, where whole numbers end"


def test_required_and_the_label():
    """A required field must be there; the label is never asked for in a request."""
    fields = [
        FieldTerms(name="id", type=FieldType.STRING, required=True),
        FieldTerms(name="y", type=FieldType.STRING, required=True),
    ]
    (violation,) = RowChecks(fields, label="y").violations([{"id": "a"}, {"id": None}])

    assert (violation.path, violation.found) == ("rows[1].id", "nothing")


def test_nested_fields_and_unknown_fields():
    """A path is followed into a nested row; what the contract does not know is taken and counted."""
    checks = RowChecks([FieldTerms(name="card", type=FieldType.STRING, path="$.card.id", required=True)])

    assert checks.violations([{"card": {"id": "7"}, "extra": 1}]) == ()
    assert checks.violations([{"card": "7"}])[0].path == "rows[0].card"
    assert checks.unknown([{"card": {}, "extra": 1, "more": 2}]) == 2


def test_an_error_tells_the_field_and_not_the_value():
    """The refusal names the place and what is right, never what was sent."""
    checks = RowChecks([_terms(FieldType.NUMBER, maximum=9)])

    problem = refuse(checks.violations([{"x": "4111-1111"}, {"x": 10}]))

    assert problem.where == "rows[0].x"
    assert "4111" not in str(problem)
    assert "a number, at most 9" in problem.hint
    assert "1 more" in problem.message
