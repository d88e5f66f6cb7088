"""From evidence to findings: every due clause is answered, for every task, and never by NaN."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geartrain.domain.clause import Stage
from geartrain.domain.finding import Status
from geartrain.domain.prediction import Predictions
from geartrain.domain.task import Task
from geartrain.domain.wire import decode, encode
from geartrain.evaluation.judging import Report, evaluate
from geartrain.stats.needed import relevant_for_proportion

ORDER = {Status.BROKEN: 0, Status.UNPROVEN: 1, Status.KEPT: 2}


def judged(build, evidence, *clauses, model=None, **more):
    return evaluate(evidence, stage=Stage.TRAINING, now=build.now, clauses=clauses, model=model, **more)


def test_each_section_gives_a_finding(seen, build):
    """Success, plausibility and fairness clauses are answered in order; a budget is not judged here."""
    clauses = (
        build.clause("success.recall", "recall", at_least=0.9),
        build.clause("success.cost", "expected_cost", at_most=0.9, relative_to="always-biopsy"),
        build.clause("budget.latency_p99", "latency_p99", at_most=5),
        build.clause("fairness.site", "equal_opportunity", at_most=0.3, parameters={"groups": "site"}),
        build.clause("plausibility.age", "rises_with", at_most=0.02, parameters={"column": "age"}),
    )
    report = judged(build, seen, *clauses)
    assert [one.clause for one in report.findings] == [
        "success.recall", "success.cost", "fairness.site", "plausibility.age",
    ]  # fmt: skip
    assert report.finding("plausibility.age").status is Status.NOT_MEASURED
    assert "not at hand" in report.finding("plausibility.age").message
    assert report.finding("budget.latency_p99") is None


def test_a_model_at_hand_is_asked(seen, build):
    """With a view of the model, plausibility is measured."""
    matrix = seen.columns["age"][:, None].astype(np.float32)
    view = build.view(matrix, build.says(lambda m: m[:, 0] / 100), names=("age",))
    clause = build.clause("plausibility.age", "rises_with", at_most=0.02, parameters={"column": "age"})
    report = judged(build, seen, clause, model=view)
    assert report.findings[0].status is Status.KEPT


def test_only_due_clauses_are_judged(seen, build):
    """A clause that is checked at another stage gives no finding at this one."""
    due = build.clause("success.auc", "auc", at_least=0.5, stages=(Stage.TRAINING, Stage.LIVE))
    later = build.clause("success.recall", "recall", at_least=0.5, stages=(Stage.LIVE,))
    assert [one.clause for one in judged(build, seen, due, later).findings] == ["success.auc"]


def test_the_contracts_own_clauses_are_the_default(build):
    """Without a list, the evidence's contract is what is judged."""
    contract = build.contract(clauses=(build.clause("success.auc", "auc", at_least=0.5),))
    evidence = build.binary([0.1, 0.9, 0.4, 0.6], [0, 1, 0, 1], contract=contract)
    report = evaluate(evidence, stage=Stage.TRAINING, now=build.now)
    assert report.contract == contract.id
    assert len(report.findings) == 1


def test_an_unproven_share_asks_for_positives(build):
    """A recall of 1 on 64 positives does not prove .97; it says how many more positives would."""
    evidence = build.binary(np.repeat([1.0, 0.0], [64, 107]), np.repeat([1, 0], [64, 107]))
    finding = judged(build, evidence, build.clause("success.recall", "recall", at_least=0.97)).findings[0]
    assert finding.status is Status.UNPROVEN
    assert finding.relevant_needed == relevant_for_proportion(1.0, 0.97) - 64 == 58
    assert finding.rows_needed == pytest.approx(58 * 171 / 64, abs=1)
    assert "58 more relevant rows" in finding.message


def test_what_cannot_be_measured_says_why(seen, build):
    """Unknown columns, metrics, baselines, one class and no rows are findings with reasons."""
    clauses = (
        build.clause("success.a", "recall", at_least=0.9, where="height > 2"),
        build.clause("success.b", "charm", at_least=0.9),
        build.clause("success.c", "expected_cost", at_most=1, relative_to="luck"),
        build.clause("success.d", "auc", at_least=0.9, where="age > 1000"),
        build.clause("fairness.e", "equal_opportunity", at_most=0.1, parameters={"groups": "moon"}),
    )
    report = judged(build, seen, *clauses)
    assert {one.status for one in report.findings} == {Status.NOT_MEASURED}
    assert all(len(one.message) > 30 for one in report.findings)
    assert dict(report.slices) == {"height > 2": 0, "age > 1000": 0}


def test_no_rows_give_reasons(build):
    """Empty evidence makes a report in which everything is said and nothing is a number."""
    clause = build.clause("success.recall", "recall", at_least=0.9)
    report = judged(build, build.binary(np.zeros(0), np.zeros(0)), clause)
    assert report.findings[0].status is Status.NOT_MEASURED
    assert all(one.measurement is None and one.reason for one in report.metrics)
    assert report.reliability == ()


