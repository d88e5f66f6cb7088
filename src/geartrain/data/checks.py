"""The contract's terms about rows as polars expressions: a value a field, and what makes a row bad.

Nothing runs here. The door puts all of them into one query, so that each column is read
once and what two checks share is computed once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from geartrain.data.coercing import DTYPES, NOT_OF_TYPE, coerced, missing, text, timestamp
from geartrain.domain.contract import FieldTerms, FieldType, SourceTerms

#: A check: where it is true the row is bad, for that reason. Null is not bad.
Check = tuple[pl.Expr, str]

_FIRST_YEAR, _LAST_YEAR = 1971, 2098
_NUMBERS = (FieldType.INTEGER, FieldType.NUMBER)
_UTC = pl.Datetime("us", "UTC")
_SHA256 = r"^[0-9a-fA-F]{64}$"
#: One step of a path: `.name`, `['name']` or `[0]`.
_FIRST_STEP = re.compile(r"^\$?(?:\.?([^.\[\]$]+)|\['([^']+)'\])(.*)$")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surroundings:
    """What the rows alone do not tell.

    Attributes:
        references: The values of `source.column` for every field that refers to one, as text.
            A field whose column is not here is not checked for it.
        files: The SHA-256 of every file that the rows name and that was looked for; None where
            there is no such file. What is not here was not looked for: it lies elsewhere.
    """

    references: Mapping[str, pl.Series] = field(default_factory=dict)
    files: Mapping[str, str | None] = field(default_factory=dict)


def value_of(terms: FieldTerms, schema: Mapping[str, pl.DataType]) -> pl.Expr:
    """The field's value in the contract's type; null where it is missing or not of the type."""
    if terms.name not in schema:
        return pl.lit(None, dtype=DTYPES[terms.type])
    return coerced(terms.name, schema[terms.name], terms.type)


def field_checks(
    terms: FieldTerms, schema: Mapping[str, pl.DataType], around: Surroundings
) -> Iterator[Check]:
    """What one cell can be bad for."""
    name, value = terms.name, value_of(terms, schema)
    unsaid = missing(name, schema[name], terms.type)
    if terms.required:
        yield unsaid, f"{name}: is missing"
    if schema[name] != DTYPES[terms.type] or terms.type is FieldType.OBJECT:
        yield ~unsaid & value.is_null(), f"{name}: {NOT_OF_TYPE[terms.type]}"
    if terms.type is FieldType.NUMBER:
        yield ~value.is_finite(), f"{name}: is not finite"
    if terms.type in _NUMBERS:
        if terms.minimum is not None:
            yield value < terms.minimum, f"{name}: is below {terms.minimum:g}"
        if terms.maximum is not None:
            above = value > terms.maximum
            above = above & value.is_finite() if terms.type is FieldType.NUMBER else above
            yield above, f"{name}: is above {terms.maximum:g}"
    if terms.values:
        yield ~_among(terms, value), f"{name}: is not one of {', '.join(terms.values)}"
    if terms.pattern is not None:
        yield ~_matches(value.cast(pl.String), terms.pattern), f"{name}: does not match `{terms.pattern}`"
    if terms.refers_to is not None and terms.refers_to in around.references:
        known = around.references[terms.refers_to].drop_nulls().unique()
        yield ~text(name, schema[name]).is_in(known.implode()), f"{name}: is not known in {terms.refers_to}"
    if terms.file_digest is not None:
        yield from _file_checks(terms, schema, around)


def time_checks(
    source: SourceTerms,
    fields: tuple[FieldTerms, ...],
    schema: Mapping[str, pl.DataType],
    *,
    now: datetime,
) -> Iterator[Check]:
    """What the clocks can be bad for: no time at all, an impossible year, running ahead."""
    times: dict[str | None, pl.Expr] = {None: pl.lit(now, dtype=_UTC)}
    for terms in fields:
        if terms.name not in {source.event_time, source.arrival_time}:
            continue
        times[terms.name] = time = value_of(terms, schema)
        if terms.type is not FieldType.TIMESTAMP:
            times[terms.name] = time = timestamp(terms.name, schema[terms.name])
            yield time.is_null() & pl.col(terms.name).is_not_null(), f"{terms.name}: is not a time"
        believed = time.is_between(_moment(_FIRST_YEAR), _moment(_LAST_YEAR + 1), closed="left")
        yield ~believed, f"{terms.name}: cannot be true, it lies outside {_FIRST_YEAR} to {_LAST_YEAR}"
    tolerance = timedelta(seconds=source.clock_ahead_s)
    most = _in_words(source.clock_ahead_s)
    if source.event_time is not None:
        ahead = times[source.event_time] > times[source.arrival_time] + tolerance
        yield ahead, f"{source.event_time}: the clock runs ahead of the arrival by more than {most}"
    if source.arrival_time is not None:
        ahead = times[source.arrival_time] > times[None] + tolerance
        yield ahead, f"{source.arrival_time}: the clock runs ahead by more than {most}"


def rule_checks(source: SourceTerms, names: tuple[str, ...]) -> Iterator[Check]:
    """The team's own conditions in SQL, over the values in the contract's types; unknown is not broken."""
    for name, condition in source.rules:
        asked = pl.sql_expr(condition)
        if set(asked.meta.root_names()) <= set(names):
            yield ~asked.cast(pl.Boolean), f"rule {name}: not ({condition})"


def unanswerable_rules(
    source: SourceTerms, names: tuple[str, ...]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The rules that ask for columns that are not there, each with these columns."""
    asked = ((name, pl.sql_expr(condition).meta.root_names()) for name, condition in source.rules)
    lacking = ((name, tuple(sorted(set(roots) - set(names)))) for name, roots in asked)
    return tuple((name, columns) for name, columns in lacking if columns)


