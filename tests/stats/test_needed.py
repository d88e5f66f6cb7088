"""How many rows settle a promise."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.stats.intervals import clopper_pearson
from geartrain.stats.needed import relevant_for_proportion, relevant_for_width, rows_for_mean


def test_without_a_miss_it_is_a_logarithm():
    """A recall of 1 proves 0.97 from n = ln(0.025) / ln(0.97) positives."""
    assert relevant_for_proportion(1.0, 0.97) == math.ceil(math.log(0.025) / math.log(0.97)) == 122


def test_published_width():
    """A sensitivity of .95 to within .03 needs 203 positives."""
    assert relevant_for_width(0.95, 0.03) == 203


@settings(max_examples=60)
@given(st.floats(0.02, 0.98), st.floats(0.02, 0.98))
def test_the_answer_is_the_first_that_is_enough(rate, bound):
    """At the answer the interval clears the bound, one row earlier it does not."""
    needed = relevant_for_proportion(rate, bound)
    if needed is None:
        assert abs(rate - bound) < 1e-4
        return
    low, high = clopper_pearson(rate * needed, needed)
    assert low >= bound if rate > bound else high < bound
    if needed > 1:
        low, high = clopper_pearson(rate * (needed - 1), needed - 1)
        assert not (low >= bound if rate > bound else high < bound)


def test_on_the_bound_nothing_helps():
    """A rate that stands on its bound, or a bound that is no rate, has no answer."""
    assert relevant_for_proportion(0.9, 0.9) is None
    assert relevant_for_proportion(0.9, 1.2) is None
    assert relevant_for_proportion(0.9, 0.9 - 1e-9) is None


def test_mean():
    """(1.96 * 2 / 0.1)^2 rows, and none where the mean is the bound."""
    assert rows_for_mean(1.0, 1.1, deviation=2.0) == 1537
    assert rows_for_mean(1.0, 1.0, deviation=2.0) is None
    assert rows_for_mean(1.0, 1.0 + 1e-9, deviation=2.0) is None
