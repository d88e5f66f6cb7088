"""Names of events and entities, held as small as they are: text that is a whole number, as that number.

`5`, `5.0` and `"5"` are one entity (`geartrain.domain.columns.as_text`). Whole numbers are
by far the most frequent names, and taking them as they come saves making a text of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from geartrain.domain.columns import as_text, texts_of

if TYPE_CHECKING:
    import polars as pl

Name: TypeAlias = int | str

#: No whole number that a column can hold is longer.
_LONGEST = 40


def bare(text: str) -> Name:
    """The whole number that *text* spells in its shortest way, else the text itself.

    >>> bare("17"), bare("-3"), bare("007"), bare("a")
    (17, -3, '007', 'a')
    """
    digits = text[1:] if text[:1] == "-" else text
    if not digits.isdecimal() or not digits.isascii() or len(digits) > _LONGEST:
        return text
    return text if digits[0] == "0" and text != "0" else int(text)


def name_of(value: object) -> Name | None:
    """One value as a name; None where it is missing."""
    if type(value) is int:
        return value
    text = as_text(value)
    return None if text is None else bare(text)


def names_of(series: pl.Series) -> Sequence[Name | None]:
    """A column as names, value for value what `name_of` says."""
    if series.dtype.is_integer():
        return series.to_list()
    texts = texts_of(series)
    some: list[str | None] = texts.to_list()
    if texts.str.contains("^-?[0-9]").any():
        return [None if text is None else bare(text) for text in some]
    return some
