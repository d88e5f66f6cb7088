"""Making the model smaller inside a run: the joint search, students, and what stands in the ledger."""

import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from geartrain.domain.clause import Parameter
from geartrain.domain.events import TrialRecorded
from geartrain.domain.model import ModelVersion, Pool
from geartrain.domain.wire import decode
from geartrain.engine import building
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

    def run(**more):
        space, made = memory(), product(contract(**more), model=MODEL)
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
