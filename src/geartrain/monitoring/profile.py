"""A profile: what the columns of some rows look like, in counts that add up.

The reference profile is built once and stored with the release; live rows are counted
into its bins. `merge(observe(r, a), observe(r, b))` is `observe(r, a + b)`, so parts of
a stream, or workers, can be profiled apart, and a file of any size in parts
(`observe_columns`). Fifty columns take at most 100 kB of JSON.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from geartrain.domain.wire import decode, encode
from geartrain.errors import ColumnMissing
from geartrain.monitoring import distinct
from geartrain.monitoring.sketch import Sketch, add, sketch_and_reach

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]
#: The least and the largest value, where there are any.
Ends = tuple[float, float] | None
Counts = NDArray[np.int64]

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
#: So many numbers are compared with every edge while they lie in a core's own cache.
_PART = 1 << 15


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberColumn:
    """A column of numbers. NaN and what is beyond `MOST` count as nulls: no one may compute with them.

    Attributes:
        edges: The inner edges; bin i holds edges[i-1] <= value < edges[i].
        counts: One more than edges.
        m2: The sum of squared distances from the mean.
        sketch: Its quantiles wherever they lie, in the bins or far outside.
        distinct: The sketch of its different values, for `distinct.distinct`.
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
    distinct: str

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
        distinct: The sketch of its different categories, for `distinct.distinct`.
    """

    name: str
    rows: int
    nulls: int
    names: tuple[str, ...]
    counts: tuple[int, ...]
    other: int
    distinct: str
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
            numbers.append(_build_numbers(name, *_floats(frame, name), frame.num_rows))
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
            _count_numbers(column.name, column.edges, *_floats(frame, column.name), frame.num_rows)
            for column in reference.numbers
        ),
        categories=tuple(
            _count_categories(column.name, column.names, _texts(frame, column.name))
            for column in reference.categories
        ),
    )


def observe_columns(reference: Profile, read: Callable[[str], Iterable[pa.Table]], *, rows: int) -> Profile:
    """Profile *rows* rows that lie apart by columns, as in Parquet, with one column's part in memory at a time.

    *read* gives the parts of a column by its name, such as its row groups; together they are
    what `observe` would find in the whole. Text columns that come as dictionaries
    (`read_dictionary` of a Parquet file) are counted by their codes.

    Raises:
        ValueError: *read* gave other than *rows* rows for a column.
    """
    numbers = tuple(
        reduce(
            _merge_numbers,
            (
                _count_numbers(column.name, column.edges, *_floats(part, column.name), part.num_rows)
                for part in read(column.name)
            ),
            _count_numbers(column.name, column.edges, np.zeros(0), None, 0),
        )
        for column in reference.numbers
    )
    categories = tuple(
        reduce(
            _merge_categories,
            (
                _count_categories(column.name, column.names, _texts(part, column.name))
                for part in read(column.name)
            ),
            _count_categories(column.name, column.names, []),
        )
        for column in reference.categories
    )
    seen = {column.name: column.rows for column in numbers} | {
        column.name: column.rows for column in categories
    }
    for name, came in seen.items():
        if came != rows:
            raise ValueError(f"column `{name}` came with {came:,} rows instead of {rows:,}")
    return Profile(rows=rows, numbers=numbers, categories=categories)


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
    """The column for what Arrow does not convert; most profiles never ask, so polars is loaded here."""
    import polars as pl

    if name not in frame.column_names:
        return pl.Series(name, [None] * frame.num_rows, dtype=pl.Null)
    column = pl.from_arrow(frame.select([name]))
    assert isinstance(column, pl.DataFrame)
    return column.to_series()


def _floats(frame: pa.Table, name: str) -> tuple[Floats, Ends]:
    """The values of a column that are numbers, and the least and the largest of them."""
    kind = frame.schema.field(name).type if name in frame.column_names else pa.null()
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        column = frame.column(name).drop_null().cast(pa.float64(), safe=False)
        values: Floats = _as_numpy(column.combine_chunks())
    else:
        series = _series(frame, name)
        values = np.zeros(0) if series.dtype.is_nested() else numbers_in(series).drop_nulls().to_numpy()
    ends = _ends(values)
    # NaN is in no order, so it makes both comparisons false.
    if ends is None or (ends[0] > -MOST and ends[1] < MOST):
        return values, ends
    values = values[np.abs(values) < MOST]
    return values, _ends(values)


def _as_numpy(column: pa.Array) -> NDArray[Any]:
    """Numbers without nulls as they lie. `to_numpy` would load pandas wherever it is installed: 0.3 s and 40 MB."""
    return np.from_dlpack(column)


def _ends(values: Floats) -> Ends:
    return (float(values.min()), float(values.max())) if values.size else None


def numbers_in(series: pl.Series) -> pl.Series:
    """What the values of a column that is not nested say as numbers, times in microseconds; null where they say none."""
    import polars as pl

    if series.dtype.is_temporal():
        series = series.cast(pl.Datetime("us"), strict=False).cast(pl.Int64)
    elif series.dtype == pl.Categorical:
        series = series.cast(pl.String)
    return series.cast(pl.Float64, strict=False)


def _texts(frame: pa.Table, name: str) -> list[pa.DictionaryArray]:
    """The column as codes of texts, which are cut to the longest name, in one part or more."""
    # Loading it takes a fifth of this package's import, and columns of numbers never ask.
    import pyarrow.compute as pc

    kind = frame.schema.field(name).type if name in frame.column_names else pa.null()
    if pa.types.is_dictionary(kind) and _is_category(kind):
        column = frame.column(name)
    else:
        import polars as pl

        series = _series(frame, name)
        gone = series.dtype.is_nested()
        column = pa.chunked_array(
            [pa.nulls(len(series), pa.string()) if gone else series.cast(pl.String).to_arrow()]
        ).dictionary_encode()
    return [
        pa.DictionaryArray.from_arrays(
            chunk.indices,
            pc.utf8_slice_codeunits(chunk.dictionary.cast(pa.large_string()), 0, LONGEST_NAME),
        )
        for chunk in column.chunks
    ]


def _build_numbers(name: str, values: Floats, ends: Ends, rows: int) -> NumberColumn:
    return _count_numbers(name, _edges(values, np.unique(values)), values, ends, rows)


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


def _count_numbers(
    name: str, edges: tuple[float, ...], values: Floats, ends: Ends, rows: int
) -> NumberColumn:
    mean = float(values.mean()) if values.size else 0.0
    m2 = 0.0
    apart = np.empty(_PART)
    for start in range(0, values.size, _PART):
        part = values[start : start + _PART]
        gaps = apart[: part.size]
        np.subtract(part, mean, out=gaps)
        m2 += float(np.square(gaps, out=gaps).sum())
    sketched, reach = sketch_and_reach(values, np.asarray(edges), ends)
    counts = -np.diff(reach, prepend=values.size, append=0)
    return NumberColumn(
        name=name,
        rows=rows,
        nulls=rows - values.size,
        edges=edges,
        counts=tuple(map(int, counts)),
        mean=mean,
        m2=m2,
        low=ends[0] if ends else None,
        high=ends[1] if ends else None,
        sketch=sketched,
        distinct=distinct.of_numbers(values),
    )


def _build_categories(name: str, texts: list[pa.DictionaryArray]) -> CategoryColumn:
    ranked = sorted(_counted(texts).items(), key=lambda one: (-one[1], one[0]))
    names: list[str] = []
    spent = 0
    for text, _ in ranked[:MOST_CATEGORIES]:
        spent += len(text.encode())
        if spent > NAME_BYTES and names:
            break
        names.append(text)
    return _count_categories(name, tuple(names), texts)


def _count_categories(name: str, names: tuple[str, ...], texts: list[pa.DictionaryArray]) -> CategoryColumn:
    counted = _counted(texts)
    sketched = distinct.of_texts(counted)
    rows, known = sum(map(len, texts)), sum(counted.values())
    counts = tuple(counted.pop(one, 0) for one in names)
    return CategoryColumn(
        name=name,
        rows=rows,
        nulls=rows - known,
        names=names,
        counts=counts,
        other=sum(counted.values()),
        examples=tuple(heapq.nsmallest(EXAMPLES, counted)),
        distinct=sketched,
    )


def _counted(texts: list[pa.DictionaryArray]) -> dict[str, int]:
    """How many rows each text has."""
    counted: dict[str, int] = {}
    for chunk in texts:
        codes = _as_numpy(chunk.indices.drop_null())
        rows = np.bincount(codes, minlength=len(chunk.dictionary))
        for text, count in zip(chunk.dictionary.to_pylist(), rows.tolist(), strict=True):
            if count and text is not None:
                counted[text] = counted.get(text, 0) + count
    return counted


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
        distinct=distinct.merge(a.distinct, b.distinct),
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
        distinct=distinct.merge(a.distinct, b.distinct),
    )


def spread(column: NumberColumn) -> float:
    """The standard deviation of the column's values, NaN without any."""
    return math.sqrt(column.m2 / column.known) if column.known else math.nan
