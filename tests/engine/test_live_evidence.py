"""Evidence from the log of decisions: who takes part, for classes and for values."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from geartrain.domain.clause import Clause, Comparison, Severity, Stage
from geartrain.domain.contract import Baseline, Contract, CostTerms, DecisionTerms, ProductTerms
from geartrain.domain.finding import Guarantee
from geartrain.domain.roles import Role
from geartrain.domain.rule import rule_of
from geartrain.domain.task import Task
from geartrain.engine.clause_alarms import clause_signals
from geartrain.engine.decided import KNOWN_AT, TRUTH
from geartrain.engine.live_evidence import (
    epoch_of,
    evidence_of,
    findings_live,
    in_order,
    judged_live,
    said_of,
    usable,
)
from geartrain.stats.deciding import ABSTAINED


def _contract(task: Task) -> Contract:
    return Contract(
        product=ProductTerms(name="cards", title="Cards", problem="fraud"),
        decision=DecisionTerms(task=task, unit="payment", label="fraud"),
        team=(),
        costs=CostTerms(otherwise="1") if task.has_classes else None,
    )


def _log(said: list[dict[str, float]], truth: list[str | None]) -> pl.DataFrame:
    rows = len(said)
    return pl.DataFrame(
        {
            "probabilities": [json.dumps(one) for one in said],
            TRUTH: pl.Series(truth, dtype=pl.String),
            KNOWN_AT: [NOW] * rows,
            "action": ["yes"] * rows,
            "abstained": [False] * (rows - 1) + [True],
        }
    )


NOW = datetime(2026, 3, 1, tzinfo=UTC)
CLASSES = _log(
    [{"no": 0.3, "yes": 0.7}, {}, {"no": 1, "yes": 0}, {"no": 0.5, "yes": 0.5}, {"no": 0.1, "yes": 0.9}],
    ["yes", "yes", None, "perhaps", "no"],
)


def test_rows_without_an_answer_or_a_truth_are_no_evidence():
    """The fallback's row, the unlabelled one and the label that is no class are left out; a person's decision abstains."""
    contract = _contract(Task.BINARY)
    rule = rule_of(contract, ("no", "yes"))
    used = usable(rule, CLASSES)
    evidence = evidence_of(contract, rule, used, {})
    assert evidence.predictions.values.tolist() == [[0.3, 0.7], [0.1, 0.9]]
    assert evidence.truth.tolist() == [1, 0]
    assert evidence.decided.actions.tolist() == [1, ABSTAINED]


def test_values_are_evidence_too():
    """A regression's single answer is read whatever it is called; no answer is NaN."""
    contract = _contract(Task.REGRESSION)
    rule = rule_of(contract, ())
    log = _log([{"value": 3.0}, {}, {"value": 5.0}], ["2.5", "1", "4"])
    assert np.isnan(said_of(rule, log)[:, 0]).tolist() == [False, True, False]
    evidence = evidence_of(contract, rule, usable(rule, log), {})
    assert evidence.costs.mean() == pytest.approx(0.75)


def test_a_live_finding_says_how_often_one_may_look():
    """The note stands in the sentence; a metric that has no value says why instead."""
    contract = _contract(Task.BINARY)
    rule = rule_of(contract, ("no", "yes"))
    log = _log([{"no": 0.3, "yes": 0.7}] * 50, ["yes"] * 50)
    promise = Clause(
        path="success.recall",
        metric="recall",
        owner=Role.DOMAIN,
        comparison=Comparison.AT_LEAST,
        bound=0.9,
        stages=(Stage.LIVE,),
    )
    unknowable = replace(promise, path="success.specificity", metric="specificity")
    seen, silent = findings_live(
        evidence_of(contract, rule, usable(rule, log), {}), [promise, unknowable], now=NOW
    )
    assert (seen.status, seen.stage) == ("unproven", Stage.LIVE)
    assert "holds at all times at once, however often one looks" in seen.message
    assert (seen.guarantee, seen.holds_at_all_times) == (Guarantee.AT_ALL_TIMES, True)
    assert "confidence sequence" in seen.method
    assert silent.status == "not measured"
    assert "none of 50 rows counts" in silent.message


