"""The serving path is the first thing to gain: the same model, asked in other ways."""

import itertools

import numpy as np

from geartrain.compression.export import to_onnx
from geartrain.compression.paths import SingleRow, measure_paths


def test_the_single_row_call_says_the_same_bits(cases):
    """LightGBM's prepared call answers as its booster does, bit for bit, for classes and values, holes included."""
    for name in ("tumours", "wines", "patients"):
        case = cases[name]
        booster = case.fit("lightgbm", n_estimators=10).estimator.booster_
        matrix = case.second.matrix[:40].copy()
        matrix[::3, 1] = np.nan
        single = SingleRow(booster)
        wanted = np.asarray(booster.predict(matrix.astype(np.float64))).reshape(len(matrix), -1)
        assert np.array_equal(np.stack([single(row) for row in matrix]), wanted)


def test_every_path_is_timed_and_compared(cases):
    """With a clock of our own: a tick a call. Only ONNX Runtime, in single precision, may differ in the last digits."""
    case = cases["tumours"]
    fitted = case.fit("lightgbm", calibrate="sigmoid", n_estimators=10)
    ticks = itertools.count(0, 1000)
    found = measure_paths(
        fitted, to_onnx(fitted, case.columns), case.second.matrix, clock=lambda: next(ticks), repeats=20
    )
    assert [one.p50_us for one in found] == [1.0] * 4
    assert [one.same_bits for one in found] == [True, False, True, True]
    assert 0 < found[1].largest_change < 1e-5
    linear = case.fit("logistic")
    assert (
        len(
            measure_paths(
                linear,
                to_onnx(linear, case.columns),
                case.second.matrix,
                clock=lambda: next(ticks),
                repeats=5,
            )
        )
        == 2
    )
