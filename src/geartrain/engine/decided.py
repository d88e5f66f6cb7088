"""Decisions that were answered, with what became known about them: the log, the truth, the rows as they were.

Monitoring, the page over time and the page about groups read the same join. Only the
columns that are asked for are read: a log of a million decisions stays quick to ask.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from geartrain.domain.columns import columns_of, texts_of
from geartrain.domain.contract import Contract, FieldTerms, FieldType
from geartrain.domain.expression import Columns
from geartrain.domain.prediction import Floats
from geartrain.domain.rule import DecisionRule
from geartrain.engine.logbook import DECISIONS, FEATURE
from geartrain.engine.rows import OUTCOMES, data_of, frame_of, table_of
from geartrain.engine.workspace import Workspace
from geartrain.ports.lake import ARRIVAL_TIME, EVENT_TIME
from geartrain.stats.deciding import ABSTAINED, Indices

#: The columns that the join adds: the truth as text, and when it was known.
KEY, TRUTH, KNOWN_AT = "key", "_known_truth", "_known_at"
_SENT = "row"


def decisions_of(
    workspace: Workspace,
    product: str,
    *,
    now: datetime,
    release: str | None = None,
    columns: Collection[str] | None = None,
    log: str = DECISIONS,
) -> pl.DataFrame:
    """The decisions that were made, each once, in the order in which they were made; one *release*'s, or all.

    *columns* are read besides both clocks, `key`, `decision_id` and `release`; None reads all.
    Those of a shadow, with which nobody was answered, stand in another *log* (`logbook.SHADOWS`).
    """
    always = (EVENT_TIME, ARRIVAL_TIME, KEY, "decision_id", "release")
    wanted = None if columns is None else tuple(dict.fromkeys((*always, *columns)))
    table = frame_of(
        workspace.lake.scan(table_of(product, log), arrived_by=now, columns=wanted),
    )
    if table.height == 0:
        return table
    mine = table if release is None else table.filter(pl.col("release") == release)
    return mine.unique("decision_id", keep="first", maintain_order=True).sort(EVENT_TIME, "decision_id")


def with_truth(workspace: Workspace, contract: Contract, log: pl.DataFrame, *, now: datetime) -> pl.DataFrame:
    """Add what became known about each decision, and when; the last word counts."""
    if log.height == 0:
        return log
    told = told_labels(workspace, contract, now=now)
    latest = told.sort(KNOWN_AT, maintain_order=True).unique(KEY, keep="last")
    joined = log.with_columns(pl.col(KEY).cast(pl.String)).join(
        latest, on=KEY, how="left", maintain_order="left"
    )
    delay = timedelta(seconds=contract.decision.label_delay_s)
    # A label that stands in the decision's own row was not known before the label delay.
    earliest = pl.col(EVENT_TIME) + delay if data_of(contract).labels is None else pl.col(EVENT_TIME)
    return joined.with_columns(pl.max_horizontal(pl.col(KNOWN_AT), earliest).alias(KNOWN_AT)).with_columns(
        pl.when(pl.col(KNOWN_AT) <= now).then(pl.col(TRUTH)).alias(TRUTH)
    )


def told_labels(workspace: Workspace, contract: Contract, *, now: datetime) -> pl.DataFrame:
    """Every label by the key of its decision: from a label source, from the rows, sent one by one."""
    data, label = data_of(contract), contract.decision.label
    source = data.labels or data.decisions
    key = (source.decision_key or source.key) if data.labels else source.key
    found = [
        pl.DataFrame(schema={KEY: pl.String, TRUTH: pl.String, KNOWN_AT: pl.Datetime("us", "UTC")}),
    ]
    for name, named, said in ((source.name, key, label), (OUTCOMES, "key", "label")):
        table = frame_of(
            workspace.lake.scan(
                table_of(contract.product.name, name), arrived_by=now, columns=(named, said, ARRIVAL_TIME)
            )
        )
        if table.height and {named, said} <= set(table.columns):
            found.append(
                pl.DataFrame(
                    {
                        KEY: texts_of(table.get_column(named)),
                        TRUTH: texts_of(table.get_column(said)),
                        KNOWN_AT: table.get_column(ARRIVAL_TIME),
                    }
                )
            )
    return pl.concat(found).filter(pl.col(TRUTH).is_not_null())


def features_of(log: pl.DataFrame) -> pl.DataFrame:
    """The feature values in the log, by the features' own names."""
    named = {name: name.removeprefix(FEATURE) for name in log.columns if name.startswith(FEATURE)}
    return log.select(list(named)).rename(named)


