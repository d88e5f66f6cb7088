"""Feasibility: whether each clause can be kept at all, with this data, before anything is trained.

A clause that no amount of skill could *prove* with the rows at hand is said now, with the
rows that it would take, and not after a month of work.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np

from geartrain.domain.clause import Clause, Comparison, Stage
from geartrain.domain.contract import Contract
from geartrain.domain.expression import Columns, parse
from geartrain.domain.finding import MOST_ROWS, Finding, Measurement, Status, judge
from geartrain.domain.model import Speed
from geartrain.domain.rule import DecisionRule, rule_of
from geartrain.errors import Problem
from geartrain.evaluation.baselines import ALWAYS, action_index
from geartrain.evaluation.cost_metrics import expected_cost
from geartrain.evaluation.evidence import Evidence, Unmeasured
from geartrain.evaluation.impossibility import impossibilities, tables_of
from geartrain.evaluation.judging import finding_of, measured
from geartrain.stats.deciding import Indices, cost_tensor, realised_cost
from geartrain.stats.intervals import CONFIDENCE, zero_failures_bound
from geartrain.stats.needed import relevant_for_proportion


class Verdict(StrEnum):
    """Whether a clause can be kept and proven. Unknown is an answer, with its reason."""

    CAN = "can"
    CANNOT = "cannot"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known before training.

    Attributes:
        rows: Rows with a known label.
        class_counts: How many of them each class has; empty for regression.
        trivial_costs: What policies without a model cost per row, such as `always-biopsy`.
        proving_share: The share of rows that will stand in the sealed pool, where promises are proven.
    """

    rows: int
    class_counts: tuple[tuple[str, int], ...] = ()
    trivial_costs: tuple[tuple[str, float], ...] = ()
    proving_share: float = 1.0

    @property
    def proving_rows(self) -> int:
        """The rows that can prove something."""
        return int(self.rows * self.proving_share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """Whether one clause can be kept and proven, and why.

    Attributes:
        relevant: The relevant rows that the sealed pool will hold, None where it does not matter.
        relevant_needed: The relevant rows that it would have to hold at the very least.
        rows_needed: All labelled rows that this takes, with the shares as they are.
    """

    clause: str
    verdict: Verdict
    reason: str
    relevant: int | None = None
    relevant_needed: int | None = None
    rows_needed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Feasibility:
    """What can be said before training: findings, a verdict per clause, and plain sentences."""

    findings: tuple[Finding, ...]
    prospects: tuple[Prospect, ...]
    statements: tuple[str, ...]


#: The best value that each share can have: what a model without one error would show.
SHARES = {
    "recall": 1.0, "specificity": 1.0, "precision": 1.0, "f1": 1.0, "accuracy": 1.0,
    "abstention_rate": 0.0, "coverage": 1.0,
}  # fmt: skip
COSTS = ("expected_cost", "cost_per_1000")


def trivial_costs(rule: DecisionRule, truth: Indices, columns: Columns) -> tuple[tuple[str, float], ...]:
    """The mean cost per row of always taking one action, the cheapest first; truth (n,) class indices."""
    costs = []
    for action in dict.fromkeys(rule.actions):
        always = np.full(len(truth), rule.actions.index(action), dtype=np.int64)
        costs.append((ALWAYS + action, float(np.nanmean(realised_cost(rule, always, truth, columns)))))
    return tuple(sorted(costs, key=lambda one: one[1]))


def feasibility(
    contract: Contract,
    *,
    facts: Facts,
    now: datetime,
    quick: Evidence | None = None,
    floor: Speed | None = None,
    contradictions: tuple[Problem, ...] = (),
) -> Feasibility:
    """Say for each clause of success, fairness, plausibility and budget whether it can be kept.

    *quick* holds the cross-fitted answers of a quick model; it is evidence, so its clauses
    get findings, and it never proves that another model could not do better. *floor* is
    the fastest and smallest serving path measured on this machine. *contradictions* are what
    the contract room found that cannot hold together, each at the path of a clause.
    """
    findings, prospects = [], []
    for clause in contract.clauses:
        if clause.section not in {"success", "fairness", "plausibility", "budget"}:
            continue
        if clause.section == "budget":
            finding, prospect = _budget(clause, floor, now)
        else:
            finding = _quick_finding(clause, quick, now)
            prospect = _statistical(contract, clause, facts, finding)
        clash = next((one for one in contradictions if f"{one.path}.".startswith(f"{clause.path}.")), None)
        if clash is not None:
            prospect = Prospect(clause=clause.path, verdict=Verdict.CANNOT, reason=clash.message)
        findings.append(finding)
        prospects.append(prospect)
    return Feasibility(
        findings=tuple(findings),
        prospects=tuple(prospects),
        statements=_statements(contract, facts, quick, tuple(prospects), contradictions),
    )


def _quick_finding(clause: Clause, quick: Evidence | None, now: datetime) -> Finding:
    if quick is None:
        return judge(clause, None, stage=Stage.FEASIBILITY, now=now, reason="no quick model was fitted")
    return finding_of(clause, measured(quick, clause, None), stage=Stage.FEASIBILITY, now=now)


def _statistical(contract: Contract, clause: Clause, facts: Facts, finding: Finding) -> Prospect:
    impossible = None
    if clause.section == "success" and clause.metric in SHARES:
        impossible = _too_few_for_a_share(contract, clause, facts)
    elif clause.section == "success" and clause.metric in COSTS:
        impossible = _too_few_for_a_cost(contract, clause, facts)
    elif clause.section == "fairness":
        impossible = _too_few_for_a_gap(clause, facts)
    if impossible is not None:
        return impossible
    match finding.status:
        case Status.KEPT:
            return Prospect(
                clause=clause.path, verdict=Verdict.CAN, reason=f"a quick model keeps it: {finding.message}"
            )
        case Status.NOT_MEASURED:
            return Prospect(clause=clause.path, verdict=Verdict.UNKNOWN, reason=finding.message)
        case Status.BROKEN:
            why = f"a quick model breaks it, a better one may not: {finding.message}"
        case Status.UNPROVEN:
            why = f"a quick model leaves it open: {finding.message}"
    return Prospect(clause=clause.path, verdict=Verdict.UNKNOWN, reason=why, rows_needed=finding.rows_needed)


def _too_few_for_a_share(contract: Contract, clause: Clause, facts: Facts) -> Prospect | None:
    best = SHARES[clause.metric]
    if (clause.comparison is Comparison.AT_LEAST) != (best == 1.0):
        return None
    of, share = _relevant(contract, clause, facts)
    have = int(facts.proving_rows * share)
    bound = clause.bound / (2 - clause.bound) if clause.metric == "f1" else clause.bound
    needed = relevant_for_proportion(best, bound)
    if needed is None and bound == best:
        return Prospect(
            clause=clause.path,
            verdict=Verdict.CANNOT,
            reason=f"no number of rows proves a {clause.metric} of exactly {clause.bound:g}",
            relevant=have,
        )
    if needed is None or have >= needed:
        return None
    rows = _rows_for(needed, share, facts)
    return Prospect(
        clause=clause.path,
        verdict=Verdict.CANNOT,
        reason=(
            f"even without one error, {needed:,} {of} rows are needed to prove"
            f" {clause.metric} {clause.comparison.replace('_', ' ')} {clause.bound:g}; the sealed pool will hold"
            f" {'at most ' if clause.where else 'about '}{have:,}"
            + (f" (about {rows:,} labelled rows in all would do)" if rows else "")
        ),
        relevant=have,
        relevant_needed=needed,
        rows_needed=rows,
    )


def _relevant(contract: Contract, clause: Clause, facts: Facts) -> tuple[str, float]:
    """What the relevant rows are called, and at most which share of all rows they are."""
    counts = dict(facts.class_counts)
    total = max(1, sum(counts.values()))
    named = clause.parameter("class") or contract.decision.positive
    if clause.metric in {"recall", "specificity"} and counts:
        if named is None:
            # A macro mean is no surer than its rarest class.
            name, fewest = min(counts.items(), key=lambda one: one[1])
            return f"`{name}`", fewest / total
        share = counts.get(str(named), 0) / total
        return (f"`{named}`", share) if clause.metric == "recall" else (f"non-`{named}`", 1 - share)
    return "decided" if clause.metric not in {"abstention_rate", "coverage"} else "labelled", 1.0


def _too_few_for_a_cost(contract: Contract, clause: Clause, facts: Facts) -> Prospect | None:
    """Without one error, what errors that were not seen may still cost has to fit below the bound."""
    if clause.comparison is not Comparison.AT_MOST or clause.where or not facts.class_counts:
        return None
    rule = rule_of(contract, tuple(name for name, _ in facts.class_counts))
    target = clause.bound / (1000 if clause.metric == "cost_per_1000" and clause.relative_to is None else 1)
    if clause.relative_to is not None:
        reference = _trivial(rule, facts, clause.relative_to)
        if reference is None:
            return None
        target = clause.bound * reference
    possible = _unseen_cost(rule, facts)
    if possible is None or possible <= target or target <= 0:
        return None
    # The allowance shrinks like 1 / rows.
    rows = math.ceil(facts.rows * possible / target)
    return Prospect(
        clause=clause.path,
        verdict=Verdict.CANNOT,
        reason=(
            f"even without one error, {facts.proving_rows:,} rows leave room for errors not yet seen that cost"
            f" {possible:.3g} a row, promised at most {target:.3g}; about {rows:,} labelled rows in all would do"
        ),
        rows_needed=None if rows > MOST_ROWS else rows,
    )


def _trivial(rule: DecisionRule, facts: Facts, name: str) -> float | None:
    known = dict(facts.trivial_costs)
    if name in known:
        return known[name]
    index = action_index(rule, name.removeprefix(ALWAYS)) if name.startswith(ALWAYS) else None
    return None if index is None or index < 0 else known.get(ALWAYS + rule.actions[index])


def _unseen_cost(rule: DecisionRule, facts: Facts) -> float | None:
    """As `cost_metrics.unseen_cost` would allow for a model without one error; None where costs read columns."""
    texts = [entry.cost for entry in rule.costs.entries] + [rule.costs.otherwise]
    if any(parse(text).columns for text in texts):
        return None
    tensor = cost_tensor(rule.costs, actions=rule.actions, classes=rule.classes, columns={}, rows=1)[0]
    total = sum(count for _, count in facts.class_counts)
    squares = 0.0
    for y, (_, count) in enumerate(facts.class_counts):
        worst = max(0.0, float((tensor[:, y] - tensor[y, y]).max()))
        bound = zero_failures_bound(int(count * facts.proving_share), confidence=0.5 + CONFIDENCE / 2)
        squares += (count / total * bound * worst) ** 2
    return math.sqrt(squares)


def _too_few_for_a_gap(clause: Clause, facts: Facts) -> Prospect | None:
    smallest = clause.parameter("smallest_group")
    if not isinstance(smallest, int | float) or facts.proving_rows >= 2 * smallest:
        return None
    return Prospect(
        clause=clause.path,
        verdict=Verdict.CANNOT,
        reason=(
            f"two groups of {int(smallest)} rows are the least that is judged;"
            f" the sealed pool will hold {facts.proving_rows:,} rows"
        ),
        relevant=facts.proving_rows,
        relevant_needed=2 * int(smallest),
        rows_needed=_rows_for(2 * int(smallest), 1.0, facts),
    )


def _rows_for(relevant: int, share: float, facts: Facts) -> int | None:
    if share <= 0 or facts.proving_share <= 0:
        return None
    rows = math.ceil(relevant / (share * facts.proving_share))
    return None if rows > MOST_ROWS else rows


def _budget(clause: Clause, floor: Speed | None, now: datetime) -> tuple[Finding, Prospect]:
    value = None if floor is None else _floor_of(clause, floor)
    if value is None:
        reason = "no floor was measured on this machine"
        unmeasured = judge(clause, None, stage=Stage.FEASIBILITY, now=now, reason=reason)
        return unmeasured, Prospect(clause=clause.path, verdict=Verdict.UNKNOWN, reason=reason)
    told = f"the fastest serving path here takes {value:.4g} {clause.unit}".strip()
    if value > clause.bound:
        exact = Measurement.exact(
            value, method="measured floor", note="no model can be below it on this machine"
        )
        finding = judge(clause, exact, stage=Stage.FEASIBILITY, now=now)
        return finding, Prospect(
            clause=clause.path, verdict=Verdict.CANNOT, reason=f"{told}, more than promised"
        )
    reason = f"{told} of {clause.bound:.4g} promised; the rest is left for the model"
    finding = judge(clause, None, stage=Stage.FEASIBILITY, now=now, reason=reason)
    return finding, Prospect(clause=clause.path, verdict=Verdict.CAN, reason=reason)


def _floor_of(clause: Clause, floor: Speed) -> float | None:
    """The floor in the clause's own unit; None for a quantity that has no measured floor."""
    match clause.metric.removesuffix("_ms"):
        case "latency_p50":
            return floor.p50_us / 1000
        case "latency_p99":
            return floor.p99_us / 1000
        case "artifact_size":
            return floor.size_bytes / 1000
        case "memory":
            return floor.memory_bytes / 1e6
    return None


def _statements(
    contract: Contract,
    facts: Facts,
    quick: Evidence | None,
    prospects: tuple[Prospect, ...],
    contradictions: tuple[Problem, ...],
) -> tuple[str, ...]:
    currency = contract.costs.currency if contract.costs else "units"
    told = [f"{facts.rows:,} labelled rows, about {facts.proving_rows:,} of them to prove the promises with"]
    if facts.class_counts:
        told.append("classes: " + ", ".join(f"{count:,} {name}" for name, count in facts.class_counts))
    told += [
        f"without a model, {name} costs {cost:.4g} {currency} a row" for name, cost in facts.trivial_costs
    ]
    told += _value(facts, quick, currency)
    if quick is not None and len(quick):
        tables = tables_of(quick, contract.clauses)
        told += [one.sentence for one in impossibilities(contract.clauses, tables)]
    told += [f"{one.path} contradicts the rest of the contract: {one.message}" for one in contradictions]
    told += [
        f"{one.clause}: {one.verdict}, {one.reason}" for one in prospects if one.verdict is Verdict.CANNOT
    ]
    return tuple(told)


def _value(facts: Facts, quick: Evidence | None, currency: str) -> list[str]:
    if not facts.trivial_costs:
        return []
    name, cheapest = min(facts.trivial_costs, key=lambda one: one[1])
    told = [f"a perfect model would be worth up to {cheapest:.4g} {currency} a row over {name}"]
    if quick is not None and cheapest > 0:
        cost = expected_cost(quick, quick.everything, {})
        if isinstance(cost, Unmeasured):
            return told
        told.append(
            f"a quick cross-fitted model costs {cost.value:.4g} ({cost.low:.4g} to {cost.high:.4g}) a row:"
            f" it removes {1 - cost.value / cheapest:.0%} of that"
        )
    return told
