"""What the columns of a file hold: the draft of a contract's data section."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from geartrain.data.coercing import timestamp
from geartrain.data.documents import UNREADABLE, flat
from geartrain.domain.contract import FieldType

#: Up to so many distinct values are listed one by one.
FEW_VALUES = 20
#: Text, rather than a name or a code: several words on average.
_WORDS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSummary:
    """One column as it was found.

    Attributes:
        minimum: The least value as text, for numbers and times.
        maximum: The greatest.
        distinct: How many different values, missing ones aside.
        values: Each of them in order, where they are few; else empty.
    """

    name: str
    type: FieldType
    rows: int
    nulls: int
    distinct: int
    minimum: str | None = None
    maximum: str | None = None
    values: tuple[str, ...] = ()


def describe_columns(frame: pl.DataFrame) -> tuple[ColumnSummary, ...]:
    """What each column of *frame* holds, in its order.

    >>> (one,) = describe_columns(pl.DataFrame({"site": ["A", "B", "A", None]}))
    >>> one.type, one.nulls, one.values
    (<FieldType.STRING: 'string'>, 1, ('A', 'B'))
    """
    rows = flat(frame)
    return tuple(_summary(series) for series in rows if series.name != UNREADABLE)


def _summary(series: pl.Series) -> ColumnSummary:
    kind = _type_of(series)
    said = series.drop_nulls()
    if kind is FieldType.TIMESTAMP:
        said = said.to_frame().select(timestamp(said.name, said.dtype)).to_series()
    ordered = kind in {FieldType.INTEGER, FieldType.NUMBER, FieldType.TIMESTAMP} and not said.is_empty()
    distinct = said.n_unique()
    few = distinct <= FEW_VALUES and kind not in {FieldType.TIMESTAMP, FieldType.OBJECT, FieldType.TEXT}
    return ColumnSummary(
        name=series.name,
        type=kind,
        rows=len(series),
        nulls=series.null_count(),
        distinct=distinct,
        minimum=_said(said.min()) if ordered else None,
        maximum=_said(said.max()) if ordered else None,
        values=tuple(_said(value) for value in said.unique().sort()) if few else (),
    )


def _type_of(series: pl.Series) -> FieldType:
    match series.dtype:
        case pl.Boolean():
            return FieldType.BOOLEAN
        case pl.Int64():
            return FieldType.INTEGER
        case pl.Float64():
            return FieldType.NUMBER
        case pl.Datetime():
            return FieldType.TIMESTAMP
        case _:
            return _text_type(series.drop_nulls())


def _text_type(said: pl.Series) -> FieldType:
    if said.is_empty() or said.dtype != pl.String:
        return FieldType.STRING
    frame = said.to_frame()
    if said.str.contains(r"^\s*[\[{]").all() and said.str.json_path_match("$").null_count() == 0:
        return FieldType.OBJECT
    dated = said.str.contains(r"^\d{4}-\d{2}-\d{2}").all()
    if dated and frame.select(timestamp(said.name, said.dtype)).to_series().null_count() == 0:
        return FieldType.TIMESTAMP
    words = said.str.count_matches(r"\S+").mean()
    wordy = isinstance(words, float) and words >= _WORDS and said.n_unique() > FEW_VALUES
    return FieldType.TEXT if wordy else FieldType.STRING


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    isoformat = getattr(value, "isoformat", None)
    return str(isoformat()) if isoformat is not None else str(value)
