"""Rows of plain numbers are encoded at once: the same bits as feature by feature, or nothing."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geartrain.domain.features import Aggregation, Encoding, FeatureSet, RequestFeature, WindowFeature
from geartrain.features.encoding import encode_row
from geartrain.features.online import OnlineFeatures
from geartrain.features.plain import PlainNumbers

FEATURES = FeatureSet(
    features=(
        RequestFeature(name="a", expression="x", missing_is_signal=True),
        RequestFeature(name="b", expression="y"),
        RequestFeature(name="c", expression="x + y"),
    )
)
SIMPLE = FeatureSet(features=FEATURES.features[:2])
VALUES = st.one_of(
    st.floats(), st.integers(), st.booleans(), st.none(), st.text(max_size=3), st.just(10**400)
)


@given(rows=st.lists(st.fixed_dictionaries({}, optional={"x": VALUES, "y": VALUES}), min_size=1, max_size=4))
def test_it_says_what_reading_feature_by_feature_says(rows):
    """Whatever a row holds: the same bits, or None where the long way has to be gone."""
    encoding = Encoding(feature_set=SIMPLE, columns=("a", "a__missing", "b"))
    plain = PlainNumbers.of(encoding)
    assert plain is not None
    at_once = plain.encode(rows)
    if at_once is not None:
        online = OnlineFeatures(SIMPLE)
        long_way = np.stack([encode_row(encoding, online.read(row, 0)) for row in rows])
        assert at_once.tobytes() == long_way.tobytes()
        assert at_once.dtype == long_way.dtype


def test_a_usual_row_is_spoken_of():
    """Rows with every number there are encoded; one that lacks a number is left to the long way."""
    plain = PlainNumbers.of(Encoding(feature_set=SIMPLE, columns=("a", "a__missing", "b")))
    assert plain is not None
    assert plain.encode([{"x": 1, "y": -0.0}, {"x": 2.5, "y": 3}]).tolist() == [[1, 0, 0], [2.5, 0, 3]]  # type: ignore[union-attr]
    assert plain.encode([{"x": 1, "y": 1}, {"x": 1}]) is None


def test_an_expression_or_a_window_is_left_alone():
    """An expression is a column that no row carries; a window makes the whole encoding more than numbers."""
    columns = ("a", "a__missing", "b", "c")
    expression = PlainNumbers.of(Encoding(feature_set=FEATURES, columns=columns))
    assert expression is not None
    assert expression.encode([{"x": 1, "y": 2}]) is None
    window = WindowFeature(name="w", source="s", entity="e", aggregation=Aggregation.COUNT)
    assert PlainNumbers.of(Encoding(feature_set=FeatureSet(features=(window,)), columns=("w",))) is None
