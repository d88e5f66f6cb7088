"""Skew as a number: what was served against what the offline kernel says, cell by cell.

A difference is explained when a guess at its cause gives the served value exactly: the
kernel is asked again with what would then have been known, and its answer must be the
served one to the last bit. What no guess gives stays unexplained, and is a bug.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import polars as pl
from numpy.typing import NDArray

from geartrain.domain.columns import texts_of
from geartrain.domain.features import FeatureSet, FeatureType
from geartrain.errors import FeatureInvalid

EXAMPLES = 5

Cell = float | str | None


class Cause(StrEnum):
    """Why a served value is not the recomputed one."""

    LATE = "late"
    MISSING_FEED = "missing feed"
    BEHIND = "behind"
    DUPLICATE = "duplicate"
    CORRECTED = "corrected"
    SENT_OTHERWISE = "sent otherwise"


#: What each cause means, for people.
MEANS: dict[Cause, str] = {
    Cause.LATE: "events say that they had arrived, and were taken in only after the decision",
    Cause.MISSING_FEED: "the same, while nothing at all came in from that feed",
    Cause.BEHIND: "the server had not yet applied what was in the lake already",
    Cause.DUPLICATE: "an event that was delivered twice was counted twice",
    Cause.CORRECTED: "a correction that had arrived was not applied",
    Cause.SENT_OTHERWISE: "the row that was sent is not the row that stands in the lake",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Guess:
    """What the kernel says if *cause* is true of *source*.

    Attributes:
        values: Every feature, row for row beside the served ones.
        rows: For which rows the cause is possible at all, or None for every row.
        source: The feed that it is about; empty where it is about more than one.
        detail: What else there is to say, such as by how much the server was behind.
    """

    cause: Cause
    values: pl.DataFrame
    rows: NDArray[np.bool_] | None = None
    source: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """How many differing cells one cause explains."""

    cause: Cause
    source: str
    cells: int
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What the guesses say about the differing cells.

    Attributes:
        explained: By cause and feed, in the order of the guesses.
        unexplained: Cells that no guess gives.
        rows_unexplained: Rows that have one.
        features: For each feature that has one, how many.
        examples: The first such cells, each with its feature.
    """

    explained: tuple[Explained, ...]
    unexplained: int
    rows_unexplained: int
    features: tuple[tuple[str, int], ...]
    examples: tuple[tuple[str, Difference], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One cell that differs: the row (its key, or its place), and both values."""

    row: str
    served: Cell
    recomputed: Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureConsistency:
    """How well one feature agrees.

    Attributes:
        rows: Rows compared.
        differing: Cells that are not exactly equal; null equals null.
        only_served: Of these, cells with a served value where the other side has none.
        only_recomputed: And the other way round.
        largest: The largest absolute difference of two numbers, 0 where none differ.
        examples: The first differing cells.
    """

    name: str
    rows: int
    differing: int
    only_served: int
    only_recomputed: int
    largest: float
    examples: tuple[Difference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyReport:
    """Served against recomputed features.

    Attributes:
        rows: Rows found on both sides.
        unmatched: Rows found on one side only.
    """

    rows: int
    unmatched: int
    features: tuple[FeatureConsistency, ...]

    @property
    def cells(self) -> int:
        """How many cells were compared."""
        return self.rows * len(self.features)

    @property
    def differing(self) -> int:
        """How many of them differ."""
        return sum(one.differing for one in self.features)


def compare(
    served: pl.DataFrame, recomputed: pl.DataFrame, features: FeatureSet, *, key: str | None = None
) -> ConsistencyReport:
    """Compare two frames of feature values; numbers must be equal to the last bit.

    Args:
        served: What was answered, from the prediction log.
        recomputed: What `point_in_time` says for the same decisions.
        features: Which columns to compare.
        key: The column that names a decision on both sides; None compares row by row.

    Raises:
        FeatureInvalid: Without a key, the frames differ in length; or a column is not
            there, or a key is not unique.
    """
    names = [one.name for one in features.features]
    for side, frame in (("served", served), ("recomputed", recomputed)):
        absent = [name for name in (*names, *([key] if key else [])) if name not in frame.columns]
        if absent:
            raise FeatureInvalid(
                "columns to compare are not there",
                where=side,
                found=", ".join(absent),
                hint="log every feature served",
            )
    left, right = _paired(served, recomputed, key)
    rows = texts_of(left["row"])
    compared = tuple(
        _compared(one.name, one.type, left[one.name], right[one.name], rows) for one in features.features
    )
    unmatched = served.height + recomputed.height - 2 * left.height
    return ConsistencyReport(rows=left.height, unmatched=unmatched, features=compared)


def differs(served: pl.DataFrame, recomputed: pl.DataFrame, features: FeatureSet) -> NDArray[np.bool_]:
    """Which cells are not exactly equal, shape (rows, features); the frames stand row for row."""
    cells = np.zeros((served.height, len(features.features)), dtype=np.bool_)
    for place, one in enumerate(features.features):
        left, right = (_side(frame.get_column(one.name), one.type) for frame in (served, recomputed))
        cells[:, place] = left.ne_missing(right).to_numpy()
    return cells


def explain(
    served: pl.DataFrame,
    recomputed: pl.DataFrame,
    features: FeatureSet,
    guesses: Iterable[Guess],
    *,
    rows: Sequence[str] = (),
) -> Explanation:
    """Ask each guess in turn about the cells that still differ; the first that gives a cell's value explains it.

    Args:
        served: What was answered, row for row beside *recomputed* and every guess.
        recomputed: What `point_in_time` says.
        features: Which columns to compare.
        guesses: In order, the likeliest first; none is drawn once nothing is left to explain.
        rows: Names for the rows, their places where left out.
    """
    left = differs(served, recomputed, features)
    counted: Counter[tuple[Cause, str, str]] = Counter()
    for guess in guesses if left.any() else ():
        given = left & ~differs(served, guess.values, features)
        if guess.rows is not None:
            given &= guess.rows[:, None]
        counted[guess.cause, guess.source, guess.detail] += int(given.sum())
        left &= ~given
        if not left.any():
            break
    names = [one.name for one in features.features]
    places = np.argwhere(left)[:EXAMPLES]
    return Explanation(
        explained=tuple(
            Explained(cause=cause, source=source, detail=detail, cells=cells)
            for (cause, source, detail), cells in counted.items()
            if cells
        ),
        unexplained=int(left.sum()),
        rows_unexplained=int(left.any(axis=1).sum()),
        features=tuple(
            (name, int(count)) for name, count in zip(names, left.sum(axis=0), strict=True) if count
        ),
        examples=tuple(
            (
                names[place],
                Difference(
                    row=rows[row] if rows else str(row),
                    served=served[names[place]][int(row)],
                    recomputed=recomputed[names[place]][int(row)],
                ),
            )
            for row, place in places
        ),
    )


def _side(series: pl.Series, kind: FeatureType) -> pl.Series:
    return series.cast(pl.Float64).fill_nan(None) if kind is FeatureType.NUMBER else texts_of(series)


def _paired(
    served: pl.DataFrame, recomputed: pl.DataFrame, key: str | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    if key is None:
        if served.height != recomputed.height:
            raise FeatureInvalid(
                "without a key both sides need the same rows in the same order",
                where="served and recomputed",
                found=f"{served.height} and {recomputed.height} rows",
                hint="name the column that tells decisions apart with `key=`",
            )
        return served.with_row_index("row"), recomputed.with_row_index("row")
    left, right = (frame.with_columns(texts_of(frame[key]).alias("row")) for frame in (served, recomputed))
    for side, frame in (("served", left), ("recomputed", right)):
        if frame["row"].n_unique() < frame.height:
            raise FeatureInvalid(
                "a decision stands there twice", where=f"{side}.{key}", hint="compare each decision once"
            )
    left = left.filter(left["row"].is_in(right["row"].to_list()))
    order = left.select("row").join(right, on="row", how="left", maintain_order="left")
    return left, order


def _compared(
    name: str, kind: FeatureType, left: pl.Series, right: pl.Series, rows: pl.Series
) -> FeatureConsistency:
    left, right = _side(left, kind), _side(right, kind)
    largest = 0.0
    if kind is FeatureType.NUMBER:
        gaps = (left - right).abs().drop_nulls()
        largest = float(gaps.max() or 0.0) if gaps.len() else 0.0  # type: ignore[arg-type]
    unequal = left.ne_missing(right)
    first = unequal.arg_true().head(EXAMPLES).to_list()
    return FeatureConsistency(
        name=name,
        rows=left.len(),
        differing=int(unequal.sum()),
        only_served=int((left.is_not_null() & right.is_null()).sum()),
        only_recomputed=int((left.is_null() & right.is_not_null()).sum()),
        largest=largest,
        examples=tuple(Difference(row=str(rows[i]), served=left[i], recomputed=right[i]) for i in first),
    )
