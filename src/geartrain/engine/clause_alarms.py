"""Broken live clauses as signals: what the team said blocks a release calls the clause's owner when traffic breaks it.

Only a finding that may be looked at any time rings. One of a single look would ring for nothing sooner
or later, however well the product did.
"""

from __future__ import annotations

from geartrain.domain.clause import Clause, Severity, Stage
from geartrain.domain.contract import Contract
from geartrain.domain.finding import Finding, Status
from geartrain.domain.incident import Signal
from geartrain.stats.eprocess import MOST_EVIDENCE

#: Sections whose clauses speak of the release itself and ring by themselves; feeds have alarms of their own, and so has the mean cost.
SECTIONS = ("success", "fairness", "plausibility", "budget")
_KINDS = {
    "abstention_rate": "abstention",
    "coverage": "abstention",
    "brier": "calibration",
    "fallback_rate": "errors",
    "latency_p50": "latency",
    "latency_p99": "latency",
}


def clause_signals(contract: Contract, findings: tuple[Finding, ...]) -> tuple[Signal, ...]:
    """A signal for each blocking live clause of *contract* that is broken by a statement for any number of looks.

    A fact without sampling error counts as one. Its evidence is 1/alpha of the statement: the chance that
    the clause is ever called broken while it is kept is at most alpha.
    """
    clauses = {one.path: one for one in contract.clauses}
    return tuple(
        _signal(clauses[one.clause], one)
        for one in findings
        if one.clause in clauses
        and clauses[one.clause].section in SECTIONS
        and one.stage is Stage.LIVE
        and one.status is Status.BROKEN
        and one.severity is Severity.BLOCK
        and one.holds_at_all_times
    )


def _signal(clause: Clause, finding: Finding) -> Signal:
    alpha = 1 - finding.confidence
    return Signal(
        kind=_KINDS.get(clause.metric, clause.section),
        about=clause.path,
        measure=clause.metric,
        size=0.0 if finding.value is None else finding.value,
        evidence=MOST_EVIDENCE if alpha <= 0 else 1 / alpha,
        since=None,
        rows=finding.rows,
        message=finding.message,
        owner=clause.owner,
    )
