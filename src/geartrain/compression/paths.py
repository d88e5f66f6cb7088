"""The serving path: the same model asked in different ways, timed before anything is made smaller.

With one row, what stands around a model takes longer than the model: the scikit-learn
wrapper checks and copies, a session or a prepared call does not.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from geartrain.compression.measuring import WARM_UP, ClockNs
from geartrain.domain.prediction import Floats
from geartrain.stats.fitted import Fitted, is_lightgbm, raw_values
from geartrain.stats.onnx_model import OnnxModel
from geartrain.stats.tree_model import Matrix

#: LightGBM's own numbers for "the usual answer" and "float64", from its C interface.
_NORMAL, _FLOAT64 = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingPath:
    """One way of asking, on single rows.

    Attributes:
        p50_us: Median time of a row.
        p99_us: 99th percentile.
        largest_change: The largest difference from what the library's wrapper says, before
            calibration (with it, where the path has it inside).
        same_bits: Whether it says the very same on every row.
    """

    name: str
    p50_us: float
    p99_us: float
    largest_change: float
    same_bits: bool


class SingleRow:
    """LightGBM's prepared single-row call: no copy, no check, the same bits as `Booster.predict`.

    Not safe to share between threads: it answers into one place.
    """

    def __init__(self, booster: Any) -> None:
        """Prepare the call for *booster*, which must outlive it."""
        from lightgbm.basic import _LIB

        self._library, self._booster = _LIB, booster
        self._row = np.zeros(booster.num_feature())
        self._answer = np.zeros(booster.num_model_per_iteration())
        self._call, self._written = ctypes.c_void_p(), ctypes.c_int64()
        self._where = ctypes.byref(self._written)
        prepared = _LIB.LGBM_BoosterPredictForMatSingleRowFastInit(
            booster._handle,  # noqa: SLF001  (LightGBM has no public way to it)
            ctypes.c_int(_NORMAL),
            ctypes.c_int(0),
            ctypes.c_int(-1),
            ctypes.c_int(_FLOAT64),
            ctypes.c_int32(len(self._row)),
            ctypes.c_char_p(b"num_threads=1"),
            ctypes.byref(self._call),
        )
        if prepared != 0:
            raise ValueError("LightGBM refuses to prepare a single-row call")
        self._in = self._row.ctypes.data_as(ctypes.c_void_p)
        self._out = self._answer.ctypes.data_as(ctypes.POINTER(ctypes.c_double))

    def __call__(self, row: Matrix) -> Floats:
        """The answer about *row*, shape (d,): the positive class's probability, each class's, or the value."""
        self._row[:] = row
        if self._library.LGBM_BoosterPredictForMatSingleRowFast(self._call, self._in, self._where, self._out):
            raise ValueError("LightGBM refuses the row")
        return self._answer.copy()

    def __del__(self) -> None:
        """Give the prepared call back to the library."""
        if getattr(self, "_call", None):
            self._library.LGBM_FastConfigFree(self._call)


def measure_paths(
    fitted: Fitted, content: bytes, matrix: Matrix, *, clock: ClockNs, repeats: int = 500
) -> tuple[ServingPath, ...]:
    """Each way of asking the model *fitted*, whose exported form is *content*, one row at a time.

    Raises:
        ValueError: There is no row to ask about.
    """
    if len(matrix) == 0:
        raise ValueError("no row to ask about")
    rows = np.ascontiguousarray(matrix[: min(len(matrix), 256)], dtype=np.float32)
    singles = [rows[i : i + 1] for i in range(len(rows))]
    width = len(fitted.classes)
    served = OnnxModel(content)
    whole = fitted.predict(rows).values
    found = [
        _timed(
            "the library's wrapper",
            lambda row: raw_values(fitted.estimator, row, width=width)[0],
            singles,
            None,
            clock,
            repeats,
        ),
        _timed(
            "ONNX Runtime, with calibrator",
            lambda row: served.run(row)[0].astype(np.float64),
            singles,
            whole,
            clock,
            repeats,
        ),
    ]
    if is_lightgbm(fitted.estimator):
        booster = fitted.estimator.booster_
        said = np.asarray(booster.predict(rows.astype(np.float64))).reshape(len(rows), -1)
        single = SingleRow(booster)
        found += [
            _timed(
                "LightGBM's booster",
                lambda row: np.asarray(booster.predict(row)).reshape(-1),
                singles,
                said,
                clock,
                repeats,
            ),
            _timed("LightGBM's single-row call", lambda row: single(row[0]), singles, said, clock, repeats),
        ]
    return tuple(found)


def _timed(
    name: str,
    ask: Callable[[Matrix], Floats],
    singles: list[Matrix],
    wanted: Floats | None,
    clock: ClockNs,
    repeats: int,
) -> ServingPath:
    for i in range(WARM_UP):
        ask(singles[i % len(singles)])
    times = np.empty(max(repeats, 1))
    for i in range(len(times)):
        row = singles[i % len(singles)]
        begun = clock()
        ask(row)
        times[i] = clock() - begun
    change = 0.0
    if wanted is not None:
        change = max(float(np.abs(ask(row) - one).max()) for row, one in zip(singles, wanted, strict=True))
    return ServingPath(
        name=name,
        p50_us=float(np.quantile(times, 0.5)) / 1e3,
        p99_us=float(np.quantile(times, 0.99)) / 1e3,
        largest_change=change,
        same_bits=change == 0.0,
    )
