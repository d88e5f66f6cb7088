"""How wrong the labels themselves may be, and how good anything can then look when it is measured with them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.stats.deciding import Indices
from geartrain.stats.intervals import CONFIDENCE, Labels, clopper_pearson, normal_quantile

RESAMPLES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelNoise:
    """What share of the labels disagrees with what the rows themselves say with confidence.

    Attributes:
        rate: The estimated share of wrong labels, with a bootstrap interval.
        contamination: For each class, the share of its labels that belong to another.
        accuracy_ceiling: The accuracy that even a perfect model would be measured with: 1 - rate.
        auc_ceiling: Two classes: the AUC that a perfect ranking would be measured with.
    """

    rate: Measurement
    contamination: tuple[float, ...]
    accuracy_ceiling: Measurement
    auc_ceiling: Measurement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What two labellers of the same rows show.

    Attributes:
        agreed: The share of rows on which both say the same, exact interval.
        kappa: Cohen's kappa: agreement beyond what chance would give, 0 to 1.
        error: The error rate of one labeller, if both err alike and independently.
        accuracy_ceiling: The accuracy that a perfect model would be measured with: 1 - error.
        auc_ceiling: Two classes: the AUC of a perfect ranking under such labels.
    """

    agreed: Measurement
    kappa: Measurement
    error: Measurement
    accuracy_ceiling: Measurement
    auc_ceiling: Measurement | None


def confident_joint(probabilities: Floats, observed: Indices) -> Floats:
    """The joint distribution Q[i, j] of observed class i and confidently true class j, shape (k, k).

    With t_j the mean of p_j over the rows that are labelled j, a row labelled i counts for
    C[i, j] if p_j >= t_j and p_j is the largest of those; rows of C are scaled to the counts
    of the observed classes (Northcutt, Jiang & Chuang 2021, "Confident learning", section 3.1).
    Probabilities, shape (n, k), must be cross-fitted: a model that was taught a wrong label agrees
    with it.
    """
    classes = probabilities.shape[1]
    counts = np.bincount(observed, minlength=classes)
    thresholds = np.array(
        [probabilities[observed == j, j].mean() if counts[j] else math.inf for j in range(classes)]
    )
    # Rounding must not cost a constant column its only rows.
    confident = probabilities >= thresholds * (1 - 1e-12)
    likeliest = np.where(confident, probabilities, -1.0).argmax(axis=1)
    judged = confident.any(axis=1)
    joint = np.zeros((classes, classes))
    np.add.at(joint, (observed[judged], likeliest[judged]), 1.0)
    totals = joint.sum(axis=1)
    scaled = joint / np.maximum(totals, 1.0)[:, None] * counts[:, None]
    return np.asarray(scaled / scaled.sum())


