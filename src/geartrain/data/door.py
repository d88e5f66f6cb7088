"""The door: every row of a delivery is good, or bad with its reasons; none is lost.

The contract's fields become one polars query: a value and its checks per field. A
feed that changed its unit shows here as rows out of range; they go to quarantine,
where a repair such as `amount / 100` can bring them back.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import polars as pl

from geartrain.data.coercing import DTYPES, NOT_OF_TYPE, coerced, missing, timestamp
from geartrain.data.documents import UNREADABLE, flat
from geartrain.data.storable import json_text
from geartrain.domain.columns import ARRIVAL_TIME, EVENT_TIME
from geartrain.domain.contract import FieldTerms, FieldType, SourceKind, SourceTerms
from geartrain.errors import ColumnMissing, SourceUnreadable

#: A bad row as it came, as JSON text.
ROW = "_row"
#: A bad row's reasons, as a JSON list of text.
REASONS = "_reasons"
#: Names that geartrain gives in a source's table; a feed that brings one would overwrite its bookkeeping.
RESERVED = frozenset({EVENT_TIME, ARRIVAL_TIME, "_batch", "_label", "_label_time", "_mature", "_decision"})

#: A clock may run ahead by so much before its times are no longer believed.
AHEAD = timedelta(days=1)
_FIRST_YEAR, _LAST_YEAR = 1971, 2098
_PATH = re.compile(r"^\$(?:\.([^.\[\]]+)|\['([^']+)'\])(.*)$")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checked:
    """A delivery after the door.

    Attributes:
        good: Rows that keep the contract, its columns in its types, other columns as they came.
        bad: The other rows: `_row`, the row as it came, and `_reasons`, both JSON text.
        is_bad: For each row as it was delivered, whether it is bad.
        reasons: How often each reason was given, the most frequent first; a row may have several.
    """

    good: pl.DataFrame
    bad: pl.DataFrame
    is_bad: pl.Series
    reasons: tuple[tuple[str, int], ...] = ()

    @property
    def rows(self) -> int:
        """All rows that were delivered."""
        return self.good.height + self.bad.height


def check_rows(source: SourceTerms, frame: pl.DataFrame, *, now: datetime) -> Checked:
    """Check every row of *frame* against what the contract says about *source*.

    *now* is when the delivery arrived, for rows that do not tell their own arrival.

    Raises:
        ColumnMissing: A column that the contract requires is in no row.
        SourceUnreadable: The delivery uses a name that geartrain keeps for itself.
    """
    fields = door_fields(source)
    taken = sorted(RESERVED.union(f"={terms.name}" for terms in fields).intersection(frame.columns))
    if taken:
        raise SourceUnreadable(
            "the delivery uses column names that geartrain keeps for itself",
            where=source.name,
            found=", ".join(taken),
            hint="rename them at the source",
        )
    if frame.height == 0:
        return Checked(good=pl.DataFrame(), bad=_no_bad_rows(), is_bad=pl.Series([], dtype=pl.Boolean))
    delivered = flat(frame)
    rows = _out_of_nested(delivered, fields)
    _demand_columns(source, fields, rows, delivered=frame)
    judged = rows.with_columns(**{f"={terms.name}": _value(terms, rows) for terms in fields})
    checks = (*_checks(source, fields, rows, now), *_repeats(source, fields, judged, rows.columns))
    if UNREADABLE in rows.columns:
        torn = pl.col(UNREADABLE).is_not_null()
        checks = (*((flag & ~torn, why) for flag, why in checks), (torn, "the line cannot be read as a row"))
    flags = judged.select(
        flag.fill_null(value=False).alias(f"{place}") for place, (flag, _) in enumerate(checks)
    )
    reasons = [why for _, why in checks]
    is_bad = flags.select(pl.any_horizontal(pl.all(), pl.lit(value=False)).alias("bad")).to_series()
    counts = sorted(
        ((why, int(flag.sum())) for why, flag in zip(reasons, flags, strict=True)),
        key=lambda count: (-count[1], count[0]),
    )
    return Checked(
        good=_good(judged.filter(~is_bad), rows.columns, fields),
        bad=_bad(delivered.filter(is_bad), flags.filter(is_bad), reasons),
        is_bad=is_bad,
        reasons=tuple(count for count in counts if count[1]),
    )


def door_fields(source: SourceTerms) -> tuple[FieldTerms, ...]:
    """The fields that the door checks: the contract's own, and the key and times that it names elsewhere."""
    required = {source.key, source.event_time, source.arrival_time, source.decision_key} - {None}
    times = {source.event_time, source.arrival_time}
    declared = tuple(
        terms if terms.required or terms.name not in required else replace(terms, required=True)
        for terms in source.fields
    )
    known = {terms.name for terms in declared}
    implied = tuple(
        FieldTerms(name=name, type=FieldType.TIMESTAMP if name in times else FieldType.STRING, required=True)
        for name in sorted(name for name in required if name is not None and name not in known)
    )
    return (*declared, *implied)


