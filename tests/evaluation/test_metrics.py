"""Metrics of decisions, scores, costs and values, for every task, and reasons where there is none."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from geartrain.domain.contract import Abstention, Capacity, CostTerms
from geartrain.domain.task import Task
from geartrain.evaluation.evidence import Unmeasured, cost_threshold
from geartrain.evaluation.metrics import METRICS, USUAL, measure
from geartrain.stats.intervals import clopper_pearson, zero_failures_bound


def test_shares_of_the_action_equal_scikit_learn(seen, measured):
    """At the threshold of 1 in 51, recall, precision, specificity, F1 and accuracy are those of p >= 1/51."""
    truth, acted = seen.truth, seen.predictions.values[:, 1] >= 1 / 51
    expected = {
        "recall": oracle.recall_score(truth, acted),
        "precision": oracle.precision_score(truth, acted),
        "specificity": oracle.recall_score(1 - truth, ~acted),
        "f1": oracle.f1_score(truth, acted),
        "accuracy": oracle.accuracy_score(truth, acted),
    }
    for name, value in expected.items():
        assert measured(measure(seen, name)).value == pytest.approx(value), name
    assert cost_threshold(seen.rule, 1) == pytest.approx(1 / 51)


def test_recall_has_the_exact_interval_of_its_positives(seen, measured):
    """The interval counts positives, not rows, and says how many there were."""
    value = measured(measure(seen, "recall"))
    positives = int(seen.truth.sum())
    hits = round(value.value * positives)
    assert (value.low, value.high) == pytest.approx(clopper_pearson(hits, positives))
    assert (value.relevant, value.rows) == (positives, 400)


def test_scores_equal_scikit_learn(seen, measured):
    """AUC, average precision, Brier and log loss of the positive class."""
    truth, p = seen.truth, seen.predictions.values[:, 1]
    assert measured(measure(seen, "auc")).value == pytest.approx(oracle.roc_auc_score(truth, p))
    assert measured(measure(seen, "average_precision")).value == pytest.approx(
        oracle.average_precision_score(truth, p)
    )
    assert measured(measure(seen, "brier")).value == pytest.approx(oracle.brier_score_loss(truth, p))
    assert measured(measure(seen, "log_loss")).value == pytest.approx(oracle.log_loss(truth, p))


def test_every_usual_metric_has_a_value(seen, measured):
    """A calibrated binary model has every usual number, with ends that hold it."""
    for name in USUAL[Task.BINARY]:
        measured(measure(seen, name))


def test_an_abstention_is_no_miss_and_is_said(build, measured):
    """Handing a malignant row to a person keeps recall at 1; the note says how many were handed over."""
    abstain = Abstention(below_confidence=0.7, then="ask", cost="2")
    evidence = build.binary(
        [0.9, 0.6, 0.6, 0.1],
        [1, 1, 0, 0],
        contract=build.contract(abstain=abstain, costs=build.costs("1", "1")),
    )
    recall = measured(measure(evidence, "recall"))
    assert recall.value == 1.0
    assert "2 of 4 rows handed over" in recall.note
    assert measured(measure(evidence, "accuracy")).relevant == 2
    assert measured(measure(evidence, "abstention_rate")).value == 0.5
    assert measured(measure(evidence, "coverage")).value == 0.5
    assert measured(measure(evidence, "expected_cost")).value == 1.0


def test_expected_cost_by_hand(build, measured):
    """Two needless biopsies and one missed tumour in ten rows cost 52; per 1000 that is 5200."""
    p = [0.9, 0.9, 0.9, 0.9, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    evidence = build.binary(p, [1, 1, 0, 0, 1, 0, 0, 0, 0, 0])
    assert measured(measure(evidence, "expected_cost")).value == pytest.approx(5.2)
    assert measured(measure(evidence, "cost_per_1000")).value == pytest.approx(5200)
    always = measured(measure(evidence, "expected_cost", relative_to="always-biopsy"))
    assert always.value == pytest.approx(52 / 7)


def test_an_error_never_seen_is_allowed_for(build, measured):
    """No missed tumour among 64 leaves room for one; the interval's high end is not that of the bootstrap."""
    truth = np.repeat([1, 0], [64, 107])
    evidence = build.binary(np.where(np.arange(171) < 80, 0.9, 0.0), truth)
    value = measured(measure(evidence, "expected_cost"))
    allowance = 64 / 171 * zero_failures_bound(64, confidence=0.975) * 50
    assert value.high >= value.value + allowance
    assert "`follow up` for `malignant`" in value.note
    assert "zero-failures" in value.method


