"""Making the model smaller inside a run: the joint search, students, and what stands in the ledger."""

import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from geartrain.compression.choosing import choose
from geartrain.domain.clause import Parameter
from geartrain.domain.events import TrialRecorded
from geartrain.domain.model import ModelVersion, Pool
from geartrain.domain.wire import decode
from geartrain.engine import building, shaping
from geartrain.engine.bench import Builder, bench_of, fitted_of
from geartrain.engine.bundles import load_bundle
from geartrain.engine.ingesting import Door
from geartrain.engine.proposing import adopt
from geartrain.engine.shaped import DISTILLED
from geartrain.engine.shaping import choice_of
from geartrain.ports.workflow import Steps
from geartrain.stats.noninferiority import Noninferiority
from geartrain.stats.onnx_model import OnnxModel

MODEL = """
from geartrain.training.recipe import recipe

model = recipe("lightgbm", fixed={"n_estimators": 60, "num_leaves": 12, "learning_rate": 0.1})
"""

NET = """
from geartrain.training.recipe import recipe

model = recipe("torch", fixed={"hidden": 16, "depth": 2, "epochs": 12, "learning_rate": 0.01})
"""


class Plain:
    """Steps that are simply done."""

    def step(self, name, work):
        return work()


def loans(rows=1500, unlabelled=200):
    random = np.random.default_rng(5)
    a, b = random.normal(size=rows), random.normal(size=rows)
    label = np.where(a + 0.5 * b + 0.7 * random.normal(size=rows) > 0.8, "yes", "no").astype(object)
    label[:unlabelled] = None
    kind = np.where(random.random(rows) < 0.5, "home", "car")
    return pl.DataFrame(
        {
            "id": [f"r{i}" for i in range(rows)],
            "a": a,
            "b": b,
            "kind": kind,
            "amount": random.uniform(1, 9, rows),
            "label": pl.Series(label.tolist(), dtype=pl.String),
        }
    )


def contract(**more):
    return {
        "product": {"name": "loans", "title": "Loans", "problem": "decide about loans"},
        "decision": {
            "task": "binary", "unit": "one loan", "label": "label", "positive": "yes", "negative": "no",
            "label_delay": "0 days", "actions": {"yes": "refuse", "no": "grant"},
        },
        "costs": {"currency": "EUR", "false_negative": "1 + 0.5 * amount", "false_positive": 2},
        "data": {
            "split": {"shares": [0.5, 0.25, 0.25]},
            "sources": {
                "rows": {
                    "kind": "decisions", "key": "id",
                    "fields": {
                        "id": {"type": "string", "required": True},
                        "a": {"type": "number", "missing": "signal"},
                        "b": {"type": "number"},
                        "kind": {"type": "string"},
                        "amount": {"type": "number"},
                    },
                }
            },
        },
        **more,
    }  # fmt: skip


@pytest.fixture
def trained(memory, product, now):
    """A function that ingests the loans and trains; answers the builder and the run's document."""

    def run(model=MODEL, **more):
        space, made = memory(), product(contract(**more), model=model)
        adopt(space, made, now=now, actor="Ann")
        Door(space, made.contract).take("rows", loans(), content=b"loans", now=now)
        builder = Builder(workspace=space, product=made, clock_ns=time.perf_counter_ns, timings=40)
        steps: Steps = Plain()
        return builder, building.train(builder, steps, building.order(made, now=now, seed=3, trials=1))

    return run


def test_the_thorough_search_is_recorded_and_students_are_judged(trained, now):
    """Every shape is a trial on the free rows, finalists and students are looked at on `select`, one is chosen; the way to the release stands."""
    builder, document = trained()
    steps = Plain()
    done = building.compress(builder, steps, {**document, "thorough": True})
    names = [row.name for row in choice_of(builder.workspace, done).rows]
    assert names[0] == "reference"
    assert any(name.startswith("distilled-") for name in names)
    trials = [
        one.event.trial
        for one in builder.workspace.history("loans")
        if isinstance(one.event, TrialRecorded) and one.event.trial.variant
    ]
    free = [one for one in trials if one.pool is Pool.SEARCH]
    looked = {one.variant for one in trials if one.pool is Pool.SELECT}
    assert len(free) >= 15
    assert looked <= set(names)
    assert len(done["paths"]) == 4
    proposed = building.propose(builder, steps, done)
    if done["variant"] != "reference":
        proof = decode(builder.workspace.blobs.get(proposed["noninferiority"]), Noninferiority)
        assert proof.rows == len(bench_of(builder, document).split.verdict)
        assert proof.proven == (proof.upper <= proof.margin)
    loaded = load_bundle(builder.workspace, proposed["release"])
    assert len(loaded.onnx) == next(
        row.speed.size_bytes for row in choice_of(builder.workspace, done).rows if row.chosen
    )


