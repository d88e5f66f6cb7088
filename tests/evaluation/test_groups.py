"""What a model does to each group, against fairlearn; and which definitions cannot all hold."""

import numpy as np
import pytest

from geartrain.domain.clause import Comparison
from geartrain.domain.groups import QUANTITIES
from geartrain.domain.task import Task
from geartrain.evaluation.evidence import Unmeasured
from geartrain.evaluation.fairness import fairness
from geartrain.evaluation.groups import group_table
from geartrain.evaluation.impossibility import false_alarms_forced, impossibilities, tables_of
from geartrain.evaluation.judging import evaluate
from geartrain.stats.deciding import decide


def even_costs(build):
    return build.contract(costs=build.costs(false_negative="1"))


@pytest.fixture
def three(build):
    """1200 rows of groups a, b and c with base rates .2, .4 and .6, and a calibrated model of some skill."""
    generator = np.random.default_rng(2)
    group = np.array(["a", "b", "c"], dtype=object)[generator.integers(0, 3, 1200)]
    centre = np.select([group == "a", group == "b"], [-1.6, -0.5], 0.5)
    p = 1 / (1 + np.exp(-(centre + 1.5 * generator.normal(size=1200))))
    truth = (generator.random(1200) < p).astype(int)
    age = generator.uniform(20, 80, 1200)
    return build.binary(p, truth, columns={"site": group, "age": age}, contract=even_costs(build))


def gap(evidence, definition, **more):
    return fairness(
        evidence, definition, evidence.everything, {"groups": "site", "smallest_group": 30, **more}
    )


@pytest.mark.parametrize(
    ("definition", "named"),
    [
        ("demographic_parity", "demographic_parity"),
        ("equal_opportunity", "equal_opportunity"),
        ("equalised_odds", "equalized_odds"),
    ],
)
def test_gaps_and_ratios_are_fairlearns(three, measured, definition, named):
    """The value of every clause is what fairlearn.metrics says of the same decisions."""
    metrics = pytest.importorskip("fairlearn.metrics", reason="the extra `fairness` is not installed")
    acted = three.decided.actions
    about = {"sensitive_features": three.columns["site"].astype(str)}
    expected = getattr(metrics, f"{named}_difference")(three.truth, acted, **about)
    assert measured(gap(three, definition)).value == pytest.approx(expected)
    expected = getattr(metrics, f"{named}_ratio")(three.truth, acted, **about)
    assert measured(gap(three, definition, compare="ratio")).value == pytest.approx(expected)


def test_the_tables_rates_are_fairlearns(three):
    """Selection, recall, false alarms and precision of each group, and the precision gap."""
    metrics = pytest.importorskip("fairlearn.metrics", reason="the extra `fairness` is not installed")
    from sklearn.metrics import precision_score

    frame = metrics.MetricFrame(
        metrics={
            "selection_rate": metrics.selection_rate,
            "recall": metrics.true_positive_rate,
            "false_alarms": metrics.false_positive_rate,
            "precision": precision_score,
        },
        y_true=three.truth,
        y_pred=three.decided.actions,
        sensitive_features=three.columns["site"].astype(str),
    )
    table = group_table(three, ("site",))
    for row in table.rows:
        for quantity in frame.by_group.columns:
            assert row.value(quantity).value == pytest.approx(frame.by_group.loc[row.group, quantity])
    widest = {one.quantity: one for one in table.widest}
    assert widest["precision"].gap.value == pytest.approx(frame.difference()["precision"])
    assert widest["recall"].ratio.value == pytest.approx(frame.ratio()["recall"])


def test_a_table_shows_every_quantity_with_its_interval(three, measured):
    """Every quantity of every group, each value inside its ends; the group with the more is named first."""
    table = group_table(three, ("site",))
    assert [row.group for row in table.rows] == ["a", "b", "c"]
    assert sum(row.rows for row in table.rows) == table.everyone.rows == 1200
    for row in (*table.rows, table.everyone):
        assert [figure.quantity for figure in row.figures] == list(QUANTITIES)
        for figure in row.figures:
            measured(figure.measurement)
    taken = next(one for one in table.widest if one.quantity == "selection_rate")
    assert (taken.one, taken.two) == ("c", "a")
    assert taken.gap.value == pytest.approx(
        table.rows[2].value("selection_rate").value - table.rows[0].value("selection_rate").value
    )


def test_the_tables_intervals_hold_together(build):
    """Three groups with recall .8: in at most 6 % of 150 draws does any of the three intervals miss it."""
    generator = np.random.default_rng(4)
    missed = 0
    for _ in range(150):
        truth = np.ones(360, dtype=int)
        said = (generator.random(360) < 0.8).astype(float)
        site = np.repeat(np.array(["a", "b", "c"], dtype=object), 120)
        table = group_table(build.binary(said, truth, columns={"site": site}), ("site",))
        recalls = [row.value("recall") for row in table.rows]
        missed += any(not one.low <= 0.8 <= one.high for one in recalls)
    assert missed / 150 <= 0.06


