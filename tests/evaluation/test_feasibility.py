"""What can be said before training: what cannot be proven, with the rows that it would take."""

import numpy as np
import pytest

from geartrain.domain.clause import Stage
from geartrain.domain.finding import Measurement, Status
from geartrain.domain.model import Speed
from geartrain.domain.rule import rule_of
from geartrain.errors import Problem
from geartrain.evaluation.feasibility import feasibility, trivial_costs
from geartrain.evaluation.prospect import Facts, QuickLook, Topic, Verdict

BREAST = (("benign", 357), ("malignant", 212))


def fixed(value):
    return Measurement(value=value, low=value * 0.9, high=value * 1.1, rows=569)


def facts(**more):
    given = {
        "rows": 569,
        "class_counts": BREAST,
        "trivial_costs": (("always-biopsy", fixed(357 / 569)), ("always-follow up", fixed(50 * 212 / 569))),
        "proving_share": 0.3,
    }
    return Facts(**{**given, **more})


def prospects(build, *clauses, **more):
    contract = build.contract(clauses=clauses)
    known, clashes = more.pop("facts", facts()), more.pop("contradictions", ())
    result = feasibility(
        contract, facts=known, now=build.now, look=QuickLook(**more) if more else None, contradictions=clashes
    )
    return {one.clause: one for one in result.prospects}, result


def test_recall_needs_positives_even_without_a_miss(build):
    """30 % of 212 malignant samples are 63; at the first look's 97 % proving .97 takes 138 of them, 1235 patients in all."""
    told, result = prospects(build, build.clause("success.recall", "recall", at_least=0.97))
    one = told["success.recall"]
    assert one.verdict is Verdict.CANNOT
    assert (one.relevant, one.relevant_needed, one.rows_needed) == (63, 138, 1235)
    assert "even without one error, 138 `malignant` rows" in one.reason
    assert result.findings[0].stage is Stage.FEASIBILITY
    assert result.findings[0].status is Status.NOT_MEASURED


def test_enough_rows_are_unknown_until_a_model_tries(build):
    """With enough positives nothing is impossible, and without a model nothing is known."""
    told, _ = prospects(build, build.clause("success.recall", "recall", at_least=0.9))
    assert told["success.recall"].verdict is Verdict.UNKNOWN


def test_a_quick_model_shows_what_can_be_kept(build, seen):
    """A clause that the quick model keeps can be kept; one that it breaks stays unknown."""
    told, result = prospects(
        build,
        build.clause("success.auc", "auc", at_least=0.6),
        build.clause("success.precision", "precision", at_least=0.95),
        quick=seen,
    )
    assert told["success.auc"].verdict is Verdict.CAN
    assert told["success.precision"].verdict is Verdict.UNKNOWN
    assert "a better one may not" in told["success.precision"].reason
    assert {one.status for one in result.findings} == {Status.KEPT, Status.BROKEN}
    assert any("tried quickly, costs" in one.text for one in result.statements if one.topic is Topic.WITHOUT)


def test_a_promise_of_perfection_cannot_be_proven(build):
    """No number of rows proves a recall of exactly 1."""
    told, _ = prospects(build, build.clause("success.recall", "recall", at_least=1.0))
    assert told["success.recall"].verdict is Verdict.CANNOT
    assert told["success.recall"].rows_needed is None


def test_a_cost_needs_room_for_the_unseen(build):
    """With 171 rows, a tumour not yet missed may cost one biopsy a row: a quarter of .63 cannot be proven."""
    told, _ = prospects(
        build, build.clause("success.cost", "expected_cost", at_most=0.25, relative_to="always-biopsy")
    )
    one = told["success.cost"]
    assert one.verdict is Verdict.CANNOT
    assert one.rows_needed > 569
    enough = facts(rows=one.rows_needed, class_counts=(("benign", 357 * 8), ("malignant", 212 * 8)))
    assert one.rows_needed == pytest.approx(569 * 6.5 * np.log(0.0152) / np.log(0.025), rel=0.15)
    told, _ = prospects(
        build,
        build.clause("success.cost", "expected_cost", at_most=0.25, relative_to="always-biopsy"),
        facts=enough,
    )
    assert told["success.cost"].verdict is Verdict.UNKNOWN


