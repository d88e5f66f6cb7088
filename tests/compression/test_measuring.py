"""Speed is measured by turns, so that a busy machine is busy for every variant."""

from __future__ import annotations

from collections.abc import Callable

from geartrain.compression.export import to_onnx
from geartrain.compression.measuring import measure_all


def _busy_until(calls: int) -> Callable[[], int]:
    """A clock by which an answer takes 10 ms while the machine is busy, and 1 ms after so many readings."""
    said = {"calls": 0, "now": 0}

    def clock() -> int:
        said["calls"] += 1
        said["now"] += 10_000_000 if said["calls"] < calls else 1_000_000
        return said["now"]

    return clock


def test_equal_models_are_equally_fast_on_a_machine_that_is_busy_for_a_while(cases):
    """A neighbour's work at the beginning falls on both: their medians are the same."""
    case = cases["tumours"]
    content = to_onnx(case.fit("lightgbm", n_estimators=5), case.columns)

    one, two = measure_all([content, content], case.second.matrix, clock=_busy_until(240), repeats=200)

    assert one.p50_us == two.p50_us
    assert (one.p50_low_us, one.p50_high_us) == (two.p50_low_us, two.p50_high_us)
