"""The budget's clauses against what was measured on this machine."""

from __future__ import annotations

from datetime import datetime

from geartrain.domain.clause import Clause, Stage
from geartrain.domain.contract import BudgetTerms, Contract
from geartrain.domain.finding import Finding, Measurement, judge
from geartrain.domain.model import Speed

#: The clauses that this room measures.
METRICS = ("latency_p50", "latency_p99", "artifact_size", "memory", "cost_per_million")


def budget_findings(contract: Contract, speed: Speed, *, stage: Stage, now: datetime) -> tuple[Finding, ...]:
    """One finding for each clause of the budget that is checked at *stage*.

    Latency has an interval by order statistics, so a promise about the slowest call in a
    hundred is `not measured` where too few calls were made to know it.
    """
    terms = contract.budget or BudgetTerms()
    return tuple(
        _finding(clause, speed, terms, stage=stage, now=now)
        for clause in contract.clauses
        if clause.metric in METRICS and stage in clause.stages
    )


def cost_per_million(seconds_each: float, terms: BudgetTerms) -> float:
    """What a million decisions cost at *seconds_each* of one core, in the contract's money.

    >>> cost_per_million(0.001, BudgetTerms(core_hour_price=0.036))
    0.01
    """
    return round(seconds_each * 1e6 / 3600.0 * terms.core_hour_price, 12)


def _finding(clause: Clause, speed: Speed, terms: BudgetTerms, *, stage: Stage, now: datetime) -> Finding:
    measured = _measured(clause.metric, speed, terms)
    reason = "" if measured else f"{speed.repeats} calls are too few for its interval"
    return judge(clause, measured, stage=stage, now=now, reason=reason)


def _measured(metric: str, speed: Speed, terms: BudgetTerms) -> Measurement | None:
    match metric:
        case "artifact_size":
            return Measurement.exact(speed.size_bytes / 1e3, method="bytes on disk")
        case "memory":
            return Measurement.exact(speed.memory_bytes / 1e6, method="resident memory that loading added")
        case "latency_p99":
            return _timed(speed.p99_us, speed.p99_low_us, speed.p99_high_us, 1e-3, speed.repeats)
        case "latency_p50":
            return _timed(speed.p50_us, speed.p50_low_us, speed.p50_high_us, 1e-3, speed.repeats)
        case "cost_per_million":
            money = cost_per_million(1e-6, terms)
            return _timed(
                speed.p50_us,
                speed.p50_low_us,
                speed.p50_high_us,
                money,
                speed.repeats,
                note=f"the model's own time on one core, at {terms.core_hour_price:g} a core hour",
            )
    raise ValueError(f"{metric} is no budget metric")


def _timed(
    value: float, low: float | None, high: float | None, scale: float, calls: int, *, note: str = ""
) -> Measurement | None:
    if low is None or high is None:
        return None
    return Measurement(
        value=value * scale,
        low=low * scale,
        high=high * scale,
        rows=calls,
        method="order statistics",
        note=note,
    )
