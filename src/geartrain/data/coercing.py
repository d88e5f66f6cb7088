"""Values in the contract's types: what parses exactly is taken, everything else is told apart.

Each function gives a polars expression: a value, null where the cell is missing *or*
not of the type. `missing` tells these two apart.
"""

from __future__ import annotations

import polars as pl

from geartrain.data.csv_columns import MISSING_WORDS, NUMBER
from geartrain.domain.contract import FieldType

_UTC = pl.Datetime("us", "UTC")
_EXACT = 2.0**53
_NOT_FINITE = r"(?i)^[+-]?(inf|infinity|nan)$"

#: What a column of each type holds.
DTYPES: dict[FieldType, pl.DataType] = {
    FieldType.INTEGER: pl.Int64(),
    FieldType.NUMBER: pl.Float64(),
    FieldType.STRING: pl.String(),
    FieldType.BOOLEAN: pl.Boolean(),
    FieldType.TIMESTAMP: _UTC,
    FieldType.OBJECT: pl.String(),
    FieldType.TEXT: pl.String(),
}

#: How a value that is not of the type is told.
NOT_OF_TYPE: dict[FieldType, str] = {
    FieldType.INTEGER: "is not a whole number",
    FieldType.NUMBER: "is not a number",
    FieldType.STRING: "is not text",
    FieldType.BOOLEAN: "is not true or false",
    FieldType.TIMESTAMP: "is not a time",
    FieldType.OBJECT: "is not a JSON object",
    FieldType.TEXT: "is not text",
}


def coerced(name: str, dtype: pl.DataType, kind: FieldType) -> pl.Expr:
    """The column *name*, which holds *dtype*, in the type that the contract wants."""
    if dtype == pl.Null:
        return pl.col(name).cast(DTYPES[kind])
    match kind:
        case FieldType.INTEGER:
            return whole(name, dtype)
        case FieldType.NUMBER:
            return number(name, dtype)
        case FieldType.BOOLEAN:
            return truth(name, dtype)
        case FieldType.TIMESTAMP:
            return timestamp(name, dtype)
        case FieldType.STRING:
            texts = text(name, dtype)
            return pl.when(texts != "").then(texts)
        case FieldType.TEXT:
            return text(name, dtype)
        case FieldType.OBJECT:
            texts = text(name, dtype)
            return pl.when(texts.str.json_path_match("$").is_not_null()).then(texts)


def missing(name: str, dtype: pl.DataType, kind: FieldType) -> pl.Expr:
    """Whether the cell says nothing: null, or a word for it where a number, time or truth is due."""
    cell = pl.col(name)
    if dtype != pl.String:
        return cell.is_null()
    if kind in {FieldType.TEXT, FieldType.STRING, FieldType.OBJECT}:
        return cell.is_null() | ((cell == "") if kind is not FieldType.TEXT else pl.lit(value=False))
    return cell.is_null() | cell.str.strip_chars().is_in(MISSING_WORDS)


def number(name: str, dtype: pl.DataType) -> pl.Expr:
    """A double. Text counts if it is a number from end to end; `inf` and `nan` come through, to be told."""
    cell = pl.col(name)
    if dtype == pl.String:
        texts = cell.str.strip_chars()
        numeric = texts.str.contains(NUMBER.pattern) | texts.str.contains(_NOT_FINITE)
        return pl.when(numeric).then(texts.cast(pl.Float64, strict=False))
    if dtype.is_numeric():
        return cell.cast(pl.Float64)
    return pl.lit(None, dtype=pl.Float64).alias(name)


