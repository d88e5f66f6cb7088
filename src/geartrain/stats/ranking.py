"""How well scores put the rows that matter first: AUC, average precision, precision at capacity."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.stats.intervals import CONFIDENCE, Labels, bootstrap, clopper_pearson, normal_quantile

Truths = NDArray[np.bool_]


def auc(
    scores: Floats,
    positive: Truths,
    *,
    groups: Labels | None = None,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> Measurement:
    """The probability that a positive row scores above a negative one, ties counted half.

    Shapes (n,). The variance is DeLong's (DeLong, DeLong and Clarke-Pearson 1988, by
    midranks after Sun and Xu 2014), taken on the logit scale so that the interval stays
    in (0, 1). Perfect separation shows no variance; there the ends solve
    |AUC - t| = z sqrt(V(t)) with Hanley and McNeil's (1982) V. Rows that repeat an entity
    are drawn by *groups* instead.

    Raises:
        ValueError: Only one class is there.
    """
    value, above, below = _placements(scores, positive)
    m, n = len(above), len(below)
    relevant = min(m, n)
    if groups is not None:
        order = np.lexsort((positive, scores))
        ordered, truths = scores[order], positive[order]
        low, high, _ = bootstrap(
            lambda weights: _weighted_auc(ordered, truths, weights),
            len(scores),
            seed=seed,
            groups=groups[order],
            confidence=confidence,
        )
        method = "cluster bootstrap, percentile"
    elif value in {0.0, 1.0} or m < 2 or n < 2:
        low, high = _score_ends(value, m, n, confidence)
        method = "score interval, Hanley-McNeil variance"
    else:
        variance = float(above.var(ddof=1)) / m + float(below.var(ddof=1)) / n
        half = normal_quantile(0.5 + confidence / 2) * math.sqrt(variance) / (value * (1 - value))
        logit = math.log(value / (1 - value))
        low, high = 1 / (1 + math.exp(half - logit)), 1 / (1 + math.exp(-half - logit))
        method = "DeLong, logit scale"
    return Measurement(
        value=value,
        low=min(low, value),
        high=max(high, value),
        confidence=confidence,
        rows=m + n,
        relevant=relevant,
        method=method,
    )


def auc_difference(
    first: Floats, second: Floats, positive: Truths, *, confidence: float = CONFIDENCE
) -> Measurement:
    """AUC of *first* minus AUC of *second* on the same rows, shapes (n,), by DeLong's covariance.

    Var = [1, -1] S [1, -1]', S = cov(V10)/m + cov(V01)/n.
    """
    one, above_one, below_one = _placements(first, positive)
    two, above_two, below_two = _placements(second, positive)
    variance = float((above_one - above_two).var(ddof=1)) / len(above_one)
    variance += float((below_one - below_two).var(ddof=1)) / len(below_one)
    half = normal_quantile(0.5 + confidence / 2) * math.sqrt(variance)
    value = one - two
    return Measurement(
        value=value,
        low=value - half,
        high=value + half,
        confidence=confidence,
        rows=len(positive),
        relevant=min(len(above_one), len(below_one)),
        method="DeLong, paired",
    )


def average_precision(
    scores: Floats,
    positive: Truths,
    *,
    seed: int,
    groups: Labels | None = None,
    confidence: float = CONFIDENCE,
    resamples: int = 500,
) -> Measurement:
    """Sum over thresholds of (recall step) * precision, shapes (n,), with a percentile bootstrap.

    Tied scores are one threshold; nothing is interpolated (as in scikit-learn).

    Raises:
        ValueError: No row is positive.
    """
    if not positive.any():
        raise ValueError("no row is positive")
    order = np.lexsort((positive, -scores))
    ordered, truths = scores[order], positive[order].astype(np.float64)
    ends = np.flatnonzero(np.append(np.diff(ordered) != 0, True))

    def weighted(weights: Floats) -> float:
        found = np.cumsum(weights * truths)[ends]
        taken = np.cumsum(weights)[ends]
        if found[-1] == 0:
            return math.nan
        precision = np.divide(found, taken, out=np.zeros_like(found), where=taken > 0)
        return float(np.diff(found, prepend=0.0) @ precision / found[-1])

    value = weighted(np.ones(len(scores)))
    low, high, _ = bootstrap(
        weighted,
        len(scores),
        seed=seed,
        groups=None if groups is None else groups[order],
        confidence=confidence,
        resamples=resamples,
    )
    return Measurement(
        value=value,
        low=min(low, value),
        high=max(high, value),
        confidence=confidence,
        rows=len(scores),
        relevant=int(positive.sum()),
        method=("cluster " if groups is not None else "") + "bootstrap, percentile",
    )


def precision_at(
    scores: Floats,
    positive: Truths,
    periods: NDArray[Any],
    *,
    k: int,
    entities: Labels | None = None,
    forget_found: bool = True,
    confidence: float = CONFIDENCE,
) -> Measurement:
    """The share of the k highest-scored entities of each period that are right, over periods.

    Shapes (n,). An entity (a card) scores its highest row of the period and is right if
    any of its rows is; with *forget_found* one that was found is not looked at again in
    later periods. This is "card precision@k" of the Fraud Detection Handbook
    (Le Borgne et al. 2022, chapter 4). The interval is Student's over the periods,
    Clopper-Pearson over the k where there is one period or they all agree.

    Raises:
        ValueError: No rows, or k < 1.
    """
    if len(scores) == 0 or k < 1:
        raise ValueError("precision at k needs rows and k >= 1")
    found: set[Any] = set()
    hits, looked = [], []
    for period in np.unique(periods):
        inside = np.flatnonzero(periods == period)
        if entities is None:
            best, right = scores[inside], positive[inside]
        else:
            kept = inside[~np.isin(entities[inside], list(found))] if found else inside
            if len(kept) == 0:
                continue
            names, codes = np.unique(entities[kept], return_inverse=True)
            best, right = np.full(len(names), -np.inf), np.zeros(len(names), dtype=bool)
            np.maximum.at(best, codes.reshape(-1), scores[kept])
            np.logical_or.at(right, codes.reshape(-1), positive[kept])
        top = np.argsort(-best, kind="stable")[:k]
        hits.append(int(right[top].sum()))
        looked.append(len(top))
        if entities is not None and forget_found:
            found.update(names[top][right[top]].tolist())
    return _over_periods(np.array(hits), np.array(looked), rows=len(scores), confidence=confidence)


def _over_periods(
    hits: NDArray[np.int64], looked: NDArray[np.int64], *, rows: int, confidence: float
) -> Measurement:
    shares = hits / looked
    value = float(shares.mean())
    if len(shares) > 1 and shares.std() > 0:
        from scipy.special import stdtrit

        half = float(stdtrit(len(shares) - 1, 0.5 + confidence / 2))
        half *= float(shares.std(ddof=1)) / math.sqrt(len(shares))
        low, high, method = max(0.0, value - half), min(1.0, value + half), "Student, over periods"
    else:
        low, high = clopper_pearson(int(hits.sum()), int(looked.sum()), confidence=confidence)
        method = "Clopper-Pearson"
    return Measurement(
        value=value,
        low=min(low, value),
        high=max(high, value),
        confidence=confidence,
        rows=rows,
        relevant=int(looked.sum()),
        method=method,
        note=f"over {len(shares)} period{'s' if len(shares) != 1 else ''}",
    )


def _placements(scores: Floats, positive: Truths) -> tuple[float, Floats, Floats]:
    """The AUC and DeLong's structural components V10 (positives) and V01 (negatives)."""
    from scipy.stats import rankdata

    m, n = int(positive.sum()), int((~positive).sum())
    if m == 0 or n == 0:
        raise ValueError("ranking needs rows of both classes")
    ranks = rankdata(scores)
    above = (ranks[positive] - rankdata(scores[positive])) / n
    below = 1.0 - (ranks[~positive] - rankdata(scores[~positive])) / m
    return float(above.mean()), above, below


