"""The pools' rights, through whole builds: committed, metered, charged, counted."""

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import yaml

from geartrain.adapters.workflows import MemoryWorkflows
from geartrain.domain.events import (
    FindingsRecorded,
    PoolAnswered,
    PoolOpened,
    PoolsCommitted,
    Refused,
    TrialRecorded,
)
from geartrain.domain.finding import Finding
from geartrain.domain.model import ModelVersion, Pool
from geartrain.domain.rule import DecisionRule
from geartrain.domain.wire import decode, encode
from geartrain.engine import building
from geartrain.engine.bench import Builder, bench_of
from geartrain.engine.ingesting import Door
from geartrain.engine.pooling import open_pool
from geartrain.engine.products import Product, load_product
from geartrain.engine.proposing import adopt, judge, offer, report_of_release
from geartrain.engine.workspace import Workspace
from geartrain.errors import PoolClosed, ReleaseRefused, TrainingImpossible
from geartrain.release.keys import new_key
from geartrain.stats.multiplicity import affordable_looks, alpha_spent
from geartrain.testing.blobs import MemoryBlobs
from geartrain.testing.lake import MemoryLake
from geartrain.testing.ledger import MemoryLedger
from geartrain.testing.notifier import MemoryNotifier

ROWS = 600
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MODEL = """
from geartrain.training.recipe import integer, recipe

model = recipe("lightgbm", search={"num_leaves": integer(3, 6)}, fixed={"n_estimators": 20})
"""
CONTRACT = {
    "geartrain": 1,
    "team": {"product": ["Ann"], "domain": ["Bo"], "engineering": ["Cleo"], "science": ["Dev"]},
    "release": {"sign": ["product", "science"]},
    "product": {"name": "coin", "title": "coin", "problem": "tell heads from tails"},
    "decision": {
        "task": "binary",
        "unit": "one row",
        "label": "side",
        "label_delay": "0 days",
        "positive": "heads",
        "negative": "tails",
        "actions": {"heads": "call heads", "tails": "call tails"},
    },
    "costs": {"currency": "euro", "false_negative": 3, "false_positive": 1},
    "success": {"accuracy": {"at_least": 0.5}},
    "data": {
        "split": {"shares": [0.5, 0.2, 0.3]},
        "sources": {
            "rows": {
                "kind": "decisions",
                "key": "id",
                "fields": {"id": {"type": "string", "required": True}, "x": {"type": "number"}, "z": {"type": "number"}},
            }
        },
    },
}  # fmt: skip


def frame(rows=ROWS):
    random = np.random.default_rng(4)
    x, z = random.normal(size=(2, rows))
    # A bend that no line can follow: the simplest model is no rival, and trees are.
    side = np.where(np.abs(x) + 0.3 * random.normal(size=rows) > 0.7, "heads", "tails")
    return pl.DataFrame({"id": [f"r{i}" for i in range(rows)], "x": x, "z": z, "side": side})


@dataclass(frozen=True)
class Story:
    """One workspace in which a product was built, built again, and built otherwise."""

    workspace: Workspace
    made: Product
    documents: tuple[dict, ...]
    lengths: tuple[int, ...]

    def events(self, kind, run=2):
        """The events of *kind* that were there after the run of that number."""
        found = [one.event for one in self.workspace.history("coin")[: self.lengths[run]]]
        return [one for one in found if isinstance(one, kind)]


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    folder, key = tmp_path_factory.mktemp("coin"), new_key()
    (folder / "product.yaml").write_text(yaml.safe_dump(CONTRACT, sort_keys=False), encoding="utf-8")
    (folder / "model.py").write_text(MODEL, encoding="utf-8")
    made = load_product(folder)
    workspace = Workspace(
        root=folder / "workspace",
        ledger=MemoryLedger(),
        lake=MemoryLake(),
        blobs=MemoryBlobs(),
        notifier=MemoryNotifier(),
        signing_key=lambda: key,
    )
    Door(workspace, made.contract).take("rows", frame(), content=b"rows", now=NOW)
    adopt(workspace, made, now=NOW, actor="Ann")
    documents, lengths = [], []
    for hours, ordered in [(0, {}), (1, {}), (2, {"trials": 3, "seed": 8})]:
        documents.append(run(workspace, made, NOW + timedelta(hours=hours), **ordered))
        lengths.append(len(workspace.history("coin")))
    return Story(workspace, made, tuple(documents), tuple(lengths))


def builder_of(workspace, made):
    return Builder(workspace=workspace, product=made, clock_ns=time.perf_counter_ns, timings=30)


def run(workspace, made, now, plan="build", **ordered):
    builder = builder_of(workspace, made)
    plans = {"build": lambda steps, order: building.build(builder, steps, order),
             "train": lambda steps, order: building.train(builder, steps, order)}  # fmt: skip
    order = building.order(made, now=now, **{"seed": 3, "trials": 2, **ordered})
    return MemoryWorkflows(plans).run(building.run_id(plan, order), plan, order)