def truth_of(rule: DecisionRule, log: pl.DataFrame) -> Floats:
    """What is known of each row, as class indices or values; NaN where nothing is, or the label is no class."""
    if rule.classes:
        places = {name: float(place) for place, name in enumerate(rule.classes)}
        said = log[TRUTH].replace_strict(places, default=None, return_dtype=pl.Float64)
    else:
        said = log[TRUTH].cast(pl.Float64, strict=False)
    return said.fill_null(float("nan")).to_numpy().astype(np.float64)


def acted_of(rule: DecisionRule, log: pl.DataFrame) -> Indices:
    """What was really done about each row; what a person stands in for is an abstention."""
    places = {action: place for place, action in enumerate(rule.actions)}
    acted = log["action"].replace_strict(places, default=ABSTAINED, return_dtype=pl.Int64)
    actions = acted.to_numpy().astype(np.int64)
    actions[log["abstained"].to_numpy()] = ABSTAINED
    return actions


def rows_as_decided(
    workspace: Workspace,
    contract: Contract,
    log: pl.DataFrame,
    *,
    now: datetime,
    names: Collection[str] | None = None,
) -> Columns:
    """What the rows of *log* were like: features, and the source's columns from the lake or as they were sent.

    *names* are those that somebody will read; None gives every column.
    """
    source, features = data_of(contract).decisions, features_of(log)
    if names is not None:
        features = features.select([name for name in features.columns if name in names])
    fields = [
        one
        for one in source.fields
        if one.name not in features.columns and (names is None or one.name in names)
    ]
    if not fields:
        return columns_of(features)
    held = _held(workspace, contract, fields, now=now)
    there = [one.name for one in fields if one.name in held.columns and one.name != KEY]
    joined = log.select(KEY).join(held.select(KEY, *there), on=KEY, how="left", maintain_order="left")
    sent = _sent(log, joined, there, fields)
    found = []
    for one in fields:
        number = one.type in {FieldType.NUMBER, FieldType.INTEGER}
        kind = pl.Float64() if number else pl.String()
        said = pl.Series(one.name, [row.get(one.name) for row in sent], strict=False)
        fresh = (
            said.cast(kind, strict=False) if sent else pl.Series(one.name, [None] * log.height, dtype=kind)
        )
        old = joined[one.name].cast(kind, strict=False) if one.name in there else None
        found.append(fresh if old is None else old.zip_with(old.is_not_null(), fresh))
    return columns_of(pl.DataFrame([*features, *found]))


def _held(
    workspace: Workspace, contract: Contract, fields: list[FieldTerms], *, now: datetime
) -> pl.DataFrame:
    """The decision source's rows by the key of their decision, the last version of each."""
    source = data_of(contract).decisions
    wanted = tuple(dict.fromkeys((source.key, *(one.name for one in fields))))
    table = frame_of(
        workspace.lake.scan(table_of(contract.product.name, source.name), arrived_by=now, columns=wanted)
    )
    if table.height == 0:
        return pl.DataFrame({KEY: pl.Series([], dtype=pl.String)})
    keyed = table.with_columns(texts_of(table.get_column(source.key)).alias(KEY))
    return keyed.unique(KEY, keep="last", maintain_order=True)


def _sent(
    log: pl.DataFrame, joined: pl.DataFrame, there: list[str], fields: list[FieldTerms]
) -> list[dict[str, object]]:
    """The rows as a server was sent them; empty where the lake itself says all that is asked."""
    complete = len(there) == len(fields) and not any(joined[name].null_count() for name in there)
    if complete or _SENT not in log.columns:
        return []
    return [json.loads(text) if text else {} for text in log[_SENT].to_list()]
