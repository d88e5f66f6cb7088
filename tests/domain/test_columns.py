"""A value alone equals the same value in its column: serving relies on it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.domain.columns import (
    as_number,
    as_text,
    columns_of,
    columns_of_row,
    microseconds,
    numbers,
    texts,
    texts_of,
    truths,
    values_of,
)

MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
VALUES = {
    "whole": (pl.Int64, st.integers(-(2**53), 2**53)),
    "small": (pl.Int8, st.integers(-128, 127)),
    "number": (pl.Float64, st.floats()),
    "flag": (pl.Boolean, st.booleans()),
    "word": (pl.String, st.text(max_size=4)),
    "moment": (pl.Datetime("us", "UTC"), st.integers(-(10**15), 10**16).map(lambda us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us))),
    "day": (pl.Date, st.dates(date(1971, 1, 1), date(2200, 1, 1))),
    "span": (pl.Duration("us"), st.timedeltas(timedelta(days=-9), timedelta(days=9))),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
@settings(max_examples=40)
@given(data=st.data())
def test_a_row_reads_as_its_column_does(name: str, data: st.DataObject) -> None:
    """Numbers and texts of a frame's column are those of its rows one by one, missing ones too."""
    kind, some = VALUES[name]
    values = data.draw(st.lists(st.none() | some, min_size=1, max_size=6))
    frame = pl.DataFrame({name: values}, schema={name: kind})
    column = columns_of(frame)[name]
    alone = [columns_of_row(row)[name] for row in frame.to_dicts()]

    assert np.array_equal(numbers(column), [numbers(one)[0] for one in alone], equal_nan=True)
    assert truths(column).tolist() == [truths(one)[0] for one in alone]
    assert texts_of(frame[name]).to_list() == [as_text(value) for value in frame[name].to_list()]
    assert texts(column).tolist() == [texts(one)[0] for one in alone]


def test_times_are_microseconds_in_utc() -> None:
    """A zone is converted, a time without one is UTC, and an int64 array comes out where none is missing."""
    local = MOMENT.astimezone(timezone(timedelta(hours=2)))
    frame = pl.DataFrame({"zoned": [MOMENT], "naive": [MOMENT.replace(tzinfo=None)]})
    expected = int(MOMENT.timestamp() * 1_000_000)

    assert microseconds(local) == microseconds(MOMENT.replace(tzinfo=None)) == expected
    assert values_of(frame["zoned"]).tolist() == values_of(frame["naive"]).tolist() == [expected]
    assert values_of(frame["zoned"]).dtype == np.int64
    assert values_of(frame["zoned"].dt.convert_time_zone("Europe/Prague")).tolist() == [expected]


def test_one_thing_has_one_text() -> None:
    """5, 5.0 and "5" are one entity; a float that is not whole keeps all its digits."""
    assert as_text(5) == as_text(5.0) == as_text(np.int8(5)) == as_text("5") == "5"
    assert as_text(0.1 + 0.2) == "0.30000000000000004"
    assert as_text(True) == "true"
    assert as_text(None) is None


def test_what_is_no_number_is_missing() -> None:
    """Text is never read as a number, and an integer beyond every float is infinite, not an error."""
    assert np.isnan(as_number("12"))
    assert as_number(10**400) == float("inf")
    assert np.isnan(numbers(np.array([np.inf, -np.inf, np.nan]))).all()