def whole(name: str, dtype: pl.DataType) -> pl.Expr:
    """A whole number; `5.0` is one, `5.5` is not."""
    cell = pl.col(name)
    if dtype == pl.String:
        texts = cell.str.strip_chars()
        digits = texts.str.replace(r"\.0*$", "")
        return pl.when(texts.str.contains(r"^[+-]?\d+(\.0*)?$")).then(digits.cast(pl.Int64, strict=False))
    if dtype.is_float():
        exact = (cell == cell.floor()) & (cell.abs() <= _EXACT)
        return pl.when(exact).then(cell).cast(pl.Int64, strict=False)
    if dtype.is_numeric():
        return cell.cast(pl.Int64, strict=False)
    return pl.lit(None, dtype=pl.Int64).alias(name)


def truth(name: str, dtype: pl.DataType) -> pl.Expr:
    """True or false, also as 1 and 0."""
    cell = pl.col(name)
    if dtype == pl.Boolean:
        return cell
    if dtype == pl.String:
        words = cell.str.strip_chars().str.to_lowercase()
        return pl.when(words.is_in(["true", "false", "1", "0"])).then(words.is_in(["true", "1"]))
    if dtype.is_numeric():
        return pl.when((cell == 0) | (cell == 1)).then(cell == 1)
    return pl.lit(None, dtype=pl.Boolean).alias(name)


def text(name: str, dtype: pl.DataType) -> pl.Expr:
    """Text; a whole number that a feed sent as a decimal is told without its `.0`."""
    cell = pl.col(name)
    if dtype == pl.String:
        return cell
    if dtype.is_float():
        exact = (cell == cell.floor()) & (cell.abs() <= _EXACT)
        return (
            pl.when(exact)
            .then(cell.cast(pl.Int64, strict=False).cast(pl.String))
            .otherwise(cell.cast(pl.String))
        )
    if isinstance(dtype, pl.Datetime):
        return cell.dt.to_string("iso:strict")
    if dtype == pl.Binary:
        return cell.bin.encode("hex")
    return cell.cast(pl.String)


def timestamp(name: str, dtype: pl.DataType) -> pl.Expr:
    """UTC microseconds from a time, ISO 8601 text, or seconds, ms, us or ns since 1970.

    Text and times without a zone are taken as UTC. The unit of an epoch number follows
    from its size; within the years that the door accepts, 1971 to 2098, no number fits two units.
    """
    cell = pl.col(name)
    if isinstance(dtype, pl.Datetime):
        return (cell if dtype.time_zone else cell.dt.replace_time_zone("UTC")).cast(_UTC)
    if dtype == pl.Date:
        return cell.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if dtype.is_numeric():
        return _since_1970(cell)
    if dtype != pl.String:
        return pl.lit(None, dtype=_UTC).alias(name)
    texts = cell.str.strip_chars()
    iso = (
        texts.str.replace(r"^(\d{4}-\d{2}-\d{2})$", "${1}T00:00:00")
        .str.replace(r"^(\d{4}-\d{2}-\d{2})[ t]", "${1}T")
        .str.replace(r"T(\d{2}:\d{2})( ?(?:Z|z|UTC|[+-]\d{2}:?\d{2}))?$", "T${1}:00${2}")
        .str.replace(r" ?(?:Z|z|UTC)$", "+0000")
        .str.replace(r" ?([+-]\d{2}):(\d{2})$", "${1}${2}")
        .str.replace(r"(T\d{2}:\d{2}:\d{2}(?:[.,]\d+)?)$", "${1}+0000")
    )
    times = iso.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%z", time_unit="us", time_zone="UTC", strict=False)
    epoch = pl.when(texts.str.contains(r"^\d{9,19}(\.\d+)?$")).then(texts.cast(pl.Float64, strict=False))
    return pl.coalesce(times, _since_1970(epoch))


def _since_1970(count: pl.Expr) -> pl.Expr:
    size = count.abs()
    micros = (
        pl.when(size < 1e11)
        .then(count * 1_000_000)
        .when(size < 1e14)
        .then(count * 1000)
        .when(size < 1e17)
        .then(count)
        .when(size < 1e20)
        .then(count / 1000)
    )
    return micros.cast(pl.Int64, strict=False).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
