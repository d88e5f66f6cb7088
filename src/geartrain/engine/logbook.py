"""The prediction log in the lake: every decision with the features that it was made from."""

from __future__ import annotations

import json

import polars as pl

from geartrain.engine.diary import Day
from geartrain.engine.products import Product
from geartrain.engine.rows import table_of
from geartrain.engine.workspace import Workspace
from geartrain.engine.world import KEY
from geartrain.ports.lake import ARRIVAL_TIME, BATCH, EVENT_TIME

#: The lake table of decisions, below the product's name.
DECISIONS = "decisions__log"
#: What stands before a feature's name in the log.
FEATURE = "feature:"


def log_decisions(workspace: Workspace, product: Product, day: Day) -> None:
    """Append a day's decisions; the same day again changes nothing."""
    if not day.decisions:
        return
    batch = f"decisions-{day.day:%Y-%m-%dT%H%M}"
    made = day.decisions
    told = pl.DataFrame(
        {
            "decision_id": [one.id for one in made],
            "release": [one.release for one in made],
            "arm": [one.arm for one in made],
            "action": [one.action for one in made],
            "probabilities": [json.dumps(dict(one.probabilities)) for one in made],
            "expected_cost": [one.expected_cost for one in made],
            "abstained": [one.abstained for one in made],
            "fallback": [one.fallback for one in made],
            "doubt": [one.doubt for one in made],
        }
    )
    happened = day.requests.select(
        pl.col(EVENT_TIME),
        pl.col(EVENT_TIME).alias(ARRIVAL_TIME),
        pl.lit(batch).alias(BATCH),
        pl.col(KEY).alias("key"),
    )
    features = day.features.rename({name: FEATURE + name for name in day.features.columns})
    rows = pl.concat([happened, told, features], how="horizontal")
    workspace.lake.append(table_of(product.name, DECISIONS), rows.to_arrow(), batch=batch)
