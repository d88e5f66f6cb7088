"""The smallest things people write in a contract: quantities, shares, names, expressions.

Each is one type that both validates and describes itself in the JSON Schema. A type
answers a wrong value with what would be right, so that the person need not look it up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from geartrain.contract import units
from geartrain.domain.expression import parse as parse_expression
from geartrain.domain.roles import Role
from geartrain.errors import ExpressionInvalid

#: How many known words an answer lists.
MOST_NAMED = 20


class Section(BaseModel):
    """A mapping that people write: every key is known, nothing is converted in silence."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


def wrong(message: str, *, expected: str = "") -> PydanticCustomError:
    """A problem that pydantic carries to its place; braces in people's text stay as they are."""
    return PydanticCustomError("contract", "{said}", {"said": message, "right": expected})


def _quantity(read: Callable[[str], float], *, positive: bool = False) -> Callable[[Any], float]:
    def validate(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise wrong("this is not a quantity", expected=_expected(read))
        try:
            quantity = read(str(value))
        except units.UnitInvalid as error:
            raise wrong(error.message, expected=error.expected) from error
        if not math.isfinite(quantity) or quantity < 0 or (positive and quantity == 0):
            raise wrong(f"must be {'more than' if positive else 'at least'} 0", expected=_expected(read))
        return quantity

    return validate


def _expected(read: Callable[[str], float]) -> str:
    try:
        read("1 ?")
    except units.UnitInvalid as error:
        return error.expected
    return ""


def _text_schema(description: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "description": description, "examples": list(examples)})


Duration = Annotated[
    units.Seconds,
    PlainValidator(_quantity(units.duration)),
    _text_schema("a number with a unit: us, ms, s, min, h, days, weeks", "5 ms", "2 h", "14 days"),
]
PositiveDuration = Annotated[
    units.Seconds,
    PlainValidator(_quantity(units.duration, positive=True)),
    _text_schema("a number with a unit: us, ms, s, min, h, days, weeks", "5 ms", "2 h", "14 days"),
]
Size = Annotated[
    units.Bytes,
    PlainValidator(_quantity(units.size, positive=True)),
    _text_schema("a number with a unit: B, kB, MB, GB, KiB, MiB, GiB", "500 kB", "20 MB"),
]
Rate = Annotated[
    units.PerSecond,
    PlainValidator(_quantity(units.rate, positive=True)),
    _text_schema("a number and the time that it is counted in", "20 per second", "1000 per day"),
]


def _share(value: Any) -> float:
    expected = "a share from 0 to 1, such as 0.05 or 5 %"
    if isinstance(value, str):
        try:
            value = units.share(value)
        except units.UnitInvalid as error:
            raise wrong(error.message, expected=expected) from error
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise wrong("this is not a share", expected=expected)
    if not 0 <= value <= 1:
        right = f"{units.number(round(value / 100, 12))} (for {units.number(value)} %)"
        raise wrong("a share lies from 0 to 1", expected=right if 1 < value <= 100 else expected)
    return float(value)


Share = Annotated[
    float,
    PlainValidator(_share),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": r"^\s*[0-9.]+\s*(%|percent)\s*$"},
            ],
            "description": "a share from 0 to 1, or a percentage",
            "examples": [0.05, "5 %"],
        }
    ),
]


def _number(value: Any) -> float:
    if isinstance(value, str) and re.fullmatch(r"\s*[-+]?[0-9.]+\s*", value):
        raise wrong("this is text, not a number", expected=f"{value.strip()} without quotes")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise wrong("this is not a number", expected="a number")
    return float(value)


Number = Annotated[float, PlainValidator(_number), WithJsonSchema({"type": "number"})]


def _expression(value: Any) -> str:
    if isinstance(value, bool):
        raise wrong("this is not an expression", expected="a number or an expression over columns")
    if isinstance(value, int | float):
        if not math.isfinite(value):
            raise wrong("must be a finite number", expected="a number or an expression over columns")
        return units.number(float(value))
    if not isinstance(value, str) or not value.strip():
        raise wrong("this is not an expression", expected="a number or an expression over columns")
    try:
        parse_expression(value)
    except ExpressionInvalid as error:
        raise wrong(error.message, expected=error.hint or "an expression such as amount * 0.1 + 5") from error
    return value.strip()


