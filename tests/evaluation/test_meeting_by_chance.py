"""How many judged rows meet an equal one by chance, against exact answers and against columns that were shuffled."""

import numpy as np
import pytest

from geartrain.evaluation.leakage_duplicates import meeting_by_chance, repeated_rows


def column(*counts):
    """Values as codes, the first of them so often as the first count says."""
    return np.repeat(np.arange(len(counts)), counts)


def simulated(coded, judged, *, rounds=4000):
    """The mean number of judged rows that equal a known one over so many shuffles of each column."""
    chance = np.random.default_rng(1)
    met = []
    for _ in range(rounds):
        mixed = chance.permuted(coded, axis=0)
        equal = (mixed[:judged, None, :] == mixed[None, judged:, :]).all(axis=2)
        met.append(equal.any(axis=1).sum())
    return float(np.mean(met))


@pytest.mark.parametrize(
    ("columns", "judged", "exact"),
    [
        pytest.param([np.arange(1000)], 400, 0.0, id="no value twice"),
        pytest.param([np.arange(1000), column(500, 500)], 400, 0.0, id="one column without a value twice"),
        pytest.param([column(1000), column(1000)], 400, 400.0, id="one value only"),
        # A judged row is one of the 20 in pairs with chance .02; its other half is known with 600/999.
        pytest.param([column(*[2] * 10, *[1] * 980)], 400, 400 * 0.02 * 600 / 999, id="ten pairs"),
        # All others are known: only a value that stands once meets nobody.
        pytest.param([column(5, 3, 1, 1)], 1, 0.8, id="all others known"),
        pytest.param([column(5, 3, 1, 1), column(10)], 1, 0.8, id="a constant column changes nothing"),
    ],
)
def test_exact_cases(columns, judged, exact):
    """What can be counted by hand comes out so."""
    assert meeting_by_chance(np.column_stack(columns), judged=judged) == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param([column(*[2] * 60), column(60, 60)], id="pairs and a label"),
        pytest.param([column(100, *[1] * 20), column(90, *[1] * 30), column(60, 60)], id="frequent values"),
        pytest.param([column(40, *[1] * 80), column(40, *[2] * 40)], id="one value often, others seldom"),
        pytest.param([column(40, 40, 40), column(30, 30, 30, 30), column(*[10] * 12)], id="coarse"),
    ],
)
def test_shuffled_columns_meet_as_often(columns):
    """The expected number is that of columns shuffled each by itself, also where few values are most of a column."""
    coded = np.column_stack(columns)
    assert meeting_by_chance(coded, judged=50) == pytest.approx(simulated(coded, 50), rel=0.05, abs=0.1)


def test_unique_rows_predict_no_copies():
    """Of numbers that stand once but for one planted pair, no more is expected than that pair brings."""
    values = np.random.default_rng(0).normal(size=2000)
    values[0] = values[1500]
    found = repeated_rows({"x": values}, judged=np.arange(1000), known=np.arange(1000, 2000))

    # The pair itself is seen among the values: 1,000 x (2/2,000) x (1,000/1,999).
    assert len(found.judged) == 1
    assert found.measurement.note.endswith("by chance about 0.5")
