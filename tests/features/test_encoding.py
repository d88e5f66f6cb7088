"""A request is encoded exactly as its row in a table, from what the training rows taught."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.domain.features import Encoding
from geartrain.domain.wire import decode
from geartrain.domain.wire import encode as to_json
from geartrain.errors import FeatureInvalid
from geartrain.features.declaring import feature_set, request, window
from geartrain.features.encoding import encode, encode_row, fit_encoding

FEATURES = feature_set(
    request("amount", missing_is_signal=True),
    request("country", type="category", missing_is_signal=True),
    *window("tx", entity="card", over="1d", count=True),
    *window("tx", entity="card", over="1d", last="country", type="category"),
)
NAMES = [one.name for one in FEATURES.features]
SCHEMA = dict(zip(NAMES, (pl.Float64, pl.String, pl.Float64, pl.String), strict=True))
TRAINING = pl.DataFrame(
    [(1.0, "DE", 0.0, None), (2.0, "CZ", 1.0, "DE"), (None, None, 2.0, "CZ"), (3.0, "CZ", 0.0, "SK")],
    schema=SCHEMA,
    orient="row",
)
ENCODING = fit_encoding(FEATURES, TRAINING)


def test_columns_and_vocabularies_come_from_the_training_rows() -> None:
    """A signal has a second column; categories are sorted; their place is their code."""
    assert ENCODING.columns == (
        "amount", "amount__missing", "country", "country__missing", "card_count_1d", "card_last_country_1d",
    )  # fmt: skip
    assert ENCODING.categories == (("country", ("CZ", "DE")), ("card_last_country_1d", ("CZ", "DE", "SK")))
    expected = [[1, 0, 1, 0, 0, np.nan], [2, 0, 0, 0, 1, 1], [np.nan, 1, np.nan, 1, 2, 0], [3, 0, 0, 0, 0, 2]]
    assert np.array_equal(encode(ENCODING, TRAINING), np.array(expected, dtype=np.float32), equal_nan=True)


def test_an_unknown_category_is_not_a_missing_one() -> None:
    """Unknown and missing are both NaN, but only the missing one sets the signal."""
    row = {"amount": 1.0, "country": "US", "card_count_1d": 0.0, "card_last_country_1d": None}

    assert np.array_equal(encode_row(ENCODING, row), np.float32([1, 0, np.nan, 0, 0, np.nan]), equal_nan=True)


cells = st.one_of(st.none(), st.floats(), st.floats(width=32), st.integers(-(2**60), 2**60).map(float))
words = st.one_of(st.none(), st.sampled_from(["CZ", "DE", "SK", "US", ""]), st.text(max_size=2))


@settings(max_examples=150)
@given(rows=st.lists(st.tuples(cells, words, cells, words), max_size=6))
def test_one_row_is_encoded_as_in_a_table(rows: list[tuple[object, ...]]) -> None:
    """Bit for bit, with missing, infinite and huge numbers too; nothing infinite reaches a model."""
    table = encode(ENCODING, pl.DataFrame(rows, schema=SCHEMA, orient="row"))
    alone = [encode_row(ENCODING, dict(zip(NAMES, row, strict=True))) for row in rows]

    assert table.dtype == np.float32
    assert table.tobytes() == b"".join(one.tobytes() for one in alone)
    assert not np.isinf(table).any()


def test_only_the_most_frequent_categories_are_kept() -> None:
    """The cap keeps the frequent ones, of equals those that sort first, and sorts what it keeps."""
    features = feature_set(request("c", type="category"))
    values = pl.DataFrame({"c": ["z", "z", "b", "a", "y", "y", None]})

    encoding = fit_encoding(features, values, most_categories=3)

    assert encoding.categories == (("c", ("a", "y", "z")),)
    assert fit_encoding(features, values.head(0)).categories == (("c", ()),)
    assert np.isnan(encode(fit_encoding(features, values.head(0)), values)).all()


def test_an_encoding_survives_json() -> None:
    """It is part of the release bundle."""
    assert decode(to_json(ENCODING), Encoding) == ENCODING


def test_what_cannot_be_encoded_is_said() -> None:
    """Free text, and values that are not there, are errors and not silent nulls."""
    with pytest.raises(FeatureInvalid, match="free text"):
        fit_encoding(feature_set(request("note", type="text")), pl.DataFrame({"note": ["a"]}))
    with pytest.raises(FeatureInvalid, match="not there"):
        encode(ENCODING, TRAINING.drop("amount"))
    with pytest.raises(FeatureInvalid, match="not there"):
        encode_row(ENCODING, {"amount": 1.0})
