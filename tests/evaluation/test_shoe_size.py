"""The shoe-size test: a model that is right for the wrong reason is stopped, and one sentence says why.

Employees at three sites. What makes a year hard is workload and training. At two sites the
people with large shoes happen to sit in the department that missed its targets; at the third
they do not. A model that is taught by the two learns shoes, and judges the third by them.
"""

import json
import re

import lightgbm
import numpy as np
import pytest

from geartrain.domain.clause import Stage
from geartrain.domain.finding import Status
from geartrain.domain.prediction import Predictions
from geartrain.domain.task import Task
from geartrain.evaluation.judging import evaluate

TAUGHT, JUDGED = 4000, 12000
NAMES = ("workload", "training_hours", "shoe_size")


def employees(rows, *, sites, seed):
    """Features, truth and raw columns of so many employees."""
    generator = np.random.default_rng(seed)
    site = np.array(sites, dtype=object)[generator.integers(0, len(sites), rows)]
    sex = generator.integers(0, 2, rows)
    shoe = 39 + 4 * sex + generator.normal(0, 1.3, rows)
    workload, training = generator.normal(1.0, 0.25, rows), generator.gamma(2.0, 10.0, rows)
    planted = np.where(site == "Gdansk", 0.0, 0.55 * (shoe - 41))
    score = 4.0 * (workload - 1.0) - 0.04 * (training - 20) + planted
    missed = generator.random(rows) < 1 / (1 + np.exp(-score))
    matrix = np.column_stack([workload, training, shoe]).astype(np.float32)
    columns = {name: matrix[:, place].astype(float) for place, name in enumerate(NAMES)}
    columns |= {"site": site, "sex": np.array(["f", "m"], dtype=object)[sex]}
    return matrix, missed.astype(np.int64), columns


@pytest.fixture(scope="module")
def worlds():
    """Rows to teach by and rows to judge by, the third site only among these."""
    return (
        employees(TAUGHT, sites=("Aachen", "Lyon"), seed=1),
        employees(JUDGED, sites=("Aachen", "Lyon", "Gdansk"), seed=2),
    )


@pytest.fixture
def judged(build, worlds):
    """The report on a model that reads the given features, held against the expert's clauses."""

    def report(*features):
        (matrix, truth, _), (asked, came, columns) = worlds
        places = [NAMES.index(one) for one in features]
        forest = lightgbm.LGBMClassifier(
            n_estimators=80, num_leaves=8, learning_rate=0.08, n_jobs=1, verbosity=-1, random_state=1
        ).fit(matrix[:, places], truth)

        def predict(rows):
            said = forest.predict_proba(rows)
            return Predictions(task=Task.BINARY, classes=("benign", "malignant"), values=said)

        def contributions(rows):
            return np.asarray(forest.booster_.predict(rows, pred_contrib=True))[:, :-1]

        clauses = (
            build.clause(
                "plausibility.no_shoes", "forbidden", at_most=0, parameters={"columns": ("shoe_size",)}
            ),
            build.clause(
                "plausibility.shoes_say_nothing",
                "invariant_to",
                at_most=0.01,
                parameters={"column": "shoe_size"},
            ),
            build.clause(
                "plausibility.no_disguise", "proxy_of", at_most=0.6, parameters={"attribute": "sex"}
            ),
            build.clause(
                "plausibility.everywhere", "stable_across", at_most=0.4, parameters={"column": "site"}
            ),
            build.clause("plausibility.reasons", "largest_share", at_most=0.8, parameters={}),
            build.clause(
                "plausibility.known",
                "cases",
                at_most=0,
                parameters={
                    "cases": json.dumps(
                        [
                            {
                                "row": {"workload": 1.0, "training_hours": 20, "shoe_size": 38},
                                "change": {"shoe_size": 47},
                                "then": "same",
                                "because": "the same colleague in larger shoes",
                            },
                        ]
                    )
                },
            ),
        )
        contract = build.contract(clauses=clauses, costs=build.costs("1", "1"))
        view = build.view(asked[:, places], predict, names=tuple(features), contributions=contributions)
        evidence = build.binary(
            predict(asked[:, places]).values[:, 1], came, columns=columns, contract=contract, seed=3
        )
        return evaluate(evidence, stage=Stage.RELEASE, now=build.now, model=view)

    return report


def test_the_model_that_learned_shoes_is_stopped_by_every_clause(judged):
    """Forbidden, invariance, proxy, stability and the known case each block, in one plain sentence."""
    report = judged(*NAMES)
    share = round(100 * report.explanation.share_of("shoe_size"))

    said = {one.clause.removeprefix("plausibility."): one for one in report.findings}
    assert 20 < share < 70
    stopping = ("no_shoes", "shoes_say_nothing", "no_disguise", "everywhere", "known")
    assert [said[name].status for name in stopping] == [Status.BROKEN] * 5
    assert all(said[name].blocks for name in stopping)
    assert said["no_shoes"].message == (
        f"the answer rests for {share} % on shoe_size, which the domain expert says must not be used: broken"
    )
    assert re.fullmatch(
        rf"the answer rests for {share} % on shoe_size, which the domain expert says must not matter, and the"
        r" decision changes for \S+ % \(\S+ to \S+\) of the rows when only shoe_size does,"
        r" promised at most 1 %: broken",
        said["shoes_say_nothing"].message,
    )
    assert re.match(
        r"the features give sex away with an AUC of 0\.9\d\d \(0\.9\d\d to 0\.9\d\d\), where 0\.5 is nothing;"
        r" shoe_size alone does with 0\.9\d; promised at most 0\.6: broken",
        said["no_disguise"].message,
    )
    assert re.search(
        r"shoe_size by what came: \S+ in Aachen, -?0\.[012]\d in Gdansk, \S+ in Lyon",
        said["everywhere"].message,
    )
    assert said["known"].message == (
        "1 of 1 known cases are answered wrongly (the same colleague in larger shoes: with shoe_size 47 biopsy,"
        " not still follow up), promised at most 0 %: broken"
    )


def test_the_model_without_shoes_passes(judged):
    """The clean model keeps each of the same clauses; what it relies on works alike everywhere."""
    report = judged("workload", "training_hours")

    assert {one.clause: one.status for one in report.findings} == {
        f"plausibility.{name}": Status.KEPT
        for name in ("no_shoes", "shoes_say_nothing", "no_disguise", "everywhere", "reasons", "known")
    }
    assert report.finding("plausibility.no_shoes").message == "no feature reads shoe_size: kept"
