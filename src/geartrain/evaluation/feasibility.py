"""Feasibility: whether each clause can be kept at all, with this data, before anything is trained.

A clause that no amount of skill could *prove* with the rows at hand is said now, with the
rows that it would take, and not after a month of work. What quick models show is evidence; it
never proves that no better one exists, and every verdict says what it rests on.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np

from geartrain.domain.clause import Clause, Comparison, Stage
from geartrain.domain.contract import BudgetTerms, Contract
from geartrain.domain.finding import Finding, Measurement, Status, judge
from geartrain.domain.model import Speed
from geartrain.domain.rule import DecisionRule
from geartrain.errors import Problem
from geartrain.evaluation.baselines import ALWAYS
from geartrain.evaluation.ceiling import above_the_ceiling, doubt
from geartrain.evaluation.evidence import Measured, Unmeasured
from geartrain.evaluation.judging import finding_of, measured
from geartrain.evaluation.outlook import curve_of, outlook
from geartrain.evaluation.overview import overview
from geartrain.evaluation.prospect import (
    Facts,
    Feasibility,
    Prospect,
    QuickLook,
    Verdict,
    figure,
    interval,
)
from geartrain.evaluation.proving import COSTS, margin_prospect, rows_to_settle, too_few
from geartrain.stats.deciding import Indices, realised_cost
from geartrain.stats.intervals import Labels, ratio

SECTIONS = ("success", "fairness", "plausibility", "budget", "data")
TELLING = "columns_that_tell"
#: The clauses of integrity that can be answered before there is a model.
BEFOREHAND = (TELLING, "columns_known_too_late", "repeated_rows", "nearly_repeated_rows")


def feasibility(
    contract: Contract,
    *,
    facts: Facts,
    now: datetime,
    look: QuickLook | None = None,
    contradictions: tuple[Problem, ...] = (),
) -> Feasibility:
    """Say for each clause whether it can be kept, cannot, or that nobody can know yet, and why.

    Cannot: the contract contradicts it, the sealed rows could not prove it even for a model
    without one error, the floor of this machine lies above it, two labellers disagree too often
    for it, a feature definition breaks it, or it is a cost and even the good end of what the
    better of two quick models shows misses it. Can: a quick model keeps it, and the sealed rows
    will be enough to show that. Everything else is unknown, and says what would settle it.
    *contradictions* are what the contract room found, each at the path of a clause.
    """
    look = look or QuickLook(why_not="no quick model was fitted")
    findings, prospects = [], []
    for clause in contract.clauses:
        if clause.section not in SECTIONS and clause.metric not in BEFOREHAND:
            continue
        finding, prospect = _asked(contract, clause, facts, look, now)
        clash = next((one for one in contradictions if f"{one.path}.".startswith(f"{clause.path}.")), None)
        if clash is not None:
            found = f" ({clash.found})" if clash.found else ""
            prospect = _cannot(clause, clash.message + found)
        findings.append(finding)
        prospects.append(prospect)
    return Feasibility(
        findings=tuple(findings),
        prospects=tuple(prospects),
        margins=tuple(margin_prospect(one, facts) for one in look.margins),
        statements=overview(contract, facts, look, tuple(prospects), contradictions),
        why_not=look.why_not,
    )


def trivial_costs(
    rule: DecisionRule,
    truth: Indices,
    columns: dict[str, np.ndarray],
    *,
    seed: int = 0,
    groups: Labels | None = None,
) -> tuple[tuple[str, Measurement], ...]:
    """The mean cost per row of always taking one action, the cheapest first; truth (n,) class indices."""
    costs = []
    for action in dict.fromkeys(rule.actions):
        always = np.full(len(truth), rule.actions.index(action), dtype=np.int64)
        each = realised_cost(rule, always, truth, columns)
        known = np.isfinite(each)
        if known.any():
            seen = ratio(each[known], seed=seed, groups=None if groups is None else groups[known])
            costs.append((ALWAYS + action, seen))
    return tuple(sorted(costs, key=lambda one: one[1].value))


def _asked(
    contract: Contract, clause: Clause, facts: Facts, look: QuickLook, now: datetime
) -> tuple[Finding, Prospect]:
    match clause.section:
        case "integrity" if clause.metric == TELLING:
            return _leaking(clause, look, now)
        case "integrity":
            return _apart(clause, look, now)
        case "budget":
            return _budget(contract, clause, look.floor, now)
        case "data":
            return _feed(clause, look, now)
        case "plausibility":
            evidence, view = look.asked, look.view
        case _:
            evidence, view = look.quick, None
    if evidence is None:
        seen: Measured = Unmeasured(reason=look.why_not or "no quick model was fitted")
    else:
        seen = measured(evidence, clause, view)
    finding = finding_of(clause, seen, stage=Stage.FEASIBILITY, now=now)
    if clause.section == "plausibility":
        return finding, _plausible(clause, finding)
    return finding, _statistical(contract, clause, facts, look, seen, finding)


def _statistical(
    contract: Contract, clause: Clause, facts: Facts, look: QuickLook, seen: Measured, finding: Finding
) -> Prospect:
    more = _outlook(clause, look)
    impossible = too_few(contract, clause, facts, look.quick) or above_the_ceiling(clause, look)
    if impossible is not None:
        return impossible
    if isinstance(seen, Unmeasured):
        return Prospect(clause=clause.path, verdict=Verdict.UNKNOWN, reason=seen.reason)
    relevant, rows, of = rows_to_settle(contract, clause, seen, facts)
    verdict, why = _weighed(clause, facts, look, finding.status, seen, rows)
    doubtful = doubt(clause, look)
    if verdict is Verdict.CAN and doubtful:
        doubtful = ""
    return Prospect(
        clause=clause.path,
        verdict=verdict,
        reason=f"{why}; {doubtful}" if doubtful else why,
        outlook="" if verdict is Verdict.CAN else more,
        relevant_needed=relevant,
        of=of,
        rows_needed=rows,
    )


def _weighed(
    clause: Clause,
    facts: Facts,
    look: QuickLook,
    status: Status,
    seen: Measurement,
    rows: int | None,
) -> tuple[Verdict, str]:
    """What a quick model's answer is worth for the clause."""
    told = _in_words(clause, seen)
    match status:
        case Status.KEPT if any(one.is_answer for one in look.leaks or ()):
            named = ", ".join(f"`{one.column}`" for one in look.leaks or () if one.is_answer)
            return (
                Verdict.UNKNOWN,
                f"a quick model keeps it ({told}), but only because {named} gives the label away",
            )
        case Status.KEPT if rows is not None and rows > facts.rows:
            why = (
                f"a quick model keeps it on the rows that are free to learn from ({told}); the sealed rows are"
                f" too few to show that: about {rows:,} labelled rows in all would do"
            )
            return Verdict.UNKNOWN, why
        case Status.KEPT:
            return Verdict.CAN, f"a quick model keeps it: {told}"
        case Status.BROKEN if clause.section == "success" and clause.metric in COSTS:
            return Verdict.CANNOT, f"not by a quick model with these rows: even at its good end, {told}"
        case Status.BROKEN:
            return Verdict.UNKNOWN, f"a quick model breaks it, a better one may not: {told}"
    settled = f"; about {rows:,} labelled rows in all would settle it" if rows is not None else ""
    return Verdict.UNKNOWN, f"a quick model leaves it open: {told}{settled}"


