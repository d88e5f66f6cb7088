"""Can the contract be kept at all? Asked of the lake before a month of work.

A quick model is cross-fitted on the free pool only: what is judged with later is not
looked at. Its simplest cousin gives the floor of latency and size on this machine.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np

from geartrain.compression.export import to_onnx
from geartrain.compression.measuring import measure
from geartrain.contract.contradicting import contradictions
from geartrain.domain.events import SnapshotTaken
from geartrain.domain.model import Pool, Speed
from geartrain.domain.prediction import Predictions
from geartrain.domain.rule import rule_of
from geartrain.engine.bench import Bench, Builder, Document, bench_of
from geartrain.engine.products import Product
from geartrain.engine.rows import classes_of, data_of, frame_bytes, take_rows, truth_of
from geartrain.engine.workspace import Workspace
from geartrain.errors import TrainingImpossible
from geartrain.evaluation.evidence import Evidence
from geartrain.evaluation.feasibility import Facts, Feasibility, feasibility, trivial_costs
from geartrain.training.examples import Examples, Indices
from geartrain.training.fitting import calibrated, cross_fitted, fit
from geartrain.training.recipe import Recipe, recipe, simplest_model

#: Single answers that the floor is timed with.
TIMED = 500


def examine(
    workspace: Workspace, product: Product, *, now: datetime, seed: int, clock_ns: Callable[[], int]
) -> Feasibility:
    """Hold every clause against the rows at hand, a quick model and this machine.

    Raises:
        SnapshotEmpty: No row is known yet.
        TrainingImpossible: A label is none of the contract's classes.
    """
    contract = product.contract
    snapshot, rows = take_rows(workspace, contract, product.features, known_at=now)
    workspace.record_once(product.name, [SnapshotTaken(snapshot=snapshot, id=snapshot.id)], now=now)
    classes = classes_of(contract, rows)
    truth = truth_of(contract, rows, classes)
    known = np.flatnonzero(truth >= 0 if classes else np.isfinite(truth)).astype(np.int64)
    labelled = rows.take(known)
    facts = Facts(
        rows=len(known),
        class_counts=tuple((name, int((truth == place).sum())) for place, name in enumerate(classes)),
        trivial_costs=trivial_costs(rule_of(contract, classes), truth[known], labelled.columns)
        if classes and len(known)
        else (),
        proving_share=data_of(contract).shares[2],
    )
    document: Document = {
        "snapshot": snapshot.id,
        "raw": workspace.blobs.put(frame_bytes(rows.raw)),
        "values": workspace.blobs.put(frame_bytes(rows.features)),
        "seed": seed,
    }
    builder = Builder(workspace=workspace, product=product, clock_ns=clock_ns)
    quick, floor = _measured(builder, document)
    return feasibility(
        contract,
        facts=facts,
        now=now,
        quick=quick,
        floor=floor,
        contradictions=contradictions(contract),
    )


def _measured(builder: Builder, document: Document) -> tuple[Evidence | None, Speed | None]:
    """What a quick model says, and how fast the simplest one answers; None where the rows train none."""
    contract = builder.contract
    try:
        bench = bench_of(builder, document)
        examples = bench.examples(Pool.SEARCH)
        simplest = simplest_model(contract.decision.task)
        floor = _floor(builder, bench, simplest, examples, seed=document["seed"])
        quick = _evidence(builder, bench, simplest, examples, seed=document["seed"])
    except TrainingImpossible as error:
        builder.teller.say(f"no quick model: {error.message}")
        return None, None
    return quick, floor


def _quick_recipe(has_classes: bool) -> Recipe:  # noqa: FBT001 - one question, asked in one place
    return recipe(
        "lightgbm",
        fixed={"n_estimators": 80, "num_leaves": 8, "learning_rate": 0.08, "min_child_samples": 10},
        calibrate="sigmoid" if has_classes else "none",
    )


def _evidence(
    builder: Builder, bench: Bench, simplest: Recipe, examples: Examples, *, seed: int
) -> Evidence | None:
    """Cross-fitted answers about the free pool, of a quick model and, for its baseline, of the simplest."""
    folds = bench.split.folds
    answers = []
    for one in (_quick_recipe(bool(bench.classes)), simplest):
        raw, _ = cross_fitted(one, {}, examples, bench.rule, folds=folds, seed=seed)
        answers.append(calibrated(one, bench.rule, examples, raw, folds))
    judged = np.flatnonzero(
        np.isfinite(answers[0].values).all(axis=1) & np.isfinite(answers[1].values).all(axis=1)
    ).astype(np.int64)
    if len(judged) == 0:
        return None
    taken = bench.rows.take(bench.split.search[judged])
    data = data_of(builder.contract)
    return Evidence(
        contract=builder.contract,
        rule=bench.rule,
        predictions=_rows_of(answers[0], judged),
        truth=examples.truth[judged],
        columns=taken.columns,
        groups=np.array(taken.texts(data.group), dtype=object) if data.group else None,
        times_us=taken.times_us if data.decisions.event_time else None,
        seed=seed,
        simplest=_rows_of(answers[1], judged),
    )


def _rows_of(answers: Predictions, rows: Indices) -> Predictions:
    return Predictions(task=answers.task, classes=answers.classes, values=answers.values[rows])


def _floor(builder: Builder, bench: Bench, simplest: Recipe, examples: Examples, *, seed: int) -> Speed:
    fitted = fit(simplest, {}, examples, bench.rule, seed=seed, folds=bench.split.folds)
    served = to_onnx(fitted, bench.encoding.columns)
    return measure(served, examples.matrix[:TIMED], clock=builder.clock_ns, repeats=TIMED)
