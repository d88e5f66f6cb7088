"""Can the contract be kept at all? Asked of the lake before a month of work.

Quick models are cross-fitted on the free pool only: what is judged with later is not
asked about. The smallest of them gives the floor of latency and size on this machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geartrain.compression.export import to_onnx
from geartrain.compression.measuring import measure
from geartrain.contract.contradicting import contradictions
from geartrain.domain.contract import Contract
from geartrain.domain.events import SnapshotTaken
from geartrain.domain.model import Speed
from geartrain.domain.rule import rule_of
from geartrain.engine.bench import Bench, Builder, Document, bench_of
from geartrain.engine.feed_history import feed_history
from geartrain.engine.growing import grow, margins
from geartrain.engine.leaking import exhibit_of
from geartrain.engine.oddities import oddities, quarantined
from geartrain.engine.products import Product
from geartrain.engine.rows import Rows, classes_of, data_of, frame_bytes, take_rows, truth_of
from geartrain.engine.shuffling import neighbours, shuffled
from geartrain.engine.trying import (
    Ground,
    asked_model,
    cross_fitted_evidence,
    ground_of,
    judged_rows,
    quick_recipe,
    try_boosting,
    try_simplest,
)
from geartrain.engine.workspace import Workspace
from geartrain.errors import ColumnMissing, TrainingImpossible
from geartrain.evaluation.evidence import Measured
from geartrain.evaluation.feasibility import feasibility, trivial_costs
from geartrain.evaluation.leakage import measured, read_too_late, telling
from geartrain.evaluation.leakage_proxies import enough
from geartrain.evaluation.prospect import Facts, Feasibility, QuickLook
from geartrain.stats.label_noise import Agreement, agreement, confident_noise
from geartrain.training.fitting import fit
from geartrain.training.recipe import Recipe, simplest_model

#: Single answers that the floor is timed with.
TIMED = 500
#: Shuffles of the labels: enough for p = 0.05, and no more than a coffee takes.
SHUFFLES = 19
#: Promises about copies: the rows are there, and no model has to be.
COPIES = ("integrity.duplicates", "integrity.near_duplicates")


def examine(
    workspace: Workspace,
    product: Product,
    *,
    now: datetime,
    seed: int,
    clock_ns: Callable[[], int],
    shuffles: int = SHUFFLES,
    second_labels: str | None = None,
) -> Feasibility:
    """Hold every clause against the rows at hand, quick models and this machine.

    *second_labels* names the column of the decision source with a second person's label, empty
    where there is none; *shuffles* is how often the no-signal test shuffles, 0 to leave it out.

    Raises:
        SnapshotEmpty: No row is known yet.
        TrainingImpossible: A label is none of the contract's classes.
        ColumnMissing: No row has the column *second_labels*.
    """
    contract = product.contract
    snapshot, rows = take_rows(workspace, contract, product.features, known_at=now)
    workspace.record_once(product.name, [SnapshotTaken(snapshot=snapshot, id=snapshot.id)], now=now)
    classes = classes_of(contract, rows)
    truth = truth_of(contract, rows, classes)
    twice = _twice(contract, rows, classes, truth, second_labels) if second_labels else None
    document: Document = {
        "snapshot": snapshot.id,
        "raw": workspace.blobs.put(frame_bytes(rows.raw)),
        "values": workspace.blobs.put(frame_bytes(rows.features)),
        "seed": seed,
    }
    builder = Builder(workspace=workspace, product=product, clock_ns=clock_ns)
    bench, look = _looked(builder, document, shuffles=shuffles)
    look = replace(
        look,
        twice=twice,
        integrity=_integrity(builder, bench, document),
        feeds=feed_history(workspace, contract, now=now),
    )
    return feasibility(
        contract,
        facts=_facts(builder, rows, classes, truth, bench, seed=seed),
        now=now,
        look=look,
        contradictions=contradictions(contract),
    )


def _facts(
    builder: Builder,
    rows: Rows,
    classes: tuple[str, ...],
    truth: NDArray[Any],
    bench: Bench | None,
    *,
    seed: int,
) -> Facts:
    contract = builder.contract
    data = data_of(contract)
    known = np.flatnonzero(truth >= 0 if classes else np.isfinite(truth)).astype(np.int64)
    free = known if bench is None else bench.split.search
    looked = rows.take(free)
    groups = np.array(looked.texts(data.group), dtype=object) if data.group else None
    shares = data.shares
    return Facts(
        rows=len(known),
        unlabelled=len(rows) - len(known),
        free=None if bench is None else len(free),
        class_counts=tuple((name, int((truth == place).sum())) for place, name in enumerate(classes)),
        trivial_costs=trivial_costs(
            rule_of(contract, classes), truth[free], looked.columns, seed=seed, groups=groups
        )
        if classes and len(free)
        else (),
        choosing_share=shares[1] / sum(shares),
        proving_share=shares[2] / sum(shares),
        oddities=(*quarantined(builder.workspace, contract), *oddities(builder.product.features, looked)),
    )


def _looked(builder: Builder, document: Document, *, shuffles: int) -> tuple[Bench | None, QuickLook]:
    """What quick models say about the free rows; why not, where these rows train none."""
    try:
        bench = bench_of(builder, document)
        ground = ground_of(builder, bench, seed=document["seed"])
        boosted, simplest = try_boosting(ground), try_simplest(ground)
        floor = _floor(ground)
        asked, view = asked_model(ground)
    except TrainingImpossible as error:
        why = f"{error.message} ({error.found})" if error.found else error.message
        return None, QuickLook(why_not=why)
    judged = judged_rows(boosted, simplest)
    if len(judged) == 0 or not np.isfinite(boosted.costs[judged]).any():
        return bench, QuickLook(why_not="no row with a known cost is judged by any fold", floor=floor)
    better = min((simplest, boosted), key=lambda one: float(np.nanmean(one.costs[judged])))
    quick = cross_fitted_evidence(ground, better, simplest, judged)
    curve = grow(ground, better, judged)
    truth = bench.truth[bench.split.search]
    noise = None
    if bench.classes and len(np.unique(quick.truth)) > 1:
        noise = confident_noise(quick.predictions.values, quick.truth, seed=ground.seed, groups=quick.groups)
    return bench, QuickLook(
        model=better.name,
        quick=quick,
        asked=asked,
        view=view,
        curve=curve,
        signal=shuffled(ground, shuffles=shuffles) if shuffles else None,
        nearest=neighbours(ground),
        noise=noise,
        margins=margins(ground, boosted, better, curve),
        leaks=telling(exhibit_of(builder, bench, document), builder.contract.clause("integrity.target_proxy"))
        if enough(truth)
        else None,
        floor=floor,
    )


def _integrity(builder: Builder, bench: Bench | None, document: Document) -> tuple[tuple[str, Measured], ...]:
    """What contract, definitions and the pools that a build would use already say about integrity.

    A column that is known too late is one without any row; copies are counted where the rows could be shared out.
    """
    found: list[tuple[str, Measured]] = []
    exhibit = None if bench is None else exhibit_of(builder, bench, document)
    for clause in builder.contract.clauses:
        if clause.path == "integrity.availability":
            found.append((clause.path, read_too_late(builder.contract, builder.product.features)))
        elif clause.path in COPIES and exhibit is not None:
            found.append((clause.path, measured(exhibit, clause)))
    return tuple(found)


def _floor(ground: Ground) -> Speed:
    """The best of each quantity over the smallest models that learned from these rows.

    A linear model and a single split, through the path that serves and that the budget is
    judged on later; a release can be as small, and hardly smaller.
    """
    stump = quick_recipe(ground, n_estimators=1, num_leaves=2)
    speeds = [_speed(ground, one) for one in (simplest_model(ground.bench.rule.task), stump)]
    return Speed(
        p50_us=min(one.p50_us for one in speeds),
        p99_us=min(one.p99_us for one in speeds),
        rows_per_s=max(one.rows_per_s for one in speeds),
        size_bytes=min(one.size_bytes for one in speeds),
        memory_bytes=min(one.memory_bytes for one in speeds),
        repeats=TIMED,
        p50_low_us=min(one.p50_low_us or one.p50_us for one in speeds),
        p50_high_us=None,
        p99_low_us=min(one.p99_low_us or one.p50_us for one in speeds),
        p99_high_us=None,
    )


def _speed(ground: Ground, one: Recipe) -> Speed:
    bench = ground.bench
    fitted = fit(one, {}, ground.examples, bench.rule, seed=ground.seed, folds=bench.split.folds)
    served = to_onnx(fitted, bench.encoding.columns)
    return measure(served, ground.examples.matrix[:TIMED], clock=ground.builder.clock_ns, repeats=TIMED)


def _twice(
    contract: Contract, rows: Rows, classes: tuple[str, ...], truth: NDArray[Any], column: str
) -> Agreement | None:
    """How far two labellers of the same rows agree; None for a regression, or where no row has both."""
    source = data_of(contract).decisions.name
    if column not in rows.raw.columns:
        raise ColumnMissing(
            f"there is no column `{column}` with second labels",
            where=f"source {source}",
            found=", ".join(one for one in rows.raw.columns if not one.startswith("_")),
            hint="name the column of the decision source that holds the second label",
        )
    if not classes:
        raise TrainingImpossible(
            "second labels are compared class by class, and this product predicts a number",
            where=f"column `{column}`",
            hint="leave --second-labels out",
        )
    place = {name: index for index, name in enumerate(classes)}
    told = rows.texts(column)
    strange = sorted({one for one in told if one is not None and one not in place})
    if strange:
        raise TrainingImpossible(
            "there are second labels that the contract does not know",
            where=f"column `{column}`",
            found=", ".join(strange[:5]),
            hint=f"known are {', '.join(classes)}",
        )
    second = np.array([-1 if one is None else place[one] for one in told], dtype=np.int64)
    both = (second >= 0) & (truth >= 0)
    return agreement(truth[both].astype(np.int64), second[both], classes=len(classes))