def _in_words(clause: Clause, seen: Measurement) -> str:
    """What was seen beside what was promised; a cost against a baseline also as the value over it."""
    words = "at least" if clause.comparison is Comparison.AT_LEAST else "at most"
    unit = f" {clause.unit}" if clause.unit else ""
    against = f" of {clause.relative_to}" if clause.relative_to else ""
    name = clause.metric.replace("_", " ")
    return f"{name} {interval(seen)}{unit}{against}, promised {words} {figure(clause.bound)}"


def _outlook(clause: Clause, look: QuickLook) -> str:
    if look.quick is None or look.curve is None or clause.section != "success" or clause.metric not in COSTS:
        return ""
    return outlook(
        clause, curve_of(look.quick, look.curve, relative_to=clause.relative_to, where=clause.where)
    )


def _plausible(clause: Clause, finding: Finding) -> Prospect:
    match finding.status:
        case Status.KEPT:
            return Prospect(
                clause=clause.path, verdict=Verdict.CAN, reason=f"a quick model keeps it: {finding.message}"
            )
        case Status.BROKEN if clause.metric == "forbidden":
            return _cannot(
                clause, f"the features read what is forbidden, whatever model comes: {finding.message}"
            )
        case Status.BROKEN:
            why = f"a quick model breaks it, a better one may not: {finding.message}"
        case Status.UNPROVEN:
            why = f"a quick model leaves it open: {finding.message}"
        case _:
            why = finding.message
    return Prospect(clause=clause.path, verdict=Verdict.UNKNOWN, reason=why)


def _cannot(clause: Clause, reason: str) -> Prospect:
    return Prospect(clause=clause.path, verdict=Verdict.CANNOT, reason=reason)


