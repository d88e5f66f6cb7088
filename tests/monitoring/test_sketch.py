"""The quantile sketch adds up, whatever the scale, and its cells are as wide as its values are large."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geartrain.monitoring.sketch import LEAST, MOST_CELLS, add, quantiles, sketch, sketch_and_reach

VALUES = st.lists(
    st.one_of(
        st.floats(-1e100, 1e100, allow_nan=False),
        st.floats(-1.0, 1.0),
        st.integers(-300, 300).map(float),
        st.sampled_from([0.0, -0.0, LEAST, -LEAST, LEAST / 2, 5e-324]),
    ),
    max_size=400,
)


@given(first=VALUES, second=VALUES)
def test_two_parts_added_are_the_whole(first, second):
    """To the last count and cell, in either order, wherever zero and the tiny numbers lie."""
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)

    whole = sketch(np.concatenate([a, b]))

    assert add(sketch(a), sketch(b)) == whole
    assert add(sketch(b), sketch(a)) == whole
    assert sum(whole.counts) == len(first) + len(second)
    assert len(whole.cells) <= MOST_CELLS


@given(values=VALUES, between=VALUES, shares=st.lists(st.floats(0, 1), max_size=6))
def test_how_many_values_reach_an_edge_is_exact_wherever_the_edges_lie(values, between, shares):
    """As comparing each with each says: edges between the values, on them, beyond them, several in one cell."""
    some = np.asarray(values, dtype=np.float64)
    on = [values[int(share * (len(values) - 1))] for share in shares] if values else []
    edges = np.asarray(sorted({*between[:10], *on}), dtype=np.float64)

    seen, reach = sketch_and_reach(some, edges)

    assert seen == sketch(some)
    assert reach.tolist() == [int((some >= edge).sum()) for edge in edges]


@given(values=VALUES.filter(bool))
def test_a_column_and_its_mirror_image_have_mirrored_cells(values):
    """Below zero everything is as above it."""
    seen = sketch(np.asarray(values))
    mirrored = sketch(-np.asarray(values))

    assert mirrored.cells == tuple(-cell for cell in reversed(seen.cells))
    assert mirrored.counts == tuple(reversed(seen.counts))


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e9])
def test_quantiles_are_found_at_any_scale(scale):
    """A bell curve with zeros in between: within a hundredth of the spread at its middle, a few at its ends."""
    random = np.random.default_rng(3)
    values = np.where(random.random(60_000) < 0.2, 0.0, random.normal(5.0, 1.0, 60_000)) * scale
    shares = np.array([0.1, 0.4, 0.6, 0.9])

    found = quantiles(sketch(values), shares)

    assert found == pytest.approx(np.quantile(values, shares), abs=0.03 * scale)


def test_few_values_keep_a_cell_each():
    """Fifty whole numbers are not joined: every one can be told apart."""
    seen = sketch(np.random.default_rng(1).integers(0, 50, 20_000).astype(np.float64))

    assert (seen.joins, len(seen.cells)) == (0, 50)