Cost = Annotated[
    str,
    PlainValidator(_expression),
    WithJsonSchema(
        {
            "anyOf": [{"type": "number"}, {"type": "string"}],
            "description": "a number, or an expression over the row's columns",
            "examples": [50, "amount + 5"],
        }
    ),
]
Condition = Annotated[
    str,
    PlainValidator(_expression),
    _text_schema("an expression over the row's columns", "amount > 100", 'site in ["A", "B"]'),
]


def _grouping(value: Any) -> str:
    """A column's bare name may hold spaces here; in an expression it needs backticks."""
    if isinstance(value, str) and re.fullmatch(r"\w+(?:[ -]+\w+)*", value.strip()) and " " in value.strip():
        try:
            parse_expression(value)
        except ExpressionInvalid:
            return f"`{value.strip()}`"
    return _expression(value)


Grouping = Annotated[
    str,
    PlainValidator(_grouping),
    _text_schema("a column, or an expression over columns", "site", "age >= 65"),
]


def _as_text(value: Any) -> str:
    """Classes and allowed values are text everywhere; YAML's 1 and true are what people write for them."""
    match value:
        case bool():
            return "true" if value else "false"
        case str() if value.strip():
            return value
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return units.number(value)
        case _:
            raise wrong("this is not a single value", expected="text, a number, true or false")


AsText = Annotated[
    str,
    PlainValidator(_as_text),
    WithJsonSchema({"type": ["string", "number", "boolean"], "examples": ["malignant", 1, True]}),
]


class OneOrMore:
    """Marks a list type that may be written as its one item alone."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Make a list of a single value before the list is validated."""
        return core_schema.no_info_before_validator_function(
            lambda value: value if isinstance(value, list) else [value], handler(source)
        )

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Let an editor accept both."""
        several = handler(core)
        return {"anyOf": [several["items"], several]}


def _filled(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        raise wrong("is empty", expected="a few words")
    return value.strip() if isinstance(value, str) else value


#: Text with something in it; YAML's folded blocks end in a newline, which is no part of it.
Words = Annotated[str, BeforeValidator(_filled)]


def _column(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        raise wrong("is empty", expected="a column's name")
    return value


#: A column's name, exactly as it stands in the data.
ColumnName = Annotated[str, BeforeValidator(_column)]


def _reason(value: Any) -> Any:
    value = _filled(value)
    if isinstance(value, str) and not re.search(r"\w{2}", value):
        raise wrong("this is not a reason", expected="why, in plain words")
    return value


#: A reason has at least a word in it; three dots are a gap that somebody meant to fill.
Reason = Annotated[str, BeforeValidator(_reason)]


def _slug(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*", value):
        nearest = re.sub(r"[^a-z0-9]+", "-", str(value).lower()).strip("-").lstrip("0123456789-")
        raise wrong(
            "a name is lower case letters, digits and hyphens and begins with a letter",
            expected=nearest or "card-fraud",
        )
    if len(value) > 60:
        raise wrong("the name is longer than 60 characters", expected=value[:60].rstrip("-_"))
    return value


Slug = Annotated[
    str,
    PlainValidator(_slug),
    WithJsonSchema(
        {"type": "string", "pattern": "^[a-z][a-z0-9]*([-_][a-z0-9]+)*$", "examples": ["card-fraud"]}
    ),
]


def _role(value: Any) -> Role:
    if isinstance(value, str) and value in set(Role):
        return Role(value)
    raise wrong("there is no such role", expected=nearest_of(value, tuple(Role)))


RoleName = Annotated[
    Role,
    PlainValidator(_role),
    WithJsonSchema({"type": "string", "enum": [role.value for role in Role]}),
]


def nearest_of(found: object, known: tuple[str, ...]) -> str:
    """The known words, the likeliest first as a question.

    >>> nearest_of("recal", ("precision", "recall"))
    'did you mean `recall`?'
    """
    from difflib import get_close_matches

    near = get_close_matches(str(found).lower(), [str(one) for one in known], n=1, cutoff=0.7)
    if near:
        return f"did you mean `{near[0]}`?"
    more = f" and {len(known) - MOST_NAMED} more" if len(known) > MOST_NAMED else ""
    return "one of " + ", ".join(str(one) for one in known[:MOST_NAMED]) + more