def test_the_report_shows_what_nobody_promised(seen, build):
    """Usual metrics, baselines, reliability and the threshold stand in every report; `usual` leaves them out."""
    report = judged(
        build, seen, build.clause("success.south", "recall", at_least=0.1, where='site == "south"')
    )
    assert {"recall", "auc", "calibration_error"} <= {one.name for one in report.metrics}
    assert report.metrics[-1].where == 'site == "south"'
    assert {"always-biopsy", "always-follow up", "most-frequent"} <= {one.name for one in report.baselines}
    assert report.thresholds == (("malignant", pytest.approx(1 / 51)),)
    assert sum(one.rows for one in report.reliability) == 400
    assert judged(build, seen, usual=False).metrics == ()


def test_the_same_evidence_has_the_same_id(seen, build):
    """The id is of what was found: another day is the same report, another row is another."""
    clause = build.clause("success.auc", "auc", at_least=0.5)
    one = judged(build, seen, clause)
    later = evaluate(seen, stage=Stage.TRAINING, now=build.now.replace(year=2027), clauses=(clause,))
    other = judged(build, build.binary([0.1, 0.9, 0.2], [0, 1, 1]), clause)
    assert one.id == later.id != other.id
    assert isinstance(one, Report)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from(["recall", "precision", "auc", "accuracy"]))
def test_a_stricter_clause_never_rescues(seen, build, one, two, metric):
    """Asking for more can turn kept into unproven or broken, and never the other way."""
    loose, strict = sorted((one, two))
    findings = judged(
        build,
        seen,
        build.clause("success.loose", metric, at_least=loose),
        build.clause("success.strict", metric, at_least=strict),
        usual=False,
    ).findings
    assert ORDER[findings[0].status] >= ORDER[findings[1].status]


def test_wine_three_classes(build):
    """scikit-learn's wine with a nearest-centroid-like model: a multiclass product is judged whole."""
    from sklearn.datasets import load_wine
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    wine = load_wine()
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
    values = cross_val_predict(model, wine.data, wine.target, cv=4, method="predict_proba")
    model.fit(wine.data, wine.target)
    columns = {name: wine.data[:, i] for i, name in enumerate(wine.feature_names)}

    def predict(matrix):
        return Predictions(task=Task.MULTICLASS, classes=("a", "b", "c"), values=model.predict_proba(matrix))

    view = build.view(wine.data, predict, names=tuple(wine.feature_names))
    clauses = (
        build.clause("success.recall", "recall", at_least=0.9),
        build.clause("success.b", "recall", at_least=0.8, parameters={"class": "b"}),
        build.clause("success.cost", "expected_cost", at_most=0.3, relative_to="most-frequent"),
        build.clause("plausibility.colour", "rises_with", at_most=0.02,
                     parameters={"column": "color_intensity", "class": "c"}),
        build.clause("plausibility.share", "largest_share", at_most=0.5),
        build.clause("fairness.ash", "cost_parity", at_most=0.2, parameters={"groups": "ash > 2.36"}),
    )  # fmt: skip
    report = judged(build, build.classes(values, wine.target, columns=columns), *clauses, model=view)
    status = {one.clause: one.status for one in report.findings}
    assert status["success.recall"] is Status.KEPT
    assert status["success.cost"] is Status.KEPT
    assert status["plausibility.share"] is Status.KEPT
    assert Status.NOT_MEASURED not in status.values()


def test_diabetes_a_regression(build):
    """scikit-learn's diabetes with a ridge: cost against the mean, errors, response and fairness."""
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import cross_val_predict

    data = load_diabetes()
    predicted = cross_val_predict(Ridge(alpha=0.1), data.data, data.target, cv=4)
    model = Ridge(alpha=0.1).fit(data.data, data.target)

    def predict(matrix):
        return Predictions(task=Task.REGRESSION, classes=(), values=model.predict(matrix).reshape(-1, 1))

    columns = {name: data.data[:, i] for i, name in enumerate(data.feature_names)}
    clauses = (
        build.clause("success.cost", "expected_cost", at_most=0.8, relative_to="mean"),
        build.clause("success.r2", "r2", at_least=0.3),
        build.clause("plausibility.bmi", "rises_with", at_most=0.02, parameters={"column": "bmi"}),
        build.clause("plausibility.sex", "invariant_to", at_most=0.02, parameters={"column": "sex"}),
        build.clause("fairness.sex", "cost_parity", at_most=20, parameters={"groups": "sex > 0"}),
    )
    report = judged(
        build,
        build.values(predicted, data.target, columns=columns),
        *clauses,
        model=build.view(data.data, predict, names=tuple(data.feature_names)),
    )
    status = {one.clause: one.status for one in report.findings}
    assert status["success.cost"] is Status.KEPT
    assert status["success.r2"] is Status.KEPT
    assert status["plausibility.bmi"] is Status.KEPT
    assert status["plausibility.sex"] is Status.BROKEN
    assert status["fairness.sex"] is Status.KEPT
    assert {one.name for one in report.baselines} == {"mean"}


def test_a_report_survives_json(seen, build):
    """A report goes through JSON and back as the same value with the same id."""
    report = judged(build, seen, build.clause("success.auc", "auc", at_least=0.5))
    again = decode(encode(report), Report)
    assert again == report
    assert again.id == report.id
