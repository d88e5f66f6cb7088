"""The joint search of trees, leaves and rate on the free rows, every shape a recorded trial."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from geartrain.compression.searching import SIZES, Shape, finalists, lines, name_of, shape_of
from geartrain.compression.variants import Change
from geartrain.domain.contract import Contract
from geartrain.domain.events import TrialRecorded
from geartrain.domain.model import Pool
from geartrain.domain.prediction import Predictions
from geartrain.domain.rule import DecisionRule
from geartrain.engine.bench import Bench, Builder, Document
from geartrain.engine.shaped import DISTILLED
from geartrain.stats.fitted import Fitted, is_lightgbm
from geartrain.training.examples import row_costs
from geartrain.training.fitting import calibrated, trial
from geartrain.training.staging import staged

#: At which sizes a student is taught beside the best shape that labels taught.
STUDENTS = (10.0, 40.0)


def searched(
    builder: Builder, document: Document, bench: Bench, rule: DecisionRule, reference: Fitted, size_bytes: int
) -> tuple[Change, ...]:
    """The best shape of each size on the free rows, and students of some; empty for other models than LightGBM.

    Shapes compete by what their decisions cost in cross-validation, so `select` is asked
    about the finalists only. Where the budget bounds the artifact, one size is the one
    that meets it; *size_bytes* is that of the reference.
    """
    whole = shape_of(dict(reference.params)) if is_lightgbm(reference.estimator) else None
    if whole is None:
        return ()
    sizes = _sizes(builder.contract, size_bytes)
    costs = _costs(builder, document, bench, rule, reference, whole, sizes)
    best = finalists(costs, whole, sizes=sizes)
    found: list[Change] = [(name_of(one, whole), one.changes) for one in best]
    for size in STUDENTS:
        small = [one for one in best if one.leaves_in_all * size <= whole.leaves_in_all]
        if small:
            shape = max(small)
            change: Change = (f"distilled-{name_of(shape, whole)}", {DISTILLED: True, **shape.changes})
            found.append(change)
    return tuple(dict(found).items())


def _sizes(contract: Contract, size_bytes: int) -> tuple[float, ...]:
    most = most_bytes(contract)
    # A tenth to spare: leaves in all tell the size of a graph only nearly.
    meets = [] if most is None or most <= 0 else [size_bytes / (0.9 * most)]
    return tuple(sorted({*SIZES, *(size for size in meets if size > 1)}))


def most_bytes(contract: Contract) -> int | None:
    """The most that the artifact may weigh by the contract's budget; None where it says nothing."""
    bounds = [
        clause.bound
        for clause in contract.clauses
        if clause.metric == "artifact_size" and isinstance(clause.bound, int | float)
    ]
    return int(min(bounds) * 1e3) if bounds else None


def _costs(
    builder: Builder,
    document: Document,
    bench: Bench,
    rule: DecisionRule,
    reference: Fitted,
    whole: Shape,
    sizes: Sequence[float],
) -> dict[Shape, float]:
    recipe, examples = builder.product.recipe, bench.examples(Pool.SEARCH)
    now, product = datetime.fromisoformat(document["now"]), builder.contract.product.name
    found: dict[Shape, float] = {}
    tried = lines(whole, sizes=sizes)
    for line in builder.teller.track(tried, label="searching shapes", total=len(tried)):
        settings = {**document["settings"], **line.shapes[-1].changes}
        answers, params = staged(
            recipe,
            settings,
            examples,
            rule,
            folds=bench.split.folds,
            stages=line.trees,
            seed=document["seed"],
            monotone=bench.monotone,
        )
        events = []
        for shape, raw in zip(line.shapes, answers, strict=True):
            judged = np.flatnonzero(~np.isnan(raw[:, 0]))
            said = calibrated(recipe, rule, examples, raw, bench.split.folds)
            kept = Predictions(task=said.task, classes=said.classes, values=said.values[judged])
            costs = row_costs(rule, kept, examples.take(judged))
            priced = costs[np.isfinite(costs)]
            if len(priced) == 0:
                continue
            found[shape] = float(priced.mean())
            done = trial(
                reference.algorithm,
                reference.code,
                tuple(sorted({**dict(params), **shape.changes}.items())),
                document["seed"],
                bench.lineage,
                pool=Pool.SEARCH,
                score=found[shape],
                rows=len(priced),
                class_weights=rule.class_weights,
                variant=name_of(shape, whole),
            )
            events.append(TrialRecorded(product=product, id=done.id, trial=done))
        builder.workspace.record_once(product, events, now=now)
    return found
