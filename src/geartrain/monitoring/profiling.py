"""Counting rows into a profile, one pass, a column at a time.

`merge(observe(r, a), observe(r, b))` is `observe(r, a + b)`, and a file of any size can be
counted in parts (`observe_columns`).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from geartrain.errors import ColumnMissing
from geartrain.monitoring import distinct
from geartrain.monitoring.profile import (
    EXAMPLES,
    MOST,
    CategoryColumn,
    NumberColumn,
    Profile,
    merge_categories,
    merge_numbers,
)
from geartrain.monitoring.sketch import sketch_and_reach

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]
#: The least and the largest value, where there are any.
Ends = tuple[float, float] | None

#: Quantile bins of a number column.
BINS = 20
#: The most frequent categories that are counted by name; the rest is one count.
MOST_CATEGORIES = 100
#: The bytes that a column's category names may take together in a profile.
NAME_BYTES = 1200
#: Longer category names are cut.
LONGEST_NAME = 64
#: So many numbers are compared with every edge while they lie in a core's own cache.
_PART = 1 << 15


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
            merge_numbers,
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
            merge_categories,
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


def numbers_in(series: pl.Series) -> pl.Series:
    """What the values of a column that is not nested say as numbers, times in microseconds; null where they say none."""
    import polars as pl

    if series.dtype.is_temporal():
        series = series.cast(pl.Datetime("us"), strict=False).cast(pl.Int64)
    elif series.dtype == pl.Categorical:
        series = series.cast(pl.String)
    return series.cast(pl.Float64, strict=False)


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
