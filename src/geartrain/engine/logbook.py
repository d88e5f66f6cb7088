"""The prediction log in the lake: every decision with the features that it was made from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl

from geartrain.domain.features import Encoding, FeatureType
from geartrain.domain.prediction import Decision
from geartrain.engine.diary import Day
from geartrain.engine.products import Product
from geartrain.engine.rows import table_of
from geartrain.engine.workspace import Workspace
from geartrain.engine.world import KEY
from geartrain.ports.lake import ARRIVAL_TIME, BATCH, EVENT_TIME
from geartrain.serving.journal import LoggedDecision
from geartrain.serving.runtime import Matrix

#: The lake table of decisions, below the product's name.
DECISIONS = "decisions__log"
#: The lake table of what shadows would have done; nobody was answered with it.
SHADOWS = "shadows__log"
#: How long an answered decision took; tables of earlier versions and of a replay have no such column.
LATENCY = "latency_ms"
#: What stands before a feature's name in the log.
FEATURE = "feature:"


def log_decisions(workspace: Workspace, product: Product, day: Day) -> None:
    """Append a day's decisions; the same day again changes nothing."""
    if not day.decisions:
        return
    batch = f"decisions-{day.day:%Y-%m-%dT%H%M}"
    told = _told(day.decisions)
    happened = day.requests.select(
        pl.col(EVENT_TIME),
        pl.col(EVENT_TIME).alias(ARRIVAL_TIME),
        pl.lit(batch).alias(BATCH),
        pl.col(KEY).alias("key"),
    )
    features = day.features.rename({name: FEATURE + name for name in day.features.columns})
    rows = pl.concat([happened, told, features], how="horizontal")
    workspace.lake.append(table_of(product.name, DECISIONS), rows.to_arrow(), batch=batch)


def log_records(
    workspace: Workspace,
    records: Sequence[LoggedDecision],
    *,
    batch: str,
    encoding_of: Callable[[str, str], Encoding | None],
) -> None:
    """Append what a server answered and what its shadows would have; the same batch again changes nothing.

    Beside the columns of a replay's log there is the row as it was sent, as JSON, and how long it took. Features
    stand there as the model saw them; where *encoding_of* (product, release) does not know
    a release any more, the row is kept without them: no answered decision is lost.
    """
    tables: dict[str, list[LoggedDecision]] = {}
    for record in records:
        name = SHADOWS if record.shadow else DECISIONS
        tables.setdefault(table_of(record.decision.product, name), []).append(record)
    for table, members in tables.items():
        parts: list[pl.DataFrame] = []
        for release in sorted({one.decision.release for one in members}):
            some = [one for one in members if one.decision.release == release]
            encoding = encoding_of(some[0].decision.product, release)
            parts.append(_records_frame(some, encoding, batch=batch))
        rows = pl.concat(parts, how="diagonal_relaxed")
        workspace.lake.append(table, rows.to_arrow(), batch=batch)


def decision_of(row: Mapping[str, object], product: str) -> Decision:
    """The decision that a row of the log tells of."""
    return Decision(
        id=str(row["decision_id"]),
        product=product,
        release=str(row["release"]),
        key=str(row["key"]) if row["key"] != row["decision_id"] else "",
        decided_at=row[ARRIVAL_TIME],  # type: ignore[arg-type]  # the lake's clocks are datetimes
        action=str(row["action"]),
        probabilities=tuple(json.loads(str(row["probabilities"])).items()),
        expected_cost=float(row["expected_cost"]),  # type: ignore[arg-type]  # written as a float
        abstained=bool(row["abstained"]),
        fallback=bool(row["fallback"]),
        doubt=str(row["doubt"]),
        arm=str(row["arm"]),
    )


def key_of(decision: Decision) -> str:
    """What joins the truth to the decision: the key of its row, or its own id where the row had none."""
    return decision.key or decision.id


def _told(made: Sequence[Decision]) -> pl.DataFrame:
    """What the log says of decisions, one row each; the same columns for a replay and for a server."""
    return pl.DataFrame(
        {
            "decision_id": [one.id for one in made],
            "release": [one.release for one in made],
            "arm": [str(one.arm) for one in made],
            "action": [one.action for one in made],
            "probabilities": [json.dumps(dict(one.probabilities)) for one in made],
            "expected_cost": [float(one.expected_cost) for one in made],
            "abstained": [one.abstained for one in made],
            "fallback": [one.fallback for one in made],
            "doubt": [one.doubt for one in made],
        }
    )


def _records_frame(
    records: Sequence[LoggedDecision], encoding: Encoding | None, *, batch: str
) -> pl.DataFrame:
    clock = pl.Datetime("us", "UTC")
    happened = pl.DataFrame(
        {
            EVENT_TIME: pl.Series([one.at for one in records], dtype=clock),
            ARRIVAL_TIME: pl.Series([one.decision.decided_at for one in records], dtype=clock),
            BATCH: [batch] * len(records),
            "key": [key_of(one.decision) for one in records],
        }
    )
    sent = pl.DataFrame(
        {
            "row": [one.row.decode() for one in records],
            LATENCY: pl.Series([one.latency_ms for one in records], dtype=pl.Float64),
        }
    )
    parts = [happened, _told([one.decision for one in records]), sent]
    if encoding is not None:
        parts.append(_seen(encoding, records))
    return pl.concat(parts, how="horizontal")


def _seen(encoding: Encoding, records: Sequence[LoggedDecision]) -> pl.DataFrame:
    """Feature values read back from the model's input: categories by name, missing ones null."""
    vocabularies = dict(encoding.categories)
    inputs = _inputs(records, width=len(encoding.columns))
    columns: dict[str, pl.Series] = {}
    for feature in encoding.feature_set.features:
        cells = inputs[:, encoding.columns.index(feature.name)]
        if feature.type is FeatureType.CATEGORY:
            known = vocabularies[feature.name]
            texts = [None if np.isnan(cell) else known[int(cell)] for cell in cells]
            columns[FEATURE + feature.name] = pl.Series(texts, dtype=pl.String)
        else:
            columns[FEATURE + feature.name] = pl.Series(cells.astype(np.float64)).fill_nan(None)
    return pl.DataFrame(columns)


def _inputs(records: Sequence[LoggedDecision], *, width: int) -> Matrix:
    """The model's input of each record, float32 (n, width); what a record does not hold is NaN."""
    inputs = np.full((len(records), width), np.nan, dtype=np.float32)
    for place, one in enumerate(records):
        held = one.inputs()[:width]
        inputs[place, : len(held)] = held
    return inputs
