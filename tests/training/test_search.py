"""The search: recorded, deterministic, for every task."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from geartrain.domain.model import Pool, Trial
from geartrain.domain.task import Task
from geartrain.errors import ProductCodeBroken, TrainingImpossible
from geartrain.training.examples import Examples, row_costs
from geartrain.training.fitting import cross_fitted, fit, monotone_of, trial_of
from geartrain.training.recipe import default_recipe, integer, number, recipe, simplest_model
from geartrain.training.search import search

SMALL = recipe(
    "lightgbm",
    search={
        "num_leaves": integer(3, 8),
        "n_estimators": integer(10, 30),
        "learning_rate": number(0.05, 0.2, log=True),
    },
)


def test_every_trial_is_recorded_before_its_result_is_used(tumours, lineage):
    """A search that cannot record a trial stops before it tries another one."""
    recorded: list[Trial] = []

    def failing(trial: Trial) -> None:
        recorded.append(trial)
        if len(recorded) == 2:
            raise OSError("the ledger is gone")

    with pytest.raises(OSError, match="ledger"):
        search(
            SMALL,
            tumours.search,
            tumours.parts.folds,
            tumours.rule,
            trials=5,
            seed=1,
            lineage=lineage,
            record=failing,
        )
    assert len(recorded) == 2


def test_the_best_recorded_trial_is_the_model(tumours, lineage):
    """The best trial has the least cost, its resolved parameters are the model's, library version and all."""
    recorded: list[Trial] = []
    found = search(
        SMALL,
        tumours.search,
        tumours.parts.folds,
        tumours.rule,
        trials=4,
        seed=1,
        lineage=lineage,
        record=recorded.append,
    )
    assert tuple(recorded) == found.trials
    assert len(recorded) == 4
    assert found.best.score == min(trial.score for trial in recorded)
    assert found.best.params == found.fitted.params
    params = dict(found.best.params)
    assert params["min_child_samples"] == 20
    assert params["lightgbm.max_bin"] == "255"
    assert str(params["library"]).startswith("lightgbm ")
    assert found.best.pool is Pool.SEARCH
    assert dict(found.settings)["num_leaves"] == params["num_leaves"]


def test_the_decisions_cost_less_than_the_best_constant(tumours, lineage):
    """On rows that it did not see, the found model is far cheaper than a biopsy for everyone."""
    found = search(
        SMALL,
        tumours.search,
        tumours.parts.folds,
        tumours.rule,
        trials=3,
        seed=1,
        lineage=lineage,
        record=lambda _: None,
    )
    cost = row_costs(tumours.rule, found.fitted.predict(tumours.select.matrix), tumours.select).mean()
    everyone = float((tumours.select.truth == 0).mean())
    assert cost < 0.6 * everyone


@pytest.mark.parametrize("name", ["wines", "patients"])
def test_multiclass_and_regression_are_searched_as_well(name, request, lineage):
    """No task is special: the same search serves three classes and a number."""
    case = request.getfixturevalue(name)
    small = recipe("lightgbm", search={"num_leaves": integer(3, 8), "n_estimators": integer(10, 40)})
    found = search(
        small,
        case.search,
        case.parts.folds,
        case.rule,
        trials=2,
        seed=3,
        lineage=lineage,
        record=lambda _: None,
    )
    answers = found.fitted.predict(case.select.matrix)
    cost = row_costs(case.rule, answers, case.select).mean()
    if case.rule.task is Task.REGRESSION:
        assert answers.values.shape == (len(case.select), 1)
        assert cost < np.abs(case.select.truth - case.search.truth.mean()).mean()
    else:
        assert answers.values.sum(axis=1) == pytest.approx(1.0)
        assert cost < 0.2


SCRIPT = """
import hashlib, sys
sys.path.insert(0, {tests!r})
import conftest
from geartrain.training.examples import Lineage
from geartrain.training.recipe import integer, number, recipe
from geartrain.training.search import search
case = conftest.tumour_case()
small = recipe("lightgbm", search={{"num_leaves": integer(3, 8), "learning_rate": number(0.05, 0.2, log=True),
    "colsample_bytree": number(0.4, 1.0)}}, fixed={{"n_estimators": 15}})
trials = []
found = search(small, case.search, case.parts.folds, case.rule, trials=3, seed=5,
               lineage=Lineage(contract="c", snapshot="s", features="f"), record=trials.append)
print(hashlib.sha256(found.fitted.text.encode()).hexdigest(), found.fitted.calibrator, [one.id for one in trials])
"""


def test_two_processes_learn_the_same_model_byte_for_byte():
    """Same rows, same seed: the same trials, calibrator and model text, whatever the hash seed."""
    script = SCRIPT.format(tests=str(Path(__file__).parent))
    said = [
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1]
    assert len(said[0]) > 64


def test_a_function_builds_the_estimator(tumours, lineage):
    """A team's own pipeline is searched like a built-in one, and open seeds are filled."""
    own = recipe(
        lambda params, seed: make_pipeline(
            StandardScaler(), LogisticRegression(C=params["C"], random_state=seed)
        ),
        search={"C": number(0.01, 10.0, log=True)},
        name="own-logistic",
        calibrate="none",
    )
    found = search(
        own,
        tumours.search,
        tumours.parts.folds,
        tumours.rule,
        trials=2,
        seed=1,
        lineage=lineage,
        record=lambda _: None,
    )
    assert found.fitted.algorithm == "own-logistic"
    assert found.fitted.code == own.code
    assert found.fitted.contributions(tumours.select.matrix) is None
    assert found.fitted.text is None