def out_of_nested(fields: tuple[FieldTerms, ...], schema: Mapping[str, pl.DataType]) -> list[pl.Expr]:
    """The columns that the contract takes out of nested values, as text; a path may leave out its `$.`."""
    found: list[pl.Expr] = []
    for terms in fields:
        parts = _FIRST_STEP.match(terms.path) if terms.path else None
        if parts is None:
            continue
        column, rest = parts.group(1) or parts.group(2), parts.group(3)
        if column not in schema or (column == terms.name and not rest):
            continue
        outer = pl.col(column)
        if rest and schema[column] != pl.String:
            outer = pl.lit(None, dtype=pl.String)
        found.append((outer.str.json_path_match("$" + rest) if rest else outer).alias(terms.name))
    return found


def _among(terms: FieldTerms, value: pl.Expr) -> pl.Expr:
    if terms.type in _NUMBERS:
        return value.cast(pl.Float64).is_in([float(one) for one in terms.values])
    return value.cast(pl.String).is_in(list(terms.values))


def _matches(texts: pl.Expr, pattern: str) -> pl.Expr:
    """Whether the whole text matches; patterns that the fast engine lacks (look-around) run in Python."""
    whole = f"^(?:{pattern})$"
    try:
        pl.Series([""]).str.contains(whole)
    except pl.exceptions.ComputeError:
        compiled = re.compile(pattern)
        return texts.map_elements(lambda one: compiled.fullmatch(one) is not None, return_dtype=pl.Boolean)
    return texts.str.contains(whole)


def _file_checks(
    terms: FieldTerms, schema: Mapping[str, pl.DataType], around: Surroundings
) -> Iterator[Check]:
    """A file that is named must be the one that was meant: its digest says which."""
    name, column = terms.name, terms.file_digest
    assert column is not None
    named = text(name, schema[name])
    if around.files:
        places = list(around.files)
        absent = [place for place in places if around.files[place] is None]
        yield named.is_in(absent), f"{name}: there is no such file"
    if column not in schema or schema[column] != pl.String:
        yield named.is_not_null(), f"{name}: nothing says which file is meant, `{column}` is missing"
        return
    told = pl.col(column).str.strip_chars().str.to_lowercase()
    yield named.is_not_null() & told.is_null(), f"{column}: is missing beside a file"
    yield ~told.str.contains(_SHA256), f"{column}: is not a SHA-256"
    if around.files:
        found = {place: sha for place, sha in around.files.items() if sha is not None}
        real = named.replace_strict(list(found), list(found.values()), default=None, return_dtype=pl.String)
        yield told != real, f"{name}: is not the file that `{column}` names"


def _moment(year: int) -> pl.Expr:
    return pl.lit(datetime(year, 1, 1), dtype=pl.Datetime("us")).dt.replace_time_zone("UTC")  # noqa: DTZ001 - UTC follows


def _in_words(seconds: float) -> str:
    """A tolerance as people say it."""
    for size, word in ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size and seconds % size == 0:
            count = int(seconds // size)
            return (
                f"a {word}"
                if count == 1 and word != "hour"
                else f"an {word}"
                if count == 1
                else f"{count} {word}s"
            )
    return f"{seconds:g} seconds"
