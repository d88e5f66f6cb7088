"""Labels: late by nature, sometimes corrected, joined to decisions as they were known."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from geartrain.data.coercing import number, text
from geartrain.data.snapshots import as_known
from geartrain.domain.columns import ARRIVAL_TIME, EVENT_TIME
from geartrain.domain.contract import Contract

LABEL = "_label"
LABEL_TIME = "_label_time"
MATURE = "_mature"


def label_rows(
    decisions: pl.DataFrame, labels: pl.DataFrame | None, contract: Contract, *, known_at: datetime
) -> pl.DataFrame:
    """Add to each decision row its label as it was known at *known_at*.

    `_label` is the class as text, or a number for a regression, null where it is not known;
    `_label_time` is when it became known; `_mature` is false for a row without a
    label that is younger than the label delay: nothing follows from its silence yet. A
    row that is mature and has no label stays null, it is never taken for a "no".

    Of several labels for one row the last arrival counts. Without a label source the
    label stands in the decision row itself, known when the row arrived.
    """
    source = contract.data.labels if contract.data is not None else None
    column = contract.decision.label
    if source is None or labels is None:
        known = decisions.with_columns(
            _truth(decisions, column, contract).alias(LABEL),
            pl.when(_said(decisions, column)).then(pl.col(ARRIVAL_TIME)).alias(LABEL_TIME),
        )
    else:
        assert contract.data is not None
        outcomes = as_known(labels, source, known_at=known_at)
        last = (
            outcomes.sort(ARRIVAL_TIME, EVENT_TIME, maintain_order=True)
            .select(
                pl.col(source.decision_key or source.key).cast(pl.String).alias("_decision"),
                _truth(outcomes, column, contract).alias(LABEL),
                pl.col(ARRIVAL_TIME).alias(LABEL_TIME),
            )
            .filter(pl.col(LABEL).is_not_null())
            .unique("_decision", keep="last", maintain_order=True)
        )
        key = pl.col(contract.data.decisions.key).cast(pl.String)
        known = decisions.with_columns(key.alias("_decision")).join(
            last, on="_decision", how="left", maintain_order="left"
        )
        known = known.drop("_decision")
    delay = timedelta(seconds=contract.decision.label_delay_s)
    old_enough = pl.col(EVENT_TIME) + delay <= known_at
    return known.with_columns((pl.col(LABEL).is_not_null() | old_enough).alias(MATURE))


def _truth(frame: pl.DataFrame, column: str, contract: Contract) -> pl.Expr:
    has_classes = contract.decision.task.has_classes
    if column not in frame.columns or frame.schema[column] == pl.Null:
        return pl.lit(None, dtype=pl.String() if has_classes else pl.Float64())
    dtype = frame.schema[column]
    return text(column, dtype) if has_classes else number(column, dtype)


def _said(frame: pl.DataFrame, column: str) -> pl.Expr:
    return pl.col(column).is_not_null() if column in frame.columns else pl.lit(value=False)