def test_the_cost_interval_covers_rare_dear_errors(build):
    """1 tumour in 50 missed at a price of 50: the high end lies below the true cost in at most 5 % of 300 draws."""
    generator = np.random.default_rng(4)
    truth = np.repeat([1, 0], [64, 107])
    missed = 0
    for seed in range(300):
        acted = generator.random(171) < np.where(truth == 1, 0.98, 0.1)
        value = measure(build.binary(acted * 0.9, truth, seed=seed), "expected_cost")
        missed += value.high < (64 * 0.02 * 50 + 107 * 0.1) / 171
    assert missed / 300 <= 0.05


def test_costs_may_read_columns(build, measured):
    """A missed fraud costs its amount; of a row without one nobody knows the cost: left out and counted, never free."""
    contract = build.contract(costs=build.costs(false_negative="amount"))
    columns = {"amount": np.array([30.0, np.nan, 10.0])}
    evidence = build.binary([0.0, 0.0, 1.0], [1, 1, 0], columns=columns, contract=contract)
    seen = measured(measure(evidence, "expected_cost"))
    assert seen.value == pytest.approx(31 / 2)
    assert "1 rows without a known cost left out" in seen.note
    assert measured(measure(evidence, "abstention_rate")).value == pytest.approx(1 / 3)
    assert cost_threshold(evidence.rule, 1) is None
    at_threshold = measured(measure(evidence, "calibration_at_threshold"))
    assert at_threshold.note == (
        "the 2 rows nearest their own thresholds; 1 rows left out whose decision nothing turns"
    )


def test_a_row_without_a_price_is_left_out_and_said(build, measured):
    """A regression whose error is priced by a column that is missing has one row less, in the note."""
    contract = build.contract(Task.REGRESSION, costs=CostTerms(error="abs(error) * price"))
    columns = {"price": np.array([2.0, np.nan])}
    evidence = build.values([1.0, 5.0], [0.0, 0.0], contract=contract, columns=columns)
    value = measured(measure(evidence, "expected_cost"))
    assert (value.value, value.rows) == (2.0, 1)
    assert "1 rows without a known cost" in value.note
    assert "no row has a known cost" in measure(evidence, "expected_cost", where="is_null(price)").reason


def test_slices_and_their_reasons(seen, measured):
    """A slice counts its own rows; an empty one, an unknown column and one class have reasons."""
    south = measured(measure(seen, "recall", where='site == "south"'))
    assert south.rows == int((seen.columns["site"] == "south").sum())
    assert measure(seen, "recall", where="age > 1000") == Unmeasured(reason="no row is in the slice")
    assert "no column `height`" in measure(seen, "recall", where="height > 1").reason
    assert "no metric" in measure(seen, "elegance").reason
    assert "no baseline to be relative to" in measure(seen, "recall", relative_to="always-biopsy").reason
    assert "no baseline `fortune`" in measure(seen, "expected_cost", relative_to="fortune").reason


@pytest.mark.parametrize("truth", [0, 1])
def test_one_class_alone_has_reasons_not_nan(build, truth):
    """With rows of one class only, every metric is a finite value or says why there is none."""
    evidence = build.binary(np.full(12, 0.4), np.full(12, truth))
    for name in METRICS:
        value = measure(evidence, name)
        if isinstance(value, Unmeasured):
            assert len(value.reason) > 10
        else:
            assert np.isfinite([value.value, value.low, value.high]).all()
    assert isinstance(measure(evidence, "auc"), Unmeasured)


