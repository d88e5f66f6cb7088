"""Faults to inject into a history: what a drill does to the raw rows, and nothing else knows that it was done.

A fault changes rows as a broken pipe or a changed world would, before the door sees them. From
there on everything is the product's own code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

import numpy as np
import polars as pl
from numpy.typing import NDArray

from geartrain.data.coercing import timestamp
from geartrain.domain.contract import Contract, FieldTerms, FieldType, SourceTerms
from geartrain.engine.rows import data_of

Frames = Mapping[str, pl.DataFrame]
Mask = NDArray[np.bool_]

#: The share of rows that lose a value, and the share of labels that turn round.
NULLED, FLIPPED = 0.5, 0.5
#: What a sender's change of unit multiplies by.
FACTOR = 0.01
#: How long a stale feed says nothing, and a sender repeats its batches.
OUTAGE, REPEATING = timedelta(days=2), timedelta(days=2)
#: How many rows a growing subgroup has for each that it had.
GROWTH = 6
#: By how much a slow server is slower.
SLOWER = 12.0
#: A column with at most so many different texts holds categories.
MOST_CATEGORIES = 50


class FaultKind(StrEnum):
    """What can be injected."""

    NULL_BURST = "null burst"
    UNIT_CHANGE = "unit change"
    CATEGORY_RENAME = "category rename"
    COLUMN_SWAP = "column swap"
    STALE_FEED = "stale feed"
    DUPLICATED_BATCH = "duplicated batch"
    SUBGROUP_GROWTH = "subgroup growth"
    LABEL_FLIP = "label flip"
    LATENCY_SPIKE = "latency spike"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong from *since* on.

    Attributes:
        columns: The columns of the decision source that it touches.
        value: The category that is renamed, or whose cases grow.
    """

    kind: FaultKind
    since: datetime
    columns: tuple[str, ...] = ()
    value: str = ""
    seed: int = 0

    @property
    def words(self) -> str:
        """What is done, for the report."""
        named = " and ".join(f"`{one}`" for one in self.columns)
        match self.kind:
            case FaultKind.NULL_BURST:
                return f"{NULLED:.0%} of {named} are missing"
            case FaultKind.UNIT_CHANGE:
                return f"{named} comes multiplied by {FACTOR:g}"
            case FaultKind.CATEGORY_RENAME:
                return f"`{self.value}` of {named} is called `{renamed(self.value)}`"
            case FaultKind.COLUMN_SWAP:
                return f"{named} are swapped"
            case FaultKind.STALE_FEED:
                return f"nothing arrives for {OUTAGE.days} days"
            case FaultKind.DUPLICATED_BATCH:
                return f"every batch is sent twice for {REPEATING.days} days"
            case FaultKind.SUBGROUP_GROWTH:
                return f"{GROWTH} times as many cases have {named} = `{self.value}`"
            case FaultKind.LABEL_FLIP:
                return f"{FLIPPED:.0%} of the cases end the other way"
            case FaultKind.LATENCY_SPIKE:
                return f"answers take {SLOWER:g} times as long"
            case _:
                assert_never(self.kind)


