"""Mitigations: what each does to the rows, the model or the rule, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

from geartrain.domain.clause import Clause, Comparison
from geartrain.domain.contract import CostEntry, CostTerms
from geartrain.domain.prediction import Predictions
from geartrain.domain.roles import Role
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.stats.deciding import decide, realised_cost
from geartrain.training.examples import Examples
from geartrain.training.fitting import fit
from geartrain.training.group_thresholds import FACTORS, group_thresholds
from geartrain.training.mitigating import (
    Mitigation,
    Untried,
    allowed,
    groups_of,
    mitigated_fit,
    reweighing,
)
from geartrain.training.recipe import recipe

EVERYTHING = ("constraints", "reweighing", "thresholds")


def clause(definition="demographic_parity", at_most=0.05, *, mitigations=EVERYTHING, **more):
    parameters = {"groups": "sex", "smallest_group": 30, "mitigations": mitigations, **more}
    return Clause(
        path=f"fairness.{definition}",
        metric=definition,
        owner=Role.DOMAIN,
        comparison=Comparison.AT_MOST,
        bound=at_most,
        parameters=tuple(sorted(parameters.items())),
    )


def rule(false_negative="1", false_positive="1"):
    return DecisionRule(
        task=Task.BINARY,
        classes=("no", "yes"),
        actions=("no", "yes"),
        costs=CostTerms(
            entries=(
                CostEntry(name="false_negative", action="no", truth="yes", cost=false_negative),
                CostEntry(name="false_positive", action="yes", truth="no", cost=false_positive),
            )
        ),
        fallback="no",
    )


@pytest.fixture(scope="module")
def lending():
    """4000 rows of two groups: one has more of what counts, and a column that mostly tells the group."""
    generator = np.random.default_rng(5)
    rows = 4000
    sex = np.where(generator.random(rows) < 0.4, "f", "m").astype(object)
    merit = generator.normal(0.9 * (sex == "m"), 1.0)
    stand_in = generator.normal(1.5 * (sex == "m"), 1.0)
    truth = (merit + 0.5 * generator.normal(size=rows) > 0.7).astype(np.int64)
    matrix = np.column_stack([merit + 0.7 * generator.normal(size=rows), stand_in]).astype(np.float32)
    everything = Examples(matrix=matrix, truth=truth, columns={"sex": sex})
    return everything.take(np.arange(2500)), everything.take(np.arange(2500, rows))


def taken(own, fitted, examples):
    return decide(own, fitted.predict(examples.matrix), examples.columns).actions == 1


def parity_gap(acted, examples, among=None):
    among = np.ones(len(acted), dtype=bool) if among is None else among
    sex = examples.columns["sex"]
    return abs(acted[among & (sex == "f")].mean() - acted[among & (sex == "m")].mean())


LOGISTIC = recipe("logistic", calibrate="sigmoid")


def test_weighted_rows_hide_the_group():
    """Under the weights every group has the same share of each class, and the weights have mean 1."""
    generator = np.random.default_rng(1)
    group = np.array(["f", "m"], dtype=object)[generator.integers(0, 2, 500)]
    truth = (generator.random(500) < np.where(group == "f", 0.2, 0.6)).astype(int)
    weights = reweighing(truth, group)
    shares = [np.average(truth[group == name], weights=weights[group == name]) for name in "fm"]
    assert shares == pytest.approx([truth.mean()] * 2)
    assert weights.mean() == pytest.approx(1.0)


def test_rows_of_no_group_and_lone_classes_keep_finite_weights():
    """A missing group weighs 1; a class that only one group has is no division by nothing."""
    group = np.array(["f", "f", "m", None], dtype=object)
    weights = reweighing(np.array([1, 0, 0, 1]), group)
    assert weights[3] == 1.0
    assert np.isfinite(weights).all()
    assert weights[:3] == pytest.approx([2 * 1 / 3, 2 * 2 / 3, 1 * 2 / 3])


def test_small_and_missing_groups_are_left_as_they_are():
    """Three members are no group that a mitigation may act on."""
    sex = np.array(["f"] * 40 + ["m"] * 40 + ["x"] * 3 + [None], dtype=object)
    examples = Examples(
        matrix=np.zeros((84, 1), np.float32), truth=np.zeros(84, np.int64), columns={"sex": sex}
    )
    assert set(groups_of(clause(), examples).tolist()) == {"f", "m", None}


def test_reweighing_brings_the_groups_nearer(lending):
    """A weighted model takes the action for the two groups more alike than the plain one, and its trial says why."""
    search, verdict = lending
    plain = fit(LOGISTIC, {}, search, rule(), seed=1)
    made = mitigated_fit(Mitigation.REWEIGHING, clause(), LOGISTIC, {}, search, rule(), seed=1)
    before = parity_gap(taken(rule(), plain, verdict), verdict)
    after = parity_gap(taken(made.rule, made.fitted, verdict), verdict)
    assert after < before - 0.03
    assert ("mitigation", "reweighing") in made.fitted.params
    assert ("mitigation.of", "fairness.demographic_parity") in made.fitted.params


def test_constraints_bring_the_gap_inside(lending):
    """The member that is served is one model, decides alike each time, and does not read the group."""
    pytest.importorskip("fairlearn", reason="the extra `fairness` is not installed")
    search, verdict = lending
    search = search.take(np.arange(1200))
    plain = fit(LOGISTIC, {}, search, rule(), seed=1)
    made = mitigated_fit(Mitigation.CONSTRAINTS, clause(), LOGISTIC, {}, search, rule(), seed=1)
    again = mitigated_fit(Mitigation.CONSTRAINTS, clause(), LOGISTIC, {}, search, rule(), seed=1)
    acted = taken(made.rule, made.fitted, verdict)
    assert parity_gap(acted, verdict) < parity_gap(taken(rule(), plain, verdict), verdict) - 0.1
    assert (acted == taken(again.rule, again.fitted, verdict)).all()
    assert made.rule.groups == ()
    # The rule decides where the member itself does, though the probabilities are calibrated.
    own = made.fitted.estimator.predict(verdict.matrix) == 1
    assert (own == acted).all()
    said = made.fitted.predict(verdict.matrix).values[:, 1]
    assert said.mean() == pytest.approx(verdict.truth.mean(), abs=0.05)


@pytest.mark.parametrize(
    ("definition", "among"), [("demographic_parity", None), ("equal_opportunity", 1), ("equalised_odds", 0)]
)
def test_thresholds_by_group_keep_the_tolerance_where_they_were_chosen(lending, definition, among):
    """On the rows of the choice the gap is inside, and nothing cheaper among the candidates would be."""
    search, verdict = lending
    plain = fit(LOGISTIC, {}, search, rule(), seed=1)
    answers = plain.predict(verdict.matrix)
    own = group_thresholds(clause(definition), rule(), answers, verdict)
    acted = decide(own, answers, verdict.columns).actions == 1
    counted = None if among is None else verdict.truth == among
    assert parity_gap(acted, verdict, counted) <= 0.05 + 1e-9
    assert own.groups == ("sex",) and [name for name, _ in own.group_weights] == ["f", "m"]
    assert own.columns == ("sex",)


def test_thresholds_by_group_cost_least(lending):
    """Against all 65 x 65 pairs by brute force: the same cost."""
    search, verdict = lending
    some = verdict.take(np.arange(400))
    answers = fit(LOGISTIC, {}, search, rule("2"), seed=1).predict(some.matrix)
    own = group_thresholds(clause(), rule("2"), answers, some)

    def priced(acting):
        actions = decide(acting, answers, some.columns).actions
        return realised_cost(acting, actions, some.truth, some.columns), actions == 1

    # A weight for everyone decides about each group as a weight of its own would.
    alone = [priced(replace(rule("2"), class_weights=(1.0, factor))) for factor in FACTORS]
    female = some.columns["sex"] == "f"
    cheapest = min(
        costs_f[female].sum() + costs_m[~female].sum()
        for costs_f, acted_f in alone
        for costs_m, acted_m in alone
        if abs(acted_f[female].mean() - acted_m[~female].mean()) <= 0.05 + 1e-9
    )
    assert priced(own)[0].sum() == pytest.approx(cheapest)


def test_a_ratio_is_kept_too(lending):
    """Four fifths: the group that gets the action less often gets it at least .8 times as often."""
    search, verdict = lending
    answers = fit(LOGISTIC, {}, search, rule(), seed=1).predict(verdict.matrix)
    fifths = replace(clause(), comparison=Comparison.AT_LEAST, bound=0.8)
    own = group_thresholds(fifths, rule(), answers, verdict)
    acted = decide(own, answers, verdict.columns).actions == 1
    rates = [acted[verdict.columns["sex"] == name].mean() for name in "fm"]
    assert min(rates) / max(rates) >= 0.8 - 1e-9


def test_only_what_the_contract_allows(lending):
    """Without `thresholds` in the clause no rule reads the group."""
    search, verdict = lending
    strict = clause(mitigations=("reweighing",))
    assert allowed(strict) == (Mitigation.REWEIGHING,)
    answers = fit(LOGISTIC, {}, search, rule(), seed=1).predict(verdict.matrix)
    refused = group_thresholds(strict, rule(), answers, verdict)
    assert isinstance(refused, Untried)
    assert "does not allow thresholds by group" in refused.reason


@pytest.mark.parametrize(
    ("kind", "of", "with_rule", "reason"),
    [
        (Mitigation.CONSTRAINTS, clause("predictive_parity"), rule(), "no constraint is known"),
        (Mitigation.CONSTRAINTS, clause(), rule("amount"), "differ by row"),
        (Mitigation.CONSTRAINTS, clause(), rule("-1"), "always the cheaper one"),
        (Mitigation.REWEIGHING, clause(groups="nobody"), rule(), "fewer than two groups"),
        (Mitigation.THRESHOLDS, clause(), rule(), "change the decision"),
    ],
)
def test_what_cannot_be_tried_says_why(lending, kind, of, with_rule, reason):
    """Each refusal is a sentence, not an exception: the build goes on with the other mitigations."""
    if kind is Mitigation.CONSTRAINTS:
        pytest.importorskip("fairlearn", reason="the extra `fairness` is not installed")
    search, _ = lending
    nobody = np.array([None] * len(search), dtype=object)
    examples = replace(search, columns={**search.columns, "nobody": nobody, "amount": np.ones(len(search))})
    refused = mitigated_fit(kind, of, LOGISTIC, {}, examples, with_rule, seed=1)
    assert isinstance(refused, Untried)
    assert reason in refused.reason


def test_fairlearn_is_only_needed_for_constraints(lending, monkeypatch):
    """Without the extra the refusal names what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    refused = mitigated_fit(Mitigation.CONSTRAINTS, clause(), LOGISTIC, {}, lending[0], rule(), seed=1)
    assert refused == Untried(reason="fairlearn is not installed; pip install 'geartrain[fairness]'")


def test_no_threshold_changes_a_score(lending):
    """Calibration within groups is about the probabilities; three classes have no single threshold."""
    search, verdict = lending
    answers = fit(LOGISTIC, {}, search, rule(), seed=1).predict(verdict.matrix)
    refused = group_thresholds(clause("calibration_within_groups"), rule(), answers, verdict)
    assert "no threshold changes `calibration_within_groups`" in refused.reason
    three = DecisionRule(task=Task.MULTICLASS, classes=tuple("abc"), actions=tuple("abc"), costs=CostTerms())
    said = Predictions(task=Task.MULTICLASS, classes=tuple("abc"), values=np.full((len(verdict), 3), 1 / 3))
    assert "two classes" in group_thresholds(clause(), three, said, verdict).reason
