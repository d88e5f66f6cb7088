"""Raw request rows as columns, for the expressions that costs are written in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import UnionType

import msgspec
import numpy as np

from geartrain.domain.clause import Scalar
from geartrain.domain.columns import as_number, microseconds
from geartrain.domain.contract import FieldTerms, FieldType
from geartrain.domain.expression import Columns, Values
from geartrain.serving.requests import LARGEST_INTEGER


def columns_of(
    rows: Sequence[Mapping[str, object]], names: Sequence[str], fields: Sequence[FieldTerms] = ()
) -> Columns:
    """The columns *names* of *rows*, in the form that `geartrain.domain.columns` gives a table's.

    A column that no field declares is what its values are.
    """
    kinds = {terms.name: terms.type for terms in fields}
    return {name: _column([row.get(name) for row in rows], kinds.get(name)) for name in names}


def _column(values: list[object], kind: FieldType | None) -> Values:
    if kind is FieldType.TIMESTAMP:
        values = [_microseconds(value) for value in values]
        if None not in values:
            return np.array(values, dtype=np.int64)
    elif kind in (FieldType.NUMBER, FieldType.INTEGER) or (kind is None and _are(values, int | float)):
        return np.array([as_number(value) for value in values], dtype=np.float64)
    elif _are(values, bool) and None not in values:
        return np.array(values, dtype=bool)
    column = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):  # one by one: a value may be a list itself
        column[place] = value
    return column


def _are(values: list[object], kind: type | UnionType) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(
        isinstance(value, kind) and isinstance(value, bool) is (kind is bool) for value in known
    )


def _microseconds(value: object) -> object:
    return microseconds(datetime.fromisoformat(value)) if isinstance(value, str) else value


#: What a log's cell may hold as it is; of integers only those that fit into 64 bits may.
_SCALARS = frozenset((float, str, bool, type(None)))
_ROW = msgspec.json.Encoder()


def logged_row(row: Mapping[str, object], sent: bytes | None = None) -> bytes:
    """The row as JSON for the prediction log; nested values become their JSON text.

    *sent* are the very bytes that came, where they are known. They are kept unless a text in them
    is written with escapes: whoever is to be forgotten is looked for by name in the log's text.

    >>> logged_row({"a": [1, None], "b": 2.5})
    b'{"a":"[1,null]","b":2.5}'
    """
    if not _SCALARS.issuperset(map(type, row.values())):
        held = {name: _scalar(value) for name, value in row.items()}
        if sent is None or any(held[name] is not value for name, value in row.items()):
            return _ROW.encode(held)
    return _ROW.encode(row) if sent is None or b"\\" in sent else sent


def _scalar(value: object) -> Scalar:
    match value:
        case None | bool() | str() | float():
            return value
        case int():
            return value if -LARGEST_INTEGER <= value <= LARGEST_INTEGER else float(value)
        case _:
            return msgspec.json.encode(value).decode()