def test_no_rows_at_all(build):
    """Evidence of no rows answers every metric with a reason."""
    evidence = build.binary(np.zeros(0), np.zeros(0))
    assert all(isinstance(measure(evidence, name), Unmeasured) for name in METRICS)


def test_constant_predictions(build, measured):
    """A model that always says .3 ranks like a coin and has one calibration bin."""
    evidence = build.binary(np.full(100, 0.3), np.arange(100) < 30)
    assert measured(measure(evidence, "auc")).value == 0.5
    assert measured(measure(evidence, "calibration_error")).value == pytest.approx(0.0, abs=1e-9)
    assert measured(measure(evidence, "specificity")).value == 0.0


def test_several_classes_equal_scikit_learn(build, measured):
    """Macro recall, precision, AUC and Brier on three classes; one class by name."""
    generator = np.random.default_rng(2)
    truth = generator.integers(0, 3, 240)
    values = generator.dirichlet([1, 1, 1], 240) + np.eye(3)[truth]
    values /= values.sum(axis=1, keepdims=True)
    evidence = build.classes(values, truth)
    said = values.argmax(axis=1)
    assert measured(measure(evidence, "recall")).value == pytest.approx(
        oracle.recall_score(truth, said, average="macro")
    )
    assert measured(measure(evidence, "precision")).value == pytest.approx(
        oracle.precision_score(truth, said, average="macro")
    )
    assert measured(measure(evidence, "f1")).value == pytest.approx(
        oracle.f1_score(truth, said, average="macro")
    )
    assert measured(measure(evidence, "auc")).value == pytest.approx(
        oracle.roc_auc_score(truth, values, multi_class="ovr")
    )
    assert measured(measure(evidence, "expected_cost")).value == pytest.approx(np.mean(said != truth))
    one = measured(measure(evidence, "recall", parameters={"class": "b"}))
    assert one.value == pytest.approx(np.mean(said[truth == 1] == 1))
    assert "knows no class" in measure(evidence, "recall", parameters={"class": "z"}).reason
    for name in USUAL[Task.MULTICLASS]:
        measured(measure(evidence, name))


def test_a_class_without_rows_is_named(build, measured):
    """A macro mean over fewer classes says which one is not in it."""
    value = measured(measure(build.classes(np.eye(3)[[0, 0, 1, 1]], [0, 0, 1, 1]), "recall"))
    assert value.note.endswith("without c")


def test_values_equal_scikit_learn(build, measured):
    """MAE, RMSE and R2 of a regression; its cost is the absolute error where the contract is silent."""
    generator = np.random.default_rng(3)
    truth = generator.normal(size=150)
    predicted = truth + generator.normal(scale=0.5, size=150)
    evidence = build.values(predicted, truth)
    assert measured(measure(evidence, "mean_absolute_error")).value == pytest.approx(
        oracle.mean_absolute_error(truth, predicted)
    )
    assert measured(measure(evidence, "root_mean_squared_error")).value == pytest.approx(
        oracle.root_mean_squared_error(truth, predicted)
    )
    assert measured(measure(evidence, "r2")).value == pytest.approx(oracle.r2_score(truth, predicted))
    assert measured(measure(evidence, "expected_cost")).value == pytest.approx(
        np.abs(truth - predicted).mean()
    )
    assert "no classes" in measure(evidence, "recall").reason
    assert "no probabilities" in measure(evidence, "auc").reason
    assert "no variance" in measure(build.values([1, 2], [3, 3]), "r2").reason


def test_a_regression_may_price_its_errors(build, measured):
    """An expression over truth, prediction and error is the cost of a row."""
    contract = build.contract(Task.REGRESSION, costs=CostTerms(error="2 * max(error, 0) + max(0 - error, 0)"))
    value = measured(measure(build.values([3.0, 0.0], [1.0, 1.0], contract=contract), "expected_cost"))
    assert value.value == 2.5