def test_bad_groups_are_said(build):
    """A group of three, one without a positive, rows without a group: each with its reason, and nothing is NaN."""
    group = np.array(["a"] * 60 + ["b"] * 60 + ["x"] * 3 + [None] * 7, dtype=object)
    truth = np.array([1, 0] * 30 + [0] * 60 + [1, 0, 1] + [0] * 7)
    evidence = build.binary(np.where(truth == 1, 0.9, 0.0), truth, columns={"site": group})
    table = group_table(evidence, ("site",))
    by_name = {row.group: row for row in table.rows}
    assert table.unknown == 7
    assert [row.judged for row in table.rows] == [True, False, False]
    recall = next(one for one in by_name["b"].figures if one.quantity == "recall")
    assert recall.measurement is None
    assert recall.reason == "no row of class `malignant` in the group"
    precision = next(one for one in by_name["b"].figures if one.quantity == "precision")
    assert precision.reason == "no row for which the action of `malignant` was taken in the group"
    assert table.widest == ()
    refused = gap(evidence, "equal_opportunity")
    assert refused.reason == "fewer than two groups have 30 rows that count (too small: b with 0, x with 2)"
    nobody = build.binary([0.5] * 40, [0, 1] * 20, columns={"site": np.array([None] * 40, dtype=object)})
    assert gap(nobody, "equal_opportunity").reason == "every one of 40 rows is without a group"


def test_a_threshold_that_nothing_reaches(build, measured):
    """A model that never acts: no precision to compare, no ratio of nothing; and the calibration there says so."""
    group = np.repeat(np.array(["a", "b"], dtype=object), 100)
    truth = np.tile([0, 0, 0, 1], 50)
    contract = build.contract(costs=build.costs(false_negative="1"))
    evidence = build.binary(np.full(200, 0.2), truth, columns={"site": group}, contract=contract)
    assert isinstance(gap(evidence, "predictive_parity"), Unmeasured)
    assert "have no ratio" in gap(evidence, "demographic_parity", compare="ratio").reason
    from geartrain.evaluation.metrics import measure

    near = measured(measure(evidence, "calibration_at_threshold"))
    assert "no probability reaches the threshold (the highest is 0.2)" in near.note


def test_crossed_groups(three, measured):
    """Site by age: six groups, fifteen pairs, and the pair is named by both."""
    crossed = ("site", "age >= 50")
    seen = measured(gap(three, "demographic_parity", groups=crossed))
    assert "6 groups" in seen.note
    assert "site a, age >= 50" in seen.note and "site c, age >= 50" in seen.note
    assert seen.high > measured(gap(three, "demographic_parity")).high


def test_calibration_within_groups(build, measured):
    """Honest for everyone together and for neither group alone: .5 is said where .3 and .7 come."""
    truth = np.concatenate([np.arange(500) < 150, np.arange(500) < 350]).astype(int)
    group = np.repeat(np.array(["a", "b"], dtype=object), 500)
    evidence = build.binary(np.full(1000, 0.5), truth, columns={"site": group})
    seen = measured(gap(evidence, "calibration_within_groups"))
    assert seen.value == pytest.approx(0.2, abs=0.01)
    assert seen.low > 0.1
    assert "on average 0.5 was said" in seen.note
    alike = build.binary(np.full(1000, 0.5), np.tile([0, 1], 500), columns={"site": group})
    assert measured(gap(alike, "calibration_within_groups")).value < 0.02


def test_chouldechovas_identity(three):
    """False alarms follow from base rate, recall and precision, to rounding, in every group of any decisions."""
    for row in group_table(three, ("site",)).rows:
        forced = false_alarms_forced(
            base_rate=row.value("base_rate").value,
            recall=row.value("recall").value,
            precision=row.value("precision").value,
        )
        assert forced == pytest.approx(row.value("false_alarms").value)


def clauses(build, *definitions, at_most=0.05):
    return [
        build.clause(
            f"fairness.{one}", one, at_most=at_most, parameters={"groups": "site", "smallest_group": 30}
        )
        for one in definitions
    ]


def said(build, evidence, *definitions, **more):
    chosen = clauses(build, *definitions, **more)
    return impossibilities(chosen, tables_of(evidence, chosen))


def test_what_excludes_each_other_is_named(build, three):
    """Each pair (and the three) with its theorem, at this model's own numbers; alone or compatible, nothing is said."""
    (found,) = said(build, three, "predictive_parity", "equalised_odds")
    assert found.excluded
    assert {found.one, found.two} == {"a", "c"}
    assert found.sentence.startswith("`fairness.equalised_odds` and `fairness.predictive_parity` cannot hold")
    assert "false alarms would have to be" in found.sentence and "Chouldechova 2017" in found.sentence
    (found,) = said(build, three, "demographic_parity", "equalised_odds")
    assert found.excluded and "recall exceeds its false alarms by at most" in found.sentence
    (found,) = said(build, three, "demographic_parity", "equal_opportunity", "predictive_parity")
    assert len(found.clauses) == 3
    (found,) = said(build, three, "calibration_within_groups", "equalised_odds")
    assert not found.excluded and "Kleinberg" in found.sentence
    assert said(build, three, "equal_opportunity", "predictive_parity") == ()
    assert said(build, three, "equalised_odds") == ()


