"""What corrupted input costs: against costs that can be counted by hand."""

import numpy as np
import pytest

from geartrain.domain.clause import Comparison, Stage
from geartrain.domain.finding import Measurement, Status
from geartrain.domain.prediction import Predictions
from geartrain.domain.task import Task
from geartrain.evaluation.evidence import Unmeasured
from geartrain.evaluation.judging import evaluate
from geartrain.evaluation.robustness import (
    Corruption,
    corrupt,
    missing_alone,
    missing_shuffled,
    robust_to,
    robustness,
)

ROWS = 400


def by_column(place=0, *, threshold=0.5, unknown=0.0):
    """A model that says malignant where one column lies above a threshold, and *unknown* where it is missing."""

    def predict(matrix):
        values = matrix[:, place].astype(float)
        p = np.where(np.isnan(values), unknown, np.where(values > threshold, 0.99, 0.001))
        return Predictions(
            task=Task.BINARY, classes=("benign", "malignant"), values=np.column_stack([1 - p, p])
        )

    return predict


@pytest.fixture
def world(build):
    """Rows of which every fourth is malignant, a model that reads `x0` and errs in every tenth row."""

    def make(*, unknown=0.0, matrix=None, names=None, categories=(), **more):
        truth = (np.arange(ROWS) % 4 == 0).astype(np.int64)
        values = truth.astype(float)
        values[::10] = 1.0
        columns = np.column_stack([values, np.linspace(-1, 1, ROWS)]) if matrix is None else matrix
        model = by_column(unknown=unknown)
        view = build.view(columns, model, names=names, categories=categories)
        evidence = build.binary(model(view.matrix).values[:, 1], truth, **more)
        return evidence, view

    return make


def asked(evidence, view, corruption, column="x0", **more):
    return robust_to(
        evidence, view, evidence.everything, {"corruption": corruption, "column": column, **more}
    )


def test_a_missing_value_costs_what_its_errors_cost(world):
    """Missing everywhere, the model says benign: 100 missed tumours at 50 in place of 20 false alarms at 1."""
    evidence, view = world()
    assert evidence.costs.sum() == pytest.approx(20.0)
    found = asked(evidence, view, "missing", share=1.0)

    assert found.value == pytest.approx((100 * 50 - 20) / 20)
    assert found.low < found.value < found.high
    assert found.rows == ROWS


def test_a_share_of_the_rows_suffers_a_share_of_the_cost(world):
    """A tenth of the rows: about a tenth of the rise; the same rows for the same seed."""
    evidence, view = world()
    tenth = asked(evidence, view, "missing", share=0.1)
    everything = asked(evidence, view, "missing", share=1.0)
    assert 0.04 < tenth.value / everything.value < 0.18
    assert asked(evidence, view, "missing", share=0.1) == tenth


def test_a_column_that_the_model_does_not_read_may_go_wrong(world):
    """Noise, a changed unit, a missing value of an unread column change no decision: exactly nothing."""
    evidence, view = world()
    for kind in ("missing", "noise", "unit"):
        found = asked(evidence, view, kind, column="x1")
        assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)
        assert found.note == "0 of 400 decisions cost something else"


def test_each_corruption_does_what_it_says(world):
    """To the matrix, cell by cell; nothing else moves, and the view's own rows stay as they are."""
    evidence, view = world()
    rows = np.arange(ROWS)
    before = view.matrix.copy()

    def after(kind, **more):
        return corrupt(view, rows, "x1", kind, share=more.pop("share", 1.0), seed=0, **more)

    assert np.isnan(after(Corruption.MISSING)[:, 1]).all()
    assert np.isnan(after(Corruption.MISSING, share=0.25)[:, 1]).sum() == 100
    assert after(Corruption.UNIT)[:, 1] == pytest.approx(before[:, 1] * 1000)
    moved = after(Corruption.NOISE)[:, 1] - before[:, 1]
    assert moved.std() == pytest.approx(0.25 * before[:, 1].std(), rel=0.15)
    swapped = after(Corruption.SWAPPED, other="x0")
    assert (swapped == before[:, ::-1]).all()
    assert (view.matrix == before).all()
    assert evidence is not None