def confident_noise(
    probabilities: Floats,
    observed: Indices,
    *,
    seed: int,
    groups: Labels | None = None,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> LabelNoise:
    """The share of wrong labels by confident learning, 1 - trace(Q), with a percentile bootstrap.

    *probabilities*, shape (n, k), are cross-fitted; *observed*, shape (n,), are class indices.
    The AUC ceiling is .5 + .5 (1 - r+ - r-), with r the contamination of the two classes
    (Menon et al. 2015, "Learning from corrupted binary labels"). Rows that are
    hard for every model are counted too, so the rate is rather too high than too low.

    Raises:
        ValueError: Fewer than two classes are there.
    """
    if len(np.unique(observed)) < 2:
        raise ValueError("one class alone cannot be mistaken for another")
    generator = np.random.default_rng(seed)
    codes = np.arange(len(observed)) if groups is None else np.unique(groups, return_inverse=True)[1]
    members = (
        [np.flatnonzero(codes == code) for code in range(int(codes.max()) + 1)]
        if groups is not None
        else None
    )
    joint = confident_joint(probabilities, observed)
    rates, aucs = [], []
    for _ in range(resamples):
        if members is None:
            rows = generator.integers(0, len(observed), len(observed))
        else:
            rows = np.concatenate([members[one] for one in generator.integers(0, len(members), len(members))])
        if len(np.unique(observed[rows])) < 2:
            continue
        drawn = confident_joint(probabilities[rows], observed[rows])
        rates.append(1 - float(np.trace(drawn)))
        aucs.append(_auc_ceiling(_contamination(drawn)))
    contamination = _contamination(joint)
    total, wrong = len(observed), 1 - float(np.trace(joint))
    # A bootstrap cannot draw a kind of error that was not seen; a share's exact interval allows for it.
    ends = clopper_pearson(wrong * total, total, confidence=confidence)
    rate = _measured(wrong, np.array(rates), total, confidence, ends)
    auc: Measurement | None = None
    if joint.shape[0] == 2:
        counts = np.bincount(observed, minlength=2)
        over = [
            clopper_pearson(share * count, count, confidence=confidence)[1] - share
            for share, count in zip(contamination.tolist(), counts.tolist(), strict=True)
        ]
        best = _auc_ceiling(contamination)
        auc = _measured(best, np.array(aucs), total, confidence, (best - 0.5 * math.hypot(*over), best))
    return LabelNoise(
        rate=rate,
        contamination=tuple(float(one) for one in contamination),
        accuracy_ceiling=_mirrored(rate),
        auc_ceiling=auc,
    )


def agreement(
    first: Indices, second: Indices, *, classes: int, confidence: float = CONFIDENCE
) -> Agreement | None:
    """Cohen's kappa and the human ceiling from rows that were labelled twice, shapes (n,).

    kappa = (p_o - p_e) / (1 - p_e) with the large-sample variance of Fleiss, Cohen & Everitt
    (1969, equation 13). If both labellers err alike, independently and evenly over the other
    classes, they agree with probability (1 - r)^2 + r^2 / (k - 1), which gives one labeller's
    error r. None where there is no row, or both only ever said one and the same class.
    """
    rows = len(first)
    table = np.zeros((classes, classes))
    np.add.at(table, (first, second), 1.0)
    share = table / max(rows, 1)
    one, two = share.sum(axis=1), share.sum(axis=0)
    agreed, chance = float(np.trace(share)), float(one @ two)
    if rows == 0 or chance >= 1.0 - 1e-12:
        return None
    kappa = (agreed - chance) / (1 - chance)
    on = np.diag(share) * (1 - (one + two) * (1 - kappa)) ** 2
    off = share * (two[:, None] + one[None, :]) ** 2
    variance = on.sum() + (1 - kappa) ** 2 * (off.sum() - np.trace(off)) - (kappa - chance * (1 - kappa)) ** 2
    half = normal_quantile(0.5 + confidence / 2) * math.sqrt(max(0.0, float(variance)) / rows) / (1 - chance)
    low, high = clopper_pearson(agreed * rows, rows, confidence=confidence)
    error = Measurement(
        value=single_error(1 - agreed, classes),
        low=single_error(1 - high, classes),
        high=single_error(1 - low, classes),
        confidence=confidence,
        rows=rows,
        method="from the agreement of two labellers",
    )
    return Agreement(
        agreed=Measurement(
            value=agreed, low=low, high=high, confidence=confidence, rows=rows, method="Clopper-Pearson"
        ),
        kappa=Measurement(
            value=kappa,
            low=max(-1.0, kappa - half),
            high=min(1.0, kappa + half),
            confidence=confidence,
            rows=rows,
            method="Fleiss-Cohen-Everitt",
        ),
        error=error,
        accuracy_ceiling=_mirrored(error),
        auc_ceiling=_auc_of_error(error, float((one[-1] + two[-1]) / 2)) if classes == 2 else None,
    )


def single_error(disagreement: float, classes: int) -> float:
    """The r with (1 - r)^2 + r^2 / (k - 1) = 1 - disagreement: (k-1)/k (1 - sqrt(1 - k/(k-1) disagreement)).

    Beyond pure guessing, disagreement (k-1)/k, it stays at guessing's error.

    >>> round(single_error(0.18, 2), 6)
    0.1
    """
    part = (classes - 1) / classes
    return part * (1 - math.sqrt(max(0.0, 1 - disagreement / part)))


def _auc_of_error(error: Measurement, share: float) -> Measurement:
    """Both classes flipped alike: the contamination of each follows from its share."""

    def ceiling(rate: float) -> float:
        true = min(1.0, max(0.0, (share - rate) / (1 - 2 * rate))) if rate < 0.5 else 0.5
        positive = (1 - true) * rate / max(share, 1e-12)
        negative = true * rate / max(1 - share, 1e-12)
        return max(0.5, 0.5 + 0.5 * (1 - min(1.0, positive) - min(1.0, negative)))

    low, high = sorted((ceiling(error.high), ceiling(error.low)))
    value = ceiling(error.value)
    return Measurement(
        value=value,
        low=min(low, value),
        high=max(high, value),
        confidence=error.confidence,
        rows=error.rows,
        method=error.method,
    )


def _contamination(joint: Floats) -> Floats:
    totals = joint.sum(axis=1)
    return np.asarray(1 - np.divide(np.diag(joint), totals, out=np.ones(len(joint)), where=totals > 0))


def _auc_ceiling(contamination: Floats) -> float:
    return float(0.5 + 0.5 * max(0.0, 1 - contamination.sum())) if len(contamination) == 2 else math.nan


def _measured(
    value: float, drawn: Floats, rows: int, confidence: float, ends: tuple[float, float]
) -> Measurement:
    """The bootstrap's interval, and never a shorter one than *ends*."""
    tail = (1 - confidence) / 2
    low, high = (float(one) for one in np.quantile(drawn, [tail, 1 - tail]))
    return Measurement(
        value=value,
        low=max(0.0, min(low, value, ends[0])),
        high=min(1.0, max(high, value, ends[1])),
        confidence=confidence,
        rows=rows,
        method="confident learning, bootstrap",
    )


def _mirrored(rate: Measurement) -> Measurement:
    return Measurement(
        value=1 - rate.value,
        low=1 - rate.high,
        high=1 - rate.low,
        confidence=rate.confidence,
        rows=rate.rows,
        method=rate.method,
    )