def _budget(
    contract: Contract, clause: Clause, floor: Speed | None, now: datetime
) -> tuple[Finding, Prospect]:
    value = None if floor is None else _floor_of(contract, clause, floor)
    if value is None:
        reason = "no floor was measured on this machine"
        unmeasured = judge(clause, None, stage=Stage.FEASIBILITY, now=now, reason=reason)
        return unmeasured, Prospect(clause=clause.path, verdict=Verdict.UNKNOWN, reason=reason)
    unit = f" {clause.unit}" if clause.unit else ""
    told = f"the smallest model on the serving path here takes {figure(value)}{unit}"
    if value > clause.bound:
        exact = Measurement.exact(
            value, method="measured floor", note="no model can be below it on this machine"
        )
        finding = judge(clause, exact, stage=Stage.FEASIBILITY, now=now)
        return finding, _cannot(clause, f"{told}, promised at most {figure(clause.bound)}")
    reason = f"{told} of {figure(clause.bound)} promised; the rest is left for the model"
    finding = judge(clause, None, stage=Stage.FEASIBILITY, now=now, reason=reason)
    return finding, Prospect(clause=clause.path, verdict=Verdict.CAN, reason=reason)


def _floor_of(contract: Contract, clause: Clause, floor: Speed) -> float | None:
    """The floor in the clause's own unit, at the good end of its interval; None where nothing was measured."""
    half = floor.p50_us if floor.p50_low_us is None else floor.p50_low_us
    match clause.metric.removesuffix("_ms"):
        case "latency_p50":
            return half / 1000
        case "latency_p99":
            return (floor.p99_us if floor.p99_low_us is None else floor.p99_low_us) / 1000
        case "artifact_size":
            return floor.size_bytes / 1000
        case "memory":
            return floor.memory_bytes / 1e6
        case "cost_per_million":
            # A million times half of the answers' time is so many core hours.
            return half / 3600 * (contract.budget or BudgetTerms()).core_hour_price
    return None


def _leaking(clause: Clause, look: QuickLook, now: datetime) -> tuple[Finding, Prospect]:
    if look.leaks is None:
        reason = look.why_not or "the rows are too few to ask any column"
        finding = judge(clause, None, stage=Stage.FEASIBILITY, now=now, reason=reason)
        return finding, Prospect(clause=clause.path, verdict=Verdict.UNKNOWN, reason=reason)
    seen = Measurement.exact(float(len(look.leaks)), method="each column alone, and the others without it")
    finding = judge(clause, seen, stage=Stage.FEASIBILITY, now=now)
    if finding.status is Status.KEPT:
        why = "no column that the model would read gives the label away"
        return finding, Prospect(clause=clause.path, verdict=Verdict.CAN, reason=why)
    named = ", ".join(f"`{one.column}`" for one in look.leaks)
    return finding, _cannot(clause, f"too good to be true, as told above: {named}")


def _apart(clause: Clause, look: QuickLook, now: datetime) -> tuple[Finding, Prospect]:
    """A promise about the distance of what is learned from what judges, which no model can mend."""
    seen = dict(look.integrity).get(clause.path, Unmeasured(reason=look.why_not or "it was not looked at"))
    finding = finding_of(clause, seen, stage=Stage.FEASIBILITY, now=now)
    if isinstance(seen, Unmeasured):
        return finding, Prospect(clause=clause.path, verdict=Verdict.UNKNOWN, reason=seen.reason)
    if finding.status is Status.KEPT:
        reason = seen.note or "nothing was found that breaks it"
        return finding, Prospect(clause=clause.path, verdict=Verdict.CAN, reason=reason)
    return finding, _cannot(clause, f"these rows and definitions break it, whatever model comes: {seen.note}")


def _feed(clause: Clause, look: QuickLook, now: datetime) -> tuple[Finding, Prospect]:
    """A promise about a feed against the feed's own history."""
    seen = dict(look.feeds).get(clause.path, "nothing about it is known before the product is live")
    if isinstance(seen, str):
        finding = judge(clause, None, stage=Stage.FEASIBILITY, now=now, reason=seen)
        return finding, Prospect(clause=clause.path, verdict=Verdict.UNKNOWN, reason=seen)
    finding = judge(clause, seen, stage=Stage.FEASIBILITY, now=now)
    if finding.status is Status.KEPT:
        return finding, Prospect(clause=clause.path, verdict=Verdict.CAN, reason=f"so far, {seen.note}")
    if finding.status is Status.BROKEN:
        return finding, _cannot(clause, f"it was not kept so far: {seen.note}")
    return finding, Prospect(
        clause=clause.path, verdict=Verdict.UNKNOWN, reason=f"it was not always kept so far: {seen.note}"
    )
