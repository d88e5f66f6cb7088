"""A changed unit is named with a second witness; a population that moved as a whole is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from geartrain.monitoring.breaks import at_once, strangers, unit_change
from geartrain.monitoring.drift import DriftState, drift
from geartrain.monitoring.profiling import build, observe

START = datetime(2026, 1, 1, tzinfo=UTC)
QUIET_DAYS, CHANGED_DAYS = (20.0,) * 7, (36.0,) * 7


def _amounts(factor: float = 1.0, *, seed: int = 1, rows: int = 2000):
    random = np.random.default_rng(seed)
    reference = build(pa.table({"amount": random.lognormal(3, 0.8, 5000)}))
    current = observe(reference, pa.table({"amount": random.lognormal(3, 0.8, rows) * factor}))
    return reference.numbers[0], current.numbers[0]


@pytest.mark.parametrize("factor", [100.0, 0.01, 1000.0, 60.0])
def test_a_factor_that_units_have_is_a_witness(factor):
    """Cents for euros are a unit though other columns moved as well and nobody knows how fast it came."""
    found = unit_change(*_amounts(factor), moved=("amount", "hour"), days=())

    assert found is not None
    assert found.slope == pytest.approx(factor)
    assert "such a factor" in found.sentence


@pytest.mark.parametrize(
    ("moved", "days"),
    [
        (("amount", "hour"), (*QUIET_DAYS, *CHANGED_DAYS)),
        (("amount",), tuple(np.linspace(20, 36, 14))),
        (("amount", "card_mean_amount_7d", "count_1d"), (*QUIET_DAYS, *CHANGED_DAYS)),
    ],
)
def test_prices_that_rose_for_everybody_are_no_unit(moved, days):
    """A uniform rise lies on a line too; other columns that moved, or a slow rise, speak for the world."""
    assert unit_change(*_amounts(1.8), moved=moved, days=days) is None


def test_a_jump_of_one_column_alone_is_a_unit():
    """Pounds for kilograms from one day to the next, with only its own windows moving beside it."""
    found = unit_change(
        *_amounts(0.4536), moved=("amount", "card_mean_amount_7d"), days=(*QUIET_DAYS, *((9.1,) * 7))
    )

    assert found is not None
    assert found.slope == pytest.approx(0.4536, rel=0.1)
    assert "at once" in found.sentence


def test_what_does_not_come_back_when_undone_is_no_unit():
    """A mixture of old and dearer amounts may fit a line well and still has another shape."""
    random = np.random.default_rng(5)
    reference = build(pa.table({"amount": random.lognormal(3, 0.8, 8000)}))
    mixed = random.lognormal(3, 0.8, 4000) * np.where(random.uniform(size=4000) < 0.3, 4.0, 1.0)

    assert (
        unit_change(reference.numbers[0], observe(reference, pa.table({"amount": mixed})).numbers[0]) is None
    )


def test_kin_are_told_by_what_features_are_made_of():
    """Windows over a column are its kin, and each other's where the column moved too."""
    assert strangers("card_mean_amount_7d", ["amount", "card_max_amount_28d", "hour"]) == ("hour",)
    assert strangers("card_mean_amount_7d", ["card_max_amount_28d"]) == ("card_max_amount_28d",)


def test_a_jump_is_told_from_a_slope_and_from_nothing():
    """A step within a day is at once; a slope, a few days and noise are not."""
    noise = np.random.default_rng(2).normal(20, 1, 14)

    assert at_once([*noise[:7], *(noise[7:] * 3)])
    assert not at_once(list(noise * np.linspace(1, 3, 14)))
    assert not at_once(list(noise))
    assert not at_once([20.0, 60.0])


def test_through_drift_a_population_is_drift_and_a_bug_is_a_unit():
    """The same rise of amounts is drift while hours move with it, and a unit while all else stands still."""

    def looked(*, hours: float) -> list[tuple[str, str]]:
        random = np.random.default_rng(6)
        reference = build(
            pa.table({"amount": random.lognormal(3, 0.8, 5000), "hour": random.normal(12, 3, 5000)})
        )
        state, found = DriftState(), None
        days: list[float] = []
        for week in range(5):
            factor, later = (1.8, hours) if week >= 3 else (1.0, 0.0)
            rows = {
                "amount": random.lognormal(3, 0.8, 1500) * factor,
                "hour": random.normal(12 + later, 3, 1500),
            }
            days += [float(np.median(part)) for part in np.split(rows["amount"], 5)]
            found = drift(
                reference,
                observe(reference, pa.table(rows)),
                state,
                started=START + timedelta(weeks=week),
                days={"amount": days},
            )
            state = found.state
        assert found is not None
        return sorted((one.kind, one.about) for one in found.signals)

    assert looked(hours=2.0) == [("drift", "amount"), ("drift", "hour")]
    assert looked(hours=0.0) == [("unit", "amount")]
