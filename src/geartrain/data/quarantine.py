"""Quarantine: bad rows are kept as they came, repaired by rule, and sent through the door again.

The quarantine's table is append-only like every other. A row is open until a later
row with the same `_id` says that it was repaired.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from geartrain.data.batches import BATCH, ID, OPEN, REPAIRED, STATE, Known, batch_of
from geartrain.data.checks import Surroundings
from geartrain.data.coercing import number, timestamp
from geartrain.data.documents import column_of, read_documents
from geartrain.data.door import REASONS, ROW, check_rows, door_fields
from geartrain.domain.columns import ARRIVAL_TIME, EVENT_TIME, values_of
from geartrain.domain.contract import FieldType, SourceTerms
from geartrain.domain.data import Batch
from geartrain.domain.digest import digest
from geartrain.domain.expression import Values, parse
from geartrain.errors import ExpressionInvalid


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Repaired:
    """What a repair achieved.

    Attributes:
        batch: The new batch; its `quarantined` counts the rows that are still bad.
        good: Rows for the source's table.
        marks: Rows for the quarantine that say which rows are no longer open.
        reasons: Why the others are still bad; they stay in the quarantine as they came.
    """

    batch: Batch
    good: pl.DataFrame
    marks: pl.DataFrame
    reasons: tuple[tuple[str, int], ...] = ()


def still_open(quarantine: pl.DataFrame, *, reason: str | None = None) -> pl.DataFrame:
    """The rows of a quarantine table that nobody has repaired yet, in the order in which they came.

    *reason* keeps those whose reasons say it, such as `amount: is above 1000`: a repair
    of a unit must not touch rows that are bad for something else.
    """
    if quarantine.height == 0:
        return quarantine
    repaired = quarantine.filter(pl.col(STATE) == REPAIRED)[ID]
    waiting = quarantine.filter((pl.col(STATE) == OPEN) & ~pl.col(ID).is_in(repaired.implode()))
    if reason is not None:
        waiting = waiting.filter(pl.col(REASONS).str.contains(reason, literal=True))
    return waiting.unique(ID, keep="first", maintain_order=True).sort(ARRIVAL_TIME, ID)


def repair_rows(
    product: str,
    source: SourceTerms,
    quarantined: pl.DataFrame,
    repairs: Mapping[str, str],
    *,
    now: datetime,
    known: Known | None = None,
    around: Surroundings | None = None,
) -> Repaired:
    """Apply *repairs* to open rows and send them through the door again.

    *repairs* has for each column the expression of its new value, over the row's columns
    as they came: `{"amount": "amount / 100"}`. Where an expression has no value the
    column stays as it came, so a repair never turns a wrong value into a missing one. The
    rows arrive *now*: before they were repaired they were not known. The same repair of
    the same rows is the same batch.

    Raises:
        ExpressionInvalid: A repair cannot be read, or it reads or sets an unknown column.
        ColumnMissing: A column that the contract requires is in no row.
    """
    frame = read_documents([json.loads(row) for row in quarantined[ROW].to_list()])
    _refuse_unknown(frame, source, repairs)
    mended = frame.with_columns(
        _mended(frame, column, text, source) for column, text in sorted(repairs.items())
    )
    checked = check_rows(source, mended, now=now, around=around)
    name = digest(("repair", product, source.name, sorted(quarantined[ID].to_list()), dict(repairs)))
    prepared = batch_of(product, source, checked, mended, id=name, now=now, known=known, resent=True)
    ended = quarantined.filter(~checked.is_bad) if checked.rows else quarantined
    arrived = pl.lit(now, dtype=pl.Datetime("us", "UTC"))
    marks = ended.with_columns(
        arrived.alias(EVENT_TIME),
        arrived.alias(ARRIVAL_TIME),
        pl.lit(name).alias(BATCH),
        pl.lit(REPAIRED).alias(STATE),
    )
    return Repaired(batch=prepared.batch, good=prepared.good, marks=marks, reasons=checked.reasons)


def _refuse_unknown(frame: pl.DataFrame, source: SourceTerms, repairs: Mapping[str, str]) -> None:
    """A new column is a slip of the pen where the contract lists the columns that there are."""
    listed = [terms.name for terms in door_fields(source)]
    known = list(dict.fromkeys((*listed, *(name for name in frame.columns if not name.startswith("_")))))
    unknown = [name for name in sorted(repairs) if name not in known]
    if source.fields and unknown:
        raise ExpressionInvalid(
            "a repair sets a column that neither the contract nor a row in quarantine has",
            where=f"source {source.name}",
            found=", ".join(unknown),
            hint="columns: " + ", ".join(known),
        )


def _mended(frame: pl.DataFrame, column: str, text: str, source: SourceTerms) -> pl.Series:
    """The column after its repair; where the repair has no value, the value as it came."""
    expression = parse(text)
    values = {name: _values(frame, name, source) for name in expression.columns if name in frame.columns}
    results = expression.evaluate(values, rows=frame.height).tolist()
    before = frame[column].to_list() if column in frame.columns else [None] * frame.height
    lost = [new is None or (isinstance(new, float) and math.isnan(new)) for new in results]
    after = [old if gone else new for old, new, gone in zip(before, results, lost, strict=True)]
    return column_of(column, after)


def _values(frame: pl.DataFrame, name: str, source: SourceTerms) -> Values:
    """A column for an expression: text that the contract calls a number or a time is read as one."""
    dtype = frame.schema[name]
    terms = source.field(name)
    kind = terms.type if terms is not None else None
    if name in {source.event_time, source.arrival_time} or kind is FieldType.TIMESTAMP:
        return values_of(frame.select(timestamp(name, dtype)).to_series())
    if kind in {FieldType.NUMBER, FieldType.INTEGER}:
        return values_of(frame.select(number(name, dtype)).to_series())
    return values_of(frame[name])
