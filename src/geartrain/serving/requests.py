"""Requests as typed structs, and the row checks that a contract compiles to.

A violation names the field and what would be right. It repeats neither the value that
was sent nor anything else of the schema: an error body may end in somebody's log.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import le
from typing import Any, Final, TypeVar, assert_never

import msgspec

from geartrain.domain.columns import as_text, cells_of
from geartrain.domain.contract import FieldTerms, FieldType
from geartrain.errors import RequestInvalid

T = TypeVar("T")

_NOTHING: Final = msgspec.Raw()
_ABSENT: Final = (b"", b"null")

#: Integers beyond this are not numbers that a column can hold.
LARGEST_INTEGER: Final = 2**63 - 1
#: A model reads 32 bits: beyond their largest number another one would be decided about.
LARGEST_NUMBER: Final = (2.0 - 2.0**-23) * 2.0**127
_NUMBERS: Final = frozenset((float, int))


class DecisionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows to decide about: `rows`, or a single `row`.

    `keys` name the rows where the contract's key column does not; `decision_ids` make a
    repeated request safe; `at` is the time that the rows are about, now if left out.
    """

    rows: list[dict[str, Any]] | None = None
    row: dict[str, Any] | None = None
    keys: list[str] | None = None
    decision_ids: list[str] | None = None
    at: datetime | None = None
    explain: bool = False


class RawDecisionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The same with rows as the bytes that came: read row by row, and kept for the log as they are."""

    rows: list[msgspec.Raw] | None = None
    #: Nothing where the request does not say it. (The reader takes no object for "raw or null".)
    row: msgspec.Raw = _NOTHING
    keys: list[str] | None = None
    decision_ids: list[str] | None = None
    at: datetime | None = None
    explain: bool = False

    @property
    def sent(self) -> list[msgspec.Raw] | None:
        """The rows that came; None where there are none, or both `rows` and `row`."""
        if bytes(self.row) in _ABSENT:
            return self.rows
        return [self.row] if self.rows is None else None


class OutcomeItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The truth about one decision, as it is sent in."""

    decision_id: str
    label: str | int | float | bool
    happened_at: datetime | None = None


class OutcomeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Outcomes of earlier decisions."""

    outcomes: list[OutcomeItem]
    by: str = ""


class EventRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows of one event source of the contract."""

    source: str
    rows: list[dict[str, Any]]


def decode_body(content: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T], *, place: str = "") -> T:
    """Read a JSON body, or the part of it at *place*, into a typed request.

    Raises:
        RequestInvalid: It is not UTF-8, not JSON, nested too deeply, or has another shape.
            The message has the place inside the body, never the body.
    """
    hint = "send one JSON object in UTF-8; NaN and Infinity are not JSON, a missing value is null"
    try:
        return decoder.decode(content)
    except msgspec.ValidationError as error:
        message = _placed(str(error), place)
        hint = "GET /docs has what the request may hold"
    except msgspec.DecodeError as error:
        message = str(error)
    except UnicodeDecodeError:
        message = "The body is not UTF-8 text"
    except RecursionError:
        message = "The body is nested too deeply"
    raise RequestInvalid(
        message,
        where="request body",
        hint=hint,
    )


