"""The detectors that are compared, each as it is really used, on the same errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from streams import Stream

from geartrain.monitoring.losses import LossMonitor, LossPlan, begin, rearm, take
from geartrain.stats.bounded import Scale

RIVAL = "ADWIN(0.002)"
OURS = ("trigger", "page")
#: One false trigger in so many rows: ten times rarer than one in 100,000 rows.
RUN_ROWS = 1_000_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """When a detector rang: false alarms before the change, and how long after it."""

    false: int
    quiet_rows: int
    delay: float
    found: bool


def _ours(stream: Stream, *, page: bool) -> Rung:
    """geartrain's monitor, re-armed after a false alarm as after an incident that was dealt with."""
    # For ADWIN any rise matters; so it must for us.
    plan = LossPlan(about="errors", alpha=0.01, run_rows=RUN_ROWS, smallest_change=0.0)
    monitor = begin(plan, stream.reference, scale=Scale())
    false, row = 0, 0
    while row < stream.quiet.size:
        after = _fed(monitor, stream.quiet[row:], row)
        at = _alarm(after, page=page)
        if at is None:
            monitor = after
            break
        false, row = false + 1, row + at + 1
        monitor = rearm(monitor)
    before = (monitor.page_seen if page else monitor.trigger_seen).rows
    at = _alarm(_fed(monitor, stream.changed, stream.quiet.size), page=page)
    return _rung(stream, false, None if at is None else at - before + 1)


def _fed(monitor: LossMonitor, losses: np.ndarray, first: int) -> LossMonitor:
    return take(monitor, losses, np.arange(first, first + losses.size))


def _alarm(monitor: LossMonitor, *, page: bool) -> int | None:
    return (monitor.page_seen if page else monitor.trigger_seen).alarm_row


def _adwin(stream: Stream) -> Rung:
    """river's ADWIN with its default confidence; it sees the reference too, and starts afresh by itself."""
    from river.drift import ADWIN

    detector = ADWIN(delta=0.002)
    for loss in stream.reference:
        detector.update(int(loss))
    false = 0
    for loss in stream.quiet:
        detector.update(int(loss))
        false += detector.drift_detected
    for row, loss in enumerate(stream.changed):
        detector.update(int(loss))
        if detector.drift_detected:
            return _rung(stream, false, row + 1)
    return _rung(stream, false, None)


def _always(stream: Stream) -> Rung:
    return _rung(stream, stream.quiet.size, 1)


def _never(stream: Stream) -> Rung:
    return _rung(stream, 0, None)


def _rung(stream: Stream, false: int, rows: int | None) -> Rung:
    delay = stream.changed.size if rows is None else rows
    return Rung(false=int(false), quiet_rows=stream.quiet.size, delay=float(delay), found=rows is not None)


DETECTORS: dict[str, Callable[[Stream], Rung]] = {
    RIVAL: _adwin,
    "trigger": lambda stream: _ours(stream, page=False),
    "page": lambda stream: _ours(stream, page=True),
    "always": _always,
    "never": _never,
}