def test_a_build_writes_down_every_look_and_tells_what_it_survived(story):
    """Rows are committed before the first trial; each look is an event; findings and lift know how often was looked and tried."""
    workspace, document = story.workspace, story.documents[0]
    kinds = [type(one.event) for one in workspace.history("coin")]
    assert kinds.index(PoolsCommitted) < kinds.index(TrialRecorded) < kinds.index(PoolOpened)

    trials = story.events(TrialRecorded, 0)
    asked = [one for one in trials if one.trial.pool is Pool.SELECT]
    answers = story.events(PoolAnswered, 0)
    assert {one.question for one in answers} == {one.trial.question for one in asked}
    assert len(answers) == len(asked)
    weighted = [one.trial.class_weights for one in asked if not one.trial.variant]
    assert len(weighted) == len(set(weighted)) > 5, "each threshold is a trial of its own"
    variants = {one.trial.variant for one in asked} - {""}
    assert len(variants) >= 2, "each variant is a trial of its own"
    assert set(document["trials_recorded"]) == {one.id for one in trials}

    (verdict,) = [one for one in story.events(PoolOpened, 0) if one.pool is Pool.VERDICT]
    assert (verdict.look, verdict.confidence) == (1, 1 - alpha_spent(0.05, 1))
    findings = decode(workspace.blobs.get(document["findings"]), tuple[Finding, ...])
    judged = [one for one in findings if one.clause == "success.accuracy"]
    assert [one.confidence for one in judged] == [verdict.confidence]

    lift = report_of_release(workspace, "coin", document["release"]).lift
    assert lift.tried.trials == len(trials)
    assert lift.tried.checked == sum(one.trial.pool is Pool.SEARCH for one in trials)
    assert lift.tried.p_value < 0.01, "the rows are full of signal"
    assert 0 < lift.luck_bar < lift.saved.value
    assert f"{len(trials)} recorded trials" in lift.sentences[1]
    assert story.events(FindingsRecorded, 0)[-1].report == document["report"]


def test_the_threshold_is_chosen_on_select_and_frozen_for_the_verdict(story):
    """What decides on the sealed rows is the rule that `select` left, whatever the sealed rows would prefer."""
    openings = [one.pool for one in story.events(PoolOpened, 0)]
    assert openings == [Pool.SELECT, Pool.SELECT, Pool.VERDICT]
    history = [one.event for one in story.workspace.history("coin")[: story.lengths[0]]]
    sealed = next(
        i for i, one in enumerate(history) if isinstance(one, PoolOpened) and one.pool is Pool.VERDICT
    )
    assert not [one for one in history[sealed:] if isinstance(one, TrialRecorded | PoolAnswered)]
    answers = [one for one in story.events(PoolAnswered, 0) if one.improved]
    asked = {one.trial.question: one.trial for one in story.events(TrialRecorded, 0)}
    document = story.documents[0]
    assert tuple(document["class_weights"]) == asked[answers[-1].question].class_weights
    rule = decode(story.workspace.blobs.get(document["rule"]), DecisionRule)
    assert rule.class_weights == tuple(document["class_weights"])


def test_an_equal_run_learns_nothing_and_is_told_the_same(story):
    """The same search on the same rows hears the same answers, and no look at `select` is added."""
    first, again, _ = story.documents
    assert again["class_weights"] == first["class_weights"]
    assert len(story.events(PoolAnswered, 1)) == len(story.events(PoolAnswered, 0))


def test_the_next_candidate_pays_for_the_look(story):
    """A second candidate is judged at a stricter confidence, and every trial before it counts against its lift."""
    looks = [one for one in story.events(PoolOpened) if one.pool is Pool.VERDICT]
    assert [(one.look, one.confidence) for one in looks] == [(j, 1 - alpha_spent(0.05, j)) for j in (1, 2)]
    other = story.documents[-1]
    findings = decode(story.workspace.blobs.get(other["findings"]), tuple[Finding, ...])
    assert {one.confidence for one in findings if one.clause == "success.accuracy"} == {looks[1].confidence}
    lift = report_of_release(story.workspace, "coin", other["release"]).lift
    assert lift.look == 2
    assert lift.tried.trials == len(story.events(TrialRecorded))


def test_an_unrecorded_trial_cannot_be_released(story):
    """A model whose settings no recorded trial chose is not proposed, however good its findings are."""
    document, blobs = story.documents[0], story.workspace.blobs
    model = decode(blobs.get(document["model_noun"]), ModelVersion)
    smuggled = {**document, "model_noun": blobs.put(encode(replace(model, trial="f" * 64)))}
    with pytest.raises(ReleaseRefused, match="not in the ledger"):
        offer(builder_of(story.workspace, story.made), smuggled)


def test_pools_that_were_not_committed_before_the_search_judge_nothing(story):
    """Sealed rows under another name than the ledger's are not opened."""
    before = len(story.events(PoolOpened))
    with pytest.raises(TrainingImpossible, match="fixed before the search"):
        judge(builder_of(story.workspace, story.made), {**story.documents[0], "seed": 5, "model": "m"})
    assert (
        len([one for one in story.workspace.history("coin") if isinstance(one.event, PoolOpened)]) == before
    )


def test_thresholdout_can_be_ordered(story):
    """With it each question about `select` has a figure, and the ledger says which answers were charged."""
    known = len(story.workspace.history("coin"))
    document = run(story.workspace, story.made, NOW + timedelta(hours=3), plan="train", meter="thresholdout")
    new = [one.event for one in story.workspace.history("coin")[known:]]
    answers = [one for one in new if isinstance(one, PoolAnswered)]
    assert {one.meter for one in answers} == {"thresholdout"}
    assert len(answers) == 9
    assert document["meter"] == "thresholdout"


def test_a_spent_budget_is_refused_and_written_down(story):
    """When the budget is spent, the sealed rows stay closed, the ledger says so, and fresh labels are asked for."""
    builder, document = builder_of(story.workspace, story.made), story.documents[0]
    bench = bench_of(builder, document)

    def look(number):
        return open_pool(
            builder, document, bench, Pool.VERDICT, candidate=f"m{number}", purpose="judge", now=NOW
        ).look

    most = affordable_looks(0.05)
    assert [look(number) for number in range(most - 2)] == list(range(3, most + 1))
    with pytest.raises(PoolClosed, match="budget of these sealed rows is spent") as refused:
        look(most)
    assert "fresh labels" in refused.value.hint
    said = [one.event for one in story.workspace.history("coin") if isinstance(one.event, Refused)]
    assert "is spent" in said[-1].reason
