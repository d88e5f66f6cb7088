"""A profile: what the columns of some rows look like, in counts that add up.

The reference profile is built once and stored with the release; live rows are counted
into its bins. `merge(observe(r, a), observe(r, b))` is `observe(r, a + b)`, so parts of
a stream, or workers, can be profiled apart. Fifty columns take at most 100 kB of JSON.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from geartrain.domain.wire import decode, encode
from geartrain.errors import ColumnMissing
from geartrain.monitoring.sketch import Sketch, add, sketch

Floats = NDArray[np.float64]

#: Quantile bins of a number column.
BINS = 20
#: The most frequent categories that are counted by name; the rest is one count.
MOST_CATEGORIES = 100
#: The bytes that a column's category names may take together in a profile.
NAME_BYTES = 1200
#: Longer category names are cut.
LONGEST_NAME = 64
EXAMPLES = 3
#: Numbers this far out are no numbers: their squares would not fit.
MOST = 1e100


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberColumn:
    """A column of numbers. NaN and what is beyond `MOST` count as nulls: no one may compute with them.

    Attributes:
        edges: The inner edges; bin i holds edges[i-1] <= value < edges[i].
        counts: One more than edges.
        m2: The sum of squared distances from the mean.
        sketch: Its quantiles wherever they lie, in the bins or far outside.
    """

    name: str
    rows: int
    nulls: int
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    mean: float
    m2: float
    low: float | None
    high: float | None
    sketch: Sketch

    @property
    def known(self) -> int:
        """Rows with a value."""
        return self.rows - self.nulls

    @property
    def constant(self) -> bool:
        """Whether there are values and all are the same."""
        return self.low is not None and self.low == self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryColumn:
    """A column of categories.

    Attributes:
        names: The categories that are counted by name, as the reference ranked them.
        counts: In the order of `names`.
        other: Rows with any other category.
        examples: The first few of those in alphabetical order.
    """

    name: str
    rows: int
    nulls: int
    names: tuple[str, ...]
    counts: tuple[int, ...]
    other: int
    examples: tuple[str, ...] = ()

    @property
    def known(self) -> int:
        """Rows with a value."""
        return self.rows - self.nulls

    @property
    def constant(self) -> bool:
        """Whether there are values and all are the same, as far as names are counted."""
        return self.other == 0 and sum(count > 0 for count in self.counts) == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What some rows look like, column by column."""

    rows: int
    numbers: tuple[NumberColumn, ...]
    categories: tuple[CategoryColumn, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns, numbers first."""
        return (*(column.name for column in self.numbers), *(column.name for column in self.categories))


def build(frame: pa.Table, columns: tuple[str, ...] | None = None) -> Profile:
    """Profile reference rows, choosing the bins.

    Without *columns*: every column of numbers, text or booleans. Named columns may
    also hold times (as microseconds since 1970); nested columns have no profile.

    Raises:
        ColumnMissing: *frame* lacks a named column, or it is nested.
    """
    kinds = {name: frame.schema.field(name).type for name in frame.column_names}
    chosen = columns
    if chosen is None:
        chosen = tuple(name for name, kind in kinds.items() if _is_number(kind) or _is_category(kind))
    numbers: list[NumberColumn] = []
    categories: list[CategoryColumn] = []
    for name in chosen:
        if name not in kinds:
            raise ColumnMissing(
                f"there is no column `{name}` to profile",
                where="reference rows",
                found=", ".join(frame.column_names),
                hint="name a column of the rows, or leave it out",
            )
        kind = kinds[name]
        if _is_category(kind):
            categories.append(_build_categories(name, _texts(frame, name)))
        elif _is_number(kind) or pa.types.is_temporal(kind) or pa.types.is_null(kind):
            numbers.append(_build_numbers(name, _floats(frame, name), frame.num_rows))
        else:
            raise ColumnMissing(
                f"column `{name}` is nested and has no profile",
                where="reference rows",
                found=str(kind),
                hint="profile the columns that are taken out of it",
            )
    return Profile(rows=frame.num_rows, numbers=tuple(numbers), categories=tuple(categories))


def observe(reference: Profile, frame: pa.Table) -> Profile:
    """Profile rows in the reference's bins.

    A column that *frame* lacks counts as all null, and so does a value that cannot be
    read as the column's kind: that is what a monitor has to tell.
    """
    return Profile(
        rows=frame.num_rows,
        numbers=tuple(
            _count_numbers(column.name, column.edges, _floats(frame, column.name), frame.num_rows)
            for column in reference.numbers
        ),
        categories=tuple(
            _count_categories(column.name, column.names, _texts(frame, column.name))
            for column in reference.categories
        ),
    )


def merge(a: Profile, b: Profile) -> Profile:
    """The profile of the rows of both.

    Raises:
        ValueError: They were not observed in the same bins.
    """
    if not same_bins(a, b):
        raise ValueError("two profiles with different columns or bins cannot be added")
    return Profile(
        rows=a.rows + b.rows,
        numbers=tuple(map(_merge_numbers, a.numbers, b.numbers)),
        categories=tuple(map(_merge_categories, a.categories, b.categories)),
    )


def same_bins(a: Profile, b: Profile) -> bool:
    """Whether the two count the same things."""
    return [(one.name, one.edges) for one in a.numbers] == [(one.name, one.edges) for one in b.numbers] and [
        (one.name, one.names) for one in a.categories
    ] == [(one.name, one.names) for one in b.categories]


def to_bytes(profile: Profile) -> bytes:
    """The profile as canonical JSON, for the release bundle."""
    return encode(profile)


def from_bytes(content: bytes) -> Profile:
    """The profile from its JSON.

    Raises:
        msgspec.ValidationError: The content is not a profile.
    """
    return decode(content, Profile)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_category(kind: pa.DataType) -> bool:
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    if pa.types.is_dictionary(kind):
        return any(test(kind.value_type) for test in texts)
    return bool(pa.types.is_boolean(kind)) or any(test(kind) for test in texts)


def _series(frame: pa.Table, name: str) -> pl.Series:
    if name not in frame.column_names:
        return pl.Series(name, [None] * frame.num_rows, dtype=pl.Null)
    column = pl.from_arrow(frame.select([name]))
    assert isinstance(column, pl.DataFrame)
    return column.to_series()


def _floats(frame: pa.Table, name: str) -> Floats:
    """The values of a column that are numbers."""
    series = _series(frame, name)
    if series.dtype.is_nested():
        return np.zeros(0)
    if series.dtype.is_temporal():
        series = series.cast(pl.Datetime("us"), strict=False).cast(pl.Int64)
    elif series.dtype == pl.Categorical:
        series = series.cast(pl.String)
    values: Floats = series.cast(pl.Float64, strict=False).drop_nulls().to_numpy()
    return values[np.abs(values) < MOST]


def _texts(frame: pa.Table, name: str) -> pl.Series:
    """The column as text, cut to the longest name, nulls kept."""
    series = _series(frame, name)
    if series.dtype.is_nested():
        return pl.Series(name, [None] * len(series), dtype=pl.String)
    return series.cast(pl.String).str.slice(0, LONGEST_NAME)


def _build_numbers(name: str, values: Floats, rows: int) -> NumberColumn:
    return _count_numbers(name, _edges(values, np.unique(values)), values, rows)


def _edges(values: Floats, distinct: Floats) -> tuple[float, ...]:
    """Bins of equal counts; few distinct values get a bin each, and what lies outside them another."""
    if not distinct.size:
        return ()
    if distinct.size <= BINS:
        between = (distinct[:-1] + distinct[1:]) / 2
        return (float(distinct[0]), *map(float, between), float(np.nextafter(distinct[-1], np.inf)))
    shares = np.arange(1, BINS) / BINS
    return tuple(sorted({_digits(float(edge)) for edge in np.quantile(values, shares, method="higher")}))


def _digits(value: float) -> float:
    """Eight significant digits: enough for a bin, half the bytes."""
    return float(f"{value:.8g}")


def _count_numbers(name: str, edges: tuple[float, ...], values: Floats, rows: int) -> NumberColumn:
    bins = np.searchsorted(np.asarray(edges, dtype=np.float64), values, side="right")
    mean = float(values.mean()) if values.size else 0.0
    return NumberColumn(
        name=name,
        rows=rows,
        nulls=rows - values.size,
        edges=edges,
        counts=tuple(map(int, np.bincount(bins, minlength=len(edges) + 1))),
        mean=mean,
        m2=float(((values - mean) ** 2).sum()),
        low=float(values.min()) if values.size else None,
        high=float(values.max()) if values.size else None,
        sketch=sketch(values),
    )


def _build_categories(name: str, texts: pl.Series) -> CategoryColumn:
    counted = texts.drop_nulls().value_counts(name="rows").sort(["rows", name], descending=[True, False])
    names: list[str] = []
    spent = 0
    for text in counted[name].head(MOST_CATEGORIES):
        spent += len(text.encode())
        if spent > NAME_BYTES and names:
            break
        names.append(text)
    return _count_categories(name, tuple(names), texts)


def _count_categories(name: str, names: tuple[str, ...], texts: pl.Series) -> CategoryColumn:
    counted = dict(texts.drop_nulls().value_counts(name="rows").iter_rows())
    unseen = sorted(set(counted).difference(names))
    return CategoryColumn(
        name=name,
        rows=len(texts),
        nulls=texts.null_count(),
        names=names,
        counts=tuple(int(counted.get(one, 0)) for one in names),
        other=sum(int(counted[one]) for one in unseen),
        examples=tuple(unseen[:EXAMPLES]),
    )


def _merge_numbers(a: NumberColumn, b: NumberColumn) -> NumberColumn:
    both = a.known + b.known
    gap = b.mean - a.mean
    return NumberColumn(
        name=a.name,
        rows=a.rows + b.rows,
        nulls=a.nulls + b.nulls,
        edges=a.edges,
        counts=tuple(x + y for x, y in zip(a.counts, b.counts, strict=True)),
        mean=a.mean + gap * b.known / both if both else 0.0,
        m2=a.m2 + b.m2 + (gap**2 * a.known * b.known / both if both else 0.0),
        low=_least(a.low, b.low),
        high=None if (least := _least(_negative(a.high), _negative(b.high))) is None else -least,
        sketch=add(a.sketch, b.sketch),
    )


def _negative(value: float | None) -> float | None:
    return None if value is None else -value


def _least(a: float | None, b: float | None) -> float | None:
    return min((value for value in (a, b) if value is not None), default=None)


def _merge_categories(a: CategoryColumn, b: CategoryColumn) -> CategoryColumn:
    return CategoryColumn(
        name=a.name,
        rows=a.rows + b.rows,
        nulls=a.nulls + b.nulls,
        names=a.names,
        counts=tuple(x + y for x, y in zip(a.counts, b.counts, strict=True)),
        other=a.other + b.other,
        examples=tuple(sorted({*a.examples, *b.examples})[:EXAMPLES]),
    )


def spread(column: NumberColumn) -> float:
    """The standard deviation of the column's values, NaN without any."""
    return math.sqrt(column.m2 / column.known) if column.known else math.nan
