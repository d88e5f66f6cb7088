"""The reference seen with the eyes of another population: density ratios, and a calibrator fitted with them.

Probabilities that are right on average over one population may be wrong over another. With
w(x) = q(x) / p(x), what is fitted on rows of p with the weights w is fitted for q, as long as the
answers themselves, P(y|x), are the same in both (Shimodaira 2000, "Improving predictive inference
under covariate shift by weighting the log-likelihood function"). The ratio comes from a classifier
that tells the two apart: w = pi / (1 - pi) where both sides weigh the same. Used for estimating
performance this is PAPE (Bialek, Kuberski, Perrakis and Bifet 2024, "Estimating model performance
under covariate shift without labels", arXiv 2401.08348).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.stats.calibrators import Calibrator, Indices, fit_isotonic, fit_sigmoid
from geartrain.stats.intervals import normal_quantile
from geartrain.stats.ranking import auc

Matrix = NDArray[np.float32]

#: So many rows of each side, at most, teach the classifier.
MOST_ROWS = 20_000
FOLDS = 5
#: A row that is so many times as frequent now as in the reference is like nothing in it; weights end here.
MOST_RATIO = 50.0
#: How far a weight may be tilted for a column's mean, in logarithms a standard deviation, and at what price.
MOST_TILT, PENALTY = 2.0, 0.01
#: From so many rows' worth of evidence on the calibrator may have any rising form.
ISOTONIC_FROM = 1_000
RESAMPLES = 40
CELLS = 300


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DensityRatio:
    """How much more frequent each reference row is now than it was.

    Attributes:
        weights: Of the reference rows, mean 1, shape (n,).
        worth: So many unweighted rows tell as much: (sum w)^2 / sum w^2 (Kish 1965).
        outside: The share of the current rows that are like hardly any reference row; about them it says nothing.
        told_apart: How well the two are told apart, cross-fitted: .5 where nothing has shifted.
    """

    weights: Floats
    worth: float
    outside: float
    told_apart: Measurement


def density_ratio(reference: Matrix, current: Matrix, *, seed: int) -> DensityRatio:
    """Weights that make *reference*, shape (n, d), look like *current*, shape (m, d); missing values are values.

    Each row is judged by boosted trees that did not learn from it (five folds, which also say how many
    trees are worth it: where the two are alike the weights stay near 1). What the trees see too
    dimly is then put right for the mean of each column.

    Raises:
        ValueError: Fewer than ten rows on one side, or no column.
    """
    if min(len(reference), len(current)) < 2 * FOLDS or reference.shape[1] == 0:
        raise ValueError("a density ratio needs a column and ten rows on each side")
    chance = np.random.default_rng(seed)
    drawn = [
        side if len(side) <= MOST_ROWS else side[np.sort(chance.choice(len(side), MOST_ROWS, replace=False))]
        for side in (reference, current)
    ]
    matrix = np.concatenate(drawn)
    side = np.repeat([0, 1], [len(one) for one in drawn])
    fold = _folds(side, chance)
    rest_fold = chance.integers(0, FOLDS, len(reference))
    now, before = np.zeros(len(matrix)), np.zeros(len(reference))
    for one in range(FOLDS):
        model = _taught(matrix[fold != one], side[fold != one], matrix[fold == one], side[fold == one], seed)
        now[fold == one] = model(matrix[fold == one])
        before[rest_fold == one] = model(reference[rest_fold == one])
    if len(reference) <= MOST_ROWS:
        before = now[side == 0]
    weights = balanced(np.minimum(before / (1.0 - before), MOST_RATIO), reference, current)
    odds = now[side == 1] / (1.0 - now[side == 1])
    return DensityRatio(
        weights=weights,
        worth=float(weights.sum() ** 2 / (weights**2).sum()),
        outside=float((odds >= MOST_RATIO).mean()),
        told_apart=auc(now, side == 1),
    )


def balanced(weights: Floats, reference: Matrix, current: Matrix) -> Floats:
    """*weights*, shape (n,), tilted as little as it takes for each column to have the mean of *current*; their mean is 1.

    Trees shrink a ratio towards 1, and what depends on it then falls short of the shift. Multiplying by
    exp(l.z), z the columns in units of their standard deviation, mends that to first order (entropy
    balancing, Hainmueller 2012, "Entropy balancing for causal effects"). A small penalty and
    |l| <= 2 keep it from buying a mean with a handful of rows; missing values stand at the mean.
    """
    from scipy.optimize import minimize

    before, now = _standardised(reference, current)
    off = before - now.mean(axis=0)
    logs = np.log(np.maximum(weights, 1e-12))

    def loss(tilt: Floats) -> tuple[float, Floats]:
        told = logs + off @ tilt
        highest = float(told.max())
        heavy = np.exp(told - highest)
        total = float(heavy.sum())
        value = highest + math.log(total) + PENALTY * float(tilt @ tilt) / 2
        return value, np.asarray(heavy @ off / total + PENALTY * tilt)

    bounds = [(-MOST_TILT, MOST_TILT)] * off.shape[1]
    best = minimize(loss, np.zeros(off.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds).x
    told = logs + off @ best
    tilted = np.exp(told - told.max())
    capped = np.minimum(tilted / tilted.mean(), MOST_RATIO)
    return np.asarray(capped / capped.mean())


def _standardised(reference: Matrix, current: Matrix) -> tuple[Floats, Floats]:
    """Both sides in units of the pooled standard deviation; 0 where a value is missing or its column does not vary."""
    both = np.concatenate([reference, current]).astype(np.float64)
    known = np.isfinite(both)
    both[~known] = 0.0
    count = np.maximum(known.sum(axis=0), 1)
    mean = both.sum(axis=0) / count
    both = np.where(known, both - mean, 0.0)
    deviation = np.sqrt((both**2).sum(axis=0) / count)
    both = both / np.where(deviation > 0, deviation, 1.0)
    return both[: len(reference)], both[len(reference) :]


def _folds(side: NDArray[np.int64], chance: np.random.Generator) -> NDArray[np.int64]:
    fold = np.empty(len(side), dtype=np.int64)
    order = chance.permutation(len(side))
    fold[order[np.argsort(side[order], kind="stable")]] = np.arange(len(side)) % FOLDS
    return fold


def _taught(
    matrix: Matrix, side: NDArray[np.int64], held: Matrix, held_side: NDArray[np.int64], seed: int
) -> Callable[[Matrix], Floats]:
    """Boosted trees as a function from rows to P(current), both sides weighing the same."""
    import lightgbm

    shares = np.bincount(side, minlength=2) / len(side)
    datum = lightgbm.Dataset(matrix, label=side, weight=0.5 / shares[side])
    judge = lightgbm.Dataset(held, label=held_side, weight=0.5 / shares[held_side], reference=datum)
    booster = lightgbm.train(
        {
            "objective": "binary", "learning_rate": 0.1, "num_leaves": 8, "min_data_in_leaf": 20,
            "seed": seed, "num_threads": 1, "deterministic": True, "verbose": -1,
        },
        datum,
        num_boost_round=200,
        valid_sets=[judge],
        callbacks=[lightgbm.early_stopping(15, verbose=False)],
    )  # fmt: skip
    return lambda rows: np.clip(np.asarray(booster.predict(rows), dtype=np.float64), 1e-6, 1 - 1e-6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalibrated:
    """A calibrator for another population.

    Attributes:
        calibrator: Fitted on all reference rows with their weights.
        resampled: The same on rows drawn with replacement: how far it may be off by chance.
    """

    calibrator: Calibrator
    resampled: tuple[Calibrator, ...]

    def spread(self, of: Callable[[Calibrator], float]) -> float:
        """The standard deviation of a quantity over the resampled calibrators; what is not defined is left out."""
        values = np.array([of(one) for one in self.resampled])
        values = values[np.isfinite(values)]
        return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def recalibrate(
    probabilities: Floats, truth: Indices, ratio: DensityRatio, *, seed: int, resamples: int = RESAMPLES
) -> Recalibrated:
    """Fit a calibrator on reference rows, shapes (n, k) and (n,), with the weights of *ratio*.

    Isotonic where the weighted rows are worth a thousand, a sigmoid below.

    Raises:
        ValueError: Fewer than two classes are there with any weight.
    """
    if len(np.unique(truth[ratio.weights > 0])) < 2:
        raise ValueError("a calibrator needs two classes")
    fitting = fit_isotonic if ratio.worth >= ISOTONIC_FROM else fit_sigmoid
    chance = np.random.default_rng(seed)
    cell, said, came = _cells(probabilities, truth)
    rows, resampled = len(truth), []
    for _ in range(resamples):
        drawn = ratio.weights * np.bincount(chance.integers(0, rows, rows), minlength=rows)
        weights: Floats = np.bincount(cell, weights=drawn, minlength=len(came)).astype(np.float64)
        there = weights > 0
        if len(np.unique(came[there])) > 1:
            resampled.append(fitting(said[there], came[there], weights=weights[there]))
    return Recalibrated(
        calibrator=fitting(probabilities, truth, weights=ratio.weights), resampled=tuple(resampled)
    )


def _cells(probabilities: Floats, truth: Indices) -> tuple[Indices, Floats, Indices]:
    """Rows of one class with nearly one probability as one cell: its place for each row, its probabilities, its class.

    Only how far the calibrator may be off is found from cells, so their width does not matter; with more
    than two classes each row is its own.
    """
    if probabilities.shape[1] != 2:
        return np.arange(len(truth)), probabilities, truth
    score = probabilities[:, 1]
    edges = np.unique(np.quantile(score, np.linspace(0.0, 1.0, CELLS + 1)))
    _, cell = np.unique(2 * np.searchsorted(edges, score) + truth, return_inverse=True)
    cell = cell.reshape(-1)
    count = np.bincount(cell)
    mean = np.bincount(cell, weights=score) / count
    came = np.zeros(len(count), dtype=np.int64)
    came[cell] = truth
    return cell, np.column_stack([1.0 - mean, mean]), came


def widened(seen: Measurement, spread: float, *, note: str, method: str) -> Measurement:
    """The same value with an interval that also allows for an independent error of standard deviation *spread*."""
    more = normal_quantile(0.5 + seen.confidence / 2.0) * spread
    return Measurement(
        value=seen.value,
        low=seen.value - math.hypot(seen.value - seen.low, more),
        high=seen.value + math.hypot(seen.high - seen.value, more),
        confidence=seen.confidence,
        rows=seen.rows,
        method=method,
        note=note,
    )
