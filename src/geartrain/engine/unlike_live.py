"""The live release's rows and answers beside the sealed rows that it was judged on, without labels."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from geartrain.domain.columns import microseconds_of
from geartrain.domain.prediction import Floats
from geartrain.domain.rule import DecisionRule
from geartrain.engine.live_evidence import said_of
from geartrain.engine.seen_features import matrix_seen, not_logged
from geartrain.monitoring.adapting import Reference
from geartrain.monitoring.unlike import SCORE, Unlike, unlike
from geartrain.ports.lake import ARRIVAL_TIME
from geartrain.release.bundle_nouns import Loaded


def unlike_live(
    loaded: Loaded,
    log: pl.DataFrame,
    reference: Reference | str,
    *,
    alpha: float,
    now: datetime,
) -> Unlike:
    """What values alone say about the decisions in *log*, those of one release, beside its *reference*, or without one.

    The model that answers may have been fitted once more on the sealed rows, so what it says is compared with what it said
    before, not with what was said about them.
    """
    if log.height == 0:
        return Unlike(reason="no decision of the live release is in the log yet")
    rows = log.sort(ARRIVAL_TIME, "decision_id")
    if reason := not_logged(loaded, rows):
        return Unlike(reason=reason)
    names = loaded.encoding.columns

    def read(places: NDArray[np.int64]) -> dict[str, Floats]:
        some = rows[places]
        matrix = matrix_seen(loaded, some)
        assert not isinstance(matrix, str)
        columns = {name: matrix[:, place].astype(np.float64) for place, name in enumerate(names)}
        return {**columns, SCORE: _scores(loaded.rule, some)}

    kept = (
        {}
        if isinstance(reference, str)
        else {name: reference.matrix[:, place].astype(np.float64) for place, name in enumerate(names)}
    )
    return unlike(
        read,
        kept,
        microseconds_of(rows[ARRIVAL_TIME]).to_numpy().astype(np.int64),
        now=now,
        alpha=alpha,
    )


def _scores(rule: DecisionRule, rows: pl.DataFrame) -> Floats:
    """One number for what was said about each row: of several classes how sure the model was; NaN where it said nothing."""
    said = said_of(rule, rows)
    return said.max(axis=1) if said.shape[1] > 2 else said[:, -1]