def test_an_unseen_category_is_unknown_but_not_missing(world):
    """A code without a meaning, as the encoding gives it; the signal of missing stays off, and a number has no unseen."""
    matrix = np.column_stack([np.tile([0.0, 1.0], ROWS // 2), np.zeros(ROWS)])
    evidence, view = world(
        matrix=matrix, names=("city", "city__missing"), categories=(("city", ("bern", "graz")),)
    )
    rows = np.arange(ROWS)
    unseen = corrupt(view, rows, "city", Corruption.UNSEEN, share=1.0, seed=0)
    missing = corrupt(view, rows, "city", Corruption.MISSING, share=1.0, seed=0)

    assert np.isnan(unseen[:, 0]).all()
    assert (unseen[:, 1].max(), missing[:, 1].min()) == (0.0, 1.0)
    assert isinstance(asked(evidence, view, "unit", column="city"), Unmeasured)
    assert isinstance(asked(*world(), "unseen"), Unmeasured)
    assert "no feature" in asked(evidence, view, "missing", column="age").reason


def test_a_pattern_of_missing_values_can_tell_the_truth(world):
    """A field that is left empty for nine of ten tumours: its emptiness alone has the AUC that can be counted."""
    chance = np.random.default_rng(1)
    truth = np.arange(ROWS) % 4 == 0
    empty = np.where(truth, chance.uniform(size=ROWS) < 0.9, chance.uniform(size=ROWS) < 0.2)
    matrix = np.column_stack([np.where(empty, np.nan, 1.0), np.ones(ROWS)])
    evidence, view = world(matrix=matrix)
    found = missing_alone(evidence, view)
    counted = (1 + empty[truth].mean() - empty[~truth].mean()) / 2
    assert found.low < counted < found.high
    assert found.low > 0.75

    at_random = np.column_stack([np.where(chance.uniform(size=ROWS) < 0.3, np.nan, 1.0), np.ones(ROWS)])
    nothing = missing_alone(*world(matrix=at_random))
    assert nothing.low < 0.55
    assert "no value is missing" in missing_alone(*world()).reason


def test_what_rests_on_missing_signals_alone(build):
    """A model that reads nothing but the signal loses all that it knew when signals are dealt out anew."""
    truth = (np.arange(ROWS) % 2).astype(np.int64)
    view = build.view(
        np.column_stack([np.where(truth, np.nan, 1.0), truth]), by_column(1), names=("x", "x__missing")
    )
    told = view.predict(view.matrix).values[:, 1].copy()
    told[:8] = 1 - told[:8]
    evidence = build.binary(told, truth)
    found = missing_shuffled(evidence, view)
    assert isinstance(found, Unmeasured)
    assert "a rise is no fraction of that" in found.reason

    noisy = truth.copy()
    noisy[:20] = 1 - noisy[:20]
    shown = missing_shuffled(build.binary(view.predict(view.matrix).values[:, 1], noisy), view)
    assert shown.value > 5


def test_the_table_lists_the_worst_and_measures_or_says_why(world):
    """Two lines on what is missing, then at most ten corruptions, the dearest first; nothing without value or reason."""
    evidence, view = world()
    table = robustness(evidence, view)
    rises = [value.value for name, value in table[2:]]

    assert len(table) <= 12
    assert rises == sorted(rises, reverse=True)
    assert table[2][0] == "rise of the cost with x0 missing"
    assert all(isinstance(value, Measurement | Unmeasured) for _, value in table)
    assert all(np.isfinite(value.value) for _, value in table if isinstance(value, Measurement))


def test_it_is_a_clause_like_any_other(world, build):
    """Kept, broken, and one sentence about it; the report of a release carries the table."""
    from datetime import UTC, datetime

    evidence, view = world()
    clauses = [
        build.clause(f"plausibility.{name}", "robust_to", at_most=0.05, parameters=parameters)
        for name, parameters in {
            "kept": {"column": "x1", "corruption": "unit", "share": 1.0},
            "broken": {"column": "x0", "corruption": "missing", "share": 0.1},
        }.items()
    ]
    report = evaluate(
        evidence, stage=Stage.RELEASE, now=datetime(2026, 1, 1, tzinfo=UTC), clauses=clauses, model=view
    )
    kept, broken = report.findings

    assert (kept.status, broken.status) == (Status.KEPT, Status.BROKEN)
    assert kept.comparison is Comparison.AT_MOST
    assert "when x0 is missing in 10 % of the rows, promised at most 5 %" in broken.message
    assert len(report.robustness) > 2
    assert not [one for one in report.robustness if "x1" in one.name]
