"""Rows from JSON: documents of an HTTP body, lines of a file, rows that were kept as text.

A column's type is what all of its values have in common. Where they disagree, nothing
is rounded or dropped: the column becomes text, and the door decides row by row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
import polars as pl

from geartrain.data.repeated import repeated_key
from geartrain.data.storable import json_text, storable

#: The column that holds what could not be read as a row; the door sends it to quarantine.
UNREADABLE = "_unreadable"

_INT64 = 2**63
_EXACT = 2**53


def read_documents(documents: Sequence[object]) -> pl.DataFrame:
    """One row a document, columns in the order in which they first appear; nested values are JSON text.

    Something that is not an object becomes a row of `_unreadable` text.

    >>> read_documents([{"id": "a", "card": {"id": 7}}, {"id": "b", "amount": 2.5}]).rows()
    [('a', '{"id":7}', None), ('b', None, 2.5)]
    """
    names: dict[str, None] = {}
    for document in documents:
        names.update(dict.fromkeys(document if isinstance(document, Mapping) else (UNREADABLE,)))
    columns: dict[str, list[object]] = {name: [] for name in names}
    for document in documents:
        row = document if isinstance(document, Mapping) else {UNREADABLE: json_text(document)}
        for name, values in columns.items():
            values.append(row.get(name))
    return pl.DataFrame([column_of(name, values) for name, values in columns.items()])


def read_lines(lines: Sequence[bytes]) -> pl.DataFrame:
    """One row a line of JSON; a line that is not one plain object becomes a row of `_unreadable` text.

    An object in which a key stands twice is not plain: whoever reads it gets one of the
    two values, and nobody knows which was meant.
    """
    documents: list[object] = []
    for line in lines:
        try:
            document = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError):
            document = None
        readable = isinstance(document, dict) and repeated_key(line, document) is None
        documents.append(document if readable else {UNREADABLE: line.decode(errors="replace")})
    return read_documents(documents)


_STORED = (pl.Boolean(), pl.Int64(), pl.Float64(), pl.String(), pl.Datetime("us", "UTC"), pl.Binary())


def flat(frame: pl.DataFrame) -> pl.DataFrame:
    """*frame* in the lake's own types, nested values as JSON text; empty columns stay, without a type."""
    if all(kind in _STORED for kind in frame.dtypes):
        return frame
    kept = storable(frame.to_arrow())
    found = pl.DataFrame(pl.from_arrow(kept)) if kept.num_columns else pl.DataFrame(height=frame.height)
    empty = [pl.lit(None).alias(name) for name in frame.columns if name not in found.columns]
    return found.with_columns(empty).select(frame.columns)


def column_of(name: str, values: list[object]) -> pl.Series:
    """*values* in the narrowest type that holds them all unchanged; text where they have none in common."""
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return pl.Series(name, values, dtype=pl.Null)
    if kinds == {bool}:
        return pl.Series(name, values, dtype=pl.Boolean)
    if kinds == {datetime}:
        return pl.Series(name, values, dtype=pl.Datetime("us", "UTC"))
    if kinds == {int} and all(-_INT64 <= one < _INT64 for one in values if isinstance(one, int)):
        return pl.Series(name, values, dtype=pl.Int64)
    if kinds <= {int, float} and all(abs(one) <= _EXACT for one in values if isinstance(one, int)):
        numbers = [float(one) if isinstance(one, int) else one for one in values]
        return pl.Series(name, numbers, dtype=pl.Float64)
    texts = [one if one is None or isinstance(one, str) else json_text(one) for one in values]
    return pl.Series(name, texts, dtype=pl.String)
