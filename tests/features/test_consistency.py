"""Skew is a number: how many cells differ, and which."""

from __future__ import annotations

import polars as pl
import pytest

from geartrain.errors import FeatureInvalid
from geartrain.features.consistency import Difference, compare
from geartrain.features.declaring import feature_set, request

FEATURES = feature_set(request("amount"), request("country", type="category"))
SERVED = pl.DataFrame(
    {"id": ["a", "b", "c", "d"], "amount": [0.1, None, 2.0, 0.3], "country": ["CZ", None, "DE", "CZ"]}
)


def test_equal_frames_have_no_differing_cell() -> None:
    """Null equals null, NaN is null, and the order of keyed rows does not matter."""
    report = compare(
        SERVED, SERVED.reverse().with_columns(pl.col("amount").fill_null(float("nan"))), FEATURES, key="id"
    )

    assert (report.rows, report.unmatched, report.cells, report.differing) == (4, 0, 8, 0)


def test_differences_are_counted_and_shown() -> None:
    """The last bit counts, and a value on one side only is told apart."""
    other = SERVED.with_columns(
        amount=pl.Series([0.1, 5.0, None, 0.1 + 0.2]), country=pl.Series(["CZ", None, "DE", "SK"])
    )

    amount, country = compare(SERVED, other, FEATURES).features

    assert (amount.differing, amount.only_served, amount.only_recomputed) == (3, 1, 1)
    assert amount.largest == pytest.approx(5.6e-17, rel=0.1)
    assert amount.examples[0] == Difference(row="1", served=None, recomputed=5.0)
    assert country.examples == (Difference(row="3", served="CZ", recomputed="SK"),)


def test_rows_on_one_side_only_are_counted() -> None:
    """A decision that was never logged is not compared and not forgotten."""
    report = compare(SERVED.head(3), SERVED.tail(3), FEATURES, key="id")

    assert (report.rows, report.unmatched, report.differing) == (2, 2, 0)


def test_frames_that_cannot_be_compared_are_refused() -> None:
    """Other lengths without a key, a key that stands twice, a column that is not there."""
    with pytest.raises(FeatureInvalid, match="same rows"):
        compare(SERVED, SERVED.head(1), FEATURES)
    with pytest.raises(FeatureInvalid, match="twice"):
        compare(pl.concat([SERVED, SERVED]), SERVED, FEATURES, key="id")
    with pytest.raises(FeatureInvalid, match="not there"):
        compare(SERVED.drop("amount"), SERVED, FEATURES)
