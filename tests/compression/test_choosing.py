"""Variants, their measurement, the budget's findings, and the choice between them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from geartrain.compression.budgeting import budget_findings
from geartrain.compression.choosing import Measured, choose, table, worst_change
from geartrain.compression.measuring import measure, quantile_interval, resident_bytes
from geartrain.compression.variants import REFERENCE, smaller, variants
from geartrain.domain.clause import Clause, Comparison, Stage
from geartrain.domain.contract import BudgetTerms, Contract, CostTerms, DecisionTerms, ProductTerms
from geartrain.domain.finding import Finding, Measurement, Status, judge
from geartrain.domain.model import Parity, Speed
from geartrain.domain.roles import Role
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.domain.wire import decode, encode
from geartrain.training.fitting import fit
from geartrain.training.recipe import recipe

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SAME = Parity(decisions_agree=1.0, largest_change=0.0, rows=100)


def speed(size: int = 1000, **changes) -> Speed:
    known = {
        "p50_us": 20.0, "p99_us": 100.0, "rows_per_s": 5e4, "size_bytes": size, "memory_bytes": 4_000_000, "repeats": 2000,
        "p50_low_us": 19.0, "p50_high_us": 21.0, "p99_low_us": 80.0, "p99_high_us": 150.0,
    }  # fmt: skip
    return Speed(**{**known, **changes})


def found(path: str, status: Status) -> Finding:
    clause = Clause(path=path, metric="recall", comparison=Comparison.AT_LEAST, bound=0.5, owner=Role.DOMAIN)
    low, high = {Status.KEPT: (0.6, 0.8), Status.UNPROVEN: (0.4, 0.8), Status.BROKEN: (0.1, 0.3)}[status]
    return judge(
        clause, Measurement(value=(low + high) / 2, low=low, high=high), stage=Stage.COMPRESSION, now=NOW
    )


def measured(name: str, size: int, costs: np.ndarray, status: Status = Status.KEPT) -> Measured:
    return Measured(
        name=name, speed=speed(size), parity=SAME, costs=costs, findings=(found("success.recall", status),)
    )


COSTS = (np.random.default_rng(1).random(2000) < 0.3).astype(np.float64)


def test_the_smallest_proven_variant_is_chosen():
    """Of two that are proven as good the smaller one wins, and each row says why."""
    choice = choose(
        [measured("reference", 1000, COSTS), measured("half", 500, COSTS), measured("tenth", 100, COSTS)],
        seed=1,
        worst=1.0,
    )
    assert choice.chosen == "tenth"
    reasons = {row.name: row.reason for row in choice.rows}
    assert "90% smaller" in reasons["tenth"]
    assert "tenth is smaller" in reasons["half"]
    assert [row.on_front for row in choice.rows] == [False, False, True]


def test_a_dearer_variant_is_not_chosen():
    """A variant whose cost may rise by more than the margin leaves the reference in place."""
    worse = COSTS.copy()
    worse[:60] = 1.0
    choice = choose([measured("reference", 1000, COSTS), measured("tenth", 100, worse)], seed=1)
    assert choice.chosen == "reference"
    assert "not proven" in choice.rows[1].reason
    assert choice.rows[1].on_front
    assert choice.rows[1].rise_at_most > 0.05


def test_a_few_rows_prove_nothing():
    """Equal costs on 50 rows do not show that a decision which can cost 50 never changes."""
    few = COSTS[:50]
    choice = choose([measured("reference", 1000, few), measured("tenth", 100, few)], seed=1, worst=50.0)
    assert choice.chosen == "reference"
    assert "rows in all would prove it" in choice.rows[1].reason


def test_a_clause_must_not_suffer():
    """A variant that breaks, or can no longer prove, a blocking clause of the reference is not chosen."""
    for status in (Status.UNPROVEN, Status.BROKEN):
        choice = choose([measured("reference", 1000, COSTS), measured("tenth", 100, COSTS, status)], seed=1)
        assert choice.chosen == "reference"
        assert f"success.recall is {status}" in choice.rows[1].reason


def test_fewer_broken_clauses_come_before_size():
    """A larger variant that mends a broken clause beats a smaller one that does not."""
    choice = choose(
        [
            measured("reference", 1000, COSTS, Status.BROKEN),
            measured("half", 500, COSTS, Status.KEPT),
            measured("tenth", 100, COSTS, Status.BROKEN),
        ],
        seed=1,
    )
    assert choice.chosen == "half"
    assert "half breaks fewer clauses" in choice.rows[2].reason


def test_the_table_is_text_with_one_row_each():
    """The table prints nothing: rows of text, the chosen one marked; a reference without cost is said so."""
    free = np.zeros(2000)
    rows = table(choose([measured("reference", 1000, free), measured("tenth", 100, free)], seed=1))
    assert len({len(row) for row in rows}) == 1
    assert rows[0][0] == "variant"
    assert [row[0] for row in rows[1:]] == ["  reference", "* tenth"]
    assert "no cost to compare" in rows[2][7]


def test_the_worst_change_is_the_dearest_error(cases):
    """What one changed decision can cost at most is the largest spread of a row's costs."""
    assert worst_change(cases["tumours"].rule, {}, 3) == 50.0
    assert worst_change(cases["patients"].rule, {}, 3) is None
    varies = DecisionRule(
        task=Task.BINARY, classes=("n", "y"), actions=("n", "y"), costs=CostTerms(otherwise="amount")
    )
    assert worst_change(varies, {"amount": np.array([1.0, np.nan, 9.0])}, 3) == 9.0


def test_nothing_measured_is_refused():
    """Choosing needs a reference."""
    with pytest.raises(ValueError, match="nothing"):
        choose([], seed=1)


