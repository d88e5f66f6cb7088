"""Columns of text that hold only numbers or truths get that type; nothing else is touched."""

from __future__ import annotations

import re

import polars as pl

#: In a column of numbers these words say that a value is missing; elsewhere they are words (NA is Namibia).
MISSING_WORDS = ("", "NA", "N/A", "n/a", "null", "NULL", "None")

NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")

_WHOLE = r"^[+-]?\d{1,18}$"
#: A number with a leading zero is a code, such as a postcode.
_CODE = r"^[+-]?0\d"


def typed(frame: pl.DataFrame) -> pl.DataFrame:
    """*frame*, all text, with typed columns; spaces around a value are not part of it.

    >>> typed(pl.DataFrame({"n": ["1", "NA"], "code": ["007", "010"]})).schema
    Schema([('n', Int64), ('code', String)])
    """
    return frame.select([_typed(series) for series in frame])


def _typed(series: pl.Series) -> pl.Series:
    texts = series.str.strip_chars()
    texts = texts.set(texts == "", None)
    said = texts.filter(~texts.is_in(MISSING_WORDS)).drop_nulls()
    if said.is_empty():
        return (
            texts if texts.drop_nulls().len() else pl.Series(series.name, [None] * len(series), dtype=pl.Null)
        )
    if said.str.to_lowercase().is_in(["true", "false"]).all():
        words = texts.set(texts.is_in(MISSING_WORDS), None)
        return words.str.to_lowercase() == "true"
    if said.str.contains(_CODE + r"\d*$").any():
        return texts
    if said.str.contains(_WHOLE).all():
        return texts.cast(pl.Int64, strict=False)
    if said.str.contains(NUMBER.pattern).all() and not _too_long(said):
        return texts.cast(pl.Float64, strict=False)
    return texts


def _too_long(said: pl.Series) -> bool:
    """Whether a whole number has more digits than any number type holds, as card numbers have."""
    return bool(said.str.contains(r"^[+-]?\d{19,}$").any())