def fault_of(
    contract: Contract, frames: Frames, kind: FaultKind, *, since: datetime, seed: int = 0
) -> Fault | str:
    """The fault of that *kind* on columns that fit it, or why this product has none."""
    source = data_of(contract).decisions
    rows = frames[source.name]
    fields = [
        one
        for one in source.fields
        if one.name in rows.columns
        and one.name not in {source.key, source.event_time, source.arrival_time, contract.decision.label}
    ]
    used = [one for one in fields if one.feature]
    numbers = [
        one.name
        for one in used
        if one.type in {FieldType.NUMBER, FieldType.INTEGER} and rows[one.name].n_unique() > MOST_CATEGORIES
    ]
    categories = [
        one.name
        for one in used
        if one.type is FieldType.STRING and 2 <= rows[one.name].n_unique() <= MOST_CATEGORIES
    ]

    def fault(*columns: str, value: str = "") -> Fault:
        return Fault(kind=kind, since=since, columns=columns, value=value, seed=seed)

    match kind:
        case FaultKind.NULL_BURST:
            losing = sorted(used, key=lambda one: one.required)
            return fault(losing[0].name) if losing else "no column is a feature"
        case FaultKind.UNIT_CHANGE:
            return fault(numbers[0]) if numbers else "no feature is a column of numbers"
        case FaultKind.CATEGORY_RENAME:
            if not categories:
                return "no feature is a column of categories"
            return fault(categories[0], value=_values(rows[categories[0]])[0])
        case FaultKind.COLUMN_SWAP:
            pair = _pair(fields, numbers)
            return fault(*pair) if pair else "no two columns have one type"
        case FaultKind.SUBGROUP_GROWTH:
            if not categories:
                return "no feature is a column of categories"
            return fault(categories[0], value=_values(rows[categories[0]])[-1])
        case FaultKind.LABEL_FLIP:
            return fault() if contract.decision.task.has_classes else "a value has no other class"
        case FaultKind.LATENCY_SPIKE:
            known = any(one.path.startswith("budget.latency_p") for one in contract.clauses)
            return fault() if known else "the contract bounds no latency"
        case FaultKind.STALE_FEED:
            watched = source.freshness_s is not None and source.arrival_time is not None
            return (
                fault()
                if watched
                else "the contract does not say when rows arrive and how fresh they must be"
            )
        case FaultKind.DUPLICATED_BATCH:
            return fault()
        case _:
            assert_never(kind)


def injected(contract: Contract, frames: Frames, fault: Fault) -> Frames:
    """The raw rows of history as they are with *fault* in them; a latency spike leaves them alone."""
    data = data_of(contract)
    source, rows = data.decisions, frames[data.decisions.name]
    happened = _times(source.event_time or source.arrival_time, rows)
    late = (happened >= fault.since).fill_null(value=False).to_numpy()
    chance = np.random.default_rng(fault.seed)
    match fault.kind:
        case FaultKind.NULL_BURST:
            lost = pl.Series(late & (chance.uniform(size=len(late)) < NULLED))
            column = fault.columns[0]
            changed = rows.with_columns(pl.when(lost).then(None).otherwise(pl.col(column)).alias(column))
        case FaultKind.UNIT_CHANGE:
            changed = rows.with_columns(_rescaled(rows[fault.columns[0]], late))
        case FaultKind.CATEGORY_RENAME:
            column = fault.columns[0]
            named = pl.Series(late) & (rows[column].cast(pl.String) == fault.value).fill_null(value=False)
            changed = rows.with_columns(
                pl.when(named).then(pl.lit(renamed(fault.value))).otherwise(pl.col(column)).alias(column)
            )
        case FaultKind.COLUMN_SWAP:
            a, b = fault.columns
            swapped = pl.Series(late)
            changed = rows.with_columns(
                pl.when(swapped).then(pl.col(b)).otherwise(pl.col(a)).alias(a),
                pl.when(swapped).then(pl.col(a)).otherwise(pl.col(b)).alias(b),
            )
        case FaultKind.STALE_FEED:
            changed = _held_back(source, rows, fault.since)
        case FaultKind.DUPLICATED_BATCH:
            came = _times(source.arrival_time or source.event_time, rows)
            again = ((came >= fault.since) & (came < fault.since + REPEATING)).fill_null(value=False)
            changed = pl.concat([rows, rows.filter(again)])
        case FaultKind.SUBGROUP_GROWTH:
            return _grown(contract, frames, fault, late)
        case FaultKind.LABEL_FLIP:
            return _flipped(contract, frames, fault, chance)
        case FaultKind.LATENCY_SPIKE:
            return frames
        case _:
            assert_never(fault.kind)
    return {**frames, source.name: changed}


def renamed(value: str) -> str:
    """What a sender calls a category after its own clean-up."""
    return f"{value.upper()}_V2"


def _values(column: pl.Series) -> list[str]:
    """The categories, the most frequent first; one in a hundred rows is the least that counts."""
    texts = column.cast(pl.String).drop_nulls().alias("value")
    counted = texts.value_counts(name="rows").sort(["rows", "value"], descending=[True, False])
    return list(counted.filter(pl.col("rows") >= 0.01 * max(1, texts.len()))["value"])


