"""Bad input to evaluation: each kind is said clearly, and no number appears without a reason or a value."""

import dataclasses
import math

import numpy as np
import pytest

from geartrain.domain.clause import Stage
from geartrain.domain.finding import Status
from geartrain.domain.prediction import Predictions
from geartrain.domain.task import Task
from geartrain.evaluation.judging import evaluate

ROWS = 300
SHARES = ("recall", "precision", "specificity", "accuracy", "f1", "abstention_rate", "coverage")
SCORES = ("auc", "average_precision", "calibration_error", "calibration_at_threshold", "brier", "log_loss")
METRICS = ("expected_cost", *SHARES, *SCORES)


def floats(value, path=""):
    """Every float in a report, with where it stands."""
    if isinstance(value, float):
        yield path, value
    elif dataclasses.is_dataclass(value):
        for one in dataclasses.fields(value):
            yield from floats(getattr(value, one.name), f"{path}.{one.name}")
    elif isinstance(value, tuple | list):
        for place, one in enumerate(value):
            yield from floats(one, f"{path}[{place}]")


@pytest.fixture
def world(build):
    """Evidence of 300 rows with a model of one column, a constant beside it and a group of three members."""
    chance = np.random.default_rng(0)
    x = chance.normal(size=ROWS)
    p = 1 / (1 + np.exp(-2 * x))

    def model(matrix):
        told = 1 / (1 + np.exp(-np.clip(2 * np.nan_to_num(matrix[:, 0].astype(float)), -50, 50)))
        return Predictions(
            task=Task.BINARY, classes=("benign", "malignant"), values=np.column_stack([1 - told, told])
        )

    class World:
        truth = (chance.uniform(size=ROWS) < p).astype(np.int64)
        columns = {  # noqa: RUF012 - a fixture's own
            "x": x,
            "same": np.ones(ROWS),
            "site": np.array(["north"] * (ROWS - 3) + ["south"] * 3, dtype=object),
        }
        view = build.view(np.column_stack([x, np.ones(ROWS)]), model, names=("x", "same"))

        @classmethod
        def report(cls, *clauses, truth=None, columns=None, contract=None):
            """Everything that an evaluation says, after making sure that it says no NaN."""
            evidence = build.binary(
                p,
                cls.truth if truth is None else truth,
                columns={**cls.columns, **(columns or {})},
                contract=contract,
            )
            usual = [build.clause(f"success.{name}", name, at_most=0.5) for name in METRICS]
            report = evaluate(
                evidence, stage=Stage.RELEASE, now=build.now, clauses=[*usual, *clauses], model=cls.view
            )
            assert [path for path, one in floats(report) if not math.isfinite(one)] == []
            for shown in (*report.metrics, *report.baselines, *report.robustness):
                assert (shown.measurement is None) == bool(shown.reason)
            for finding in report.findings:
                assert (finding.value is None) == (finding.status is Status.NOT_MEASURED)
                assert finding.message
            return report

    return World


def said(report, path):
    return report.finding(path).message


@pytest.mark.parametrize("only", [0, 1])
def test_one_class(world, only):
    """What needs the other class says so and names it; what does not is measured."""
    report = world.report(truth=np.full(ROWS, only))
    absent = {path: one for path in ("recall", "specificity", "auc", "average_precision")
              if (one := report.finding(f"success.{path}")).status is Status.NOT_MEASURED}  # fmt: skip

    assert set(absent) == {"auc", "average_precision", "specificity" if only else "recall"}
    assert "of 300 is of class `malignant`, so nothing can be ranked" in said(report, "success.auc")
    assert report.finding("success.accuracy").value is not None


def test_a_group_with_three_members(world, build):
    """It is named with its size and gets no verdict; the others are not judged against nobody."""
    parameters = {"groups": "site", "smallest_group": 30, "mitigations": ()}
    report = world.report(
        build.clause("fairness.alike", "demographic_parity", at_most=0.1, parameters=parameters),
        build.clause("plausibility.everywhere", "stable_across", at_most=0.3, parameters={"column": "site"}),
        build.clause("plausibility.hidden", "proxy_of", at_most=0.7, parameters={"attribute": "site"}),
    )
    assert "south with 3" in said(report, "fairness.alike")
    assert "fewer than two values of `site` have 30 rows" in said(report, "plausibility.everywhere")
    assert "needs two values with 5 rows each" in said(report, "plausibility.hidden")