def _weighted_auc(ordered: Floats, truths: Truths, weights: Floats) -> float:
    """AUC of rows in rising order of score, each *weights* times there."""
    ends = np.flatnonzero(np.append(np.diff(ordered) != 0, True))
    positives = np.diff(np.cumsum(weights * truths)[ends], prepend=0.0)
    negatives = np.diff(np.cumsum(weights * ~truths)[ends], prepend=0.0)
    pairs = positives.sum() * negatives.sum()
    if pairs == 0:
        return math.nan
    return float(positives @ (np.cumsum(negatives) - negatives / 2) / pairs)


def _score_ends(value: float, m: int, n: int, confidence: float) -> tuple[float, float]:
    from scipy.optimize import brentq

    z = normal_quantile(0.5 + confidence / 2)

    def gap(t: float) -> float:
        more = (m - 1) * (t / (2 - t) - t * t) + (n - 1) * (2 * t * t / (1 + t) - t * t)
        variance = (t * (1 - t) + more) / (m * n)
        return abs(value - t) - z * math.sqrt(max(variance, 0.0))

    # The value itself solves the equation where it is 0 or 1; the end looked for lies inside.
    edge = 1e-9
    low = float(brentq(gap, edge, value - edge)) if value > 2 * edge and gap(edge) > 0 else 0.0
    high = float(brentq(gap, value + edge, 1 - edge)) if value < 1 - 2 * edge and gap(1 - edge) > 0 else 1.0
    return low, high
