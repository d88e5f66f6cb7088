"""A slow column rings no more than promised; an independent one is what it was."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from scipy.signal import lfilter

from geartrain.monitoring.drift import DriftState, drift
from geartrain.monitoring.profiling import build, observe
from geartrain.monitoring.worth import NOTHING, codes_of, worths

START = datetime(2026, 1, 1, tzinfo=UTC)
REFERENCE, WINDOW, WINDOWS = 2000, 1000, 6
STREAMS = 10


def _slow(phi, rows, chance):
    """An AR(1) series of unit spread, from its stationary law."""
    return lfilter([1], [1, -phi], chance.normal(size=rows + 500) * np.sqrt(1 - phi**2))[500:]


def _parts(values):
    yield pl.DataFrame({"x": values[:REFERENCE]})
    for start in range(REFERENCE, len(values), WINDOW):
        yield pl.DataFrame({"x": values[start : start + WINDOW]})


def _looks(values, *, heeding):
    """The last look of all windows, and what the rows of each were worth."""
    first, *windows = _parts(values)
    reference, state, named, seen = build(first.to_arrow()), DriftState(), False, []
    for rows in windows:
        effective = worths(reference, codes_of(reference, rows))
        seen.append(effective["drift:x"])
        found = drift(
            reference,
            observe(reference, rows.to_arrow()),
            state,
            started=START,
            effective=effective if heeding else None,
        )
        state, named = found.state, named or bool(found.signals)
    return named, found, seen


@pytest.mark.parametrize("kind", ["numbers", "categories"])
def test_a_slow_column_is_named_no_more_often_than_promised(kind):
    """Neighbours correlate by .97: heeding it none of ten streams rings, where 1 % may; else most do."""
    rang = {True: 0, False: 0}
    for seed in range(STREAMS):
        values = _slow(0.97, REFERENCE + WINDOWS * WINDOW, np.random.default_rng(seed))
        if kind == "categories":
            values = np.array(list("abcdef"))[np.clip(np.floor(values + 3), 0, 5).astype(int)]
        for heeding in rang:
            rang[heeding] += _looks(values, heeding=heeding)[0]

    assert rang[True] <= 1
    assert rang[False] > STREAMS / 2


def test_an_independent_column_is_what_it_was():
    """Its rows are worth one each in nine of ten windows and never much less; a shift is found with the same evidence."""
    worth = []
    for seed in range(STREAMS):
        chance = np.random.default_rng(seed)
        values = chance.normal(size=REFERENCE + WINDOWS * WINDOW)
        values[REFERENCE + 2 * WINDOW :] += 0.5
        named, found, seen = _looks(values, heeding=True)
        worth += seen
        if min(seen) == 1.0:
            plain = _looks(values, heeding=False)[1]
            assert (found.signals, found.columns) == (plain.signals, plain.columns)
        assert named

    assert np.mean(np.array(worth) == 1.0) > 0.9
    assert min(worth) > 0.8


def test_rows_are_worth_what_theory_says():
    """(1 - phi) / (1 + phi) for an AR(1) column, within a quarter, on 20,000 rows; its nulls come in no order."""
    chance = np.random.default_rng(1)
    values = _slow(0.8, 20_000, chance)
    values[chance.uniform(size=20_000) < 0.1] = np.nan
    rows = pl.DataFrame({"x": values})
    reference = build(rows.to_arrow())

    seen = worths(reference, codes_of(reference, rows.with_columns(pl.col("x").fill_nan(None))))

    assert seen["nulls:x"] > 0.9
    # A tenth of the rows is left out, so that neighbours are a little less alike.
    assert seen["drift:x"] == pytest.approx(0.2 / 1.8, rel=0.25)


def test_values_in_spells_count_for_less_although_their_mean_does_not_move():
    """A column whose spread comes in spells, and nulls that come in bursts, are seen by their own series."""
    chance = np.random.default_rng(1)
    values = chance.normal(size=20_000) * np.exp(_slow(0.95, 20_000, chance))
    burst = np.repeat(chance.uniform(size=200) < 0.2, 100)
    rows = pl.DataFrame({"x": values, "y": np.where(burst, np.nan, 1.0) * chance.normal(size=20_000)})
    reference = build(rows.to_arrow())

    seen = worths(reference, codes_of(reference, rows))

    assert seen["drift:x"] < 0.15
    assert seen["nulls:y"] < 0.02
    assert seen["drift:y"] > 0.9


def test_rows_fall_where_their_profile_counts_them():
    """Codes are the profile's bins; what is missing, unreadable or in no column has none, and a new category its own."""
    before = pl.DataFrame({"x": np.arange(100.0), "c": ["a", "b"] * 50})
    reference = build(before.to_arrow())
    after = pl.DataFrame({"x": ["3.5", "none", None, "1e200", "-7"], "c": ["b", None, "new", "a", "a"]})

    codes = codes_of(reference, after)
    seen = observe(reference, after.to_arrow())

    assert (codes["x"] == NOTHING).tolist() == [False, True, True, True, False]
    counts = np.bincount(codes["x"][codes["x"] != NOTHING], minlength=len(seen.numbers[0].counts))
    assert tuple(counts) == seen.numbers[0].counts
    assert codes["c"].tolist() == [1, NOTHING, 2, 0, 0]
    assert set(codes_of(reference, pl.DataFrame({"z": [1.0]}))["x"]) == {NOTHING}
    assert worths(build(pa.table({})), {}) == {}


@pytest.mark.parametrize("begins", [250, 500, 800])
def test_a_change_within_the_window_does_not_hide_itself(begins):
    """A wrong unit from some row on makes neighbours alike; the rows on either side stay worth one each in nine of ten windows."""
    worth = []
    for seed in range(3 * STREAMS):
        values = np.random.default_rng(seed).normal(size=REFERENCE + WINDOW)
        values[REFERENCE + begins :] *= 0.01
        reference = build(pa.table({"x": values[:REFERENCE]}))
        rows = pl.DataFrame({"x": values[REFERENCE:]})
        worth.append(worths(reference, codes_of(reference, rows))["drift:x"])

    assert np.mean(np.array(worth) > 0.75) > 0.9
