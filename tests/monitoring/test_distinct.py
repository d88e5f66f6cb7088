"""The distinct sketch adds up and is off by what the paper says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geartrain.monitoring.distinct import EMPTY, REGISTERS, distinct, merge, of_numbers, of_texts

FLOATS = st.lists(st.floats(-1e100, 1e100, allow_nan=False), max_size=200)


@given(first=FLOATS, second=FLOATS)
def test_two_parts_merged_are_the_whole(first, second):
    """Order, repetition and the sign of zero do not matter."""
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)

    whole = of_numbers(np.concatenate([a, b, a]))

    assert merge(of_numbers(a), of_numbers(b)) == whole
    assert len(whole) == REGISTERS
    assert merge(whole, EMPTY) == whole
    assert of_numbers(np.asarray([0.0])) == of_numbers(np.asarray([-0.0]))


@pytest.mark.parametrize("count", [1, 20, 300, 5_000, 100_000])
def test_the_error_is_that_of_the_paper(count):
    """Over forty ladders of whole numbers: the mean within 3 %, the spread at most 1.04 / 16 and a third."""
    found = [distinct(of_numbers(np.arange(1.0, count + 1) * step)) / count for step in range(1, 41)]

    assert np.mean(found) == pytest.approx(1.0, abs=0.03)
    assert np.std(found) <= 1.04 / np.sqrt(REGISTERS) * 4 / 3


def test_texts_are_counted_once():
    """A thousand ids seen twice are about a thousand; nothing seen is nothing."""
    ids = [f"customer-{number}" for number in range(1000)]

    assert distinct(of_texts(ids + ids)) == pytest.approx(1000, rel=0.2)
    assert distinct(EMPTY) == 0
