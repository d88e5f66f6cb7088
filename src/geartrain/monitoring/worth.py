"""How many independent rows the rows of a window are worth, column by column, when neighbours are alike.

A slow column (a sensor, a price, a mood of the market) visits few places in a window. Its counts then differ from the
reference's although nothing has changed, and more rows of the same hour do not mend that. A profile has no order, so
this is read from the rows themselves, in the order in which they were decided about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geartrain.monitoring.profile import MOST, CategoryColumn, NumberColumn, Profile
from geartrain.monitoring.profiling import LONGEST_NAME, numbers_in
from geartrain.stats.distance import effective_share

if TYPE_CHECKING:
    import polars as pl

#: Each row's bin or category, in its order; `NOTHING` where it has no value.
Codes = NDArray[np.int16]
NOTHING = -1
#: Rows that are worth this much are nearly independent.
STEPPED = 0.75
#: The share of rows on either side of a step that may belong to the other one.
_NEAR = 0.02
#: A rarer category is not asked alone: its few rows say nothing of their order.
_RARE = 0.05


def codes_of(reference: Profile, rows: pl.DataFrame) -> dict[str, Codes]:
    """Where each of *rows* falls in the reference's bins, by column, shape (rows,) each."""
    numbers = {one.name: _bins(one, rows) for one in reference.numbers}
    return numbers | {one.name: _categories(one, rows) for one in reference.categories}


def worths(reference: Profile, codes: Mapping[str, Codes]) -> dict[str, float]:
    """How many independent rows one row of a window is worth, for each hypothesis of `drift.drift` about it, in (0, 1].

    For a column of numbers the least of what its ranks and their distances from the middle are worth: which
    side of the middle, and how far out. For categories the least over those with 5 % of the rows. 1 where nothing
    shows, and where all that shows is one step: a change is no likeness, and must not hide itself. It errs on the side
    of fewer rows: the bins' counts are treated as if all of them moved as slowly as the slowest one, and a column with a
    daily course as if days were drawn.
    """
    found: dict[str, float] = {}
    for number in reference.numbers:
        seen = codes[number.name]
        known = seen[seen != NOTHING].astype(np.float64)
        middle = float(np.median(known)) if known.size else 0.0
        found[f"drift:{number.name}"] = min(worth(known), worth(np.abs(known - middle)))
        found[f"nulls:{number.name}"] = worth((seen == NOTHING).astype(np.float64))
    for category in reference.categories:
        seen = codes[category.name]
        known = seen[seen != NOTHING]
        counts = np.bincount(known, minlength=1)
        common = np.flatnonzero(counts >= _RARE * max(1, known.size))
        each = [worth((known == code).astype(np.float64)) for code in common]
        found[f"drift:{category.name}"] = min(each, default=1.0)
        found[f"nulls:{category.name}"] = worth((seen == NOTHING).astype(np.float64))
        unseen = (known == len(category.names)).astype(np.float64)
        found[f"categories:{category.name}"] = worth(unseen)
    return found


def worth(values: NDArray[np.float64]) -> float:
    """How many independent rows one of *values*, shape (n,) in their order, is worth, in (0, 1].

    `distance.effective_share`; but where the rows on either side of the likeliest step (the largest sum of distances
    from the mean) are nearly independent among themselves, it is theirs.

    >>> chance = np.random.default_rng(1)
    >>> worth(chance.normal(size=1000) + np.repeat([0.0, 2.0], 500)) > STEPPED
    True
    """
    whole = effective_share(values)
    if whole > STEPPED:
        return whole
    risen = np.cumsum(values - values.mean())
    step = int(np.argmax(np.abs(risen[:-1]))) + 1
    # Where it lies is known to a few rows only, and those would look like a step of their own.
    near = round(_NEAR * len(values))
    beside = min(effective_share(values[: max(0, step - near)]), effective_share(values[step + near :]))
    return beside if beside > STEPPED else whole


def _bins(column: NumberColumn, rows: pl.DataFrame) -> Codes:
    if column.name not in rows.columns or rows[column.name].dtype.is_nested():
        return np.full(rows.height, NOTHING, dtype=np.int16)
    values = numbers_in(rows[column.name]).fill_null(float("nan")).to_numpy()
    found = np.searchsorted(np.asarray(column.edges), values, side="right").astype(np.int16)
    found[~(np.abs(values) < MOST)] = NOTHING
    return found


def _categories(column: CategoryColumn, rows: pl.DataFrame) -> Codes:
    import polars as pl

    if column.name not in rows.columns or rows[column.name].dtype.is_nested():
        return np.full(rows.height, NOTHING, dtype=np.int16)
    texts = rows[column.name].cast(pl.String).str.slice(0, LONGEST_NAME)
    places = {name: place for place, name in enumerate(column.names)}
    known = texts.replace_strict(places, default=len(column.names), return_dtype=pl.Int16)
    codes: Codes = known.zip_with(texts.is_not_null(), pl.Series([NOTHING], dtype=pl.Int16)).to_numpy()
    return codes.copy()
