"""Answers that come too late: the contract's latency clause, held against every answer.

A quantile that the contract bounds is a bound on a share: p99 at most 10 ms says that at most
one answer in a hundred takes longer. So it is a page on a share, valid however often one looks.

Late answers come in bursts: a cold start, a pause, a queue. So what is counted is the share of
late answers in each spell of ten seconds, of which one may be as bad as it likes without ringing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.contract import Contract, MonitoringTerms
from geartrain.domain.finding import Measurement
from geartrain.domain.incident import Signal
from geartrain.domain.prediction import Floats
from geartrain.stats.eprocess import Detector, Form, Watch, to_evidence, watch
from geartrain.stats.quantile_over_time import quantile_over_time, spell_losses

Times = NDArray[np.int64]

#: What each clause says about the share of answers that may take longer.
SHARES = {"budget.latency_p99": 0.01, "budget.latency_p50": 0.5}
#: Answers within so long are alike: one spell.
SPELL_US = 10_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowMonitor:
    """The state of the watch on one latency clause; of *answers*, *late* were beyond the bound."""

    path: str
    bound_ms: float
    detector: Detector
    seen: Watch = field(default_factory=Watch)
    answers: int = 0
    late: int = 0


def begin_slow(contract: Contract) -> tuple[SlowMonitor, ...]:
    """A monitor for each latency clause of the contract, tolerating the smallest change that matters."""
    terms = contract.monitoring or MonitoringTerms()
    return tuple(
        SlowMonitor(
            path=clause.path,
            bound_ms=clause.bound,
            detector=Detector(
                form=Form.PAGE,
                level=min(0.99, SHARES[clause.path] * (1 + terms.smallest_change)),
                bound=1 / terms.false_alarm_alpha,
            ),
        )
        for clause in contract.clauses
        if clause.path in SHARES and clause.unit == "ms"
    )


def take_latencies(monitor: SlowMonitor, latencies_ms: Floats, at_us: Times) -> SlowMonitor:
    """Take how long answers took, shape (n,), in the order of their times."""
    late = np.asarray(latencies_ms > monitor.bound_ms, dtype=np.float64)
    if not late.size:
        return monitor
    spells = spells_of(at_us)
    _, first = np.unique(spells, return_index=True)
    losses = spell_losses(late, spells, level=monitor.detector.level)
    return replace(
        monitor,
        seen=watch(monitor.detector, monitor.seen, losses, at_us[first]),
        answers=monitor.answers + late.size,
        late=monitor.late + int(late.sum()),
    )


def spells_of(at_us: Times) -> Times:
    """The spell in which each answer was given, shape (n,)."""
    return at_us // SPELL_US


def latency(path: str, latencies_ms: Floats, at_us: Times, *, confidence: float) -> Measurement:
    """The quantile in ms that the clause at *path* bounds, of answers in the order of their times, for any number of looks."""
    return replace(
        quantile_over_time(
            latencies_ms, spells_of(at_us), probability=1 - SHARES[path], confidence=confidence
        ),
        note="until the decision was handed to the log",
    )


def slow_signals(monitors: tuple[SlowMonitor, ...]) -> tuple[Signal, ...]:
    """A signal for each clause whose page has rung."""
    return tuple(
        Signal(
            kind="latency",
            about=one.path,
            measure=f"answers beyond {one.bound_ms:g} ms",
            size=float(one.late),
            evidence=to_evidence(one.seen.peak or 0.0),
            since=None
            if one.seen.onset_mark is None
            else _EPOCH + timedelta(microseconds=one.seen.onset_mark),
            rows=one.answers,
            message=(
                f"{one.late:,} of {one.answers:,} answers took longer than {one.bound_ms:g} ms,"
                f" {one.path} tolerates {SHARES[one.path]:.0%}"
            ),
        )
        for one in monitors
        if one.seen.alarmed
    )
