"""Raw request rows as columns, for the expressions that costs are written in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec
import numpy as np

from geartrain.domain.clause import Scalar
from geartrain.domain.contract import FieldTerms, FieldType
from geartrain.domain.expression import Columns, Values
from geartrain.domain.prediction import Row

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST_INTEGER = 2**63 - 1


def columns_of(
    rows: Sequence[Mapping[str, object]], names: Sequence[str], fields: Sequence[FieldTerms] = ()
) -> Columns:
    """The columns *names* of *rows*: numbers as float64 with NaN, text as objects with None.

    A column that no field declares is a number where it holds no text.
    """
    kinds = {terms.name: terms.type for terms in fields}
    return {name: _column([row.get(name) for row in rows], kinds.get(name)) for name in names}


def _column(values: list[object], kind: FieldType | None) -> Values:
    if kind is FieldType.TIMESTAMP:
        return np.array([_microseconds(value) for value in values], dtype=np.float64)
    textual = kind in (FieldType.STRING, FieldType.TEXT, FieldType.OBJECT)
    if textual or (kind is None and any(isinstance(value, str) for value in values)):
        column = np.empty(len(values), dtype=object)
        column[:] = values
        return column
    return np.array([_number(value) for value in values], dtype=np.float64)


def _number(value: object) -> float:
    return float(value) if isinstance(value, bool | int | float) else float("nan")


def _microseconds(value: object) -> float:
    if isinstance(value, str):
        moment = datetime.fromisoformat(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (moment - _EPOCH).total_seconds() * 1e6
    return _number(value)


def logged_row(row: Mapping[str, object]) -> Row:
    """The row as it was sent, for the prediction log; nested values become their JSON text."""
    return tuple((name, _scalar(value)) for name, value in row.items())


def _scalar(value: object) -> Scalar:
    match value:
        case None | bool() | str() | float():
            return value
        case int():
            return value if -_LARGEST_INTEGER <= value <= _LARGEST_INTEGER else float(value)
        case _:
            return msgspec.json.encode(value).decode()