def test_a_student_is_fitted_again_from_its_settings(trained):
    """What was distilled is rebuilt by another process from its recorded settings, and learns from rows without a label."""
    builder, document = trained()
    bench = bench_of(builder, document)
    assert len(bench.unlabelled) == 200
    changes: dict[str, Parameter] = {DISTILLED: True, "n_estimators": 10, "num_leaves": 4}
    student = fitted_of(builder, document, bench, changes)
    fresh = Builder(workspace=builder.workspace, product=builder.product, clock_ns=builder.clock_ns)
    again = fitted_of(fresh, document, bench_of(fresh, document), changes)
    assert student.text == again.text
    assert dict(student.params)[DISTILLED] is True
    assert dict(student.settings)[DISTILLED] is True
    alone = fitted_of(
        fresh,
        document,
        replace(bench, truth=np.where(bench.truth < 0, 0, bench.truth)),
        {**changes, "max_bin": 254},
    )
    assert alone.text != student.text
    teacher = fitted_of(builder, document, bench, {})
    matrix = bench.examples(Pool.SELECT).matrix
    told = [one.predict(matrix).of("yes") for one in (teacher, student)]
    assert np.corrcoef(*told)[0, 1] > 0.9


def test_the_chosen_variant_is_named_by_what_it_is(trained):
    """The model version holds the variant's resolved parameters, its name, and the digest of what is served."""
    builder, document = trained(budget={"artifact_size": {"at_most": "20 kB"}})
    done = building.compress(builder, Plain(), {**document, "thorough": True})
    model = decode(builder.workspace.blobs.get(done["model_noun"]), ModelVersion)
    served = OnnxModel(builder.workspace.blobs.get(done["onnx"]))
    assert served.columns == model.encoding.columns
    assert model.variant == ("" if done["variant"] == "reference" else done["variant"])
    assert done["format"] == "fp32"


@pytest.mark.parametrize("thorough", [False, True], ids=["quick", "thorough"])
def test_the_bound_on_the_file_counts_in_every_build(trained, monkeypatch, thorough):
    """Where the contract bounds the file, an automated build chooses by that bound as the joint search does."""
    told = []

    def seen(measured, **more):
        told.append(more["most_bytes"])
        return choose(measured, **more)

    monkeypatch.setattr(shaping, "choose", seen)
    monkeypatch.setattr(shaping, "searched", lambda *_: ())
    builder, document = trained(budget={"artifact_size": {"at_most": "5 MB"}})
    done = building.compress(builder, Plain(), {**document, "thorough": thorough})
    rows = choice_of(builder.workspace, done).rows
    assert told == [5_000_000]
    # The reference fits, and nothing is surer than not to change at all, unless it is proven cheaper.
    chosen = next(one for one in rows if one.chosen)
    assert chosen.rise_at_most <= 0


def released(builder, document):
    """The bundle that the last steps make of a compressed run, checked as a server checks it."""
    proposed = building.propose(builder, Plain(), document)
    return load_bundle(builder.workspace, proposed["release"])


def test_a_student_becomes_a_release_like_any_other(trained, monkeypatch):
    """Where a student is chosen, it is the student that is judged on the sealed rows, bundled and loaded again."""

    def the_student(measured, **more):
        kept = [one for one in measured if one is measured[0] or one.name.startswith("distilled-")]
        return choose(kept, **{**more, "margin": 100.0, "most_bytes": None})

    monkeypatch.setattr(shaping, "choose", the_student)
    builder, document = trained()
    done = building.compress(builder, Plain(), {**document, "thorough": True})
    assert done["variant"].startswith("distilled-")
    loaded = released(builder, done)
    model = decode(builder.workspace.blobs.get(done["model_noun"]), ModelVersion)
    assert dict(model.params)[DISTILLED] is True
    matrix = bench_of(builder, document).examples(Pool.SELECT).matrix
    student = fitted_of(
        builder, document, bench_of(builder, document), {**done["settings"], **dict(model.params)}
    )
    served = OnnxModel(loaded.onnx).predict(matrix).of("yes")
    assert np.abs(served - student.predict(matrix).of("yes")).max() < 1e-5


def test_a_net_becomes_a_release_that_needs_no_torch(trained):
    """A net goes through the same steps; its bundle answers by ONNX Runtime alone, as the net itself would."""
    pytest.importorskip("onnxscript", reason="the extra torch is not installed")
    pytest.importorskip("torch", reason="the extra torch is not installed")
    builder, document = trained(model=NET)
    done = building.compress(builder, Plain(), document)
    loaded = released(builder, done)
    assert loaded.native is None
    bench = bench_of(builder, document)
    matrix = bench.examples(Pool.SELECT).matrix
    served = OnnxModel(loaded.onnx).predict(matrix).of("yes")
    if done["variant"] == "reference":
        net = fitted_of(builder, document, bench, {})
        assert np.abs(served - net.predict(matrix).of("yes")).max() < 1e-5
    assert ((served > 0.5) == (bench.examples(Pool.SELECT).truth == 1)).mean() > 0.8