def test_smaller_trees_are_made_and_exported(cases):
    """Truncation keeps the first trees exactly; joint variants have fewer leaves and learn faster."""
    case = cases["tumours"]
    small = recipe("lightgbm", calibrate="none")
    settings = {"n_estimators": 40, "num_leaves": 8, "learning_rate": 0.1}
    fitted = fit(small, settings, case.first, case.rule, seed=1)
    made = variants(
        fitted,
        case.columns,
        case.second.matrix,
        refit=lambda changes: fit(small, {**settings, **changes}, case.first, case.rule, seed=1),
    )
    names = [one.name for one in made]
    assert names[0] == REFERENCE
    assert {"truncated-20", "truncated-10", "trees-10-leaves-4"} <= set(names)
    by_name = {one.name: one for one in made}
    first_trees = fitted.estimator.booster_.predict(case.second.matrix, num_iteration=20)
    assert by_name["truncated-20"].fitted.predict(case.second.matrix).of("malignant") == pytest.approx(
        first_trees
    )
    assert len(by_name["truncated-20"].onnx) < 0.7 * len(made[0].onnx)
    assert all(len(one.answers) == len(case.second) for one in made)


def test_a_variant_that_changed_nothing_is_no_variant(cases):
    """A function that ignores its parameters, and a model without trees, have the reference only."""
    case = cases["tumours"]
    fitted = case.fit("lightgbm", n_estimators=10)
    assert [
        one.name for one in variants(fitted, case.columns, case.second.matrix, refit=lambda _: fitted)
    ] == [REFERENCE]
    linear = case.fit("logistic")
    assert smaller(linear) == ()
    assert len(variants(linear, case.columns, case.second.matrix, refit=lambda _: linear)) == 1


def test_speed_is_measured_through_the_serving_path(cases):
    """With a clock of our own each figure is known: a tick is 1 ms."""
    case = cases["tumours"]
    content = variants(case.fit("lightgbm", n_estimators=10), case.columns, case.second.matrix)[0].onnx
    ticks = itertools.count(0, 1_000_000)
    found = measure(content, case.second.matrix, clock=lambda: next(ticks), repeats=500)
    assert (found.p50_us, found.p99_us) == (1000.0, 1000.0)
    assert found.rows_per_s == pytest.approx(4096 / 1e-3, rel=0.01)
    assert found.size_bytes == len(content)
    assert found.memory_bytes >= len(content)
    assert found.p99_high_us == 1000.0
    assert decode(encode(found), Speed) == found
    assert resident_bytes() > 1_000_000
    with pytest.raises(ValueError, match="nothing to measure"):
        measure(content, case.second.matrix[:0], clock=lambda: 0)


def test_the_quantile_interval_covers():
    """The interval of the 99th percentile covers the truth at least as often as it says."""
    random = np.random.default_rng(1)
    truth = -np.log(0.01)
    hits = 0
    for _ in range(400):
        low, high = quantile_interval(random.exponential(size=600), 0.99)
        hits += low <= truth <= high
    assert hits / 400 >= 0.93


def test_too_few_calls_have_no_upper_end():
    """A hundred calls say nothing about how slow one in a hundred may be (0.99^100 = 0.37)."""
    low, high = quantile_interval(np.arange(100.0), 0.99)
    assert high is None
    assert low is not None
    assert quantile_interval(np.arange(3.0), 0.5) == (None, None)


def promised(metric: str, bound: float, unit: str) -> Clause:
    return Clause(
        path=f"budget.{metric}", metric=metric, comparison=Comparison.AT_MOST, bound=bound, unit=unit,
        owner=Role.ENGINEERING, stages=(Stage.COMPRESSION, Stage.LIVE),
    )  # fmt: skip


def budgeted(*clauses: Clause) -> Contract:
    return Contract(
        product=ProductTerms(name="p", title="P", problem="p"),
        decision=DecisionTerms(task=Task.BINARY, unit="row", label="y"),
        team=(),
        budget=BudgetTerms(core_hour_price=0.036),
        clauses=clauses,
    )


def test_the_budget_is_judged_in_the_contracts_units():
    """Milliseconds, kilobytes, megabytes and money, each with its interval or as a fact."""
    contract = budgeted(
        promised("latency_p50", 0.03, "ms"),
        promised("latency_p99", 0.12, "ms"),
        promised("artifact_size", 0.5, "kB"),
        promised("memory", 4, "MB"),
        promised("cost_per_million", 0.001, ""),
        promised("recall", 0.5, ""),
    )
    findings = {
        one.clause: one for one in budget_findings(contract, speed(1000), stage=Stage.COMPRESSION, now=NOW)
    }
    assert {path: str(one.status) for path, one in findings.items()} == {
        "budget.latency_p50": "kept",
        "budget.latency_p99": "unproven",
        "budget.artifact_size": "broken",
        "budget.memory": "kept",
        "budget.cost_per_million": "kept",
    }
    assert findings["budget.cost_per_million"].value == pytest.approx(20e-6 * 1e6 / 3600 * 0.036)
    assert findings["budget.latency_p99"].high == pytest.approx(0.15)
    assert budget_findings(contract, speed(), stage=Stage.TRAINING, now=NOW) == ()


def test_a_latency_without_an_interval_is_not_measured():
    """Too few calls leave the promise open instead of rounding it up."""
    (one,) = budget_findings(
        budgeted(promised("latency_p99", 5, "ms")),
        replace(speed(repeats=50), p99_high_us=None),
        stage=Stage.LIVE,
        now=NOW,
    )
    assert one.status is Status.NOT_MEASURED
    assert "50 calls" in one.message
