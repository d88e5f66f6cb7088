"""An expression says the same of a request as of its row in a table, to the last bit."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.domain.expression import FUNCTIONS
from geartrain.domain.features import FeatureType
from geartrain.features.terms import holds_in_frame, holds_in_row, term_of_frame, term_of_row

COLUMNS = ("x", "y", "word", "flag")
SCHEMA = dict(zip(COLUMNS, (pl.Float64, pl.Float64, pl.String, pl.Boolean), strict=True))
EXPRESSIONS = (
    *(f"{name}(x)" for name in FUNCTIONS),
    *(f"{name}(word)" for name in FUNCTIONS),
    "x * 0.1 + y / 3 - x ** 1.5 + y % 7",
    "-x",
    "not flag",
    "x < y and flag or word in ['a', 'b']",
    "word if x > 0 else lower(word)",
    "flag if y > 0 else not flag",
    "x if is_null(y) else y",
    "word != 'a'",
    "min(x, y) + max(x, 1)",
    "absent + 1",
    "5",
)
numbers = st.one_of(st.none(), st.floats(-1e6, 1e6), st.floats(), st.integers(-5, 5).map(float))
rows = st.lists(
    st.tuples(
        numbers, numbers, st.sampled_from([None, "a", "B", "čau", ""]), st.sampled_from([None, True, False])
    ),
    min_size=1,
    max_size=40,
)


@pytest.mark.parametrize("expression", EXPRESSIONS)
@settings(max_examples=25)
@given(values=rows)
def test_a_request_is_valued_as_its_row_is(expression: str, values: list[tuple[object, ...]]) -> None:
    """As a number, as a category and as a condition; missing values included."""
    frame = pl.DataFrame(values, schema=SCHEMA, orient="row")
    alone = frame.to_dicts()
    as_numbers = [
        np.nan if one is None else one
        for one in (term_of_row(expression, FeatureType.NUMBER, row) for row in alone)
    ]

    assert np.array_equal(term_of_frame(expression, FeatureType.NUMBER, frame), as_numbers, equal_nan=True)
    assert term_of_frame(expression, FeatureType.CATEGORY, frame).tolist() == [
        term_of_row(expression, FeatureType.CATEGORY, row) for row in alone
    ]
    assert holds_in_frame(expression, frame).tolist() == [holds_in_row(expression, row) for row in alone]


def test_a_columns_name_wins_over_an_expression() -> None:
    """A column called `a-b` is that column, and not a subtraction."""
    frame = pl.DataFrame({"a-b": [7.0], "a": [1.0], "b": [1.0]})

    assert term_of_frame("a-b", FeatureType.NUMBER, frame).tolist() == [7.0]
    assert term_of_row("a-b", FeatureType.NUMBER, frame.to_dicts()[0]) == 7.0
    assert term_of_row("a-b", FeatureType.NUMBER, {"a": 1, "b": 1}) == 0.0
