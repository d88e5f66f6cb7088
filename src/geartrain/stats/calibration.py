"""Whether a probability means what it says: where the cost threshold is only right if it does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.stats.intervals import CONFIDENCE, Labels, bootstrap, clopper_pearson, proportion, ratio

#: Probabilities are kept this far from 0 and 1 before a logarithm.
LOG_FLOOR = 1e-15
ROWS_PER_BIN = 40
MOST_BINS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """One bar of a reliability picture: what was said and what came.

    Attributes:
        said: The mean probability in the bin.
        came: The share of rows that were positive.
        low: The lower end of that share's exact interval.
        high: The upper end.
        rows: The rows in the bin.
    """

    said: float
    came: float
    low: float
    high: float
    rows: int


def reliability(
    probabilities: Floats,
    positive: NDArray[np.bool_],
    *,
    bins: int | None = None,
    confidence: float = CONFIDENCE,
) -> tuple[Bin, ...]:
    """Bins of about equal mass, the lowest probabilities first; equal probabilities share a bin.

    Without *bins* there is one for each 40 rows, 2 to 15. No rows, no bins.
    """
    codes, count = _bins(probabilities, bins)
    table = []
    for code in range(count):
        inside = codes == code
        rows, came = int(inside.sum()), int(positive[inside].sum())
        low, high = clopper_pearson(came, rows, confidence=confidence)
        said = float(probabilities[inside].mean())
        table.append(Bin(said=said, came=came / rows, low=low, high=high, rows=rows))
    return tuple(table)


def calibration_error(
    probabilities: Floats,
    positive: NDArray[np.bool_],
    *,
    seed: int,
    bins: int | None = None,
    groups: Labels | None = None,
    confidence: float = CONFIDENCE,
    resamples: int = 500,
) -> Measurement:
    """sum_b (n_b / n) |came_b - said_b| over bins of equal mass, less what luck alone adds.

    Shapes (n,), n > 0; in probability, 0 is perfect. Even a perfect model shows gaps in small bins: with
    gap_b ~ N(d_b, came_b (1 - came_b) / n_b) the plain sum is too high by
    E|gap_b| - |d_b|, which is taken off (Kumar, Liang and Ma 2019, "Verified uncertainty
    calibration", section 5; here in the closed form of the folded normal). The interval
    is the bootstrap's spread below the corrected value and above the plain one: the
    correction never keeps a promise by itself.
    """
    if len(probabilities) == 0:
        raise ValueError("calibration of no rows has no value")
    codes, count = _bins(probabilities, bins)
    order = np.lexsort((positive, probabilities))
    inside, said, came = codes[order], probabilities[order], positive[order].astype(np.float64)

    def sums(weights: Floats) -> tuple[Floats, Floats, Floats]:
        rows = np.bincount(inside, weights=weights, minlength=count).astype(np.float64)
        known = np.maximum(rows, 1.0)
        right = np.bincount(inside, weights=weights * came, minlength=count) / known
        return rows, np.bincount(inside, weights=weights * said, minlength=count) / known, right

    def plain(weights: Floats) -> float:
        rows, mean, right = sums(weights)
        return float(rows @ np.abs(right - mean) / rows.sum())

    rows, mean, right = sums(np.ones(len(said)))
    excess = _folded_mean(right - mean, np.sqrt(right * (1 - right) / np.maximum(rows - 1, 1)))
    uncorrected = plain(np.ones(len(said)))
    value = max(0.0, uncorrected - float(rows @ (excess - np.abs(right - mean)) / rows.sum()))
    low, high, stars = bootstrap(
        plain,
        len(said),
        seed=seed,
        groups=None if groups is None else groups[order],
        confidence=confidence,
        resamples=resamples,
    )
    centre = float(stars.mean())
    return Measurement(
        value=value,
        low=max(0.0, value - max(0.0, centre - low)),
        high=uncorrected + max(0.0, high - centre),
        confidence=confidence,
        rows=len(said),
        method="equal-mass bins, debiased; bootstrap",
        note=f"{count} bin{'s' if count != 1 else ''}",
    )


def calibration_at(
    probabilities: Floats,
    positive: NDArray[np.bool_],
    *,
    threshold: float | Floats,
    share: float = 0.1,
    fewest: int = 50,
    groups: Labels | None = None,
    confidence: float = CONFIDENCE,
) -> Measurement:
    """Seen minus said among the rows whose probabilities lie nearest the threshold, shapes (n,).

    The nearest max(fewest, share * n) rows are taken, ties with them; the
    interval is the exact one of `came`, shifted by the mean probability (rows that repeat one
    of *groups* count as fewer). Positive means that the model says too little just where the
    decision turns. *threshold* is one number, or each row's own, shape (n,).

    Raises:
        ValueError: No rows, or a threshold that is not a finite number.
    """
    if len(probabilities) == 0:
        raise ValueError("calibration of no rows has no value")
    if not np.isfinite(threshold).all():
        raise ValueError("a row without a threshold has no place where the decision turns")
    distance = np.abs(probabilities - threshold)
    count = min(len(distance), max(fewest, math.ceil(share * len(distance))))
    near = distance <= np.partition(distance, count - 1)[count - 1]
    rows, came = int(near.sum()), int(positive[near].sum())
    said = float(probabilities[near].mean())
    seen = proportion(positive[near], groups=None if groups is None else groups[near], confidence=confidence)
    where = "their own thresholds" if isinstance(threshold, np.ndarray) else f"{threshold:.4g}"
    note = f"the {rows} rows nearest {where}"
    if not (probabilities >= threshold).any():
        note += f"; no probability reaches the threshold (the highest is {probabilities.max():.4g})"
    elif (probabilities >= threshold).all():
        note += f"; every probability is above the threshold (the lowest is {probabilities.min():.4g})"
    return Measurement(
        value=came / rows - said,
        low=seen.low - said,
        high=seen.high - said,
        confidence=confidence,
        rows=len(distance),
        relevant=rows,
        method=f"{seen.method} near the threshold",
        note=note,
    )


def brier_losses(probabilities: Floats, truth: NDArray[np.int64]) -> Floats:
    """sum_k (p_k - [truth = k])^2 of each row; probabilities (n, classes), truth (n,), result (n,).

    Two classes give Brier's original score, twice the binary one of scikit-learn; the
    binary form is (p - y)^2 and is what `evaluation` reports for binary products.
    """
    hot = np.zeros_like(probabilities)
    hot[np.arange(len(truth)), truth] = 1.0
    losses: Floats = ((probabilities - hot) ** 2).sum(axis=1)
    return losses


def log_losses(probabilities: Floats, truth: NDArray[np.int64]) -> Floats:
    """-ln p(truth) of each row in nats; probabilities (n, classes), truth (n,), result (n,)."""
    taken = probabilities[np.arange(len(truth)), truth]
    losses: Floats = -np.log(np.clip(taken, LOG_FLOOR, 1.0))
    return losses


def brier(
    probabilities: Floats,
    truth: NDArray[np.int64],
    *,
    seed: int,
    groups: Labels | None = None,
    confidence: float = CONFIDENCE,
) -> Measurement:
    """The mean squared error of the probabilities, with a BCa bootstrap; halved for two classes."""
    losses = brier_losses(probabilities, truth)
    halved = losses / 2 if probabilities.shape[1] == 2 else losses
    return ratio(halved, seed=seed, groups=groups, confidence=confidence)


def log_loss(
    probabilities: Floats,
    truth: NDArray[np.int64],
    *,
    seed: int,
    groups: Labels | None = None,
    confidence: float = CONFIDENCE,
) -> Measurement:
    """The mean of -ln p(truth) in nats, with a BCa bootstrap; certainty that was wrong is said in the note."""
    certain = int((probabilities[np.arange(len(truth)), truth] < LOG_FLOOR).sum())
    note = f"{certain} rows were called impossible and happened" if certain else ""
    return ratio(log_losses(probabilities, truth), seed=seed, groups=groups, confidence=confidence, note=note)


def _bins(probabilities: Floats, bins: int | None) -> tuple[NDArray[Any], int]:
    """Each row's bin, numbered from 0 without holes, and how many there are."""
    rows = len(probabilities)
    if rows == 0:
        return np.zeros(0, dtype=np.int64), 0
    wanted = bins or int(np.clip(rows // ROWS_PER_BIN, 2, MOST_BINS))
    edges = np.unique(np.quantile(probabilities, np.linspace(0, 1, wanted + 1)[1:-1]))
    codes = np.unique(np.searchsorted(edges, probabilities, side="left"), return_inverse=True)[1].reshape(-1)
    return codes, int(codes.max()) + 1


def _folded_mean(centre: Floats, deviation: Floats) -> Floats:
    """E|N(centre, deviation^2)|, elementwise."""
    from scipy.special import erf

    safe = np.where(deviation > 0, deviation, 1.0)
    mean = safe * math.sqrt(2 / math.pi) * np.exp(-(centre**2) / (2 * safe**2))
    mean = mean + centre * erf(centre / (safe * math.sqrt(2)))
    folded: Floats = np.where(deviation > 0, mean, np.abs(centre))
    return folded
