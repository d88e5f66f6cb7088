"""What is strange about the rows: a feature that never changes, text where numbers should be."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl

from geartrain.domain.columns import numbers, values_of
from geartrain.domain.contract import Contract
from geartrain.domain.features import Feature, FeatureSet, FeatureType
from geartrain.engine.repairing import waiting_rows
from geartrain.engine.rows import Rows
from geartrain.engine.workspace import Workspace
from geartrain.evaluation.model_view import reads

#: Fewer rows than this say nothing about anything, and that is said first.
FEW_ROWS = 20
#: A feature that is there in fewer rows than this is named.
MOSTLY_MISSING = 0.5


def oddities(features: FeatureSet, rows: Rows) -> tuple[str, ...]:
    """Plain sentences about *rows*, those that may be looked at; empty where nothing is strange."""
    told = []
    if len(rows) < FEW_ROWS:
        told.append(
            f"{len(rows)} rows are too few to learn or to prove anything from; every figure here is a guess"
        )
    if len(rows) == 0:
        return tuple(told)
    for one in features.features:
        if one.name in rows.features.columns:
            told += _of(one, rows.features.get_column(one.name), rows)
    return tuple(told)


def quarantined(workspace: Workspace, contract: Contract) -> tuple[str, ...]:
    """How many rows wait at the door and therefore take no part, and what keeps most of them there."""
    told = []
    for source, waiting in waiting_rows(workspace, contract).items():
        reasons = Counter(reason for one in waiting for reason in one.reasons)
        why = f", most often because `{reasons.most_common(1)[0][0]}`" if reasons else ""
        told.append(f"{len(waiting):,} rows of `{source}` wait in quarantine and take no part{why}")
    return tuple(told)


def _of(feature: Feature, values: pl.Series, rows: Rows) -> list[str]:
    if feature.type is FeatureType.NUMBER:
        exact = numbers(values_of(values))
        known = exact[np.isfinite(exact)]
        text = _text_in(feature, rows)
        if text:
            return [text]
        distinct = len(np.unique(known))
    else:
        known = values.drop_nulls().to_numpy()
        distinct = values.drop_nulls().n_unique()
    share = len(known) / len(rows)
    if not len(known):
        return [f"feature `{feature.name}` has no value in any of {len(rows):,} rows"]
    if distinct == 1 and share == 1.0:
        return [f"feature `{feature.name}` has the same value in every row and can tell nothing"]
    if share < MOSTLY_MISSING:
        return [f"feature `{feature.name}` is missing in {1 - share:.0%} of the rows"]
    return []


def _text_in(feature: Feature, rows: Rows) -> str:
    """Whether a number is made of a column that holds text which is none."""
    for name in reads(feature):
        if name not in rows.raw.columns or rows.raw.schema[name] != pl.String:
            continue
        column = rows.raw.get_column(name).drop_nulls()
        strange = column.filter(column.cast(pl.Float64, strict=False).is_null())
        if feature.name == name and len(strange):
            example = str(strange[0])[:20]
            return (
                f"feature `{feature.name}` should be a number, but {len(strange):,} of {len(rows):,} rows hold"
                f" text such as `{example}`"
            )
    return ""
