"""Growing lessons: what quick models cost after few rows, more rows, and all of them."""

from __future__ import annotations

import math

import numpy as np

from geartrain.compression.choosing import worst_change
from geartrain.domain.contract import RetrainingTerms
from geartrain.domain.prediction import Floats
from geartrain.engine.rows import data_of
from geartrain.engine.shaping import margin_of
from geartrain.engine.trying import TREES, Ground, Tried, taught, try_boosting
from geartrain.errors import TrainingImpossible
from geartrain.evaluation.prospect import CurveRuns, Margin
from geartrain.stats.learning_curve import growing_sizes
from geartrain.training.examples import Indices, row_costs
from geartrain.training.recipe import Recipe

#: Rows that the curve teaches and judges at most.
MOST_TAUGHT, MOST_JUDGED = 16_000, 20_000
#: How often each size is drawn, from the smallest to half of the rows; all rows are drawn once.
DRAWS = (4, 3, 3, 2, 1)
FEWEST_TAUGHT = 12
FEWEST_OF_RAREST = 5
#: Folds whose lessons are shorter than this share of the longest have no part in the curve.
LONG_ENOUGH = 0.7


def grow(ground: Ground, tried: Tried, judged: Indices) -> CurveRuns | None:
    """The costs of the *judged* rows under *tried*'s recipe taught on growing draws; None where rows are too few.

    A draw at a size is one round of cross-validation in which each fold's lesson is cut down
    to that many rows (whole groups, where rows repeat), each class in its share; estimator,
    calibrator and the contract's rule are taught and applied anew.
    """
    folds = ground.bench.split.folds
    longest = max(len(teach) for teach, _ in folds)
    folds = tuple(fold for fold in folds if len(fold[0]) >= LONG_ENOUGH * longest)
    whole = min(len(teach) for teach, _ in folds)
    sizes = growing_sizes(min(whole, MOST_TAUGHT), fewest=_fewest(ground))
    if not sizes:
        return None
    generator = np.random.default_rng(ground.seed)
    asked = np.intersect1d(np.concatenate([judge for _, judge in folds]), judged)
    if len(asked) > MOST_JUDGED:
        asked = np.sort(generator.choice(asked, MOST_JUDGED, replace=False))
    kept, costs = [], []
    for size, draws in zip(sizes, DRAWS[-len(sizes) :], strict=True):
        found: list[Floats] = []
        for number in range(draws):
            lessons = [(_cut(ground, teach, size, generator), judge) for teach, judge in folds]
            told = _round(ground, tried.recipe, lessons, asked, seed=ground.seed + number)
            if told is not None:
                found.append(told)
        if len(found) == draws:
            kept.append(size)
            costs.append(np.stack(found))
    if not kept or kept[-1] != sizes[-1]:
        return None
    places = np.searchsorted(judged, asked)
    return CurveRuns(sizes=tuple(kept), costs=tuple(costs), judged=places, whole=whole)


def margins(ground: Ground, boosted: Tried, better: Tried, curve: CurveRuns | None) -> tuple[Margin, ...]:
    """The two "not worse" that come later: a smaller model's, and a newer one's.

    For compression the difference of costs is that between the quick model and its half; for
    retraining that between two models taught on different draws of half of the rows.
    """
    bench, data = ground.bench, data_of(ground.builder.contract)
    terms = ground.builder.contract.retraining or RetrainingTerms()
    worst = worst_change(bench.rule, ground.examples.columns, len(ground.examples))
    cost = float(np.nanmean(better.costs))
    found = []
    half = try_boosting(ground, n_estimators=TREES // 2)
    known = int((bench.truth >= 0).sum() if bench.classes else np.isfinite(bench.truth).sum())
    deviation = _deviation(half.costs - boosted.costs)
    if deviation is not None:
        found.append(
            Margin(
                name="compression",
                allowed=margin_of(ground.builder.contract),
                cost=cost,
                deviation=deviation,
                worst=worst,
                rows=int(known * data.shares[1] / sum(data.shares)),
                whose="the rows of the pool `select`",
            )
        )
    drawn = [one for one in curve.costs if len(one) > 1] if curve is not None else []
    deviation = _deviation(drawn[-1][0] - drawn[-1][1]) if drawn else None
    if deviation is not None:
        found.append(
            Margin(
                name="retraining",
                allowed=terms.margin,
                cost=cost,
                deviation=deviation,
                worst=worst,
                rows_per_day=data.decisions.rows_per_day,
                whose="live decisions with a label, about which both models were asked",
            )
        )
    return tuple(found)


def _deviation(change: Floats) -> float | None:
    known = change[np.isfinite(change)]
    return float(known.std(ddof=1)) if len(known) > 1 else None


def _fewest(ground: Ground) -> int:
    """The smallest lesson: at least five rows of the rarest class."""
    classes = len(ground.bench.classes)
    if not classes:
        return FEWEST_TAUGHT
    truth = ground.examples.truth.astype(np.int64)
    share = float(np.bincount(truth, minlength=classes).min() / len(truth))
    return max(FEWEST_TAUGHT, math.ceil(FEWEST_OF_RAREST / share)) if share > 0 else len(truth)


def _round(
    ground: Ground, one: Recipe, lessons: list[tuple[Indices, Indices]], asked: Indices, *, seed: int
) -> Floats | None:
    """What the *asked* rows cost after these lessons; None where a lesson lacks a class."""
    examples, bench = ground.examples, ground.bench
    costs = np.full(len(examples), np.nan)
    for lesson, judge in lessons:
        wanted = np.intersect1d(judge, asked)
        try:
            fitted = taught(ground, one, lesson, seed=seed)
        except TrainingImpossible:
            return None
        held = examples.take(wanted)
        costs[wanted] = row_costs(bench.rule, fitted.predict(held.matrix), held)
    return costs[asked]


def _cut(ground: Ground, teach: Indices, size: int, generator: np.random.Generator) -> Indices:
    """*size* of the rows *teach*, in their order."""
    if size >= len(teach):
        return teach
    if ground.groups is not None:
        # Whole groups in a drawn order, until there are enough rows.
        names, inverse = np.unique(ground.groups[teach], return_inverse=True)
        rank = generator.permutation(len(names))[inverse.reshape(-1)]
        return np.sort(teach[np.argsort(rank, kind="stable")][:size])
    if not ground.bench.classes:
        return np.sort(generator.choice(teach, size, replace=False))
    truth = ground.examples.truth[teach]
    parts = []
    for label in np.unique(truth):
        members = teach[truth == label]
        count = min(len(members), max(2, round(size * len(members) / len(teach))))
        parts.append(generator.choice(members, count, replace=False))
    return np.sort(np.concatenate(parts))