def test_precision_at_capacity_takes_the_contract_or_the_clause(build, measured):
    """One look a day at cards; known cards are not looked at; without times or a number it says why."""
    day = 86_400_000_000
    columns = {
        "card": np.array(["a", "b", "c", "d"], dtype=object),
        "known": np.array([True, False, False, False]),
    }
    contract = build.contract(capacity=Capacity(action="biopsy", most=1, period_s=86_400.0, entity="card"))
    made = {"columns": columns, "contract": contract, "times_us": np.array([0, 1, day, day + 1])}
    evidence = build.binary([0.9, 0.8, 0.7, 0.6], [0, 1, 1, 0], **made)
    assert measured(measure(evidence, "precision_at_capacity")).value == 0.5
    known = measured(measure(evidence, "precision_at_capacity", parameters={"known": "known"}))
    assert known.value == 1.0
    two = {"k": 2, "period": 86_400.0}
    assert measured(measure(evidence, "precision_at_capacity", parameters=two)).value == 0.5
    silent = build.binary([0.9], [1])
    assert "how many" in measure(silent, "precision_at_capacity").reason
    timeless = build.binary([0.9], [1], contract=contract, columns={"card": columns["card"][:1]})
    assert "no times" in measure(timeless, "precision_at_capacity").reason


def test_patients_widen_every_interval(seen, build, measured):
    """The same rows known to be ten each of 40 patients have wider intervals, never narrower."""
    patients = np.argsort(np.argsort(seen.predictions.values[:, 1])) // 10
    grouped = build.binary(seen.predictions.values[:, 1], seen.truth, groups=patients)
    for name in ("recall", "expected_cost", "auc", "brier"):
        plain, wide = measured(measure(seen, name)), measured(measure(grouped, name))
        assert wide.value == pytest.approx(plain.value)
        assert "group" in wide.method or "cluster" in wide.method


def test_rows_without_truth_are_refused(build):
    """A row whose truth or answer is missing is no evidence, and lengths must agree."""
    with pytest.raises(ValueError, match="without a known truth"):
        build.binary([0.5, 0.5], [0, -1])
    with pytest.raises(ValueError, match="without an answer"):
        build.binary([0.5, np.nan], [0, 1])
    with pytest.raises(ValueError, match="lengths differ"):
        build.binary([0.5], [0, 1])


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000))
def test_the_order_of_rows_changes_nothing(build, seed):
    """Shuffled evidence gives the same values and ends, for every usual metric."""
    generator = np.random.default_rng(seed)
    p, truth = generator.random(30).round(2), generator.integers(0, 2, 30)
    assume(0 < truth.sum() < 30)
    order = generator.permutation(30)
    one, two = build.binary(p, truth), build.binary(p[order], truth[order])
    for name in USUAL[Task.BINARY]:
        a, b = measure(one, name), measure(two, name)
        assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high)), name


def test_duplicating_every_row_narrows_each_interval(seen, build, measured):
    """Four times the same rows, taken for independent, are narrower intervals around the same value."""
    p, truth = seen.predictions.values[:, 1], seen.truth
    more = build.binary(np.tile(p, 4), np.tile(truth, 4))
    for name in ("recall", "precision", "expected_cost", "auc", "average_precision", "brier"):
        once, often = measured(measure(seen, name)), measured(measure(more, name))
        assert often.value == pytest.approx(once.value)
        assert often.high - often.low < once.high - once.low, name


def test_a_stricter_confidence_widens_every_interval(build):
    """Evidence at 99.9 % has no metric whose interval is narrower than at 95 %, and says the confidence it has."""
    generator = np.random.default_rng(3)
    truth = (generator.random(300) < 0.3).astype(np.int64)
    said = np.clip(0.3 + 0.3 * (truth - 0.3) + 0.2 * generator.normal(size=300), 0.01, 0.99)
    plain, strict = (build.binary(said, truth, confidence=level) for level in (0.95, 0.999))
    for name in USUAL[Task.BINARY]:
        wide, narrow = measure(strict, name), measure(plain, name)
        assert wide.confidence == 0.999, name
        assert wide.high - wide.low > narrow.high - narrow.low, name
