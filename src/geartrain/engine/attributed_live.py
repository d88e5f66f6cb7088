"""What the live release's decisions rest on, beside the sealed rows on which it was judged."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from geartrain.engine.plausible_live import block_of, contributions_of
from geartrain.engine.seen_features import matrix_seen
from geartrain.evaluation.model_view import MISSING_SUFFIX
from geartrain.monitoring.adapting import Reference
from geartrain.monitoring.attributing import Attribution, attribution, shares_of
from geartrain.ports.lake import EVENT_TIME
from geartrain.release.bundle_nouns import Loaded
from geartrain.stats.eprocess import restart_weight
from geartrain.stats.tree_model import TreeModel

#: So many rows on either side are explained; drawn, where there are more.
MOST_EXPLAINED = 1_000
_SEED = 0


def attributed_live(
    loaded: Loaded, log: pl.DataFrame, reference: Reference | str, *, alpha: float
) -> Attribution:
    """Shares of attribution over the latest complete block of the decisions in *log*, those of one release.

    *reference* are its kept rows, or why there are none.
    Which rows are explained follows from counts alone, so looking again at the same block says the same.
    """
    if loaded.native is None:
        return Attribution(reason="exact contributions need a tree model")
    if isinstance(reference, str):
        return Attribution(reason=reference)
    block = block_of(log.height)
    if block.number == 0:
        return Attribution(reason=f"{log.height} decisions are no complete block yet")
    rows = log[block.first : block.last]
    matrix = matrix_seen(loaded, rows)
    if isinstance(matrix, str):
        return Attribution(reason=matrix)
    explain = contributions_of(TreeModel(loaded.native.decode()))
    names = tuple(dict.fromkeys(one.removesuffix(MISSING_SUFFIX) for one in loaded.encoding.columns))
    groups = np.array([names.index(one.removesuffix(MISSING_SUFFIX)) for one in loaded.encoding.columns])
    return attribution(
        shares_of(explain(matrix[_drawn(len(matrix), block.number)]), groups),
        shares_of(explain(reference.matrix[_drawn(len(reference.matrix), 0)]), groups),
        names,
        alpha=alpha,
        part=restart_weight(block.number),
        since=rows[EVENT_TIME].min(),  # type: ignore[arg-type]  # the lake's clocks are datetimes
    )


def _drawn(rows: int, number: int) -> NDArray[np.int64]:
    if rows <= MOST_EXPLAINED:
        return np.arange(rows)
    return np.sort(np.random.default_rng((_SEED, number)).choice(rows, MOST_EXPLAINED, replace=False))
