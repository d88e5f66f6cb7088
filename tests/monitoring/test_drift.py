"""Drift is named when it is there, as what it is, and seldom when it is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from geartrain.domain.wire import decode, encode
from geartrain.monitoring.breaks import unit_change
from geartrain.monitoring.drift import Drift, DriftState, drift
from geartrain.monitoring.profiling import build, observe

START = datetime(2026, 1, 1, tzinfo=UTC)


def _quiet(random: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    return {
        "amount": random.lognormal(3, 1, rows),
        "score": random.normal(0, 1, rows),
        "celsius": random.normal(20, 5, rows),
        "flag": random.integers(0, 2, rows).astype(float),
        "channel": random.choice(["app", "web", "shop"], rows, p=[0.6, 0.3, 0.1]),
    }


def _looks(changed: dict[str, object], *, quiet: int = 3, looks: int = 3, seed: int = 1) -> Drift:
    """Quiet weeks, then weeks in which columns are changed."""
    random = np.random.default_rng(seed)
    reference = build(pa.table(_quiet(random, 4000)))
    state, found = DriftState(), None
    for week in range(quiet + looks):
        columns = dict(_quiet(random, 800))
        if week >= quiet:
            columns |= {name: change(columns[name]) for name, change in changed.items()}
        found = drift(
            reference,
            observe(reference, pa.table(columns)),
            state,
            started=START + timedelta(weeks=week),
        )
        state = found.state
    assert found is not None
    return found


def test_nothing_is_named_while_nothing_changes():
    """15 references, 10 looks each, 6 unchanged columns: at alpha = .05 at most 2 of 15 streams ever name one."""
    random = np.random.default_rng(1)
    rung = 0

    for _ in range(15):
        frame = random.normal(size=(600 + 10 * 300, 6))
        tables = [
            pa.table({f"x{i}": part[:, i] for i in range(6)})
            for part in np.split(frame, [600, *range(900, 3600, 300)])
        ]
        reference, state, named = build(tables[0]), DriftState(), False
        for week, table in enumerate(tables[1:]):
            found = drift(
                reference,
                observe(reference, table),
                state,
                started=START + timedelta(weeks=week),
                alpha=0.05,
                smallest=0.001,
            )
            state, named = found.state, named or bool(found.signals)
        rung += named

    assert rung <= 2


def test_a_shift_is_drift_of_that_column_since_that_week():
    """Half a standard deviation is found within three windows, with its start and its distances."""
    found = _looks({"score": lambda values: values + 0.5})

    assert [(signal.kind, signal.about) for signal in found.signals] == [("drift", "score")]
    assert found.signals[0].since == START + timedelta(weeks=3)
    assert "mean" in found.signals[0].message
    by_name = {column.name: column for column in found.columns}
    assert by_name["score"].wasserstein == pytest.approx(0.5, abs=0.12)
    assert by_name["score"].named
    assert not by_name["amount"].named


@pytest.mark.parametrize(
    ("column", "change", "slope"),
    [
        ("amount", lambda values: values * 0.4536, 0.4536),
        ("amount", lambda values: values * 100, 100.0),
        ("amount", lambda values: values / 1000, 0.001),
        ("celsius", lambda values: values * 1.8 + 32, 1.8),
        ("celsius", lambda values: values + 273.15, 1.0),
    ],
)
def test_a_changed_unit_is_found_as_one(column, change, slope):
    """Pounds for kilograms, cents for euros, Fahrenheit or Kelvin for Celsius: unit, and which."""
    found = _looks({column: change})

    assert [(signal.kind, signal.about) for signal in found.signals] == [("unit", column)]
    assert found.signals[0].size == pytest.approx(slope, rel=0.1)


def test_a_population_that_widens_is_no_unit():
    """A second, wider subgroup changes the shape: drift, never a unit."""
    random = np.random.default_rng(5)

    def wider(values: np.ndarray) -> np.ndarray:
        return np.where(random.random(len(values)) < 0.4, values * 4, values)

    found = _looks({"amount": wider})

    assert [(signal.kind, signal.about) for signal in found.signals] == [("drift", "amount")]


def test_each_break_is_told_as_what_it_is():
    """Nulls, a frozen value and a renamed category are named by their kind."""

    def nulls(values: np.ndarray) -> np.ndarray:
        return np.where(np.arange(len(values)) % 4 == 0, np.nan, values)

    found = _looks(
        {
            "score": nulls,
            "amount": lambda values: np.full(len(values), 9.99),
            "channel": lambda values: np.where(values == "app", "APP", values),
        }
    )

    assert {(signal.kind, signal.about) for signal in found.signals} == {
        ("nulls", "score"),
        ("constant", "amount"),
        ("categories", "channel"),
    }
    messages = " ".join(signal.message for signal in found.signals)
    assert "25.0%" in messages
    assert "`APP`" in messages


def test_a_column_that_vanishes_is_nulls_and_nothing_else():
    """An all-null column has no distribution to speak of."""
    found = _looks({"amount": lambda values: np.full(len(values), np.nan)})

    assert [(signal.kind, signal.about) for signal in found.signals] == [("nulls", "amount")]


def test_a_shift_of_known_categories_names_the_largest_move():
    """Known categories in other shares are drift, told with the category that moved most."""
    found = _looks({"channel": lambda values: np.where(np.arange(len(values)) % 2 == 0, "shop", values)})

    assert [(signal.kind, signal.about) for signal in found.signals] == [("drift", "channel")]
    assert "`shop`" in found.signals[0].message


def test_an_alarm_ends_when_the_change_does():
    """After the pipe is repaired, quiet windows take the evidence back below the alarm."""
    random = np.random.default_rng(6)
    reference, state = build(pa.table({"x": random.normal(size=2000)})), DriftState()
    named = []

    for week in range(30):
        values = random.normal(size=500) + (3.0 if 5 <= week < 8 else 0.0)
        found = drift(
            reference,
            observe(reference, pa.table({"x": values})),
            state,
            started=START + timedelta(weeks=week),
        )
        state = found.state
        named.append(bool(found.signals))

    assert named[:5] == [False] * 5
    assert all(named[5:8])
    assert not any(named[20:])


def test_thin_windows_say_nothing():
    """No rows, or a handful, are neither drift nor an error; an empty reference is not either."""
    reference = build(pa.table({"x": np.arange(1000.0)}))
    empty = build(pa.table({"x": pa.array([], pa.float64())}))

    for rows in (0, 5):
        seen = observe(reference, pa.table({"x": np.full(rows, 9e9)}))
        assert drift(reference, seen, DriftState(), started=START).signals == ()
    assert (
        drift(empty, observe(empty, pa.table({"x": np.arange(500.0)})), DriftState(), started=START).signals
        == ()
    )
    assert drift(build(pa.table({})), build(pa.table({})), DriftState(), started=START).signals == ()


def test_state_survives_json_and_fits_one_reference_only():
    """The evidence is stored between looks; it does not fit another reference's columns."""
    found = _looks({"score": lambda values: values + 1.0})
    other = build(pa.table({"z": np.arange(100.0)}))

    assert decode(encode(found.state), DriftState) == found.state
    with pytest.raises(ValueError, match="another reference"):
        drift(other, observe(other, pa.table({"z": np.arange(100.0)})), found.state, started=START)


def test_units_are_not_read_from_few_values():
    """A 0/1 column that changes its share is never called a unit."""
    before = build(pa.table({"k": [0.0, 1.0] * 200}))
    after = observe(before, pa.table({"k": [0.0, 60.0] * 200}))

    assert unit_change(before.numbers[0], after.numbers[0]) is None