def _out_of_nested(rows: pl.DataFrame, fields: tuple[FieldTerms, ...]) -> pl.DataFrame:
    """Add the columns that the contract takes out of nested values, as text."""
    found: list[pl.Expr] = []
    for terms in fields:
        parts = _PATH.match(terms.path) if terms.path else None
        if parts is None:
            continue
        column, rest = parts.group(1) or parts.group(2), parts.group(3)
        if column not in rows.columns or (column == terms.name and not rest):
            continue
        outer = pl.col(column)
        if rest and rows.schema[column] != pl.String:
            outer = pl.lit(None, dtype=pl.String)
        found.append((outer.str.json_path_match("$" + rest) if rest else outer).alias(terms.name))
    return rows.with_columns(found)


def _demand_columns(
    source: SourceTerms, fields: tuple[FieldTerms, ...], rows: pl.DataFrame, *, delivered: pl.DataFrame
) -> None:
    lacking = [terms.name for terms in fields if terms.required and terms.name not in rows.columns]
    if not lacking:
        return
    columns = [name for name in delivered.columns if name != UNREADABLE]
    near = {name: difflib.get_close_matches(name, columns, n=1, cutoff=0.7) for name in lacking}
    meant = "; ".join(f"is `{name}` called `{found[0]}` now?" for name, found in near.items() if found)
    raise ColumnMissing(
        f"the delivery lacks {', '.join(f'`{name}`' for name in lacking)}, which the contract requires",
        where=f"source {source.name}",
        found="columns " + ", ".join(columns) if columns else "no column",
        hint=meant or "ask the feed's owner, or change the contract; nothing was taken",
    )


def _value(terms: FieldTerms, rows: pl.DataFrame) -> pl.Expr:
    if terms.name not in rows.columns:
        return pl.lit(None, dtype=DTYPES[terms.type])
    return coerced(terms.name, rows.schema[terms.name], terms.type)


def _checks(
    source: SourceTerms, fields: tuple[FieldTerms, ...], rows: pl.DataFrame, now: datetime
) -> Iterator[tuple[pl.Expr, str]]:
    """What makes a row bad, each with its reason; `=name` is the coerced value of `name`."""
    for terms in fields:
        if terms.name in rows.columns:
            yield from _field_checks(terms, rows)
    yield from _time_checks(source, fields, rows, now)


def _field_checks(terms: FieldTerms, rows: pl.DataFrame) -> Iterator[tuple[pl.Expr, str]]:
    name, value = terms.name, pl.col(f"={terms.name}")
    unsaid = missing(name, rows.schema[name], terms.type)
    if terms.required:
        yield unsaid, f"{name}: is missing"
    yield ~unsaid & value.is_null(), f"{name}: {NOT_OF_TYPE[terms.type]}"
    if terms.type in {FieldType.INTEGER, FieldType.NUMBER}:
        if terms.type is FieldType.NUMBER:
            yield ~value.is_finite(), f"{name}: is not finite"
        if terms.minimum is not None:
            yield value < terms.minimum, f"{name}: is below {terms.minimum:g}"
        if terms.maximum is not None:
            yield (value > terms.maximum) & value.is_finite(), f"{name}: is above {terms.maximum:g}"
    if terms.values:
        yield ~_among(terms), f"{name}: is not one of {', '.join(terms.values)}"
    if terms.pattern is not None:
        yield ~_matches(value.cast(pl.String), terms.pattern), f"{name}: does not match `{terms.pattern}`"


