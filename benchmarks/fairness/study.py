"""One study: a model without mitigation and with each, what each does to a fairness clause, and what it costs.

The rows that judge were seen by nobody before: models learn on `search`, thresholds are chosen
on `select`, and every line of a table is about `verdict`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from geartrain.domain.clause import Clause, Comparison, Stage
from geartrain.domain.contract import Contract, CostEntry, CostTerms, DecisionTerms, ProductTerms
from geartrain.domain.expression import Columns
from geartrain.domain.finding import Finding, Measurement
from geartrain.domain.roles import Role
from geartrain.domain.rule import DecisionRule, rule_of
from geartrain.domain.task import Task
from geartrain.evaluation.evidence import Evidence
from geartrain.evaluation.judging import finding_of, measured
from geartrain.evaluation.metrics import measure
from geartrain.stats.fitted import Fitted
from geartrain.stats.noninferiority import cost_difference
from geartrain.training.examples import Examples
from geartrain.training.fitting import fit
from geartrain.training.group_thresholds import AIMS, group_thresholds
from geartrain.training.mitigating import Mitigation, Untried, mitigated_fit
from geartrain.training.recipe import Recipe, recipe

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CLASSES = ("no", "yes")


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """A matrix, its truth (0 or 1) and raw columns, in three pools."""

    search: Examples
    select: Examples
    verdict: Examples


@dataclass(frozen=True, kw_only=True)
class Line:
    """What one mitigation did to one clause, on rows that nobody saw before."""

    clause: Clause
    mitigation: str
    finding: Finding | None = None
    cost_per_1000: Measurement | None = None
    change_per_1000: Measurement | None = None
    untried: str = ""


def clause_of(
    definition: str, groups: str | tuple[str, ...], *, at_most: float = 0.05, smallest: int = 50
) -> Clause:
    """A fairness clause that allows everything."""
    parameters = {"groups": groups, "smallest_group": smallest, "mitigations": tuple(Mitigation)}
    return Clause(
        path=f"fairness.{definition}",
        metric=definition,
        owner=Role.DOMAIN,
        comparison=Comparison.AT_MOST,
        bound=at_most,
        parameters=tuple(sorted((name, value) for name, value in parameters.items())),
    )


def contract_of(*, missed: float, false_alarm: float, clauses: tuple[Clause, ...]) -> Contract:
    """A decision with these two costs."""
    return Contract(
        product=ProductTerms(name="study", title="Study", problem="what fairness costs"),
        decision=DecisionTerms(
            task=Task.BINARY, unit="row", label="y", positive="yes", classes=CLASSES, actions=CLASSES
        ),
        team=(),
        costs=CostTerms(
            entries=(
                CostEntry(name="false_negative", action="no", truth="yes", cost=str(missed)),
                CostEntry(name="false_positive", action="yes", truth="no", cost=str(false_alarm)),
            )
        ),
        clauses=clauses,
    )


def lightgbm(trees: int = 150) -> Recipe:
    """A plain model, the same for every line."""
    fixed = {"n_estimators": trees, "num_leaves": 15, "learning_rate": 0.08, "min_child_samples": 40}
    return recipe("lightgbm", fixed=fixed)


def split(matrix: np.ndarray, truth: np.ndarray, columns: Columns, test: np.ndarray, *, seed: int) -> Rows:
    """The test rows are `verdict`; a quarter of the others is `select`."""
    others = np.flatnonzero(~test)
    drawn = np.random.default_rng(seed).permutation(others)
    cut = len(drawn) // 4
    everything = Examples(matrix=matrix.astype(np.float32), truth=truth.astype(np.int64), columns=columns)
    return Rows(
        search=everything.take(np.sort(drawn[cut:])),
        select=everything.take(np.sort(drawn[:cut])),
        verdict=everything.take(np.flatnonzero(test)),
    )


def evidence_of(contract: Contract, rule: DecisionRule, fitted: Fitted, rows: Examples) -> Evidence:
    """What the model and the rule do with these rows."""
    return Evidence(
        contract=contract,
        rule=rule,
        predictions=fitted.predict(rows.matrix),
        truth=rows.truth.astype(np.int64),
        columns=rows.columns,
        seed=1,
    )


def study(
    contract: Contract,
    rows: Rows,
    model: Recipe,
    *,
    seed: int = 1,
    only: tuple[Mitigation, ...] = tuple(Mitigation),
) -> list[Line]:
    """Every clause of the contract, without mitigation and with each of *only*."""
    rule = rule_of(contract, CLASSES)
    plain = fit(model, {}, rows.search, rule, seed=seed)
    before = evidence_of(contract, rule, plain, rows.verdict)
    lines = []
    for clause in contract.clauses:
        lines.append(_line(clause, "none", before, before))
        for kind in only:
            made = _made(kind, clause, model, rows, rule, plain, contract, seed)
            if isinstance(made, Untried):
                lines.append(Line(clause=clause, mitigation=kind.value, untried=made.reason))
                continue
            fitted, own = made
            after = evidence_of(contract, own, fitted, rows.verdict)
            lines.append(_line(clause, kind.value, after, before))
    return lines


def _made(
    kind: Mitigation,
    clause: Clause,
    model: Recipe,
    rows: Rows,
    rule: DecisionRule,
    plain: Fitted,
    contract: Contract,
    seed: int,
) -> tuple[Fitted, DecisionRule] | Untried:
    if kind is not Mitigation.THRESHOLDS:
        made = mitigated_fit(kind, clause, model, {}, rows.search, rule, seed=seed)
        return made if isinstance(made, Untried) else (made.fitted, made.rule)
    answers = plain.predict(rows.select.matrix)
    found = None
    for aim in AIMS:
        own = group_thresholds(clause, rule, answers, rows.select, aim=aim)
        if isinstance(own, Untried):
            return own
        found = own
        seen = measured(evidence_of(contract, own, plain, rows.select), clause, None)
        if isinstance(seen, Measurement) and seen.high <= clause.bound:
            break
    assert found is not None
    return plain, found


def _line(clause: Clause, mitigation: str, after: Evidence, before: Evidence) -> Line:
    value = measured(after, clause, None)
    cost = measure(after, "cost_per_1000")
    change = cost_difference(after.costs, before.costs, seed=1)
    thousand = replace(change, value=1000 * change.value, low=1000 * change.low, high=1000 * change.high)
    return Line(
        clause=clause,
        mitigation=mitigation,
        finding=finding_of(clause, value, stage=Stage.RELEASE, now=NOW),
        cost_per_1000=cost if isinstance(cost, Measurement) else None,
        change_per_1000=thousand,
    )
