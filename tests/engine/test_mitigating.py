"""A fairness clause that breaks on `select` is mitigated as the contract allows, and the release carries it."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from geartrain.domain.events import TrialRecorded
from geartrain.domain.groups import MitigationTried
from geartrain.domain.model import ModelVersion, Pool
from geartrain.domain.prediction import Predictions
from geartrain.domain.rule import DecisionRule
from geartrain.domain.wire import decode
from geartrain.engine.bundles import load_bundle
from geartrain.engine.ingesting import Door
from geartrain.engine.proposing import report_of
from geartrain.stats.deciding import decide

FAIR = {
    "groups": "sex",
    "definition": "demographic_parity",
    "at_most": 0.1,
    "because": "the law of the land",
}


def lending(rows=1500):
    """Two groups of which one has more of what counts; the group's own column is not for the model."""
    generator = np.random.default_rng(8)
    sex = np.where(generator.random(rows) < 0.45, "f", "m")
    income = generator.normal(1.2 * (sex == "m"), 1.0)
    repaid = income + 0.6 * generator.normal(size=rows) > 0.6
    return pl.DataFrame(
        {
            "id": [f"r{i}" for i in range(rows)],
            "sex": sex,
            "income": income + 0.8 * generator.normal(size=rows),
            "district": generator.normal(2.0 * (sex == "m"), 1.0),
            "age": generator.uniform(20, 70, rows),
            "outcome": np.where(repaid, "repaid", "lost"),
        }
    )


def contract(mitigations, success=None, **fairness):
    fields = {
        "id": {"type": "string", "required": True},
        "sex": {"type": "string", "feature": False},
        "income": {"type": "number"},
        "district": {"type": "number"},
        "age": {"type": "number"},
        "outcome": {"type": "string", "values": ["repaid", "lost"]},
    }
    return {
        "product": {"name": "lending", "title": "Lending", "problem": "whom to lend"},
        "decision": {
            "unit": "one request",
            "label_delay": "0 days",
            "task": "binary",
            "label": "outcome",
            "positive": "repaid",
            "actions": {"repaid": "lend", "lost": "refuse"},
        },
        "costs": {"false_negative": 1, "false_positive": 2, "currency": "euros"},
        "data": {
            "split": {"shares": [0.5, 0.25, 0.25]},
            "sources": {"rows": {"kind": "decisions", "key": "id", "fields": fields}},
        },
        **({"success": success} if success else {}),
        "fairness": {"alike": {**FAIR, **fairness, "mitigations": mitigations}},
    }


@pytest.fixture
def lent(memory, product, built, now):
    """A function that ingests the rows, builds, and answers workspace and document."""

    def run(mitigations, **fairness):
        workspace, made = memory(), product(contract(mitigations, **fairness))
        Door(workspace, made.contract).take("rows", lending(), content=b"lending", now=now)
        return workspace, built(workspace, made)

    return run


def told(workspace, answer):
    return decode(workspace.blobs.get(answer["mitigations"]), tuple[MitigationTried, ...])


def gap(report):
    finding = report.finding("fairness.alike")
    return finding.value


def test_thresholds_by_group_reach_the_release(lent):
    """The chosen rule reads the group, the sealed rows show a smaller gap, and every try is a trial with its price."""
    workspace, answer = lent(["thresholds", "reweighing"])
    rows = told(workspace, answer)
    assert [row.mitigation for row in rows] == ["none", "reweighing", "thresholds"]
    assert [row.chosen for row in rows] == [False, False, True]
    assert rows[0].gap.value > 0.3 and rows[2].gap.value <= 0.1
    assert rows[0].change_per_1000 is None
    assert rows[2].change_per_1000.low <= rows[2].change_per_1000.value <= rows[2].change_per_1000.high
    assert rows[2].cost_per_1000.value == pytest.approx(
        rows[0].cost_per_1000.value + rows[2].change_per_1000.value
    )

    trials = [one.event.trial for one in workspace.history("lending") if isinstance(one.event, TrialRecorded)]
    tried = [one for one in trials if one.pool is Pool.SELECT and "for fairness.alike" in one.variant]
    assert {one.variant.split(" for ")[0] for one in tried} == {"reweighing", "thresholds"}
    assert {one.id for one in tried} <= set(answer["trials_recorded"])

    rule = load_bundle(workspace, answer["release"]).rule
    assert rule.groups == ("sex",) and {name for name, _ in rule.group_weights} == {"f", "m"}
    # Group thresholds are for those whose group is known; nobody is refused for not saying.
    said = Predictions(task=rule.task, classes=rule.classes, values=np.tile([[0.4, 0.6]], (2, 1)))
    nobody = {"sex": np.array([None, "x"], dtype=object)}
    common = decide(replace(rule, groups=(), group_weights=()), said, nobody).actions
    assert (decide(rule, said, nobody).actions == common).all()

    report = report_of(workspace, answer)
    assert report.mitigations == rows
    assert gap(report) < 0.25
    assert [table.groups for table in report.groups] == [("sex",)]
    assert {row.group for row in report.groups[0].rows} == {"f", "m"}


def test_a_reweighed_model_is_the_one_that_is_released(lent):
    """Where weights alone are allowed and help enough, the model version says so and no rule reads the group."""
    workspace, answer = lent(["reweighing"], at_most=0.3)
    rows = told(workspace, answer)
    chosen = next(row for row in rows if row.chosen)
    model = decode(workspace.blobs.get(answer["model_noun"]), ModelVersion)
    rule = decode(workspace.blobs.get(answer["rule"]), DecisionRule)
    assert rule.groups == ()
    assert chosen.mitigation == "reweighing"
    assert ("mitigation", "reweighing") in model.params
    assert answer["mitigation"] == {"kind": "reweighing", "clause": "fairness.alike"}


def test_a_constrained_model_is_released_with_its_own_place_of_decision(lent):
    """One member of the game is exported, never made smaller, and its rule keeps the decision where the member's is."""
    pytest.importorskip("fairlearn", reason="the extra `fairness` is not installed")
    workspace, answer = lent(["constraints"], at_most=0.2)
    assert answer["mitigation"] == {"kind": "constraints", "clause": "fairness.alike"}
    assert answer["variant"] == "reference"
    loaded = load_bundle(workspace, answer["release"])
    assert ("mitigation", "constraints") in loaded.model.params
    assert loaded.rule.groups == ()
    assert loaded.rule.class_weights[0] == 1.0 and loaded.rule.class_weights[1] != 1.0
    assert gap(report_of(workspace, answer)) < 0.3


def test_nothing_is_tried_that_is_not_allowed(lent):
    """Without a list the clause breaks, and that is for people to settle."""
    workspace, answer = lent([])
    assert "mitigations" not in answer
    assert decode(workspace.blobs.get(answer["rule"]), DecisionRule).groups == ()
    assert report_of(workspace, answer).finding("fairness.alike").status == "broken"


def test_a_mitigation_that_breaks_success_is_not_chosen(lent):
    """Groups that are alike because the decision has become worthless are no success, and the table says which promise broke."""
    workspace, answer = lent(["thresholds"], success={"cost_per_1000": {"at_most": 300}})
    none, thresholds = told(workspace, answer)
    assert none.chosen and not thresholds.chosen
    assert none.cost_per_1000.value < 300 < thresholds.cost_per_1000.value
    assert thresholds.reason.endswith("not to be had: it breaks success.cost_per_1000")
    assert answer["mitigation"] is None
