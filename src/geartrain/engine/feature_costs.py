"""What each feature costs, and what it brings: time offline and online beside its part in the answers.

Times are of a feature alone, with what it reads and nothing else, so two features of one
window cost less together than their sum. What it brings is said twice: by the share of
the released model's answers, and by whether labels that were dealt out by chance make a
column look as useful.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from geartrain.domain.columns import microseconds_of
from geartrain.domain.features import Feature, FeatureSet, FeatureType, FunctionFeature, RequestFeature
from geartrain.engine.bench import Builder, bench_of
from geartrain.engine.proposing import report_of_release
from geartrain.engine.rows import keys_of, read_sources
from geartrain.evaluation.null_importance import null_gains
from geartrain.features.checking import MISSING, columns_read
from geartrain.features.offline import point_in_time
from geartrain.features.online import OnlineFeatures
from geartrain.ports.lake import EVENT_TIME
from geartrain.stats.intervals import clopper_pearson

#: Decisions that are timed, rows that null importance looks at, and how often labels are shuffled.
TIMED, LOOKED_AT, SHUFFLES = 2_000, 5_000, 100
_REPEATS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureWorth:
    """One feature's costs and benefits.

    Attributes:
        offline_us: Microseconds for each decision of a training set, the feature alone; the best of three.
        online_us: Microseconds of one read while a client waits, the median.
        share: Its part of the released model's answers, 0 to 1; None where no release explains itself.
        luck: The share of shuffles in which it looks as useful as it does; None where it is the same in every row.
        luck_low: The lower end of its exact interval.
        luck_high: The upper end.
    """

    name: str
    owner: str
    offline_us: float
    online_us: float
    share: float | None
    luck: float | None
    luck_low: float | None
    luck_high: float | None

    @property
    def idle(self) -> bool:
        """Whether chance is proven to make it look as useful more often than one time in twenty."""
        return self.luck is None or (self.luck_low is not None and self.luck_low > 0.05)


def feature_worths(
    builder: Builder, document: Mapping[str, Any], *, release: str | None, now: datetime
) -> tuple[FeatureWorth, ...]:
    """Every feature of the product, in order, measured on the rows of the run *document*.

    *release* is the one whose explanation gives the shares; None gives none.
    """
    features, contract = builder.product.features, builder.contract
    sources = read_sources(builder.workspace, contract, known_at=now)
    bench = bench_of(builder, dict(document))
    decisions = bench.rows.raw.tail(TIMED)
    report = report_of_release(builder.workspace, contract.product.name, release) if release else None
    shares = (
        {one.feature: one.share for one in report.explanation.shares} if report and report.explanation else {}
    )
    luck = dict(_luck(builder, document))
    keys = keys_of(contract)
    found = []
    for one in features.features:
        alone = _alone(features, one)
        hits = luck.get(one.name)
        low, high = (None, None) if hits is None else clopper_pearson(hits, SHUFFLES)
        found.append(
            FeatureWorth(
                name=one.name,
                owner=one.owner,
                offline_us=_offline_us(builder, alone, decisions, sources, keys),
                online_us=_online_us(builder, alone, decisions, sources, keys),
                share=shares.get(one.name),
                luck=None if hits is None else hits / SHUFFLES,
                luck_low=low,
                luck_high=high,
            )
        )
    return tuple(found)


def _alone(features: FeatureSet, one: Feature) -> FeatureSet:
    """The feature with those that it reads."""
    read: set[str] = set()
    wanted = [one]
    while wanted:
        feature = wanted.pop()
        names: set[str] = set()
        if isinstance(feature, RequestFeature):
            names = set(columns_read(feature.expression))
        elif isinstance(feature, FunctionFeature):
            names = {name for name, _ in feature.reads}
        fresh = [
            other
            for other in features.features[: features.features.index(feature)]
            if other.name in names and other.name not in read and other.name != feature.name
        ]
        read |= {other.name for other in fresh}
        wanted += fresh
    return FeatureSet(
        features=tuple(other for other in features.features if other is one or other.name in read)
    )


def _offline_us(
    builder: Builder,
    alone: FeatureSet,
    decisions: pl.DataFrame,
    sources: Mapping[str, pl.DataFrame],
    keys: Mapping[str, str],
) -> float:
    took = []
    for _ in range(_REPEATS):
        begun = builder.clock_ns()
        point_in_time(alone, decisions, sources, keys=keys)
        took.append(builder.clock_ns() - begun)
    return min(took) / 1e3 / max(decisions.height, 1)


def _online_us(
    builder: Builder,
    alone: FeatureSet,
    decisions: pl.DataFrame,
    sources: Mapping[str, pl.DataFrame],
    keys: Mapping[str, str],
) -> float:
    online = OnlineFeatures(alone, keys=keys)
    for name in online.sources:
        online.apply_rows(name, sources[name])
    took = []
    times = microseconds_of(decisions[EVENT_TIME]).to_list()
    for row, at_us in zip(decisions.iter_rows(named=True), times, strict=True):
        begun = builder.clock_ns()
        online.read(row, at_us)
        took.append(builder.clock_ns() - begun)
    return float(np.median(took)) / 1e3 if took else 0.0


def _luck(builder: Builder, document: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """In how many shuffles of the labels each feature that varies looks as useful as it does (Altmann et al. 2010)."""
    bench = bench_of(builder, dict(document))
    places = bench.split.search
    if len(places) > LOOKED_AT:
        places = np.sort(np.random.default_rng(document["seed"]).choice(places, LOOKED_AT, replace=False))
    matrix, truth = bench.matrix[places], bench.truth[places]
    features = bench.encoding.feature_set.features
    names = [one.name for one in features]
    owners = tuple(
        names.index(column if column in names else column.removesuffix(MISSING))
        for column in bench.encoding.columns
    )
    gains = null_gains(
        matrix,
        truth,
        builder.contract.decision.task,
        owners=owners,
        categories=tuple(
            bench.encoding.columns.index(one.name) for one in features if one.type is FeatureType.CATEGORY
        ),
        shuffles=SHUFFLES,
        seed=document["seed"],
    )
    for place, name in enumerate(names):
        columns = [column for column, owner in enumerate(owners) if owner == place]
        if any(len(np.unique(matrix[:, column], equal_nan=True)) > 1 for column in columns):
            yield name, int((gains[1:, place] >= gains[0, place]).sum())
