"""Plausibility of what is live: the domain expert's clauses asked of the rows that people really send."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from geartrain.domain.clause import Stage
from geartrain.domain.contract import Contract
from geartrain.domain.expression import Columns
from geartrain.domain.finding import Finding
from geartrain.domain.prediction import Floats
from geartrain.evaluation.asking import judge_traffic
from geartrain.evaluation.model_view import ModelView
from geartrain.evaluation.scene import Traffic
from geartrain.features.encoding import encode
from geartrain.release.bundle_nouns import Loaded
from geartrain.stats.onnx_model import OnnxModel
from geartrain.stats.tree_model import TreeModel

#: The latest decisions are asked about; older ones were, when they were the latest.
LATEST = 5_000
_SEED = 0


def live_plausibility(
    contract: Contract, loaded: Loaded, features: pl.DataFrame, columns: Columns, *, now: datetime
) -> tuple[Finding, ...]:
    """A finding for each plausibility clause that is due live, over the latest decided rows.

    *features* are the values that the model saw, one row a decision in their order, and
    *columns* the raw columns beside them. The served model itself is asked. Clauses that
    need the truth say so.
    """
    due = [one for one in contract.clauses if one.section == "plausibility" and Stage.LIVE in one.stages]
    wanted = {feature.name for feature in loaded.encoding.feature_set.features}
    if not due or features.height == 0 or not wanted <= set(features.columns):
        return ()
    latest = features.tail(LATEST)
    held = {name: values[-latest.height :] for name, values in columns.items()}
    group = contract.data.group if contract.data is not None else None
    traffic = Traffic(
        contract=contract,
        rule=loaded.rule,
        rows=latest.height,
        columns=held,
        groups=held.get(group) if group is not None else None,
        seed=_SEED,
    )
    view = ModelView(
        encoding=loaded.encoding,
        matrix=encode(loaded.encoding, latest),
        predict=OnnxModel(loaded.onnx).predict,
        contributions=None if loaded.native is None else _contributions(TreeModel(loaded.native.decode())),
    )
    return judge_traffic(traffic, view, due, stage=Stage.LIVE, now=now)


def _contributions(model: TreeModel) -> Callable[[NDArray[np.float32]], Floats]:
    def contributions(matrix: NDArray[np.float32]) -> Floats:
        each = model.contributions(matrix)[:, :, :-1]
        # Of several classes the sum of their magnitudes, as evaluation wants it.
        return np.asarray(each[:, 0, :] if each.shape[1] == 1 else np.abs(each).sum(axis=1))

    return contributions
