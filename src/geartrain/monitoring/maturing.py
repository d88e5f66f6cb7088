"""Which decisions have matured: each is counted once, however its outcomes arrive.

A decision matures when its label delay has passed *and* its first outcome is here. Its
label is the newest known at that moment. A later correction changes what evaluations
see, but the decision is not counted a second time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matured:
    """Decisions that matured in a span of time, in that order.

    Attributes:
        at_us: When each matured, microseconds since 1970 UTC, shape (n,).
        waiting: Decisions made by now that have not matured.
        repeated: Further outcomes that said the same as before.
        corrected: Decisions whose outcome changed after they had been counted.
        unknown: Outcomes about decisions that are not among the decided ones.
    """

    decisions: tuple[str, ...]
    labels: tuple[str, ...]
    at_us: NDArray[np.int64]
    waiting: int
    repeated: int
    corrected: int
    unknown: int

    def __len__(self) -> int:
        return len(self.decisions)


def mature(
    decided: pa.Table, outcomes: pa.Table, *, after: datetime | None, until: datetime, delay_s: float
) -> Matured:
    """Decisions that matured in (*after*, *until*].

    *decided* has the columns `id` and `decided_at`, *outcomes* `decision`, `label` and
    `arrived_at` (times with zone). Outcomes that arrive after *until* are not known yet;
    where the clock went back (*until* before *after*) nothing matures.
    """
    made = _frame(decided, pl.Schema({"id": pl.String(), "decided_at": pl.Datetime("us", "UTC")}))
    told = _frame(
        outcomes,
        pl.Schema({"decision": pl.String(), "label": pl.String(), "arrived_at": pl.Datetime("us", "UTC")}),
    ).filter(pl.col("arrived_at") <= until, pl.col("label").is_not_null())
    made = made.filter(pl.col("decided_at") <= until).unique("id", keep="first", maintain_order=True)
    joined = told.join(made, left_on="decision", right_on="id", how="inner")
    ripe = (
        joined.sort("arrived_at", maintain_order=True)
        .with_columns(
            pl.max_horizontal(
                pl.col("decided_at") + pl.duration(microseconds=int(delay_s * 1e6)),
                pl.col("arrived_at").min().over("decision"),
            ).alias("matured")
        )
        .with_columns((pl.col("arrived_at") <= pl.col("matured")).alias("in_time"))
    )
    counted = (
        ripe.filter("in_time")
        .group_by("decision", maintain_order=True)
        .agg(pl.col("label").last(), pl.col("matured").first())
        .filter(pl.col("matured") <= until)
    )
    late = ripe.filter(~pl.col("in_time")).join(
        counted.rename({"label": "counted_as"}), on="decision", how="inner"
    )
    new = counted if after is None else counted.filter(pl.col("matured") > after)
    new = new.sort("matured", "decision")
    return Matured(
        decisions=tuple(new["decision"]),
        labels=tuple(new["label"]),
        at_us=new["matured"].cast(pl.Int64).to_numpy(),
        waiting=made.height - counted.height,
        repeated=joined.height - joined.select("decision", "label").unique().height,
        corrected=late.filter(pl.col("label") != pl.col("counted_as"))["decision"].n_unique(),
        unknown=told.height - joined.height,
    )


def _frame(rows: pa.Table, columns: pl.Schema) -> pl.DataFrame:
    if not rows.num_rows:
        return pl.DataFrame(schema=columns)
    frame = pl.from_arrow(rows.select(list(columns)))
    assert isinstance(frame, pl.DataFrame)
    return frame.cast(columns)
