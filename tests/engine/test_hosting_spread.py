"""Where reference rows lie, as reasons tell it: never more rows are said to be lower or higher than there are."""

import numpy as np
import pyarrow as pa
import pytest

from geartrain.engine.hosting import spread_of
from geartrain.monitoring.profiling import build
from geartrain.serving.reasons import rank_in_words


def spread(values):
    """The spread that a release's profile gives of these rows."""
    (column,) = build(pa.table({"x": np.asarray(values, dtype=np.float64)})).numbers
    return spread_of(column)


@pytest.mark.parametrize(
    "draw",
    [
        pytest.param(lambda one: one.poisson(1.0, 5000), id="few whole numbers"),
        pytest.param(lambda one: one.integers(-40, 40, 5000) / 10, id="tenths around zero"),
    ],
)
def test_few_values_are_told_exactly(draw):
    """Where each value has a cell of its own, exactly the strictly lower and higher rows count."""
    values = draw(np.random.default_rng(0)).astype(float)
    found = spread(values)
    for one in np.unique(values):
        read = float(np.float32(one))
        assert (found.lower(read), found.higher(read)) == ((values < one).sum(), (values > one).sum())


@pytest.mark.parametrize(
    "draw",
    [
        pytest.param(lambda one: one.lognormal(3, 2, 5000), id="skewed"),
        pytest.param(lambda one: -one.lognormal(3, 2, 5000), id="skewed below zero"),
        pytest.param(lambda one: one.normal(0, 1e-3, 5000) + 0.7, id="narrow"),
        pytest.param(lambda one: np.round(one.lognormal(5, 1.5, 5000), -1), id="tens, and many ties"),
    ],
)
def test_many_values_are_never_told_too_high(draw):
    """Rows of the same cell count as neither: at most that is missing from what is truly lower or higher."""
    values = draw(np.random.default_rng(0))
    found = spread(values)
    cell = max(np.diff(found.reached))
    for one in np.unique(values)[::7]:
        read = float(np.float32(one))
        lower, higher = (values < read).sum(), (values > read).sum()
        assert lower - cell <= found.lower(read) <= lower
        assert higher - cell <= found.higher(read) <= higher


def test_the_least_is_not_lower_than_itself():
    """A model reads 0.7 as a smaller number; it is still the least that is known, and not less."""
    few = spread([0.7] * 3 + [0.9] * 2)
    assert rank_in_words(few, float(np.float32(0.7))) == ""
    assert rank_in_words(few, 0.65) == "lower than in all known cases"
    assert rank_in_words(few, 0.95) == "higher than in all known cases"


def test_half_of_the_rows_at_zero():
    """48 % of the rows are higher than zero: a zero is not called lower than for two thirds."""
    values = np.concatenate([np.zeros(520), np.random.default_rng(0).lognormal(0, 1, 480)])
    assert rank_in_words(spread(values), 0.0) == ""
