"""Not worse by more than a stated margin: what a smaller or newer model has to prove.

A difference that is "not significant" proves nothing; here the *upper* end of the cost
difference has to stay below the margin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from geartrain.domain.finding import MOST_ROWS, Measurement
from geartrain.domain.prediction import Floats
from geartrain.stats.intervals import CONFIDENCE, Labels, normal_quantile, ratio, zero_failures_bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Noninferiority:
    """What paired costs say about "not worse by more than the margin".

    Attributes:
        difference: Candidate minus reference per row, with a two-sided interval.
        upper: The one-sided upper bound of the difference at the same confidence.
        margin: The largest difference that still counts as not worse, in cost per row.
        proven: Whether `upper` is at most `margin`.
        rows: The pairs behind it.
        differing: The pairs whose costs differ; only they carry information.
        rows_needed: About how many rows in all would prove it, if the difference stays as
            it is; None where none would or where it is proven.
    """

    difference: Measurement
    upper: float
    margin: float
    proven: bool
    rows: int
    differing: int
    rows_needed: int | None


def cost_difference(
    candidate: Floats,
    reference: Floats,
    *,
    seed: int,
    groups: Labels | None = None,
    confidence: float = CONFIDENCE,
) -> Measurement:
    """Mean of candidate - reference over the same rows, shapes (n,), with a paired BCa bootstrap."""
    return ratio(candidate - reference, seed=seed, groups=groups, confidence=confidence)


def noninferior(
    candidate: Floats,
    reference: Floats,
    *,
    margin: float,
    seed: int,
    groups: Labels | None = None,
    confidence: float = CONFIDENCE,
    worst: float | None = None,
) -> Noninferiority:
    """Test mean(candidate - reference) <= margin at one-sided level 1 - confidence.

    Per-row costs with the decisions fixed, shapes (n,). The upper bound is the high end
    of the two-sided paired BCa interval at 1 - 2 (1 - confidence). Where no pair differs
    the bootstrap sees nothing; then, if *worst* says what one row can cost more at most,
    the bound is worst * (1 - (1 - confidence)^(1/n)), the zero-failures bound.
    """
    change = candidate - reference
    rows, differing = len(change), int(np.count_nonzero(change))
    units = rows if groups is None else len(np.unique(groups))
    difference = cost_difference(candidate, reference, seed=seed, groups=groups, confidence=confidence)
    one_sided = cost_difference(
        candidate, reference, seed=seed, groups=groups, confidence=1 - 2 * (1 - confidence)
    )
    upper = one_sided.high
    if differing == 0 and worst is not None:
        upper = worst * zero_failures_bound(units, confidence=confidence)
    proven = upper <= margin
    needed: int | None = None
    if not proven and differing == 0 and worst is not None and 0 < margin < worst:
        needed = math.ceil(math.log(1 - confidence) / math.log(1 - margin / worst)) * max(1, rows // units)
    elif not proven and difference.value < margin:
        # The bound's distance shrinks with the root of the rows, skewness and clusters included.
        needed = math.ceil(rows * ((upper - difference.value) / (margin - difference.value)) ** 2)
    return Noninferiority(
        difference=difference,
        upper=upper,
        margin=margin,
        proven=proven,
        rows=rows,
        differing=differing,
        rows_needed=None if needed is None or needed > MOST_ROWS else needed,
    )


def rows_for_noninferiority(
    *,
    deviation: float,
    margin: float,
    expected: float = 0.0,
    confidence: float = CONFIDENCE,
    power: float = 0.8,
) -> int | None:
    """Pairs needed to prove it with probability *power*: ((z_a + z_b) deviation / (margin - expected))^2.

    *deviation* is that of one paired difference; for error rates it is about the root of
    the share of rows on which the two disagree. None where the expected difference is
    not below the margin. Small margins are unaffordable:

    >>> rows_for_noninferiority(deviation=0.04**0.5, margin=0.01)
    2474
    """
    if margin <= expected:
        return None
    z = normal_quantile(confidence) + normal_quantile(power)
    needed = (z * deviation / (margin - expected)) ** 2
    return None if needed > MOST_ROWS else max(1, math.ceil(needed))