def test_a_constant_feature(world, build):
    """It cannot rise, be swapped, be guessed or carry anything, and each says so in its own words."""
    column = {"column": "same"}
    report = world.report(
        build.clause("plausibility.rises", "rises_with", at_most=0.02, parameters=column),
        build.clause("plausibility.blind", "invariant_to", at_most=0.02, parameters=column),
        build.clause("plausibility.proxy", "proxy_of", at_most=0.7, parameters={"attribute": "same"}),
        build.clause(
            "plausibility.earns", "earns_its_place", at_most=0.05, parameters={"columns": ("same",)}
        ),
        build.clause(
            "plausibility.sturdy", "robust_to", at_most=0.1, parameters={**column, "corruption": "noise"}
        ),
    )
    assert "same value in every row, so it cannot rise" in said(report, "plausibility.rises")
    assert "same value in every row, so nothing can be swapped" in said(report, "plausibility.blind")
    assert "needs two values" in said(report, "plausibility.proxy")
    assert "same value in every row" in said(report, "plausibility.earns")
    assert report.finding("plausibility.sturdy").status is Status.KEPT


def test_negative_costs(world, build):
    """The value of a decision may be negative; a fraction of such a baseline, or a rise of it, is refused by name."""
    contract = build.contract(costs=build.costs("-5", "-1"))
    report = world.report(
        build.clause("success.relative", "expected_cost", at_most=0.5, relative_to="always-biopsy"),
        contract=contract,
    )
    assert report.finding("success.expected_cost").value < 0
    assert "`always-biopsy` costs -0.53 a row, of which nothing is a share" in said(
        report, "success.relative"
    )
    assert [
        one.reason for one in report.robustness if one.name == "rise of the cost with corrupted input"
    ] == ["a decision costs -2.463 as it is, and a rise is no fraction of that"]


def test_a_threshold_that_nothing_reaches(world, build):
    """A missed tumour that costs nothing is always missed: no threshold, no precision, and why."""
    report = world.report(contract=build.contract(costs=build.costs("0", "1")))

    assert report.thresholds == ()
    assert "nothing turns the decision of any of 300 rows" in said(report, "success.calibration_at_threshold")
    assert "no row was decided for class `malignant` among 300 rows" in said(report, "success.precision")
    assert report.finding("success.recall").value == 0.0


def test_text_where_numbers_should_be(world, build):
    """A price in words is not known: its rows are left out and counted; a slice by it holds no such row."""
    amounts = np.array([float(row % 7 + 1) if row % 20 else "twelve" for row in range(ROWS)], dtype=object)
    report = world.report(
        build.clause("success.large", "accuracy", at_most=0.9, where="amount > 0"),
        columns={"amount": amounts},
        contract=build.contract(costs=build.costs("amount", "1")),
    )
    # The fallback stands in for all 15; what it costs is unknown only where it missed a tumour.
    missed = int(world.truth[::20].sum())
    assert f"{missed} rows without a known cost left out" in said(report, "success.expected_cost")
    assert report.finding("success.large").rows <= ROWS - 15

    words = world.report(
        truth=np.ones(ROWS, dtype=np.int64),
        columns={"amount": np.full(ROWS, "much", dtype=object)},
        contract=build.contract(costs=build.costs("amount", "1")),
    )
    assert "no row has a known cost" in said(words, "success.expected_cost")


def test_five_of_a_hundred_labels_missing(world, build):
    """Rows without a truth are no evidence: refused with their number, not averaged in."""
    truth = world.truth.copy()
    truth[::20] = -1
    with pytest.raises(ValueError, match="15 rows without a known truth"):
        world.report(truth=truth)
    with pytest.raises(ValueError, match="15 rows without a known truth"):
        build.values(np.zeros(ROWS), np.where(truth < 0, np.nan, 1.0))


def test_a_slice_without_a_row(world, build):
    """Every metric gives the same plain reason."""
    slices = [build.clause(f"success.{name}_old", name, at_most=0.5, where="x > 100") for name in METRICS]
    report = world.report(*slices)
    reasons = {said(report, f"success.{name}_old").split(": not measured, ")[1] for name in METRICS}
    assert reasons == {"no row is in the slice"}


def test_regression_of_a_constant(build):
    """A truth that never varies has no share explained; the errors themselves are measured."""
    evidence = build.values(np.linspace(0, 1, 50), np.ones(50))
    clauses = [
        build.clause(f"success.{name}", name, at_most=0.5)
        for name in ("r2", "mean_absolute_error", "root_mean_squared_error", "expected_cost")
    ]
    report = evaluate(evidence, stage=Stage.RELEASE, now=build.now, clauses=clauses)

    assert [path for path, one in floats(report) if not math.isfinite(one)] == []
    assert report.finding("success.r2").status is Status.NOT_MEASURED
    assert report.finding("success.mean_absolute_error").value == pytest.approx(0.5)