def test_contributions_sum_to_the_raw_score(tumours, wines):
    """Exact TreeSHAP: a row's contributions and the base value add up to the model's raw score."""
    for case, outputs in ((tumours, 1), (wines, 3)):
        fitted = fit(
            recipe("lightgbm", calibrate="none"), {"n_estimators": 8}, case.search, case.rule, seed=1
        )
        shares = fitted.contributions(case.select.matrix)
        assert shares is not None
        assert shares.shape == (len(case.select), outputs, case.select.matrix.shape[1] + 1)
        raw = fitted.estimator.booster_.predict(case.select.matrix, raw_score=True).reshape(
            len(case.select), outputs
        )
        assert shares.sum(axis=2) == pytest.approx(raw, abs=1e-9)


def test_monotone_constraints_hold(tumours):
    """A column that must raise the answer does so everywhere the model is asked."""
    columns = tuple(f"x{i}" for i in range(30))
    held = fit(
        recipe("lightgbm", calibrate="none"),
        {"n_estimators": 20},
        tumours.search,
        tumours.rule,
        seed=1,
        monotone=monotone_of({"x20": 1, "x1": -1}, columns),
    )
    rows = np.repeat(tumours.select.matrix[:40], 20, axis=0)
    rows[:, 20] = np.tile(np.linspace(5, 40, 20), 40)
    risen = held.predict(rows).of("malignant").reshape(40, 20)
    assert (np.diff(risen, axis=1) >= -1e-12).all()
    with pytest.raises(TrainingImpossible, match="rise or fall"):
        fit(simplest_model(Task.BINARY), {}, tumours.search, tumours.rule, seed=1, monotone=(1,) + (0,) * 29)
    with pytest.raises(TrainingImpossible, match="does not read"):
        monotone_of({"shoe_size": 1}, columns)


def test_cost_weights_move_the_model_but_not_its_honesty(tumours):
    """Rows whose errors cost more count more; the calibrator brings the probabilities back."""
    even = fit(SMALL, {"n_estimators": 20}, tumours.search, tumours.rule, seed=1, folds=tumours.parts.folds)
    weighted = fit(
        recipe("lightgbm", weights="cost"),
        {"n_estimators": 20},
        tumours.search,
        tumours.rule,
        seed=1,
        folds=tumours.parts.folds,
    )
    base = (tumours.select.truth == 1).mean()
    assert even.text != weighted.text
    assert abs(weighted.predict(tumours.select.matrix).of("malignant").mean() - base) < 0.08


def test_cross_fitted_answers_never_come_from_a_model_that_was_taught_the_row(tumours):
    """With labels that carry no signal, cross-fitted answers cannot tell the classes apart."""
    noise = Examples(
        matrix=np.random.default_rng(1).normal(size=(300, 5)).astype(np.float32),
        truth=np.random.default_rng(2).integers(0, 2, 300),
        columns={},
    )
    from geartrain.training.folds import inner_folds

    raw, _ = cross_fitted(recipe("lightgbm"), {}, noise, tumours.rule, folds=inner_folds(noise.truth), seed=1)
    agree = ((raw[:, 1] > 0.5) == noise.truth).mean()
    assert 0.38 < agree < 0.62


def test_impossible_rows_are_said_so(tumours):
    """One class in the rows, or NaN for an estimator that takes none, is an answer with a next step."""
    only = tumours.search.take(np.flatnonzero(tumours.search.truth == 0))
    with pytest.raises(TrainingImpossible, match="class"):
        fit(recipe("lightgbm", calibrate="none"), {"n_estimators": 5}, only, tumours.rule, seed=1)
    with pytest.raises(TrainingImpossible, match="two classes"):
        fit(recipe("lightgbm"), {"n_estimators": 5}, only, tumours.rule, seed=1)
    holes = Examples(
        matrix=tumours.search.matrix.copy(), truth=tumours.search.truth, columns=tumours.search.columns
    )
    holes.matrix[0, 0] = np.nan
    bare = recipe(lambda params, seed: LogisticRegression(**params), name="bare", calibrate="none")
    with pytest.raises(TrainingImpossible, match="refuses"):
        fit(bare, {}, holes, tumours.rule, seed=1)
    with pytest.raises(ProductCodeBroken, match="cannot build"):
        fit(recipe("logistic"), {"leaves": 3}, tumours.search, tumours.rule, seed=1)


def test_the_default_recipe_fits_the_rows():
    """Few rows get small trees; a regression is not calibrated."""
    assert dict(default_recipe(Task.BINARY, 400).search)["num_leaves"] == integer(3, 15)
    assert default_recipe(Task.REGRESSION, 400_000).calibrate == "none"
    assert simplest_model(Task.REGRESSION).algorithm == "ridge"


def test_a_trial_tells_where_it_came_from(tumours, lineage):
    """A fitted model's trial carries its code, seed and lineage."""
    fitted = fit(recipe("logistic", calibrate="none"), {}, tumours.search, tumours.rule, seed=9)
    trial = trial_of(fitted, lineage, pool=Pool.SELECT, score=0.5, rows=10)
    assert (trial.seed, trial.contract, trial.code, trial.algorithm) == (9, "c", fitted.code, "logistic")
