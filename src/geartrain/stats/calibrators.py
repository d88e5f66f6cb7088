"""Calibrators: plain numbers that turn a model's probabilities into honest ones.

Both forms map an (n, k) array of probabilities to another one, for any number of
classes, and are simple enough to be written into the exported graph.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.prediction import Floats

#: No calibration set is large enough to support a probability nearer to 0 or 1 than
#: this, and single precision could not carry it through a logarithm.
CLIP = 1e-5
#: Knots of a step closer than this would turn rounding into a jump.
SMALLEST_GAP = 1e-4

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sigmoid:
    """softmax(slope * log p + offsets): Platt's sigmoid on the log-odds where there are two classes."""

    slope: float
    offsets: tuple[float, ...]

    def apply(self, values: Floats) -> Floats:
        """The calibrated probabilities, shape (n, k)."""
        logits = self.slope * np.log(np.clip(values, CLIP, 1.0)) + np.asarray(self.offsets)
        logits -= logits.max(axis=1, keepdims=True)
        weights = np.exp(logits)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Isotonic:
    """One rising broken line for each class, then scaled so that a row sums to one.

    Attributes:
        knots: For each class the points (p, calibrated p), rising in both.
    """

    knots: tuple[tuple[tuple[float, float], ...], ...]

    def apply(self, values: Floats) -> Floats:
        """The calibrated probabilities, shape (n, k)."""
        lines = [
            np.interp(values[:, k], [x for x, _ in knots], [y for _, y in knots])
            for k, knots in enumerate(self.knots)
        ]
        stacked = np.stack(lines, axis=1)
        return np.asarray(stacked / stacked.sum(axis=1, keepdims=True))


Calibrator = Sigmoid | Isotonic


def fit_sigmoid(values: Floats, truth: Indices, *, weights: Floats | None = None) -> Sigmoid:
    """Fit slope and offsets by maximum likelihood with Platt's smoothed targets.

    A row counts as many times as its weight says, shape (n,); once where there are none.

    A row of class k counts as (n_k + 1) / (n_k + 2) of that class and the rest evenly of
    the others, so that a perfect separation does not give infinite slopes. The slope is
    never negative: a calibrator must not turn a model's order around.

    Source: Platt (1999), "Probabilistic outputs for support vector machines", section 2.2;
    for more than two classes Guo et al. (2017), "On calibration of modern neural networks".
    """
    from scipy.optimize import minimize

    rows, width = values.shape
    weighs = np.ones(rows) if weights is None else weights
    counts, heavy = np.bincount(truth, weights=weighs, minlength=width), float(weighs.sum())
    own = (counts + 1.0) / (counts + 2.0)
    target = np.repeat(((1.0 - own[truth]) / (width - 1))[:, None], width, axis=1)
    target[np.arange(rows), truth] = own[truth]
    logs = np.log(np.clip(values, CLIP, 1.0))

    def loss(point: Floats) -> tuple[float, Floats]:
        logits = point[0] * logs + np.concatenate(([0.0], point[1:]))
        logits = logits - logits.max(axis=1, keepdims=True)
        normal = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        over = weighs[:, None] * (np.exp(normal) - target)
        gradient = np.concatenate(([float((over * logs).sum())], over.sum(axis=0)[1:]))
        return -float((weighs[:, None] * target * normal).sum()) / heavy, gradient / heavy

    start = np.concatenate(([1.0], np.zeros(width - 1)))
    bounds = [(0.0, None)] + [(None, None)] * (width - 1)
    best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return Sigmoid(slope=float(best[0]), offsets=(0.0, *(float(one) for one in best[1:])))


def fit_isotonic(values: Floats, truth: Indices, *, weights: Floats | None = None) -> Isotonic:
    """Fit one isotonic regression for each class against the others (Zadrozny & Elkan 2002).

    A row counts as many times as its weight says, shape (n,); once where there are none.
    """
    from sklearn.isotonic import IsotonicRegression

    lines = []
    for k in range(values.shape[1]):
        line = IsotonicRegression(y_min=CLIP, y_max=1.0 - CLIP, out_of_bounds="clip")
        line.fit(values[:, k], (truth == k).astype(np.float64), sample_weight=weights)
        lines.append(_thinned(line.X_thresholds_, line.y_thresholds_))
    return Isotonic(knots=tuple(lines))


def _thinned(xs: Floats, ys: Floats) -> tuple[tuple[float, float], ...]:
    """The knots with neighbours closer than `SMALLEST_GAP` merged into their mean height."""
    clusters: list[tuple[float, list[float]]] = []
    for x, y in zip(xs, ys, strict=True):
        if clusters and x - clusters[-1][0] < SMALLEST_GAP:
            clusters[-1][1].append(float(y))
        else:
            clusters.append((float(x), [float(y)]))
    return tuple((x, sum(heights) / len(heights)) for x, heights in clusters)
