"""A run's rows and parts laid out for the checks against leakage."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from geartrain.data.labels import LABEL_TIME
from geartrain.domain.clause import Stage
from geartrain.domain.columns import columns_of, microseconds_of
from geartrain.domain.finding import Finding
from geartrain.engine.bench import Bench, Builder
from geartrain.engine.rows import data_of
from geartrain.evaluation.evidence import Measured
from geartrain.evaluation.leakage import Exhibit, judge_integrity
from geartrain.evaluation.leakage_fitting import parts_that_saw_more
from geartrain.features.encoding import fit_encoding
from geartrain.ports.lake import ARRIVAL_TIME
from geartrain.training.algorithms import estimator_of


def integrity_findings(
    builder: Builder, bench: Bench, document: Mapping[str, Any], *, now: datetime
) -> tuple[Finding, ...]:
    """Every clause of integrity, judged on the pools of this run and the settings that it chose."""
    return judge_integrity(exhibit_of(builder, bench, document), stage=Stage.RELEASE, now=now)


def exhibit_of(builder: Builder, bench: Bench, document: Mapping[str, Any]) -> Exhibit:
    """What the checks look at, from the same rows and pools that trained and judge the model."""
    source = data_of(builder.contract).decisions
    labels = data_of(builder.contract).labels
    raw = bench.rows.raw
    features = columns_of(bench.rows.features)
    return Exhibit(
        contract=builder.contract,
        raw=columns_of(raw.select(name for name in raw.columns if not name.startswith("_"))),
        features=features,
        definitions=builder.product.features,
        truth=bench.truth,
        search=bench.split.search,
        select=bench.split.select,
        verdict=bench.split.verdict,
        fitting=lambda: _fitting(builder, bench, document),
        times_us=bench.rows.times_us if source.event_time else None,
        # Only a clock that the contract names says when something was known; a history that
        # was loaded in one go has its arrival in common.
        label_times_us=_clock(raw, LABEL_TIME) if labels and labels.arrival_time else None,
        arrivals_us=_clock(raw, ARRIVAL_TIME) if source.arrival_time else None,
        seed=document["seed"],
    )


def _fitting(builder: Builder, bench: Bench, document: Mapping[str, Any]) -> Measured:
    recipe = builder.product.recipe
    search = bench.split.search

    def build() -> Any:
        return estimator_of(
            recipe,
            document["settings"],
            task=builder.contract.decision.task,
            seed=document["seed"],
            cells=len(search) * bench.matrix.shape[1],
            monotone=bench.monotone,
        )

    return parts_that_saw_more(
        encoding=bench.encoding,
        refitted=fit_encoding(builder.product.features, bench.rows.take(search).features),
        # Built-in algorithms are geartrain's own code and hold nothing between two fits.
        build=None if recipe.builder is None else build,
        besides=(recipe.builder,),
        matrix=bench.matrix[search],
        truth=bench.truth[search],
        seed=document["seed"],
    )


def _clock(raw: pl.DataFrame, name: str) -> NDArray[np.float64] | None:
    if name not in raw.columns:
        return None
    return microseconds_of(raw.get_column(name)).cast(pl.Float64).fill_null(float("nan")).to_numpy()
