"""The six types that the lake stores, and how every other value becomes one of them.

Feeds change: a column is whole numbers today, decimals tomorrow, text on Friday. The
lake never refuses a row for that and never loses a value: a column is widened to the
narrowest type that holds everything it was ever given, in the end text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

TIMESTAMP = pa.timestamp("us", "UTC")

_STORED = (pa.bool_(), pa.int64(), pa.float64(), pa.string(), TIMESTAMP, pa.binary())
#: Whole numbers up to here are exact as doubles.
_EXACT = 2**53


def storable(rows: pa.Table) -> pa.Table:
    """*rows* in the lake's types; columns in which nothing was ever said are left out.

    Whole numbers become int64, decimals float64, dates and times UTC microseconds (a
    time without a zone is taken as UTC), nested values JSON text, categories text.

    >>> storable(pa.table({"a": [{"b": 1}], "n": [None]})).to_pydict()
    {'a': ['{"b":1}']}
    """
    if all(field.type in _STORED for field in rows.schema):
        return rows
    kept = [field.name for field in rows.schema if not pa.types.is_null(field.type)]
    return pa.table({name: _stored(rows.column(name)) for name in kept})


def aligned(rows: pa.Table, schema: pa.Schema) -> tuple[pa.Table, dict[str, pa.DataType]]:
    """Fit storable *rows* to a table's *schema*, and say which of the table's columns must widen first.

    Columns that the table lacks stay as they are; those that *rows* lacks are left out.
    """
    columns: dict[str, pa.ChunkedArray] = {}
    widen: dict[str, pa.DataType] = {}
    for name in rows.column_names:
        column = rows.column(name)
        index = schema.get_field_index(name)
        if index >= 0 and schema.field(index).type != column.type:
            target = _joint(schema.field(index).type, column)
            if target != schema.field(index).type:
                widen[name] = target
            column = recast(column, target)
        columns[name] = column
    return pa.table(columns), widen


def widened(rows: pa.Table, widen: Mapping[str, pa.DataType]) -> pa.Table:
    """*rows* with the columns in *widen* in their wider type."""
    return pa.table(
        {
            name: recast(rows.column(name), widen.get(name, rows.column(name).type))
            for name in rows.column_names
        }
    )


def joined(held: pa.Table, rows: pa.Table, widen: Mapping[str, pa.DataType]) -> pa.Table:
    """*held* and *rows* in one table, as `aligned` has found that they fit.

    Whole numbers that no double holds exactly become text rather than other numbers.
    """
    beyond = [
        name
        for name, kind in widen.items()
        if kind == pa.float64()
        and pa.types.is_int64(held.column(name).type)
        and held.column(name).null_count < held.num_rows
        and not _exact(held.column(name))
    ]
    texts = dict.fromkeys(beyond, pa.string())
    return pa.concat_tables(
        [widened(held, {**widen, **texts}), widened(rows, {name: texts[name] for name in beyond})],
        promote_options="default",
    )


def recast(column: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    """*column* as *target*, which must hold all of its values."""
    if column.type == target:
        return column
    if column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column), target)], type=target)
    if pa.types.is_binary(column.type):
        texts = [None if item is None else item.hex() for item in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])
    return column.cast(target)


def _stored(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """One column in one of the lake's types."""
    kind = column.type
    types = pa.types
    if kind in _STORED:
        return column
    if types.is_dictionary(kind):
        return _stored(column.cast(kind.value_type))
    if types.is_integer(kind):
        beyond = types.is_uint64(kind) and len(column) > column.null_count and pc.max(column).as_py() >= 2**63
        return column.cast(pa.string() if beyond else pa.int64())
    if types.is_floating(kind) or types.is_decimal(kind):
        return column.cast(pa.float64())
    if types.is_timestamp(kind):
        zoned = column if kind.tz is not None else column.cast(pa.timestamp(kind.unit, "UTC"))
        return zoned.cast(TIMESTAMP, safe=False)
    if types.is_date(kind):
        return column.cast(pa.timestamp("us")).cast(TIMESTAMP)
    if types.is_large_string(kind) or types.is_string_view(kind) or types.is_time(kind):
        return column.cast(pa.string())
    if types.is_duration(kind):
        return column.cast(pa.duration("us"), safe=False).cast(pa.int64())
    if types.is_large_binary(kind) or types.is_fixed_size_binary(kind) or types.is_binary_view(kind):
        return column.cast(pa.binary())
    texts = [None if item is None else json_text(item) for item in column.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string())])


def json_text(value: object) -> str:
    """*value* as compact JSON with sorted keys; what JSON cannot say is told as text.

    >>> json_text({"b": [1, None], "a": "é"})
    '{"a":"é","b":[1,null]}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def _joint(kind: pa.DataType, column: pa.ChunkedArray) -> pa.DataType:
    """The narrowest stored type that holds a column of *kind* and all of *column*."""
    if column.null_count == len(column):
        return kind
    if kind == pa.float64() and pa.types.is_int64(column.type) and _exact(column):
        return kind
    if kind == pa.int64() and pa.types.is_float64(column.type):
        return kind if _whole(column) else pa.float64()
    return pa.string()


def _exact(column: pa.ChunkedArray) -> bool:
    bounds = pc.min_max(column).as_py()
    return bool(bounds["min"] >= -_EXACT and bounds["max"] <= _EXACT)


def _whole(column: pa.ChunkedArray) -> bool:
    whole = pc.and_(pc.equal(column, pc.floor(column)), pc.less_equal(pc.abs(column), float(_EXACT)))
    return bool(pc.all(whole).as_py())
