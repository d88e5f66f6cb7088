"""The expression language: small, safe, and the same everywhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.domain.expression import FUNCTIONS, parse
from geartrain.errors import ExpressionInvalid

ROWS = {
    "amount": np.array([10.0, 250.0, np.nan]),
    "age": np.array([30, 61, 80]),
    "site": np.array(["A", None, "B"], dtype=object),
    "ok": np.array([True, False, True]),
    "worst radius": np.array([12.0, 20.0, 17.0]),
    "at": np.array([0, 3_600_000_000, 5 * 86_400_000_000]),
}


def _values(text: str) -> list[object]:
    values: list[object] = parse(text).evaluate(ROWS, rows=3).tolist()
    return values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("age * 2 + 1", [61, 123, 161]),
        ("age % 7", [2, 5, 3]),
        ("-age ** 2", [-900, -3721, -6400]),
        ("age >= 60", [False, True, True]),
        ("30 <= age < 80", [True, True, False]),
        ("amount > 100", [False, True, False]),
        ("not amount > 100", [True, False, True]),
        ('site in ["A", "B"]', [True, False, True]),
        ('site not in ["A"]', [False, True, True]),
        ('site == "A"', [True, False, False]),
        ("is_null(site)", [False, True, False]),
        ("is_null(amount)", [False, False, True]),
        ("`worst radius` > 16.8", [False, True, True]),
        ("ok and age > 60", [False, False, True]),
        ("ok == true", [True, False, True]),
        ("1 if age > 60 else 0", [0, 1, 1]),
        ("max(age, 50)", [50, 61, 80]),
        ("min(age, 50, 40)", [30, 40, 40]),
        ("abs(age - 60)", [30, 1, 20]),
        ("lower(site)", ["a", None, "b"]),
        ("hour(at)", [0, 1, 0]),
        ("weekday(at)", [3, 3, 1]),  # 1970-01-01 was a Thursday
        ("true", [True, True, True]),
        ("log1p(0)", [0, 0, 0]),
        ('"a `b` c" == "a `b` c"', [True, True, True]),
    ],
)
def test_what_it_says_is_what_it_means(text: str, expected: list[object]) -> None:
    """Arithmetic, comparisons, logic, lists, functions, missing values."""
    assert _values(text) == expected


def test_missing_numbers_stay_missing() -> None:
    """Arithmetic with NaN is NaN, and a division by zero is no exception."""
    assert math.isnan(parse("amount + 1").evaluate(ROWS, rows=3)[2])
    assert math.isinf(parse("1 / 0").evaluate({}, rows=1)[0])


def test_columns_are_those_that_it_reads() -> None:
    """In the order of their first use; words of the language are none."""
    assert parse("b + `a b` * (b > 1) + min(c, 2)").columns == ("b", "a b", "c")
    assert parse("true and not false").columns == ()
    assert parse("`true` > 1").columns == ("true",)


@pytest.mark.parametrize(("text", "value"), [("4 * 2", 8.0), ("-50", -50.0), ("abs(-3)", 3.0)])
def test_a_constant_is_known_without_rows(text: str, value: float) -> None:
    """Costs that do not depend on the row can be compared beforehand."""
    assert parse(text).constant == value


def test_what_reads_a_column_or_is_text_is_no_constant_number() -> None:
    """None, or not a number."""
    assert parse("amount").constant is None
    constant = parse("'a'").constant
    assert constant is not None
    assert math.isnan(constant)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "amount >",
        "amount = 3",
        "lambda: 1",
        "a.b",
        "a[0]",
        "__import__('os')",
        "open('x')",
        "[x for x in y]",
        "(a := 3)",
        "f'{a}'",
        "max()",
        "abs(1, 2)",
        "abs(x=1)",
        "b'bytes'",
        "3j",
        "...",
        "1" + "0" * 400,
        "-" * 3000 + "1",
        "not " * 900 + "a",
        "(" * 500 + "1" + ")" * 500,
        "a" * 5000,
        "a & b",
        "a is b",
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    """Nothing is executed, nothing recurses without end; the reason is an `ExpressionInvalid`."""
    with pytest.raises(ExpressionInvalid):
        parse(text)


def test_an_unknown_column_is_named_when_it_is_missed() -> None:
    """With the columns that there are."""
    with pytest.raises(ExpressionInvalid, match="there is no column `amout`") as caught:
        parse("amout > 1").evaluate(ROWS, rows=3)

    assert "amount" in caught.value.hint


def test_in_needs_a_list() -> None:
    """Text is not searched for letters."""
    with pytest.raises(ExpressionInvalid, match="needs a list"):
        parse("site in 'AB'").evaluate(ROWS, rows=3)


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_values_have_one_per_row(rows: int) -> None:
    """Constants and functions of constants are spread over the rows, empty frames give empty values."""
    columns = {"x": np.arange(rows, dtype=float)}

    for text in ("3", "abs(-3)", "x", "abs(x)", "x + abs(-3)", "x > 1", "x in [1, 2]", "1 if x > 1 else 2"):
        assert parse(text).evaluate(columns, rows=rows).shape == (rows,), text


@settings(max_examples=200)
@given(st.text(max_size=40))
def test_no_text_breaks_it(text: str) -> None:
    """Whatever is written is either read or refused with the one error."""
    try:
        expression = parse(text)
    except ExpressionInvalid:
        return

    assert isinstance(expression.columns, tuple)


PIECES = st.recursive(
    st.sampled_from(["x", "y", "1", "2.5", "true", "'a'", "s"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "<", ">=", "==", "and", "or"]), inner).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
        ),
        inner.map(lambda part: f"(not {part})"),
        inner.map(lambda part: f"abs({part})"),
        inner.map(lambda part: f"is_null({part})"),
        st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]} if {parts[1]} else {parts[2]})"),
    ),
    max_leaves=6,
)


@settings(max_examples=200)
@given(PIECES)
def test_each_row_is_its_own(text: str) -> None:
    """Evaluating rows together or one by one gives the same, whatever the expression."""
    columns = {
        "x": np.array([1.0, np.nan, -3.0]),
        "y": np.array([0.0, 2.0, 2.0]),
        "s": np.array(["a", None, "b"], dtype=object),
    }
    expression = parse(text)

    together = [str(one) for one in expression.evaluate(columns, rows=3).tolist()]
    alone = [
        str(
            expression.evaluate(
                {name: values[i : i + 1] for name, values in columns.items()}, rows=1
            ).tolist()[0]
        )
        for i in range(3)
    ]

    assert together == alone


def test_the_language_is_said_completely() -> None:
    """Every function answers on numbers or texts of three rows."""
    for name, (count, _) in FUNCTIONS.items():
        argument = "site" if name in {"lower", "length"} else "age"
        text = f"{name}({', '.join([argument] * (count or 2))})"

        assert parse(text).evaluate(ROWS, rows=3).shape == (3,), name


def test_names_that_are_kept_for_bookkeeping_are_never_offered():
    """Somebody who misspelled a column is shown those that may be meant, and never an empty list."""
    rows = {"amount": np.array([1.0]), "_label": np.array([1.0]), "_mature": np.array([1.0])}
    with pytest.raises(ExpressionInvalid) as caught:
        parse("amuont + 1").evaluate(rows, rows=1)
    assert caught.value.hint == "columns: amount"
    with pytest.raises(ExpressionInvalid) as caught:
        parse("amuont + 1").evaluate({"_label": rows["_label"]}, rows=1)
    assert caught.value.hint == "no column can be read here"
