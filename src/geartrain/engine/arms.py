"""One release that answers in a rollout: the champion, a canary, a shadow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from geartrain.domain.expression import Columns
from geartrain.domain.prediction import Decision, Floats
from geartrain.engine.bundles import load_bundle
from geartrain.engine.hosting import online_encode, served_of
from geartrain.engine.workspace import Workspace
from geartrain.features.encoding import encode
from geartrain.features.online import OnlineFeatures
from geartrain.release.bundle_nouns import Loaded
from geartrain.serving.deciding import decide_rows
from geartrain.serving.routing import Arm
from geartrain.serving.runtime import Matrix, RawRow, Served
from geartrain.stats.deciding import ABSTAINED, decide, realised_cost, regression_cost


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answering:
    """A loaded release and what it takes to ask it about many rows at once."""

    loaded: Loaded
    served: Served

    @property
    def release(self) -> str:
        """The release's id."""
        return self.loaded.release.id

    def matrix(self, features: pl.DataFrame) -> Matrix:
        """Feature values as this release's model reads them."""
        return encode(self.loaded.encoding, features)

    def answer(
        self,
        rows: Sequence[RawRow],
        features: pl.DataFrame,
        *,
        ids: Sequence[str],
        keys: Sequence[str],
        now: datetime,
        stale_s: float | None,
        arm: Arm,
    ) -> tuple[Decision, ...]:
        """Decide as the server decides, with features that were read one by one before."""
        matrix = self.matrix(features)
        served = replace(self.served, encode=lambda _rows, _at: matrix)
        done = decide_rows(served, rows, now, ids, keys=keys, stale_s=stale_s, arm=arm)
        return done.decisions

    def actions(self, features: pl.DataFrame, columns: Columns) -> tuple[NDArray[np.int64], Floats]:
        """What it would do about the rows without anybody acting on it: action indices and values."""
        predictions = self.served.predict(self.matrix(features))
        if not self.loaded.rule.task.has_classes:
            return np.zeros(len(predictions), dtype=np.int64), predictions.values[:, 0]
        return decide(self.loaded.rule, predictions, columns).actions, predictions.values[:, -1]


def answering(workspace: Workspace, release: str, online: OnlineFeatures) -> Answering:
    """Load *release* from the workspace, checked byte for byte."""
    loaded = load_bundle(workspace, release)
    return Answering(loaded=loaded, served=served_of(loaded, online_encode(online, loaded.encoding)))


def costs_of(
    loaded: Loaded, actions: NDArray[np.int64], values: Floats, truth: NDArray[np.float64], columns: Columns
) -> Floats:
    """What actions (or predicted values) cost once the truth is known; NaN where it is not."""
    known = np.isfinite(truth)
    cost = np.full(len(truth), np.nan)
    if not known.any():
        return cost
    some = {name: column[known] for name, column in columns.items()}
    if loaded.rule.task.has_classes:
        cost[known] = realised_cost(loaded.rule, actions[known], truth[known].astype(np.int64), some)
    else:
        cost[known] = regression_cost(
            loaded.rule.costs, predicted=values[known], truth=truth[known], columns=some
        )
    return cost


def indices(loaded: Loaded, decisions: Sequence[Decision]) -> NDArray[np.int64]:
    """The decisions' actions as indices; what a person stands in for is an abstention."""
    place = {action: index for index, action in enumerate(loaded.rule.actions)}
    return np.array(
        [ABSTAINED if one.abstained else place.get(one.action, ABSTAINED) for one in decisions],
        dtype=np.int64,
    )
