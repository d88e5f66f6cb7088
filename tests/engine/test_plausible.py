"""The expert's clauses along a product's way: every variant by its own answers, the release, and what is live."""

import re

import numpy as np
import polars as pl
import pytest

from geartrain.domain.finding import Status
from geartrain.engine import shaping
from geartrain.engine.bundles import load_bundle
from geartrain.engine.ingesting import Door
from geartrain.engine.plausible_live import block_of, live_plausibility
from geartrain.engine.proposing import report_of
from geartrain.engine.shaping import choice_of

ROWS = 900
MODEL = """
from geartrain.training.recipe import recipe

model = recipe("lightgbm", fixed={"n_estimators": 40, "num_leaves": 6, "min_child_samples": 10}, calibrate="sigmoid")
"""
CONTRACT = {
    "product": {"name": "support", "title": "Support", "problem": "who needs help with the plan"},
    "decision": {
        "unit": "one employee and quarter",
        "label_delay": "0 days",
        "task": "binary",
        "label": "missed",
        "positive": "yes",
        "actions": {"yes": "help", "no": "none"},
    },
    "costs": {"currency": "hours", "false_negative": 3, "false_positive": 1},
    "data": {
        "split": {"shares": [0.4, 0.3, 0.3]},
        "sources": {
            "rows": {
                "kind": "decisions",
                "key": "id",
                "fields": {
                    "id": {"type": "string", "required": True},
                    "workload": {"type": "number"},
                    "shoe_size": {"type": "number"},
                    "site": {"type": "string", "values": ["a", "b"]},
                    "missed": {"type": "string", "values": ["yes", "no"]},
                },
            }
        },
    },
    "plausibility": {
        "more_work": {"rises_with": "workload", "at_most": 0.05},
        "shoes_say_nothing": {"invariant_to": "shoe_size", "at_most": 0.01, "severity": "warn"},
        "no_names": {"forbidden": ["id"]},
    },
}


@pytest.fixture
def employees():
    """Rows in which workload matters, and shoes at both sites."""
    generator = np.random.default_rng(1)
    workload, shoe = generator.normal(1, 0.25, ROWS), generator.normal(41, 2, ROWS)
    score = 5 * (workload - 1) + 0.5 * (shoe - 41)
    missed = generator.random(ROWS) < 1 / (1 + np.exp(-score))
    return pl.DataFrame(
        {
            "id": [f"e{row}" for row in range(ROWS)],
            "workload": workload,
            "shoe_size": shoe,
            "site": np.array(["a", "b"])[generator.integers(0, 2, ROWS)],
            "missed": np.where(missed, "yes", "no"),
        }
    )


def test_clauses_follow_the_model_from_its_variants_to_live_rows(
    memory, product, built, now, employees, monkeypatch
):
    """Each variant is asked in its own served form; directions hold by construction; live rows are judged without a truth."""
    asked = []

    def spied(evidence, **more):
        own = more["model"].predict(more["model"].matrix).values
        asked.append((np.abs(own - evidence.predictions.values).max(), own))
        return judge(evidence, **more)

    judge = shaping.evaluate
    monkeypatch.setattr(shaping, "evaluate", spied)
    made, workspace = product(CONTRACT, model=MODEL), memory()
    Door(workspace, made.contract).take("rows", employees, content=b"employees", now=now)

    answer = built(workspace, made, trials=1)

    rows = choice_of(workspace, answer).rows
    assert len(asked) == len(rows) > 1
    assert max(gap for gap, _ in asked) < 1e-6
    reference = asked[0][1]
    assert all(np.abs(own - reference).max() > 1e-3 for _, own in asked[1:])

    report = report_of(workspace, answer)
    found = {one.clause.removeprefix("plausibility."): one for one in report.findings}
    assert (found["more_work"].value, found["more_work"].status) == (0.0, Status.KEPT)
    assert re.match(
        r"the answer rests for \d+ % on shoe_size, which the domain expert says must not matter, and the decision",
        found["shoes_say_nothing"].message,
    )
    assert report.explanation is not None
    assert {one.feature for one in report.explanation.shares} >= {"workload", "shoe_size"}
    assert report.explanation.curves[0].points

    live = live_plausibility(
        made.contract,
        load_bundle(workspace, answer["release"]),
        employees.select("workload", "shoe_size", "site"),
        {name: employees[name].to_numpy() for name in employees.columns},
        now=now,
        block=block_of(0),
    )
    assert {one.clause.removeprefix("plausibility."): one.status for one in live} == {
        "more_work": Status.KEPT,
        "no_names": Status.KEPT,
        "shoes_say_nothing": Status.BROKEN,
    }
    assert {one.stage.value for one in live} == {"live"}
