"""What decisions will have been worth, from calibrated probabilities alone: no label is read.

If a row's class is drawn with the probabilities that the model gave it, each quantity over
rows is a sum of independent draws whose mean and variance are known beforehand (the
Poisson-binomial law; as confidence-based performance estimation, Bialek, Kuberski, Perrakis
and Bifet 2024, "Estimating model performance under covariate shift without labels",
arXiv 2401.08348). Nothing here can see that the world answers differently now:
that is assumed away, so nobody may show such a number without saying so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.domain.rule import DecisionRule
from geartrain.stats.deciding import ABSTAINED, Indices
from geartrain.stats.intervals import CONFIDENCE, normal_quantile

METHOD = "independent draws from the probabilities, normal limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What was expected of rows, beside what came.

    Attributes:
        expected: The mean that the probabilities gave.
        realised: The mean that came, over the same rows.
        difference: Realised minus expected, with its interval.
    """

    expected: float
    realised: float
    difference: Measurement

    @property
    def agrees(self) -> bool:
        """Whether the interval leaves room for no difference at all."""
        return self.difference.low <= 0.0 <= self.difference.high


def expected_ratio(
    probabilities: Floats,
    numerator: Floats,
    denominator: Floats | None = None,
    *,
    confidence: float = CONFIDENCE,
    note: str = "",
) -> Measurement | None:
    """sum(numerator) / sum(denominator) as it will come out over these very rows; None if nothing counts.

    All of shape (n, classes): the probability of each class, and what the row adds if that is
    its truth. Without a denominator each row adds one and it is a mean. The value is the ratio
    R of the expected sums; its variance, to first order, is
    sum_i Var(numerator_i - R denominator_i) / (expected denominator)^2. The interval is where
    the realised ratio will lie, if the probabilities are right, not where some long-run mean does.

    >>> import numpy as np
    >>> seen = expected_ratio(np.array([[0.8, 0.2]] * 400), np.array([[0.0, 10.0]] * 400))
    >>> seen.value, round(seen.high - seen.value, 3)  # 1.96 * 10 * sqrt(0.2 * 0.8 / 400)
    (2.0, 0.392)
    """
    below = np.ones_like(numerator) if denominator is None else denominator
    weight = float((probabilities * below).sum())
    if weight <= 0.0:
        return None
    value = float((probabilities * numerator).sum()) / weight
    rest = numerator - value * below
    mean = (probabilities * rest).sum(axis=1)
    # Centred first: the difference of two large squares would lose the digits of a small variance.
    variance = float((probabilities * (rest - mean[:, None]) ** 2).sum())
    half = normal_quantile(0.5 + confidence / 2.0) * math.sqrt(variance) / weight
    return Measurement(
        value=value,
        low=value - half,
        high=value + half,
        confidence=confidence,
        rows=len(probabilities),
        method=METHOD,
        note=note,
    )


def expected_rates(
    rule: DecisionRule,
    actions: Indices,
    probabilities: Floats,
    *,
    of: int | None,
    confidence: float = CONFIDENCE,
    note: str = "",
) -> tuple[tuple[str, Measurement], ...]:
    """Accuracy, and recall and precision of class *of*, as they will come out for *actions*, shape (n,).

    They count as the metrics of the same names do: an abstention is no miss for recall and no
    decision for precision and accuracy. A rate of which nothing counts is left out; *of* None
    gives accuracy alone.
    """
    same = np.array([[one == other for other in rule.actions] for one in rule.actions], dtype=np.float64)
    acted = (actions != ABSTAINED).astype(np.float64)[:, None]
    right = same[np.maximum(actions, 0)] * acted
    asked = {"accuracy": (right, np.broadcast_to(acted, right.shape))}
    if of is not None:
        truly = np.zeros_like(right)
        truly[:, of] = 1.0
        took = right[:, [of]]
        asked["recall"] = (truly * np.maximum(took, 1.0 - acted), truly)
        asked["precision"] = (took * same[of][None, :], np.broadcast_to(took, right.shape))
    found = []
    for name, (above, below) in asked.items():
        seen = expected_ratio(probabilities, above, below, confidence=confidence, note=note)
        if seen is not None:
            found.append((name, _as_share(seen)))
    return tuple(found)


def reconcile(
    probabilities: Floats, values: Floats, realised: Floats, *, confidence: float = CONFIDENCE
) -> Reconciled:
    """Hold what came against what was expected of the same rows: *realised*, shape (n,) with n > 0.

    *probabilities* and *values* are as for `expected_ratio`. The mean of realised - expected
    has mean 0 if the probabilities are right. Its variance is the larger of what the rows show
    and what the probabilities imply: a rare and dear event that has not come yet would
    otherwise make every estimate look wrong for certain.

    Raises:
        ValueError: There is no row.
    """
    rows = len(realised)
    if rows == 0:
        raise ValueError("nothing came that could be held against an expectation")
    expected = (probabilities * values).sum(axis=1)
    implied = float((probabilities * (values - expected[:, None]) ** 2).sum()) / rows
    apart = realised - expected
    shown = float(apart.var(ddof=1)) if rows > 1 else 0.0
    value = float(apart.mean())
    half = normal_quantile(0.5 + confidence / 2.0) * math.sqrt(max(implied, shown) / rows)
    return Reconciled(
        expected=float(expected.mean()),
        realised=float(realised.mean()),
        difference=Measurement(
            value=value,
            low=value - half,
            high=value + half,
            confidence=confidence,
            rows=rows,
            method="normal limit, the larger of the implied and the shown variance",
        ),
    )


def _as_share(seen: Measurement) -> Measurement:
    return Measurement(
        value=min(1.0, max(0.0, seen.value)),
        low=max(0.0, seen.low),
        high=min(1.0, seen.high),
        confidence=seen.confidence,
        rows=seen.rows,
        method=seen.method,
        note=seen.note,
    )