def _placed(message: str, place: str) -> str:
    """The reader's words about a part of a body, as if it had read the whole."""
    if not place:
        return message
    at = f"`$.{place}"
    return message.replace("`$", at) if "`$" in message else f"{message} - at {at}`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One field of a request that the contract does not allow.

    Attributes:
        path: Its place, such as `rows[3].amount`.
        found: What kind of thing was found there.
        expected: What would be right.
    """

    path: str
    found: str
    expected: str


Check = Callable[[object], str | None]


@dataclass(frozen=True, slots=True)
class _FieldCheck:
    name: str
    steps: tuple[str, ...]
    required: bool
    expected: str
    allows: Callable[[object], bool]


class RowChecks:
    """The checks of one contract's decision source, compiled once.

    >>> terms = FieldTerms(name="amount", type=FieldType.NUMBER, required=True, minimum=0)
    >>> RowChecks((terms,), label="fraud").violations([{"amount": "12"}])
    (Violation(path='rows[0].amount', found='text', expected='a number, at least 0, required'),)
    """

    def __init__(self, fields: Sequence[FieldTerms], *, label: str = "") -> None:
        asked = tuple(terms for terms in fields if terms.name != label)
        self._checks = tuple(_compiled(terms) for terms in asked)
        self.known = frozenset(check.steps[0] for check in self._checks)
        self._numbers = _NumberChecks(terms for terms in asked if _is_bare_number(terms))
        self._others = tuple(
            check for check, terms in zip(self._checks, asked, strict=True) if not _is_bare_number(terms)
        )

    def violations(self, rows: Sequence[Mapping[str, object]], *, most: int = 20) -> tuple[Violation, ...]:
        """What the contract does not allow in *rows*, the first *most* of it."""
        found: list[Violation] = []
        for place, row in enumerate(rows):
            # Where all numbers are as they should be, as nearly always, nothing is asked of each alone.
            for check in self._others if self._numbers.hold(row) else self._checks:
                value = _value_at(row, check.steps)
                if value is None:
                    if not check.required:
                        continue
                elif check.allows(value):
                    continue
                path = f"rows[{place}].{check.name}"
                found.append(Violation(path=path, found=kind_of(value), expected=check.expected))
                if len(found) >= most:
                    return tuple(found)
        return tuple(found)

    def unknown(self, rows: Sequence[Mapping[str, object]]) -> int:
        """How many values of *rows* belong to no field of the contract; they are taken, not checked."""
        known = self.known
        return sum(len(row.keys() - known) for row in rows if not known.issuperset(row))


def _is_bare_number(terms: FieldTerms) -> bool:
    return (
        terms.type is FieldType.NUMBER
        and len(_steps(terms)) == 1
        and not terms.values
        and terms.pattern is None
    )


class _NumberChecks:
    """Whether the plain numbers of a row are all there and within their bounds, in a few calls of C.

    "No" only means that each has to be looked at.
    """

    def __init__(self, fields: Iterable[FieldTerms]) -> None:
        terms = tuple(fields)
        bounded = [
            place for place, one in enumerate(terms) if one.minimum is not None or one.maximum is not None
        ]
        ends = [(terms[place].minimum, terms[place].maximum) for place in bounded]
        self._values = cells_of([_steps(one)[0] for one in terms])
        self._bounded = cells_of(bounded)
        self._lows = tuple(-LARGEST_NUMBER if low is None else float(low) for low, _ in ends)
        self._highs = tuple(LARGEST_NUMBER if high is None else float(high) for _, high in ends)

    def hold(self, row: Mapping[str, object]) -> bool:
        try:
            values = self._values(row)
        except KeyError:
            return False
        kinds = set(map(type, values))
        if not kinds <= _NUMBERS:
            return False
        if int in kinds and not all(_finite(value) for value in values if type(value) is int):
            return False
        # No value lies further from zero than all together; the quickest such sum, false for NaN.
        if not math.hypot(*values) <= LARGEST_NUMBER:
            return False
        asked = self._bounded(values)
        return all(map(le, self._lows, asked)) and all(map(le, asked, self._highs))


def refuse(violations: Sequence[Violation]) -> RequestInvalid:
    """The error that tells a client of its first violation and the number of the others."""
    first, others = violations[0], len(violations) - 1
    also = f" ({others} more)" if others else ""
    return RequestInvalid(
        f"a row is not what the contract asks for{also}",
        where=first.path,
        found=first.found,
        hint=f"right is: {first.expected}",
    )


def kind_of(value: object) -> str:
    """What kind of JSON value this is, in words that tell nothing about its content."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number" if _finite(value) else _beyond(value)
        case str():
            return "text"
        case Mapping():
            return "an object"
        case _:
            return "a list"


def _value_at(row: Mapping[str, object], steps: tuple[str, ...]) -> object:
    value: object = row
    for step in steps:
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def _steps(terms: FieldTerms) -> tuple[str, ...]:
    if terms.path is None:
        return (terms.name,)
    return tuple(terms.path.removeprefix("$").strip(".").split("."))


def _finite(value: float) -> bool:
    largest = LARGEST_INTEGER if isinstance(value, int) else LARGEST_NUMBER
    return -largest <= value <= largest


def _beyond(value: float) -> str:
    largest = "9.2e18, where whole numbers end" if isinstance(value, int) else "3.4e38, where 32 bits end"
    return f"a number beyond {largest}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and _finite(value)


def _is_whole(value: object) -> bool:
    return _is_number(value) and float(value) == int(value)  # type: ignore[arg-type, call-overload]  # a number


def _is_time(value: object) -> bool:
    if not isinstance(value, str):
        return isinstance(value, int) and not isinstance(value, bool) and _finite(value)
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _compiled(terms: FieldTerms) -> _FieldCheck:
    words, is_kind = _kind_check(terms.type)
    expected = [words]
    allowed = frozenset(terms.values)
    low, high = terms.minimum, terms.maximum
    pattern = re.compile(terms.pattern) if terms.pattern else None
    if low is not None:
        expected.append(f"at least {low:g}")
    if high is not None:
        expected.append(f"at most {high:g}")
    if allowed:
        expected.append(f"one of {', '.join(terms.values)}")
    if pattern is not None:
        expected.append(f"matching {terms.pattern}")
    if terms.required:
        expected.append("required")
    numeric = terms.type in (FieldType.INTEGER, FieldType.NUMBER)

    def allows(value: object) -> bool:
        if not is_kind(value):
            return False
        if numeric:
            number = float(value)  # type: ignore[arg-type]  # is_kind has seen a number
            if (low is not None and number < low) or (high is not None and number > high):
                return False
        if allowed and as_text(value) not in allowed:
            return False
        return pattern is None or pattern.fullmatch(as_text(value) or "") is not None

    return _FieldCheck(
        name=terms.name,
        steps=_steps(terms),
        required=terms.required,
        expected=", ".join(expected),
        allows=allows,
    )


def _kind_check(kind: FieldType) -> tuple[str, Callable[[object], bool]]:
    match kind:
        case FieldType.NUMBER:
            return "a number", _is_number
        case FieldType.INTEGER:
            return "a whole number", _is_whole
        case FieldType.STRING | FieldType.TEXT:
            return "text", lambda value: isinstance(value, str)
        case FieldType.BOOLEAN:
            return "true or false", lambda value: isinstance(value, bool)
        case FieldType.TIMESTAMP:
            return "an ISO 8601 time or microseconds since 1970", _is_time
        case FieldType.OBJECT:
            return "an object or a list", lambda value: isinstance(value, dict | list)
        case _:
            assert_never(kind)
