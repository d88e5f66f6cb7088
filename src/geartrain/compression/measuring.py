"""What a variant costs on this machine, measured through the path that serves it."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from geartrain.domain.model import Speed
from geartrain.domain.prediction import Floats
from geartrain.stats.onnx_model import OnnxModel
from geartrain.stats.tree_model import Matrix

#: Says the time in nanoseconds, such as `time.perf_counter_ns`.
ClockNs = Callable[[], int]

WARM_UP = 20
COPIES = 4
TURNS = 20
BATCH_ROWS = 4_096
#: A batch is timed until this much time has passed, so that one hiccup is not the answer.
BATCH_NS = 50_000_000


def measure(content: bytes, matrix: Matrix, *, clock: ClockNs, repeats: int = 2_000) -> Speed:
    """Time one model as `measure_all` does."""
    return measure_all([content], matrix, clock=clock, repeats=repeats)[0]


def measure_all(
    contents: Sequence[bytes], matrix: Matrix, *, clock: ClockNs, repeats: int = 2_000
) -> tuple[Speed, ...]:
    """Time single rows of *matrix* one after the other, then batches; encoding features is not included.

    The models take turns, `TURNS` of them, so that what else the machine does falls on all alike:
    timed one after the other, the last would be called slow for a neighbour's work.
    Memory is what loading the model and answering once added to this process, the mean of
    `COPIES` held at once after free memory went back to the system (else a model could
    hide in what an earlier one left), and never less than the artifact itself.

    Raises:
        ValueError: There is no row to ask about, or no repeat.
    """
    if len(matrix) == 0 or repeats < 1:
        raise ValueError(f"nothing to measure with: {len(matrix)} rows, {repeats} repeats")
    import onnxruntime  # noqa: F401  (its own memory is the server's, not the model's)

    rows = np.ascontiguousarray(matrix, dtype=np.float32)
    with _old_objects_apart():
        loaded = [_loaded(content, rows) for content in contents]
    singles = [rows[i : i + 1] for i in range(min(len(rows), 256))]
    for model, _ in loaded:
        for i in range(WARM_UP):
            model.predict(singles[i % len(singles)])
    times = np.empty((len(loaded), repeats))
    for turn in np.array_split(np.arange(repeats), min(TURNS, repeats)):
        for place, (model, _) in enumerate(loaded):
            for i in turn.tolist():
                row = singles[i % len(singles)]
                begun = clock()
                model.predict(row)
                times[place, i] = clock() - begun
    return tuple(
        _speed(model, rows, took / 1e3, size_bytes=len(content), memory_bytes=memory, clock=clock)
        for content, (model, memory), took in zip(contents, loaded, times, strict=True)
    )


def _loaded(content: bytes, rows: Matrix) -> tuple[OnnxModel, int]:
    """The model, and the memory that it takes."""
    _return_free_memory()
    before = resident_bytes()
    copies = [OnnxModel(content) for _ in range(COPIES)]
    for copy in copies:
        copy.predict(rows[:1])
    return copies[0], max((resident_bytes() - before) // COPIES, len(content))


def _speed(
    model: OnnxModel, rows: Matrix, times_us: Floats, *, size_bytes: int, memory_bytes: int, clock: ClockNs
) -> Speed:
    half, rare = quantile_interval(times_us, 0.5), quantile_interval(times_us, 0.99)
    return Speed(
        p50_us=float(np.quantile(times_us, 0.5)),
        p99_us=float(np.quantile(times_us, 0.99)),
        rows_per_s=_throughput(model, rows, clock),
        size_bytes=size_bytes,
        memory_bytes=memory_bytes,
        repeats=len(times_us),
        p50_low_us=half[0],
        p50_high_us=half[1],
        p99_low_us=rare[0],
        p99_high_us=rare[1],
    )


def quantile_interval(
    values: Floats, level: float, *, confidence: float = 0.95
) -> tuple[float | None, float | None]:
    """The order statistics between which the true quantile lies with at least *confidence*.

    The number of values below the quantile is Binomial(n, level), whatever the values'
    law. An end is None where the values are too few to have one: 99 of 100 calls say
    nothing about how slow the slowest one in a hundred may be.

    Source: David & Nagaraja (2003), "Order statistics", section 7.1.
    """
    from scipy.stats import binom

    ordered = np.sort(values)
    count, tail = len(ordered), (1.0 - confidence) / 2.0
    # P(X_(l) > q) = P(B <= l - 1) <= tail, and P(X_(u) < q) = P(B >= u) <= tail, with l and u from 1.
    low = int(binom.ppf(tail, count, level))
    high = int(binom.ppf(1.0 - tail, count, level)) + 1
    return (
        float(ordered[low - 1]) if low >= 1 else None,
        float(ordered[high - 1]) if high <= count else None,
    )


def resident_bytes() -> int:
    """The memory that this process holds now (its peak where the system tells no more)."""
    pages = Path("/proc/self/statm")
    if pages.exists():
        return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@contextmanager
def _old_objects_apart() -> Iterator[None]:
    """Collect garbage once; what lives then is not walked through again before each model.

    A process with all its libraries holds a million objects: half a second a walk.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _return_free_memory() -> None:
    """Hand freed memory back to the system, where the C library knows how (glibc does)."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _throughput(model: OnnxModel, rows: Matrix, clock: ClockNs) -> float:
    batch = rows[np.arange(BATCH_ROWS) % len(rows)]
    model.predict(batch)
    answered, begun = 0, clock()
    while True:
        model.predict(batch)
        answered += len(batch)
        passed = clock() - begun
        if passed >= BATCH_NS:
            return answered / (passed / 1e9)