def test_a_wide_tolerance_excludes_nothing(build, three):
    """Promises so loose that a real model keeps both pull against each other and no more."""
    (found,) = said(build, three, "demographic_parity", "equalised_odds", at_most=0.5)
    assert not found.excluded
    assert "pull against each other" in found.sentence


def test_equal_base_rates_exclude_nothing(build):
    """Where both groups are alike, no theorem stands in the way; nor where the rows do not prove that they differ."""
    generator = np.random.default_rng(1)
    group = np.array(["a", "b"], dtype=object)[generator.integers(0, 2, 400)]
    p = generator.random(400)
    truth = (generator.random(400) < p).astype(int)
    evidence = build.binary(p, truth, columns={"site": group}, contract=even_costs(build))
    assert said(build, evidence, "predictive_parity", "equalised_odds") == ()


def test_no_decisions_keep_what_is_called_impossible(three):
    """Over all pairs of thresholds, no two groups have precision, recall and false alarms within .02 of each other."""
    site, truth, p = three.columns["site"], three.truth, three.predictions.values[:, 1]
    rates = {}
    for name in ("a", "c"):
        here, so = p[site == name], truth[site == name] == 1
        acted = here[None, :] >= np.linspace(0.05, 0.9, 60)[:, None]
        rates[name] = np.column_stack(
            [acted[:, so].mean(axis=1), acted[:, ~so].mean(axis=1), [so[row].mean() for row in acted]]
        )
    apart = np.abs(rates["a"][:, None] - rates["c"][None]).max(axis=2)
    assert apart.min() > 0.05


def test_the_report_has_tables_and_impossibilities(build, three):
    """An evaluation shows one table for each grouping, and names what cannot hold; a broken expression has no table."""
    contract = build.contract(
        costs=build.costs(false_negative="1"),
        clauses=[
            *clauses(build, "predictive_parity", "equalised_odds"),
            build.clause("fairness.lost", "cost_parity", at_most=0.1, parameters={"groups": "nowhere"}),
        ],
    )
    evidence = build.binary(
        three.predictions.values[:, 1], three.truth, columns=three.columns, contract=contract
    )
    report = evaluate(evidence, stage="training", now=build.now)
    assert [table.groups for table in report.groups] == [("site",)]
    assert len(report.impossible) == 1
    assert "nowhere" in report.finding("fairness.lost").message


def test_regressions_and_many_classes_have_tables_of_costs(build):
    """Without two classes a table has the mean cost alone."""
    columns = {"site": np.repeat(np.array(["a", "b"], dtype=object), 40)}
    evidence = build.values(np.repeat([1.0, 3.0], 40), np.zeros(80), columns=columns)
    table = group_table(evidence, ("site",))
    assert [figure.quantity for figure in table.rows[0].figures] == ["cost"]
    assert table.widest[0].gap.value == pytest.approx(2.0)
    contract = build.contract(Task.MULTICLASS)
    several = build.classes(
        np.eye(3)[np.tile([0, 1], 40)], np.zeros(80, int), columns=columns, contract=contract
    )
    assert [figure.quantity for figure in group_table(several, ("site",)).rows[0].figures] == ["cost"]


def test_a_ratio_clause_is_judged_from_below(build, three):
    """Four fifths promised: at_least, and the worst pair is the smallest ratio."""
    clause = build.clause(
        "fairness.fifths", "demographic_parity", at_least=0.8,
        parameters={"groups": "site", "smallest_group": 30, "compare": "ratio"},
    )  # fmt: skip
    assert clause.comparison is Comparison.AT_LEAST
    contract = build.contract(costs=build.costs(false_negative="1"), clauses=[clause])
    evidence = build.binary(
        three.predictions.values[:, 1], three.truth, columns=three.columns, contract=contract
    )
    finding = evaluate(evidence, stage="training", now=build.now).finding("fairness.fifths")
    assert finding.status == "broken"
    assert "smallest ratio between a and c" in finding.message
    acted = decide(evidence.rule, evidence.predictions, evidence.columns).actions
    a, c = (acted[three.columns["site"] == name].mean() for name in "ac")
    assert finding.value == pytest.approx(a / c)


def test_feasibility_names_what_cannot_hold(build, three):
    """Before training, a quick model's answers are enough to say which promises exclude each other."""
    from geartrain.evaluation.feasibility import feasibility
    from geartrain.evaluation.prospect import Facts, QuickLook

    contract = build.contract(
        costs=build.costs(false_negative="1"), clauses=clauses(build, "demographic_parity", "equalised_odds")
    )
    counts = (("benign", 700), ("malignant", 500))
    look = QuickLook(model="logistic", quick=three)
    told = feasibility(contract, facts=Facts(rows=1200, class_counts=counts), now=build.now, look=look)
    assert any("`fairness.equalised_odds` cannot hold together" in one.text for one in told.statements)
