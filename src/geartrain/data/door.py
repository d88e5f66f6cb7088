"""The door: every row of a delivery is good, or bad with its reasons; none is lost.

The contract's fields become one polars query: a value and its checks per field. A
feed that changed its unit shows here as rows out of range; they go to quarantine,
where a repair such as `amount / 100` can bring them back.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec
import polars as pl

from geartrain.data.checks import (
    Check,
    Surroundings,
    field_checks,
    out_of_nested,
    rule_checks,
    time_checks,
    unanswerable_rules,
    value_of,
)
from geartrain.data.documents import UNREADABLE, flat
from geartrain.data.storable import json_text
from geartrain.domain.columns import ARRIVAL_TIME, EVENT_TIME, outermost
from geartrain.domain.contract import FieldTerms, FieldType, SourceKind, SourceTerms
from geartrain.errors import ColumnMissing, SourceUnreadable

#: A bad row as it came, as JSON text.
ROW = "_row"
#: A bad row's reasons, as a JSON list of text.
REASONS = "_reasons"
#: Names that geartrain gives in a source's table; a feed that brings one would overwrite its bookkeeping.
RESERVED = frozenset({EVENT_TIME, ARRIVAL_TIME, "_batch", "_label", "_label_time", "_mature", "_decision"})

#: How columns begin that only this room sees.
_OWN = "=door:"
_JSON = msgspec.json.Encoder(order="sorted", enc_hook=str)


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


def check_rows(
    source: SourceTerms, frame: pl.DataFrame, *, now: datetime, around: Surroundings | None = None
) -> Checked:
    """Check every row of *frame* against what the contract says about *source*.

    *now* is when the delivery arrived, for rows that do not tell their own arrival;
    *around* holds what other sources and files say. A row is judged on its own first. Of
    the rows that pass, those that disagree under one key are all bad, because nobody can
    tell which is right; a bad row never takes a good one of its key with it.

    Raises:
        ColumnMissing: A column that the contract requires is in no row.
        SourceUnreadable: The delivery uses a name that geartrain keeps for itself.
    """
    fields = door_fields(source)
    taken = sorted(name for name in frame.columns if name in RESERVED or name.startswith(_OWN))
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
    rows = delivered.with_columns(out_of_nested(fields, delivered.schema))
    _demand_columns(source, fields, rows, delivered=frame)
    values = _values(rows, fields)
    flags, reasons, good = _judged(source, fields, rows, values, now=now, around=around or Surroundings())
    is_bad = _any(flags)
    counts = sorted(
        zip(reasons, flags.sum().row(0) if flags.width else (), strict=True),
        key=lambda count: (-count[1], count[0]),
    )
    some = bool(is_bad.any())
    return Checked(
        good=good.filter(~is_bad) if some else good,
        bad=_bad(delivered.filter(is_bad), flags.filter(is_bad), reasons) if some else _no_bad_rows(),
        is_bad=is_bad,
        reasons=tuple(count for count in counts if count[1]),
    )


def _judged(
    source: SourceTerms,
    fields: tuple[FieldTerms, ...],
    rows: pl.DataFrame,
    values: Mapping[str, pl.Expr],
    *,
    now: datetime,
    around: Surroundings,
) -> tuple[pl.DataFrame, list[str], pl.DataFrame]:
    """A flag a reason, the reasons, and all rows with their values: one query, and one for repeats if any."""
    schema = rows.schema
    checks: list[Check] = []
    for terms in fields:
        if terms.name in schema:
            checks += field_checks(terms, schema, around)
    checks += time_checks(source, fields, schema, now=now)
    own = [expression.alias(name) for name, expression in values.items()]
    query = rows.lazy().select(*own, *_numbered(checks, rows))
    rules = _rules(source, tuple(values))
    if rules:
        hidden = [pl.lit(None).alias(UNREADABLE)] if UNREADABLE not in values else []
        query = query.with_columns(*hidden).with_columns(_numbered(rules, rows, after=len(checks)))
    judged = query.collect()
    checks += rules
    if UNREADABLE in schema:
        torn = rows[UNREADABLE].is_not_null()
        whole = (
            rows[UNREADABLE].str.starts_with("{") & rows[UNREADABLE].str.json_path_match("$").is_not_null()
        )
        for flag, why in (
            (torn & ~whole, "the line cannot be read as a row"),
            (whole, "a key stands twice in the row"),
        ):
            judged = judged.with_columns(flag.fill_null(value=False).alias(f"{_OWN}{len(checks)}"))
            checks.append((pl.lit(value=True), why))
    good = judged.select(values.keys())
    flags = judged.select(f"{_OWN}{place}" for place in range(len(checks)))
    reasons = [why for _, why in checks]
    for flag, why in _repeats(source, fields, good, flags):
        flags = flags.with_columns(flag.alias(f"{_OWN}{len(reasons)}"))
        reasons.append(why)
    return flags, reasons, good


def _numbered(checks: Iterable[Check], rows: pl.DataFrame, *, after: int = 0) -> list[pl.Expr]:
    """The checks under names of their own; a line that is no row is bad for that alone."""
    whole = pl.col(UNREADABLE).is_null() if UNREADABLE in rows.columns else None
    return [
        (flag if whole is None else flag & whole).alias(f"{_OWN}{place}")
        for place, (flag, _) in enumerate(checks, start=after)
    ]


def _rules(source: SourceTerms, names: tuple[str, ...]) -> list[Check]:
    """The conditions in SQL.

    Raises:
        ColumnMissing: One asks for a column that neither the contract nor the delivery has.
    """
    lacking = unanswerable_rules(source, names)
    if lacking:
        raise ColumnMissing(
            "a rule asks for columns that the delivery lacks",
            where=f"source {source.name}",
            found="; ".join(f"{name}: {', '.join(columns)}" for name, columns in lacking),
            hint="correct the rule's spelling, or list the column among the fields; nothing was taken",
        )
    return list(rule_checks(source, names))


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Differing:
    """In which columns a delivery and the contract differ.

    Attributes:
        unknown: Columns that the contract does not name.
        lacking: Columns of the contract that no row has.
    """

    unknown: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()


def differing_columns(source: SourceTerms, frame: pl.DataFrame, *, label: str | None = None) -> Differing:
    """Compare the columns of *frame* with the contract's; *label* is the truth's column, where it belongs here."""
    fields = door_fields(source)
    reached = frame.with_columns(out_of_nested(fields, frame.schema)).columns
    wanted = dict.fromkeys((*(terms.name for terms in fields), *((label,) if label is not None else ())))
    outer = {outermost(terms.path) for terms in fields}
    used = {*wanted, *outer, *(terms.file_digest for terms in fields)}
    return Differing(
        unknown=tuple(name for name in frame.columns if name not in used and not name.startswith("_")),
        lacking=tuple(name for name in wanted if name not in reached),
    )


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


def _values(rows: pl.DataFrame, fields: tuple[FieldTerms, ...]) -> dict[str, pl.Expr]:
    """The contract's columns with their values in the delivery's order, then the others as they came."""
    known = {terms.name: value_of(terms, rows.schema) for terms in fields}
    delivered = [name for name in rows.columns if name in known]
    ordered = [*delivered, *(name for name in known if name not in rows.columns)]
    extras = [name for name in rows.columns if name not in known and name != UNREADABLE]
    return {**{name: known[name] for name in ordered}, **{name: pl.col(name) for name in extras}}


def _repeats(
    source: SourceTerms, fields: tuple[FieldTerms, ...], values: pl.DataFrame, flags: pl.DataFrame
) -> Iterator[tuple[pl.Series, str]]:
    """Values that must name one row and name two. The same row twice is a duplicate, not an error."""
    for terms in fields:
        if not (terms.unique or (terms.name == source.key and source.kind is not SourceKind.LABELS)):
            continue
        value = values[terms.name]
        if value.n_unique() - (1 if value.null_count() else 0) == len(value) - value.null_count():
            continue
        passed = ~_any(flags)
        standing = values.filter(passed & value.is_not_null() & value.is_duplicated())
        told = standing.unique(maintain_order=True)[terms.name]
        disputed = told.filter(told.is_duplicated()).unique()
        if len(disputed):
            again = passed & value.is_in(disputed.implode())
            yield again.fill_null(value=False), f"{terms.name}: is repeated with other values"


def _any(flags: pl.DataFrame) -> pl.Series:
    """Whether a row is bad for anything; a check without an answer finds nothing."""
    some = pl.any_horizontal(pl.all(), pl.lit(value=False)).fill_null(value=False)
    return flags.select(some.alias("bad")).to_series()


def _bad(delivered: pl.DataFrame, flags: pl.DataFrame, reasons: list[str]) -> pl.DataFrame:
    told = [
        pl.when(name).then(pl.lit(json_text(reason)))
        for name, reason in zip(flags.columns, reasons, strict=True)
    ]
    joined = pl.concat_list(told).list.drop_nulls().list.join(",")
    said = flags.select(pl.format("[{}]", joined).alias(REASONS))
    return said.select(pl.Series(ROW, rows_as_text(delivered), dtype=pl.String), REASONS)


def rows_as_text(frame: pl.DataFrame) -> list[str]:
    """Each row as one JSON object; missing values are left out, NaN and infinities are told as text."""
    sayable = frame.with_columns(
        [
            pl.col(name).dt.to_string("iso:strict")
            for name, kind in frame.schema.items()
            if kind == pl.Datetime
        ]
    )
    odd = {
        name
        for name, kind in frame.schema.items()
        if kind == pl.Binary or (kind.is_float() and not sayable[name].is_finite().all())
    }
    return [
        _JSON.encode(
            {
                name: _sayable(value) if name in odd else value
                for name, value in row.items()
                if value is not None
            }
        ).decode()
        for row in sayable.iter_rows(named=True)
    ]


def _sayable(value: object) -> object:
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case bytes():
            return value.hex()
    return value


def _no_bad_rows() -> pl.DataFrame:
    return pl.DataFrame(schema={ROW: pl.String(), REASONS: pl.String()})
