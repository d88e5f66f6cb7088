"""A mean from a few labels and many predictions: right whatever the predictions are, narrower where they are good.

The labels of a sample correct the mean of predictions over all rows. With power tuning the
predictions count only as far as they explain the labels, so the interval is, up to the noise
of that one number, never wider than that of the labels alone (Angelopoulos, Bates, Fannjiang,
Jordan and Zrnic 2023, "Prediction-powered inference", Science 382; Angelopoulos, Duchi and
Zrnic 2023, "PPI++: Efficient prediction-powered inference", arXiv 2311.01453). Rows drawn with
unequal, known probabilities count by their inverse, as in Zrnic and Candes 2024, "Active
statistical inference", arXiv 2403.03208, and in survey sampling before (Horvitz and Thompson 1952).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.stats.intervals import CONFIDENCE, normal_quantile

#: With fewer labels the t limit of a mean says nothing.
FEWEST_LABELS = 30
#: Of the labels that are asked for, this share is spread evenly, whatever the model thinks is uncertain.
EVENLY = 0.25
#: Nobody labels more than this to settle one question.
MOST_LABELS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Powered:
    """A mean with the help of predictions, beside the labels alone.

    Attributes:
        mean: Of rows like these, with the predictions' help.
        labels_alone: The same from the labelled rows only.
        trust: How far the predictions count, 0 (not at all) to 1 (in full).
        labels: The labelled rows.
        of: All rows.
    """

    mean: Measurement
    labels_alone: Measurement
    trust: float
    labels: int
    of: int


def powered_mean(
    predicted: Floats,
    *,
    values: Floats,
    predicted_there: Floats,
    inclusion: Floats,
    implied: Floats | None = None,
    confidence: float = CONFIDENCE,
    note: str = "",
) -> Powered:
    """The mean of what *values* are a sample of, in the population that *predicted*, shape (N,), is a sample of.

    With w = 1/inclusion scaled to sum one, y' and f' the weighted means over the n labelled rows and F the
    mean of all predictions, the mean is y' + t (F - f'), and its variance
    n/(n-1) sum_i (1 - inclusion_i) w_i^2 (y_i - y' - t (f_i - f'))^2 + var(y)/N. The trust t minimises the
    first term and is cut to [0, 1]. Where every row was as likely, n/N, that is PPI++ for a mean.

    Args:
        predicted: What each of all rows is expected to add.
        values: What each labelled row did add, shape (n,).
        predicted_there: The expectation of the labelled rows, shape (n,).
        inclusion: With which probability each labelled row was drawn, in (0, 1], shape (n,).
        implied: The variance that each labelled row should have by its probabilities, shape (n,). The
            interval is never narrower than these say: a rare and dear event that has not come yet
            would otherwise look impossible.
        confidence: Of the interval.
        note: What it assumes, to stand beside it.

    Raises:
        ValueError: Under two labels, or an inclusion outside of (0, 1].
    """
    count, size = len(values), len(predicted)
    if count < 2:
        raise ValueError("a mean with an interval needs two labels")
    if not ((inclusion > 0) & (inclusion <= 1)).all():
        raise ValueError("each labelled row has a probability in (0, 1] of having been drawn")
    shares = 1.0 / inclusion
    shares = shares / shares.sum()
    mean, mean_there = float(shares @ values), float(shares @ predicted_there)
    left = (1.0 - inclusion) * shares**2
    off, off_there = values - mean, predicted_there - mean_there
    explained = float(left @ off_there**2)
    trust = 0.0 if explained <= 0 else min(1.0, max(0.0, float(left @ (off * off_there)) / explained))
    ahead = float(predicted.mean()) - mean_there
    freedom = max(1.0, 1.0 / float((shares**2).sum()) - 1.0)

    def interval(help_: float) -> Measurement:
        shown = off - help_ * off_there
        scale = count / (count - 1)
        within = scale * float(left @ shown**2)
        whole = scale * float(shares @ off**2)
        if implied is not None:
            within = max(within, float(left @ (implied + (1.0 - help_) ** 2 * off_there**2)))
            whole = max(whole, float(shares @ (implied + off_there**2)))
        value = mean + help_ * ahead
        half = _t_quantile(0.5 + confidence / 2.0, freedom) * math.sqrt(within + whole / size)
        return Measurement(
            value=value,
            low=value - half,
            high=value + half,
            confidence=confidence,
            rows=count,
            method="prediction-powered, t limit" if help_ else "labels alone, t limit",
            note=note,
        )

    return Powered(mean=interval(trust), labels_alone=interval(0.0), trust=trust, labels=count, of=size)


def inclusion_of(deviations: Floats, labels: float, *, evenly: float = EVENLY) -> Floats:
    """With which probability each of N rows should be drawn, shape (N,), so that *labels* are expected.

    Where the answer is uncertain (*deviations*: the standard deviation of what a row may add) a label tells
    most, so the probabilities are proportional to it (Neyman 1934). A share of the labels is spread *evenly*:
    if the model is wrong about what it does not know, no row is out of reach and no weight is huge.

    >>> import numpy as np
    >>> inclusion_of(np.array([0.0, 1.0, 3.0]), 1.0, evenly=0.0).tolist()
    [0.0, 0.25, 0.75]
    """
    size = len(deviations)
    total = float(deviations.sum())
    uniform = np.full(size, 1.0 / size)
    aimed = (1.0 - evenly) * deviations / total + evenly * uniform if total > 0 else uniform
    if labels >= size:
        return np.ones(size)
    found, certain = labels * aimed, np.zeros(size, dtype=bool)
    # Rows that are certain leave their surplus to the others; each round makes more certain, so it ends.
    while ((found > 1.0) & ~certain).any():
        certain |= found > 1.0
        rest = float(aimed[~certain].sum())
        found = np.where(certain, 1.0, aimed * (labels - certain.sum()) / rest if rest > 0 else 0.0)
    return np.minimum(found, 1.0)


def half_width(
    deviations: Floats, expected: Floats, labels: float, *, confidence: float = CONFIDENCE
) -> float:
    """How far the interval will reach to each side after *labels* answers, if the deviations are right.

    *expected* is what each row should add, shape (N,): how much rows differ is what the N rows themselves
    leave open about rows like them.
    """
    size = len(deviations)
    drawn = inclusion_of(deviations, labels)
    variance = deviations**2
    there = drawn > 0
    within = float(((1.0 - drawn[there]) / drawn[there] * variance[there]).sum()) / size**2
    whole = (float(variance.mean()) + float(expected.var())) / size
    return normal_quantile(0.5 + confidence / 2.0) * math.sqrt(within + whole)


def labels_needed(
    deviations: Floats, expected: Floats, margin: float, *, confidence: float = CONFIDENCE
) -> int | None:
    """About how many answers bring the interval within *margin*; None where all of these rows are not enough.

    At least `FEWEST_LABELS`: below, no interval is told.
    """
    size = min(len(deviations), MOST_LABELS)
    if size < FEWEST_LABELS or half_width(deviations, expected, size, confidence=confidence) > margin:
        return None
    low, high = FEWEST_LABELS - 1, size
    while high - low > 1:
        middle = (low + high) // 2
        enough = half_width(deviations, expected, middle, confidence=confidence) <= margin
        low, high = (low, middle) if enough else (middle, high)
    return high


def _t_quantile(probability: float, freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))
