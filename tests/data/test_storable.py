import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.data.storable import aligned, joined, storable


def text_of(value):
    return (
        None
        if value is None
        else float(value)
        if isinstance(value, int) and not isinstance(value, bool)
        else value
    )


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (pa.array([1], pa.uint64()), pa.int64()),
        (pa.array([2**63], pa.uint64()), pa.string()),
        (pa.array([1.5], pa.float32()), pa.float64()),
        (pa.array(["a"], pa.large_string()), pa.string()),
        (pa.array(["a"], pa.string_view()), pa.string()),
        (pa.array([b"a"], pa.large_binary()), pa.binary()),
        (pa.array([0], pa.time64("us")), pa.string()),
        (pa.array([5], pa.duration("s")), pa.int64()),
        (pa.array([0], pa.timestamp("ms", "Europe/Rome")), pa.timestamp("us", "UTC")),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), pa.string()),
    ],
)
def test_every_type_becomes_one_of_six(array, kind):
    """Whatever a feed brings has one place in the lake."""
    assert storable(pa.table({"x": array})).schema.field("x").type == kind


_VALUES = st.one_of(
    st.lists(st.one_of(st.none(), st.integers(-(2**62), 2**62)), min_size=1, max_size=4).map(
        lambda v: pa.array(v, pa.int64())
    ),
    st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), min_size=1, max_size=4).map(
        lambda v: pa.array(v, pa.float64())
    ),
    st.lists(st.one_of(st.none(), st.text(max_size=3)), min_size=1, max_size=4).map(
        lambda v: pa.array(v, pa.string())
    ),
    st.lists(st.one_of(st.none(), st.booleans()), min_size=1, max_size=4).map(
        lambda v: pa.array(v, pa.bool_())
    ),
    st.lists(st.one_of(st.none(), st.binary(max_size=3)), min_size=1, max_size=4).map(
        lambda v: pa.array(v, pa.binary())
    ),
)


@settings(max_examples=150)
@given(_VALUES, _VALUES)
def test_any_two_batches_fit_into_one_column(held, fresh):
    """Widening finds a common type for any two columns, and missing values stay where they were."""
    table = pa.table({"x": held})
    rows, widen = aligned(pa.table({"x": fresh}), table.schema)
    together = joined(table, rows, widen)

    assert [one is None for one in together["x"].to_pylist()] == [
        one is None for one in (*held.to_pylist(), *fresh.to_pylist())
    ]
    if pa.types.is_floating(together.schema.field("x").type):
        assert together["x"].to_pylist() == [text_of(one) for one in (*held.to_pylist(), *fresh.to_pylist())]
