"""Sums are exact: rounded once, whatever the values, their order and the number of slices."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.features.exact import ExactSums, exact_sum, exact_sums

CENTS = st.integers(-(10**7), 10**7).map(lambda cents: cents / 100)
NEAR_TIES = st.sampled_from(
    [1.0, -1.0, 2.0**-53, -(2.0**-53), 2.0**-54, 2.0**-80, 1 + 2.0**-52, 3.0, 2.0**53]
)
ANY = st.floats(allow_nan=False, allow_infinity=False)
MIDDLING = st.floats(-1e9, 1e9)


@settings(max_examples=200)
@given(
    values=st.one_of(*(st.lists(kind, max_size=30) for kind in (CENTS, NEAR_TIES, ANY, MIDDLING))),
    data=st.data(),
)
def test_sums_of_slices_are_the_sums_of_fractions(values: list[float], data: st.DataObject) -> None:
    """Each slice's sum is the rational sum rounded to the nearest float, as one slice alone says too."""
    edges = st.tuples(st.integers(0, len(values)), st.integers(0, len(values))).map(sorted)
    slices = data.draw(st.lists(edges, max_size=8))
    low, high = np.array(slices, dtype=np.int64).reshape(-1, 2).T

    sums = exact_sums(np.array(values) + 0.0, low, high)

    for (i, j), total in zip(slices, sums.tolist(), strict=True):
        try:
            nearest = float(sum(map(Fraction, values[i:j]), Fraction(0)))
        except OverflowError:
            nearest = math.copysign(math.inf, total)
        assert total == exact_sum(values[i:j]) == nearest


def test_one_huge_value_does_not_spoil_its_neighbours() -> None:
    """A global running sum of floats would lose the cents behind 1e15; this one does not."""
    values = np.array([1e15, 0.01, 0.02, 0.03])

    assert exact_sums(values, np.array([1]), np.array([4])).tolist() == [math.fsum([0.01, 0.02, 0.03])]


def test_an_overflow_on_the_way_is_no_overflow_in_the_end() -> None:
    """Only a sum that float64 cannot hold is infinite."""
    assert exact_sum([1e308, 1e308, -1e308]) == 1e308
    assert exact_sum([1e308, 1e308]) == math.inf


def test_many_events_in_one_slice_are_summed_exactly() -> None:
    """Slices wider than the limbs have room for take the slow way and the same value."""
    values = np.full(2**20 + 5, 0.1)

    assert exact_sums(values, np.array([0, 1]), np.array([values.size, 3])).tolist() == [
        math.fsum(values.tolist()),
        math.fsum([0.1, 0.1]),
    ]


@given(
    scale=st.integers(-1060, 1000),
    values=st.lists(st.floats(-1, 1, allow_nan=False), min_size=1, max_size=40),
    wide=st.booleans(),
)
def test_few_values_that_lie_close_are_halved_and_no_others(
    scale: int, values: list[float], wide: bool
) -> None:
    """Halves are taken where they hold the values, at every scale, and the sum is exact either way."""
    near = [math.ldexp(round(value, 2), scale) for value in values]
    held = np.array([*near, math.ldexp(1.0, 300), math.ldexp(1.0, -300)] if wide else near)
    sums = ExactSums(held)

    assert (sums._halves is None) if wide else (sums._halves is not None or abs(scale) > 900)
    assert sums.of(np.array([0]), np.array([held.size])).tolist() == [exact_sum(held.tolist())]