def _repeats(
    source: SourceTerms, fields: tuple[FieldTerms, ...], judged: pl.DataFrame, columns: list[str]
) -> Iterator[tuple[pl.Expr, str]]:
    """Values that must name one row and name two. The same row twice is a duplicate, not an error."""
    for terms in fields:
        if not (terms.unique or (terms.name == source.key and source.kind is not SourceKind.LABELS)):
            continue
        value = judged[f"={terms.name}"]
        if value.n_unique() - (1 if value.null_count() else 0) == len(value) - value.null_count():
            continue
        again = value.is_not_null() & ~value.is_first_distinct()
        other = pl.struct(columns).is_first_distinct()
        yield pl.lit(again) & other, f"{terms.name}: is repeated with other values"


def _among(terms: FieldTerms) -> pl.Expr:
    value = pl.col(f"={terms.name}")
    if terms.type in {FieldType.INTEGER, FieldType.NUMBER}:
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


def _time_checks(
    source: SourceTerms, fields: tuple[FieldTerms, ...], rows: pl.DataFrame, now: datetime
) -> Iterator[tuple[pl.Expr, str]]:
    times: dict[str | None, pl.Expr] = {None: pl.lit(now, dtype=pl.Datetime("us", "UTC"))}
    for terms in fields:
        if terms.name not in {source.event_time, source.arrival_time}:
            continue
        times[terms.name] = time = pl.col(f"={terms.name}")
        if terms.type is not FieldType.TIMESTAMP:
            times[terms.name] = time = timestamp(terms.name, rows.schema[terms.name])
            yield time.is_null() & pl.col(terms.name).is_not_null(), f"{terms.name}: is not a time"
        believed = time.dt.year().is_between(_FIRST_YEAR, _LAST_YEAR)
        yield ~believed, f"{terms.name}: cannot be true, it lies outside {_FIRST_YEAR} to {_LAST_YEAR}"
    if source.event_time is not None:
        ahead = times[source.event_time] > times[source.arrival_time] + AHEAD
        yield ahead, f"{source.event_time}: the clock runs ahead of the arrival by more than a day"
    if source.arrival_time is not None:
        ahead = times[source.arrival_time] > times[None] + AHEAD
        yield ahead, f"{source.arrival_time}: the clock runs ahead by more than a day"


def _good(judged: pl.DataFrame, columns: list[str], fields: tuple[FieldTerms, ...]) -> pl.DataFrame:
    """The contract's columns with their values, then the others as they came."""
    names = [terms.name for terms in fields]
    extras = [name for name in columns if name not in names and name != UNREADABLE]
    ordered = [*(name for name in columns if name in names), *(name for name in names if name not in columns)]
    return judged.select(
        [pl.col(f"={name}").alias(name) for name in ordered] + [pl.col(name) for name in extras]
    )


def _bad(delivered: pl.DataFrame, flags: pl.DataFrame, reasons: list[str]) -> pl.DataFrame:
    if delivered.height == 0:
        return _no_bad_rows()
    said = [
        json_text([reason for reason, is_so in zip(reasons, row, strict=True) if is_so])
        for row in flags.iter_rows()
    ]
    return pl.DataFrame({ROW: rows_as_text(delivered), REASONS: said})


def rows_as_text(frame: pl.DataFrame) -> list[str]:
    """Each row as one JSON object; missing values are left out, NaN and infinities are told as text."""
    return [
        json_text({name: _sayable(value) for name, value in row.items() if value is not None})
        for row in frame.iter_rows(named=True)
    ]


def _sayable(value: object) -> object:
    match value:
        case float() if value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124 - NaN
            return str(value)
        case datetime():
            return value.isoformat()
        case bytes():
            return value.hex()
    return value


def _no_bad_rows() -> pl.DataFrame:
    return pl.DataFrame(schema={ROW: pl.String(), REASONS: pl.String()})
