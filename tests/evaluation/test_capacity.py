"""The cost of decisions of which only so many can be acted on."""

import numpy as np
import pytest

from geartrain.domain.contract import Capacity
from geartrain.evaluation.metrics import measure

DAY_US = 86_400_000_000


def test_a_capacity_is_a_decision_of_its_own(build, measured):
    """One biopsy a day: the likelier tumour of each day is found, the other is missed at 50; the note has the threshold's."""
    contract = build.contract(capacity=Capacity(action="biopsy", most=1, period_s=86_400.0))
    evidence = build.binary(
        [0.9, 0.8, 0.7, 0.001],
        [1, 1, 0, 0],
        contract=contract,
        times_us=np.array([0, 0, 1, 1], dtype=np.int64) * DAY_US,
    )
    seen = measured(measure(evidence, "cost_within_capacity"))
    assert seen.value == pytest.approx((0 + 50 + 1 + 0) / 4)
    assert seen.note == "2 rows acted on, 3 by the costs' own threshold at 0.25 a row"
    assert measured(measure(evidence, "expected_cost")).value == 0.25
    roomy = measured(measure(evidence, "cost_within_capacity", parameters={"k": 4, "period": 86_400.0}))
    assert roomy.value == 0.25


def test_what_a_capacity_needs(build):
    """A number and a period, times, the entity's column: each that is missing is said."""
    capacity = Capacity(action="biopsy", most=1, period_s=86_400.0, entity="patient")
    silent = build.binary([0.5], [1], times_us=np.zeros(1, dtype=np.int64))
    assert "how many" in measure(silent, "cost_within_capacity").reason
    timeless = build.binary([0.5], [1], contract=build.contract(capacity=capacity))
    assert "no times" in measure(timeless, "cost_within_capacity").reason
    nobody = build.binary(
        [0.5], [1], contract=build.contract(capacity=capacity), times_us=np.zeros(1, dtype=np.int64)
    )
    assert "no column `patient`" in measure(nobody, "cost_within_capacity").reason
    assert "no actions" in measure(build.values([1.0], [1.0]), "cost_within_capacity").reason
