"""Plausibility of what is live: the domain expert's clauses asked of the rows that people really send."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from geartrain.domain.clause import Stage
from geartrain.domain.contract import Contract
from geartrain.domain.expression import Columns
from geartrain.domain.finding import Finding, Guarantee
from geartrain.domain.prediction import Floats
from geartrain.engine.live_evidence import MAY_LOOK, ONE_LOOK
from geartrain.evaluation.asking import judge_traffic
from geartrain.evaluation.model_view import ModelView
from geartrain.evaluation.scene import Traffic
from geartrain.features.encoding import encode
from geartrain.release.bundle_nouns import Loaded
from geartrain.stats.eprocess import restart_weight
from geartrain.stats.intervals import CONFIDENCE
from geartrain.stats.onnx_model import OnnxModel
from geartrain.stats.tree_model import TreeModel

#: The latest decisions are looked at; older ones were, when they were the latest.
LATEST = 5_000
#: Decisions of the first block and the most of one.
FIRST, LARGEST = 128, 4_096
_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Decisions that are asked about together: from *first* until before *last*, counted from 0.

    Attributes:
        number: Which block it is, from 1; 0 before the first one is complete.
    """

    number: int
    first: int
    last: int

    @property
    def confidence(self) -> float:
        """That of the intervals over this block; the misses of all blocks together have the usual alpha."""
        return CONFIDENCE if self.number == 0 else 1 - (1 - CONFIDENCE) * restart_weight(self.number)


def block_of(rows: int) -> Block:
    """The latest complete block of *rows* decisions; every decision there is before the first is complete.

    Blocks double until `LARGEST`, so the latest one holds a good part of what there is. Its rows are
    fixed once it is complete: looking again asks about the same rows and gives the same answer.

    >>> [(one.number, one.first, one.last) for one in map(block_of, (100, 128, 511, 512))]
    [(0, 0, 100), (1, 0, 128), (2, 128, 256), (3, 256, 512)]
    """
    if rows < FIRST:
        return Block(number=0, first=0, last=rows)
    number, first, last = 1, 0, FIRST
    while last + min(last, LARGEST) <= rows:
        number, first, last = number + 1, last, last + min(last, LARGEST)
    return Block(number=number, first=first, last=last)


def live_plausibility(
    contract: Contract,
    loaded: Loaded,
    features: pl.DataFrame,
    columns: Columns,
    *,
    now: datetime,
    block: Block,
    stage: Stage = Stage.LIVE,
) -> tuple[Finding, ...]:
    """A finding for each plausibility clause that is due at *stage*, over the decided rows of *block*.

    *features* are the values that the model saw, one row a decision in their order, and
    *columns* the raw columns beside them. The served model itself is asked. Clauses that
    need the truth say so. An exact interval (Clopper-Pearson) over a complete block holds at all
    times at once; others are of one look.
    """
    due = [one for one in contract.clauses if one.section == "plausibility" and stage in one.stages]
    wanted = {feature.name for feature in loaded.encoding.feature_set.features}
    if not due or features.height == 0 or not wanted <= set(features.columns):
        return ()
    group = contract.data.group if contract.data is not None else None
    traffic = Traffic(
        contract=contract,
        rule=loaded.rule,
        rows=features.height,
        columns=columns,
        groups=columns.get(group) if group is not None else None,
        seed=_SEED,
        confidence=block.confidence,
    )
    view = ModelView(
        encoding=loaded.encoding,
        matrix=encode(loaded.encoding, features),
        predict=OnnxModel(loaded.onnx).predict,
        contributions=None if loaded.native is None else contributions_of(TreeModel(loaded.native.decode())),
    )
    found = judge_traffic(traffic, view, due, stage=stage, now=now)
    return tuple(_with_guarantee(one, block) for one in found)


def _with_guarantee(finding: Finding, block: Block) -> Finding:
    """The finding with the word how often one may look; a fact needs none."""
    if finding.value is None or finding.confidence == 1.0:
        return finding
    if block.number and finding.method == "Clopper-Pearson":
        return replace(
            finding,
            method=f"{finding.method}, block {block.number}",
            guarantee=Guarantee.AT_ALL_TIMES,
            message=f"{finding.message} [{MAY_LOOK}]",
        )
    return replace(finding, message=f"{finding.message} [{ONE_LOOK}]")


def contributions_of(model: TreeModel) -> Callable[[NDArray[np.float32]], Floats]:
    """Contributions of each column of a matrix, shape (n, columns): of several classes the sum of their sizes."""

    def contributions(matrix: NDArray[np.float32]) -> Floats:
        each = model.contributions(matrix)[:, :, :-1]
        # Of several classes the sum of their magnitudes, as evaluation wants it.
        return np.asarray(each[:, 0, :] if each.shape[1] == 1 else np.abs(each).sum(axis=1))

    return contributions