def test_too_few_truths_are_said_for_each_clause(memory):
    """Only clauses that are due live and that nobody judged elsewhere are spoken of."""
    due = Clause(
        path="fairness.alike",
        metric="demographic_parity",
        owner=Role.DOMAIN,
        comparison=Comparison.AT_MOST,
        bound=0.1,
        stages=(Stage.LIVE,),
    )
    before = replace(due, path="fairness.before", stages=(Stage.RELEASE,))
    elsewhere = replace(due, path="success.expected_cost", metric="expected_cost")
    contract = replace(_contract(Task.BINARY), clauses=(due, before, elsewhere))
    found = judged_live(
        memory(),
        contract,
        rule_of(contract, ("no", "yes")),
        CLASSES,
        now=NOW,
        without={"success.expected_cost"},
    )
    assert [(one.clause, str(one.status)) for one in found] == [("fairness.alike", "not measured")]
    assert "the truth of 2 answered decisions is known, at least 30 are needed" in found[0].message


@pytest.mark.parametrize(
    ("metric", "relative_to", "looks"),
    [
        ("expected_cost", "always-yes", Guarantee.AT_ALL_TIMES),
        ("expected_cost", "today", Guarantee.AT_ALL_TIMES),
        ("auc", None, Guarantee.AT_ALL_TIMES),
        ("expected_cost", "most-frequent", Guarantee.ONE_LOOK),
        ("f1", None, Guarantee.AT_ALL_TIMES),
        ("log_loss", None, Guarantee.AT_ALL_TIMES),
        ("average_precision", None, Guarantee.ONE_LOOK),
        ("calibration_error", None, Guarantee.AT_ALL_TIMES),
        ("calibration_at_threshold", None, Guarantee.AT_ALL_TIMES),
    ],
)
def test_what_has_a_form_for_all_times_has_it(metric, relative_to, looks):
    """Of a fixed baseline, by pairs, F1 and calibration; a baseline that learns and average precision are of one look, and say so."""
    today = Baseline(name="today", rule="true", action="no")
    contract = replace(_contract(Task.BINARY), baselines=(today,))
    rule = rule_of(contract, ("no", "yes"))
    sure = [{"no": 0.2, "yes": 0.8}, {"no": 0.7, "yes": 0.3}] * 100
    log = _log(sure, ["yes", "no", "no", "no"] * 50)
    promise = Clause(
        path=f"success.{metric}",
        metric=metric,
        owner=Role.PRODUCT,
        comparison=Comparison.AT_MOST,
        bound=0.9,
        relative_to=relative_to,
        stages=(Stage.LIVE,),
    )

    (found,) = findings_live(evidence_of(contract, rule, usable(rule, log), {}), [promise], now=NOW)

    assert found.value is not None, found.message
    assert found.guarantee is looks
    assert found.low <= found.value <= found.high


def test_a_broken_clause_calls_its_owner_only_if_it_may_be_looked_at_any_time():
    """A blocking abstention clause that traffic breaks is one signal for its owner; a warning one is none."""
    promise = Clause(
        path="success.decides",
        metric="coverage",
        owner=Role.PRODUCT,
        comparison=Comparison.AT_MOST,
        bound=0.5,
        stages=(Stage.LIVE,),
    )
    contract = replace(_contract(Task.BINARY), clauses=(promise,))
    rule = rule_of(contract, ("no", "yes"))
    log = _log([{"no": 0.3, "yes": 0.7}] * 200, ["yes"] * 200)
    found = findings_live(evidence_of(contract, rule, usable(rule, log), {}), [promise], now=NOW)
    (signal,) = clause_signals(contract, found)
    assert (signal.kind, signal.about, signal.owner) == ("abstention", "success.decides", Role.PRODUCT)
    assert clause_signals(contract, tuple(replace(one, guarantee=Guarantee.ONE_LOOK) for one in found)) == ()
    assert clause_signals(contract, tuple(replace(one, severity=Severity.WARN) for one in found)) == ()


def test_a_later_look_only_adds_rows_and_spends_less():
    """Epochs begin where counts say; rows stand by when their truth came, whatever order the log has."""
    assert [epoch_of(rows).first for rows in (0, 20_001, 40_001)] == [0, 0, 20_000]
    assert epoch_of(1).confidence < epoch_of(20_001).confidence < 1
    log = _log([{"no": 0.3, "yes": 0.7}] * 3, ["yes"] * 3).with_columns(
        pl.Series(KNOWN_AT, [NOW.replace(day=day) for day in (3, 1, 2)])
    )
    assert [one.day for one in in_order(log)[KNOWN_AT]] == [1, 2, 3]
