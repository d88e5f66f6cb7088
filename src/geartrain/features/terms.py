"""A column's name or an expression, valued over a frame or over one row: the same value either way.

if TYPE_CHECKING:
    import polars as pl

A name that the rows carry is that column; anything else is read as an expression. A
column that the rows do not carry is missing in each of them, as an optional field of a
request is. Numbers come out as float64 with NaN, everything else as text with None.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.columns import (
    absent,
    as_number,
    as_text,
    numbers,
    pick,
    texts,
    texts_of,
    truths,
    value_of,
    values_of,
)
from geartrain.domain.expression import Expression, Values, parse
from geartrain.domain.features import FeatureType
from geartrain.errors import ExpressionInvalid

if TYPE_CHECKING:
    import polars as pl

_INFINITY = float("inf")


def term_of_frame(text: str, kind: FeatureType, frame: pl.DataFrame) -> Values:
    """The term's value in each row: float64 (rows,) for a number, else an object array (rows,)."""
    rows = frame.height
    if text in frame.columns:
        series = frame.get_column(text)
        if kind is not FeatureType.NUMBER:
            return np.array(texts_of(series).to_list(), dtype=object).reshape(rows)
        return numbers(values_of(series))
    values = _evaluated(text, frame, rows)
    return numbers(values) if kind is FeatureType.NUMBER else texts(values)


def term_of_row(text: str, kind: FeatureType, row: Mapping[str, object]) -> float | str | None:
    """The term's value in one row; a missing number is None here."""
    if text in row:
        value = row[text]
        return number_or_none(as_number(value)) if kind is FeatureType.NUMBER else as_text(value)
    expression = _expression(text)
    if expression is None:
        return None
    columns = {name: value_of(row.get(name)) for name in expression.columns}
    values = expression.evaluate(columns, rows=1)
    return (
        number_or_none(float(numbers(values)[0]))
        if kind is FeatureType.NUMBER
        else as_text(values.tolist()[0])
    )


def holds_in_frame(condition: str, frame: pl.DataFrame) -> NDArray[np.bool_]:
    """Where *condition* holds; a missing answer is no."""
    return truths(_evaluated(condition, frame, frame.height))


def holds_in_row(condition: str, row: Mapping[str, object]) -> bool:
    """Whether *condition* holds."""
    expression = parse(condition)
    columns = {name: value_of(row.get(name)) for name in expression.columns}
    return bool(truths(expression.evaluate(columns, rows=1))[0])


def number_or_none(number: float) -> float | None:
    """The number, or None where it is not finite; -0.0 is 0.0."""
    return number + 0.0 if -_INFINITY < number < _INFINITY else None


@lru_cache(maxsize=4096)
def _expression(text: str) -> Expression | None:
    """The expression, or None where *text* can only be the name of a column that is not there."""
    try:
        return parse(text)
    except ExpressionInvalid:
        return None


def _evaluated(text: str, frame: pl.DataFrame, rows: int) -> Values:
    expression = _expression(text)
    if expression is None:
        return absent(rows)
    columns = {
        name: values_of(frame.get_column(name)) for name in expression.columns if name in frame.columns
    }
    return expression.evaluate(pick(columns, expression.columns, rows=rows), rows=rows)
