"""Profiles add up, keep their size, and say what a column lacks."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.errors import ColumnMissing
from geartrain.monitoring.profile import from_bytes, merge, spread, to_bytes
from geartrain.monitoring.profiling import build, observe, observe_columns
from geartrain.monitoring.sketch import quantiles

ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.integers(-5, 5).map(float)),
        st.one_of(st.none(), st.sampled_from(["a", "b", "c", "new", "Ärger"])),
    ),
    max_size=60,
)


def _table(rows) -> pa.Table:
    return pa.table(
        {
            "x": pa.array([row[0] for row in rows], pa.float64()),
            "c": pa.array([row[1] for row in rows], pa.string()),
        }
    )


@given(reference=ROWS, first=ROWS, second=ROWS)
@settings(max_examples=60)
def test_profiles_add(reference, first, second):
    """The profile of two parts added is the profile of the whole; counts exactly, moments but for rounding."""
    bins = build(_table(reference))

    added = merge(observe(bins, _table(first)), observe(bins, _table(second)))
    whole = observe(bins, _table([*first, *second]))

    for a, b in zip(added.numbers, whole.numbers, strict=True):
        assert (a.rows, a.nulls, a.counts, a.low, a.high) == (b.rows, b.nulls, b.counts, b.low, b.high)
        assert a.sketch == b.sketch
        assert a.mean == pytest.approx(b.mean, rel=1e-9, abs=1e-9 * (abs(b.high or 0) + abs(b.low or 0)))
        assert math.sqrt(a.m2) == pytest.approx(
            math.sqrt(b.m2), rel=1e-6, abs=1e-6 * (abs(b.high or 0) + abs(b.low or 0))
        )
    assert added.categories == whole.categories
    assert added.rows == whole.rows


@given(rows=ROWS)
@settings(max_examples=40)
def test_every_row_is_counted_once_and_json_keeps_it(rows):
    """Bins and nulls sum to the rows, and a profile read back from its JSON is the same."""
    profile = build(_table(rows))

    for column in profile.numbers:
        assert sum(column.counts) + column.nulls == len(rows)
        assert sum(column.sketch.counts) == column.known
    for category in profile.categories:
        assert sum(category.counts) + category.other + category.nulls == len(rows)
    assert from_bytes(to_bytes(profile)) == profile


def test_fifty_columns_fit_in_100_kilobytes():
    """Forty signed, wide number columns and ten long text columns stay within the promise."""
    random = np.random.default_rng(1)
    columns = {
        f"a rather long column name {i}": random.standard_cauchy(5000) * 10 ** random.uniform(-3, 6)
        for i in range(40)
    }
    texts = {
        f"text {i}": [f"a category with a long name, number {k}" for k in random.integers(0, 900, 5000)]
        for i in range(10)
    }

    assert len(to_bytes(build(pa.table({**columns, **texts})))) <= 100_000


def test_moments_and_quantiles_are_those_of_the_column():
    """Mean and spread agree with numpy, sketched quantiles within a few percent of the spread."""
    values = np.random.default_rng(2).lognormal(3, 1, 20_000)

    column = build(pa.table({"x": values})).numbers[0]

    assert column.mean == pytest.approx(values.mean())
    assert spread(column) == pytest.approx(values.std())
    shares = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    assert quantiles(column.sketch, shares) == pytest.approx(np.quantile(values, shares), rel=0.03)


def test_few_distinct_values_have_a_bin_each():
    """Small whole numbers, and a constant, are told apart from what was never seen."""
    profile = build(pa.table({"k": [0, 1, 1, 2], "one": [7, 7, 7, 7]}))

    seen = observe(profile, pa.table({"k": [2, 2, 9, -1], "one": [7, 8, 6, 7]}))

    assert seen.numbers[0].counts == (1, 0, 0, 2, 1)
    assert seen.numbers[1].counts == (1, 2, 1)


def test_missing_and_unreadable_columns_are_null():
    """A column that is gone, or text where numbers were, is all null; a number read as category is text."""
    profile = build(pa.table({"x": [1.0, 2.0], "y": [1.0, 2.0], "c": ["1", "2"]}))

    seen = observe(profile, pa.table({"y": ["3", "n/a"], "c": [1, 5]}))

    assert [column.nulls for column in seen.numbers] == [2, 1]
    assert (seen.categories[0].counts, seen.categories[0].other) == ((1, 0), 1)


def test_all_null_empty_boolean_and_time_columns():
    """All-null, empty and boolean columns have profiles; times have one when they are named."""
    frame = pa.table(
        {
            "gone": pa.array([None, None], pa.float64()),
            "nothing": pa.nulls(2),
            "yes": [True, False],
            "at": pa.array([0, 10], pa.timestamp("us")),
            "nested": [{"a": 1}, {"a": 2}],
        }
    )

    profile = build(frame)
    named = build(frame, ("nothing", "at"))

    assert profile.columns == ("gone", "yes")
    assert profile.numbers[0].low is None
    assert profile.categories[0].names == ("false", "true")
    assert [column.nulls for column in named.numbers] == [2, 0]
    assert build(frame.slice(0, 0)).rows == 0


def test_unknown_and_nested_columns_are_named_in_the_error():
    """Asking for a column that is not there, or nested, says which."""
    frame = pa.table({"nested": [{"a": 1}]})

    with pytest.raises(ColumnMissing, match="no column `x`"):
        build(frame, ("x",))
    with pytest.raises(ColumnMissing, match="nested"):
        build(frame, ("nested",))


def test_profiles_of_other_bins_do_not_add():
    """Counts over different bins are never added in silence."""
    with pytest.raises(ValueError, match="bins"):
        merge(build(pa.table({"x": [1.0, 2.0]})), build(pa.table({"x": [1.0, 3.0]})))


@given(rows=ROWS, parts=st.lists(st.integers(0, 60), max_size=4))
@settings(max_examples=40)
def test_columns_that_come_in_parts_are_profiled_as_the_whole(rows, parts):
    """One column's part at a time, text as dictionaries or not, gives what the whole table gives."""
    table = _table(rows)
    bins = build(table)
    cuts = sorted({0, len(rows), *(cut for cut in parts if cut < len(rows))})

    def read(name):
        for begin, end in pairwise(cuts):
            part = table.select([name]).slice(begin, end - begin)
            yield part if name == "x" else part.set_column(0, name, part.column(0).dictionary_encode())

    seen = observe_columns(bins, read, rows=len(rows))
    whole = observe(bins, table)

    assert seen.categories == whole.categories
    for a, b in zip(seen.numbers, whole.numbers, strict=True):
        assert (a.counts, a.nulls, a.low, a.high, a.sketch, a.distinct) == (
            b.counts,
            b.nulls,
            b.low,
            b.high,
            b.sketch,
            b.distinct,
        )


def test_a_column_of_other_length_is_no_part_of_these_rows():
    """A reader that gives too few rows of a column is told so, not believed."""
    table = pa.table({"x": [1.0, 2.0, 3.0]})

    with pytest.raises(ValueError, match="2 rows instead of 3"):
        observe_columns(build(table), lambda _: [table.slice(0, 2)], rows=3)


def test_one_unreadable_part_of_text_is_cut_and_counted():
    """Names beyond the longest are one category with their like, however the text is encoded."""
    long = "x" * 100
    bins = build(pa.table({"c": [long, long + "y", "b"]}))

    seen = observe(bins, pa.table({"c": pa.array([long + "z", "b", None]).dictionary_encode()}))

    assert bins.categories[0].counts == (2, 1)
    assert (seen.categories[0].counts, seen.categories[0].nulls) == ((1, 1), 1)
