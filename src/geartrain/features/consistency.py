"""Skew as a number: what was served against what the offline kernel says, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from geartrain.domain.columns import texts_of
from geartrain.domain.features import FeatureSet, FeatureType
from geartrain.errors import FeatureInvalid

EXAMPLES = 5

Cell = float | str | None


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
    largest = 0.0
    if kind is FeatureType.NUMBER:
        left, right = (side.cast(pl.Float64).fill_nan(None) for side in (left, right))
        gaps = (left - right).abs().drop_nulls()
        largest = float(gaps.max() or 0.0) if gaps.len() else 0.0  # type: ignore[arg-type]
    else:
        left, right = texts_of(left), texts_of(right)
    differs = left.ne_missing(right)
    first = differs.arg_true().head(EXAMPLES).to_list()
    return FeatureConsistency(
        name=name,
        rows=left.len(),
        differing=int(differs.sum()),
        only_served=int((left.is_not_null() & right.is_null()).sum()),
        only_recomputed=int((left.is_null() & right.is_not_null()).sum()),
        largest=largest,
        examples=tuple(Difference(row=str(rows[i]), served=left[i], recomputed=right[i]) for i in first),
    )