def test_budgets_are_held_against_a_measured_floor(build):
    """Below the floor no model can be; above it, the rest is left for the model."""
    floor = Speed(
        p50_us=100, p99_us=800, rows_per_s=1e5, size_bytes=20_000, memory_bytes=30_000_000, repeats=1000
    )
    told, result = prospects(
        build,
        build.clause("budget.latency_p99", "latency_p99", at_most=5, unit="ms"),
        build.clause("budget.latency_p50", "latency_p50", at_most=0.05, unit="ms"),
        build.clause("budget.cost_per_million", "cost_per_million", at_most=5),
        floor=floor,
    )
    assert told["budget.latency_p99"].verdict is Verdict.CAN
    assert told["budget.latency_p50"].verdict is Verdict.CANNOT
    # 100 us on one core, a million times, at .05 a core hour: 0.0014.
    assert told["budget.cost_per_million"].verdict is Verdict.CAN
    assert "0.00139" in told["budget.cost_per_million"].reason
    assert [one.status for one in result.findings] == [
        Status.NOT_MEASURED,
        Status.BROKEN,
        Status.NOT_MEASURED,
    ]


def test_a_contradiction_is_named(build):
    """A clause at whose path the contract contradicts itself cannot be kept, in the words of whoever found it."""
    found = Problem(path="success.rest.at_most", line=3, column=1, message="who abstains cannot act")
    told, result = prospects(
        build,
        build.clause("success.recall", "recall", at_least=0.5),
        build.clause("success.rest", "abstention_rate", at_most=0.1),
        contradictions=(found,),
    )
    assert told["success.recall"].verdict is Verdict.UNKNOWN
    assert told["success.rest"].verdict is Verdict.CANNOT
    assert told["success.rest"].reason == "who abstains cannot act"
    assert [one.text for one in result.statements if one.topic is Topic.CONTRADICTIONS] == [
        "success.rest.at_most: who abstains cannot act"
    ]


def test_fairness_needs_two_groups(build):
    """170 rows cannot hold two groups of 100."""
    clause = build.clause(
        "fairness.sex", "equal_opportunity", at_most=0.1, parameters={"groups": "sex", "smallest_group": 100}
    )
    told, _ = prospects(build, clause)
    assert told["fairness.sex"].verdict is Verdict.CANNOT
    assert told["fairness.sex"].rows_needed == 667


def test_trivial_policies(build):
    """Always biopsy costs one per benign sample; the cheapest policy stands first."""
    rule = rule_of(build.contract(), ("benign", "malignant"))
    costs = trivial_costs(rule, np.repeat([0, 1], [357, 212]), {})
    assert [(name, one.value) for name, one in costs] == [
        ("always-biopsy", pytest.approx(357 / 569)),
        ("always-follow up", pytest.approx(10600 / 569)),
    ]
    # A share's own interval: .627 -+ 1.96 sqrt(.627 * .373 / 569).
    assert (costs[0][1].low, costs[0][1].high) == (
        pytest.approx(0.587, abs=0.01),
        pytest.approx(0.667, abs=0.01),
    )


def test_regression_and_rates(build):
    """Without classes nothing about rows per class is claimed; a rate that must be low is counted likewise."""
    told, _ = prospects(
        build,
        build.clause("success.mae", "mean_absolute_error", at_most=3),
        build.clause("success.abstain", "abstention_rate", at_most=0.01),
        facts=Facts(rows=100),
    )
    assert told["success.mae"].verdict is Verdict.UNKNOWN
    assert told["success.abstain"].verdict is Verdict.CANNOT
    assert told["success.abstain"].relevant_needed == 417