def _pair(fields: list[FieldTerms], numbers: list[str]) -> tuple[str, str] | None:
    if len(numbers) >= 2:
        return numbers[0], numbers[1]
    texts = [one.name for one in fields if one.type is FieldType.STRING]
    return (texts[0], texts[1]) if len(texts) >= 2 else None


def _times(column: str | None, rows: pl.DataFrame) -> pl.Series:
    assert column is not None, "a replay needs to know when rows happened"
    return rows.select(timestamp(column, rows.schema[column])).to_series()


def _rescaled(column: pl.Series, late: Mask) -> pl.Series:
    """Numbers times the factor, written as they were: text stays text."""
    values = column.cast(pl.Float64, strict=False)
    scaled = values * FACTOR
    told = scaled.cast(column.dtype, strict=False) if column.dtype == pl.String else scaled
    kept = column if column.dtype == pl.String else values
    good = pl.Series(late) & scaled.is_not_null()
    return told.zip_with(good, kept).alias(column.name)


def _held_back(source: SourceTerms, rows: pl.DataFrame, since: datetime) -> pl.DataFrame:
    """Rows of the outage arrive with the first row after it."""
    column = source.arrival_time
    assert column is not None, "`fault_of` asks for it"
    came = _times(column, rows)
    held = ((came >= since) & (came < since + OUTAGE)).fill_null(value=False)
    after = rows.filter((came >= since + OUTAGE).fill_null(value=False))
    if after.height == 0:
        return rows.filter(~held)
    first = after[column][int(came.filter(came >= since + OUTAGE).arg_min() or 0)]
    return rows.with_columns(
        pl.when(held).then(pl.lit(first, dtype=rows.schema[column])).otherwise(pl.col(column)).alias(column)
    )


def _grown(contract: Contract, frames: Frames, fault: Fault, late: Mask) -> Frames:
    """More cases of one kind: copies under new keys, with copies of what became of them."""
    data = data_of(contract)
    source, rows = data.decisions, frames[data.decisions.name]
    named = (rows[fault.columns[0]].cast(pl.String) == fault.value).fill_null(value=False)
    more = rows.filter(named & pl.Series(late))
    found = dict(frames)
    found[source.name] = pl.concat(
        [rows, *(more.with_columns(_other_key(more[source.key], copy)) for copy in range(1, GROWTH))]
    )
    if data.labels is not None and data.labels.name in frames:
        labels = frames[data.labels.name]
        of = data.labels.decision_key or data.labels.key
        theirs = labels.filter(labels[of].is_in(more[source.key].implode()))
        copies = [
            theirs.with_columns(
                *{name: _other_key(theirs[name], copy) for name in (of, data.labels.key)}.values()
            )
            for copy in range(1, GROWTH)
        ]
        found[data.labels.name] = pl.concat([labels, *copies])
    return found


def _other_key(keys: pl.Series, copy: int) -> pl.Series:
    if keys.dtype.is_integer():
        return (keys + copy * 10**12).alias(keys.name)
    return (keys.cast(pl.String) + f"-{copy}").alias(keys.name)


def _flipped(contract: Contract, frames: Frames, fault: Fault, chance: np.random.Generator) -> Frames:
    """A class becomes the next one, in a share of the cases that happened since."""
    data, label = data_of(contract), contract.decision.label
    holder = data.labels or data.decisions
    rows = frames[holder.name]
    classes = list(rows[label].drop_nulls().unique().sort())
    # A label tells when its case happened in its own event time; its arrival is later.
    late = (_times(holder.event_time or holder.arrival_time, rows) >= fault.since).fill_null(value=False)
    turned = late & pl.Series(chance.uniform(size=rows.height) < FLIPPED)
    after = dict(zip(classes, [*classes[1:], *classes[:1]], strict=True))
    other = rows[label].replace_strict(after, default=None, return_dtype=rows.schema[label])
    return {**frames, holder.name: rows.with_columns(other.zip_with(turned, rows[label]).alias(label))}
