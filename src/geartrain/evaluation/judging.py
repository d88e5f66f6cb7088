"""Judging: every due clause of success, plausibility and fairness against one piece of evidence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from geartrain.domain.clause import Clause, Stage
from geartrain.domain.digest import digest
from geartrain.domain.explanation import Explanation
from geartrain.domain.finding import Finding, Measurement, Status, judge
from geartrain.domain.groups import GroupTable, Impossibility, MitigationTried
from geartrain.errors import ExpressionInvalid
from geartrain.evaluation.baselines import baseline_costs, baseline_names
from geartrain.evaluation.cost_metrics import mean_cost
from geartrain.evaluation.evidence import Evidence, Measured, Unmeasured, cost_threshold
from geartrain.evaluation.explaining import explained
from geartrain.evaluation.fairness import fairness
from geartrain.evaluation.impossibility import impossibilities, tables_of
from geartrain.evaluation.lift import Lift
from geartrain.evaluation.metrics import USUAL, measure
from geartrain.evaluation.model_view import ModelView
from geartrain.evaluation.plausibility import check
from geartrain.evaluation.robustness import robustness
from geartrain.evaluation.saying import sentence_of
from geartrain.evaluation.score_metrics import confidence_and_truth
from geartrain.stats.calibration import Bin, reliability
from geartrain.stats.needed import relevant_for_proportion

#: The sections whose clauses are judged here; budgets and data are measured elsewhere.
SECTIONS = ("success", "plausibility", "fairness")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One line of the report's table: a quantity, over which rows, and its value or why it has none."""

    name: str
    where: str | None = None
    relative_to: str | None = None
    measurement: Measurement | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one evaluation showed.

    Attributes:
        contract: The id of the contract that it was held against.
        rows: The rows behind it.
        findings: One for each due clause.
        metrics: The usual metrics of the task over every row, then each success clause's.
        baselines: The mean cost per row of each simpler way of deciding.
        reliability: What was said and what came, of the positive class or of the likeliest.
        thresholds: The probability from which the action of a class is taken, where there is one.
        slices: Each slice that a clause named, and its rows.
        lift: What is saved against the cheapest simpler way, and how many tries that survived;
            None at stages that open no sealed rows.
        groups: What the model does to each group that a fairness clause named.
        impossible: Fairness clauses that exclude each other at the base rates of these rows.
        mitigations: What training tried because a fairness clause broke on `select`, with what each costs.
        explanation: What the answers rest on; None where the model was not at hand.
        robustness: What missing values tell, and what corrupted input costs most; before a release only.
    """

    contract: str
    stage: Stage
    rows: int
    findings: tuple[Finding, ...]
    metrics: tuple[Shown, ...] = ()
    baselines: tuple[Shown, ...] = ()
    reliability: tuple[Bin, ...] = ()
    thresholds: tuple[tuple[str, float], ...] = ()
    slices: tuple[tuple[str, int], ...] = ()
    lift: Lift | None = None
    groups: tuple[GroupTable, ...] = ()
    impossible: tuple[Impossibility, ...] = ()
    mitigations: tuple[MitigationTried, ...] = ()
    explanation: Explanation | None = None
    robustness: tuple[Shown, ...] = ()

    @property
    def id(self) -> str:
        """The digest of what was found; the time it was found at is not part of it."""
        findings = [
            (one.clause, one.status, one.value, one.low, one.high, one.bound, one.message)
            for one in self.findings
        ]
        rest = (
            self.metrics,
            self.baselines,
            self.reliability,
            self.thresholds,
            self.slices,
            self.groups,
            self.mitigations,
            self.lift,
            self.robustness,
        )
        return digest((self.contract, self.stage, self.rows, findings, rest, self.explanation))

    def finding(self, path: str) -> Finding | None:
        """The finding about the clause at *path*, or None where it was not due."""
        return next((one for one in self.findings if one.clause == path), None)


def evaluate(
    evidence: Evidence,
    *,
    stage: Stage,
    now: datetime,
    clauses: Iterable[Clause] | None = None,
    model: ModelView | None = None,
    usual: bool = True,
) -> Report:
    """Judge the due *clauses* (default: the contract's) and show what else was seen.

    *model* lets plausibility clauses ask about rows that never happened; without it they are
    not measured, and say so. *usual* adds the task's usual metrics and baselines to the table.
    """
    due = [
        clause
        for clause in (evidence.contract.clauses if clauses is None else clauses)
        if clause.section in SECTIONS and (not clause.stages or stage in clause.stages)
    ]
    seen = [(clause, measured(evidence, clause, model)) for clause in due]
    table = [
        _shown(name, measure(evidence, name)) for name in (USUAL.get(evidence.rule.task, ()) if usual else ())
    ]
    table += [
        _shown(clause.metric, value, where=clause.where, relative_to=clause.relative_to)
        for clause, value in seen
        if clause.section == "success" and (clause.where or clause.relative_to)
    ]
    threshold = cost_threshold(evidence.rule, evidence.positive)
    tables = tables_of(evidence, due) if usual and len(evidence) else ()
    named = [] if threshold is None else [(evidence.rule.classes[evidence.positive], threshold)]
    return Report(
        contract=evidence.contract.id,
        stage=stage,
        rows=len(evidence),
        findings=tuple(finding_of(clause, value, stage=stage, now=now) for clause, value in seen),
        metrics=tuple(table),
        baselines=_baselines(evidence) if usual else (),
        reliability=_reliability(evidence),
        thresholds=tuple(named),
        slices=_slices(evidence, due),
        groups=tables,
        impossible=impossibilities(due, tables),
        explanation=explained(evidence, model) if usual else None,
        robustness=_robustness(evidence, model) if usual and stage is Stage.RELEASE else (),
    )


def measured(evidence: Evidence, clause: Clause, model: ModelView | None) -> Measured:
    """What the evidence says about the clause's quantity, or why it says nothing."""
    if len(evidence) == 0:
        return Unmeasured(reason="there is not one row")
    parameters = dict(clause.parameters)
    try:
        match clause.section:
            case "plausibility":
                if model is None:
                    return Unmeasured(reason="the model was not at hand to be asked")
                return check(evidence, model, clause.metric, evidence.slice(clause.where), parameters)
            case "fairness":
                return fairness(evidence, clause.metric, evidence.slice(clause.where), parameters)
    except ExpressionInvalid as error:
        return Unmeasured(reason=f"an expression cannot be read: {error.message}")
    return measure(
        evidence, clause.metric, where=clause.where, relative_to=clause.relative_to, parameters=parameters
    )


def finding_of(clause: Clause, value: Measured, *, stage: Stage, now: datetime) -> Finding:
    """The clause's finding; an unproven exact share says how many rows its own formula needs."""
    if isinstance(value, Unmeasured):
        return judge(clause, None, stage=stage, now=now, reason=value.reason)
    finding = judge(clause, value, stage=stage, now=now)
    if finding.status is Status.UNPROVEN and value.method == "Clopper-Pearson":
        needed = relevant_for_proportion(value.value, clause.bound, confidence=value.confidence)
        if needed is not None:
            finding = judge(clause, replace(value, relevant_needed=needed), stage=stage, now=now)
    if clause.section in {"plausibility", "fairness"}:
        return replace(finding, message=sentence_of(clause, finding, value.note))
    return finding


def _shown(name: str, value: Measured, *, where: str | None = None, relative_to: str | None = None) -> Shown:
    if isinstance(value, Unmeasured):
        return Shown(name=name, where=where, relative_to=relative_to, reason=value.reason)
    return Shown(name=name, where=where, relative_to=relative_to, measurement=value)


def _robustness(evidence: Evidence, model: ModelView | None) -> tuple[Shown, ...]:
    if model is None or len(evidence) == 0:
        return ()
    return tuple(_shown(name, value) for name, value in robustness(evidence, model))


def _baselines(evidence: Evidence) -> tuple[Shown, ...]:
    shown = []
    for name in baseline_names(evidence):
        costs = baseline_costs(evidence, name)
        value = costs if isinstance(costs, Unmeasured) else mean_cost(evidence, costs, evidence.everything)
        shown.append(_shown(name, value))
    return tuple(shown)


def _reliability(evidence: Evidence) -> tuple[Bin, ...]:
    pair = confidence_and_truth(evidence, evidence.everything, {})
    return () if isinstance(pair, Unmeasured) else reliability(*pair)


def _slices(evidence: Evidence, due: list[Clause]) -> tuple[tuple[str, int], ...]:
    counted = {}
    for where in dict.fromkeys(clause.where for clause in due if clause.where):
        try:
            counted[where] = int(evidence.slice(where).sum())
        except ExpressionInvalid:
            # Its clause's finding says why; a slice that cannot be read has no rows to count.
            counted[where] = 0
    return tuple(counted.items())
