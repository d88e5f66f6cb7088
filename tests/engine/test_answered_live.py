"""What no truth is needed for is judged on every answer, at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from geartrain.domain.clause import Clause, Comparison, Stage
from geartrain.domain.contract import Contract, CostTerms, DecisionTerms, ProductTerms
from geartrain.domain.finding import Status
from geartrain.domain.roles import Role
from geartrain.domain.rule import rule_of
from geartrain.domain.task import Task
from geartrain.engine.answered_live import judged_at_once, latencies_of
from geartrain.engine.logbook import LATENCY
from geartrain.ports.lake import ARRIVAL_TIME, EVENT_TIME

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SLOW = Clause(
    path="budget.latency_p50",
    metric="latency_p50",
    owner=Role.ENGINEERING,
    comparison=Comparison.AT_MOST,
    bound=10.0,
    unit="ms",
    stages=(Stage.LIVE,),
)
COVERED = Clause(
    path="success.coverage",
    metric="coverage",
    owner=Role.PRODUCT,
    comparison=Comparison.AT_LEAST,
    bound=0.5,
    stages=(Stage.LIVE,),
)


def contract_with(*clauses: Clause) -> Contract:
    return Contract(
        product=ProductTerms(name="cards", title="Cards", problem="fraud"),
        decision=DecisionTerms(task=Task.BINARY, unit="payment", label="fraud"),
        team=(),
        costs=CostTerms(otherwise="1"),
        clauses=clauses,
    )


def log_of(rows: int, *, took_ms: float = 3.0, abstained: int = 0, failed: int = 0) -> pl.DataFrame:
    """*rows* decisions ten seconds apart; of the last, some were handed over and some had no model."""
    at = [NOW - timedelta(days=1) + timedelta(seconds=10 * i) for i in range(rows)]
    return pl.DataFrame(
        {
            EVENT_TIME: at,
            ARRIVAL_TIME: at,
            "decision_id": [str(i) for i in range(rows)],
            "key": [str(i) for i in range(rows)],
            "action": ["yes"] * rows,
            "probabilities": ['{"no": 0.1, "yes": 0.9}'] * (rows - failed) + ["{}"] * failed,
            "abstained": np.arange(rows) >= rows - abstained - failed,
            LATENCY: np.full(rows, took_ms),
        },
        schema_overrides={ARRIVAL_TIME: pl.Datetime("us", "UTC"), EVENT_TIME: pl.Datetime("us", "UTC")},
    )


def judged(memory, log, *clauses, stage=Stage.LIVE):
    contract = contract_with(*clauses)
    return judged_at_once(
        memory(),
        contract,
        rule_of(contract, ("no", "yes")),
        log,
        release="r",
        since=NOW - timedelta(days=9),
        now=NOW,
        stage=stage,
    )


@pytest.mark.parametrize(
    ("rows", "took_ms", "status"), [(500, 3.0, "kept"), (500, 30.0, "broken"), (29, 30.0, "not measured")]
)
def test_a_latency_clause_is_judged_both_ways(memory, rows, took_ms, status):
    """Kept, broken, and too few to say; what is said holds at all times."""
    (found,) = judged(memory, log_of(rows, took_ms=took_ms), SLOW)
    assert str(found.status) == status
    assert found.status is Status.NOT_MEASURED or found.holds_at_all_times


def test_coverage_waits_for_no_label(memory):
    """Of 400 answers a tenth was handed over: known without one truth; where the model failed it decided nothing."""
    (found,) = judged(memory, log_of(500, abstained=40, failed=100), COVERED)
    assert (found.status, found.rows) == (Status.KEPT, 400)
    assert found.value == pytest.approx(0.9)
    assert found.holds_at_all_times


def test_a_log_without_latencies_is_not_measured(memory):
    """A replay's table has no such column, a shadow's is empty; neither is called kept."""
    for log in (log_of(100).drop(LATENCY), log_of(100).with_columns(pl.lit(None, pl.Float64).alias(LATENCY))):
        (found,) = judged(memory, log, SLOW)
        assert (found.status, found.rows) == (Status.NOT_MEASURED, 0)
        assert "tells of 0 answers" in found.message


def test_the_rows_of_one_request_are_one_answer():
    """A hundred rows of one late request are one late answer, and answers stand in the order of their times."""
    one = log_of(1, took_ms=80.0)
    log = pl.concat([log_of(5)[1:], *[one] * 100])
    took, at_us = latencies_of(log)
    assert took.tolist() == [80.0, 3.0, 3.0, 3.0, 3.0]
    assert (np.diff(at_us) > 0).all()
