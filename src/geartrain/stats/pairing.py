"""Two models on the same rows, right or wrong: only the rows on which they differ speak."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.finding import Measurement
from geartrain.stats.intervals import CONFIDENCE, normal_quantile

Truths = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Discordance:
    """On how many of the same rows just one of two models is right, and what that proves.

    Attributes:
        only_first: Rows on which only the first is right.
        only_second: Rows on which only the second is right.
        rows: The rows compared.
        p_value: Of McNemar's exact test of "both are right equally often".
        difference: The first's share of right rows less the second's, with Tango's interval.
    """

    only_first: int
    only_second: int
    rows: int
    p_value: float
    difference: Measurement


def discordance(first_right: Truths, second_right: Truths, *, confidence: float = CONFIDENCE) -> Discordance:
    """Compare two models that were *right* or not on the same rows, shapes (n,) with n > 0.

    Raises:
        ValueError: The rows are not the same, or there is none.
    """
    if len(first_right) != len(second_right) or len(first_right) == 0:
        raise ValueError("a paired comparison needs the same rows of both, and at least one")
    only_first = int((first_right & ~second_right).sum())
    only_second = int((second_right & ~first_right).sum())
    rows = len(first_right)
    low, high = tango(only_first, only_second, rows, confidence=confidence)
    return Discordance(
        only_first=only_first,
        only_second=only_second,
        rows=rows,
        p_value=mcnemar(only_first, only_second),
        difference=Measurement(
            value=(only_first - only_second) / rows,
            low=low,
            high=high,
            confidence=confidence,
            rows=rows,
            relevant=only_first + only_second,
            method="Tango's score interval",
        ),
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value of McNemar's test: min(1, 2 BinomCDF(min(b, c); b + c, 1/2)).

    b and c count the rows on which only one of the two is right; under "equally often right"
    each such row is a fair coin, whatever the other rows are (McNemar 1947; exact form as in
    Fagerland, Lydersen and Laake 2013). Without such a row it is 1.

    >>> round(mcnemar(10, 2), 5)
    0.03857
    """
    from scipy.special import bdtr

    apart = only_first + only_second
    if only_first < 0 or only_second < 0:
        raise ValueError("rows are counted from 0")
    return 1.0 if apart == 0 else min(1.0, 2.0 * float(bdtr(min(only_first, only_second), apart, 0.5)))


def tango(
    only_first: int, only_second: int, rows: int, *, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """The score interval of (b - c) / n, a difference of two shares of the same n rows.

    Ends are the d with |b - c - n d| = z sqrt(n (2 q + d (1 - d))), where q is the share of c's
    kind most likely under d: q = (sqrt(B^2 - 4 A C) - B) / (2 A), A = 2 n,
    B = -b - c + (2 n - b + c) d, C = -c d (1 - d) (Tango 1998, "Equivalence test and confidence
    interval for the difference in proportions for the paired-sample design", equations 5-8). It
    keeps its confidence where few rows differ, or none, and Wald's interval has no width.

    >>> [round(end, 3) for end in tango(1, 7, 21)]
    [-0.517, -0.026]
    """
    from scipy.optimize import brentq

    b, c, n = only_first, only_second, rows
    if min(b, c) < 0 or n < max(1, b + c):
        raise ValueError(f"{b} and {c} of {n} rows is not possible")
    z = normal_quantile(0.5 + confidence / 2.0)

    def gap(d: float, side: float) -> float:
        linear = -b - c + (2 * n - b + c) * d
        inside = max(0.0, linear * linear + 8.0 * n * c * d * (1.0 - d))
        q = max(0.0, (math.sqrt(inside) - linear) / (4.0 * n))
        return b - c - n * d - side * z * math.sqrt(max(0.0, n * (2.0 * q + d * (1.0 - d))))

    # What was seen solves the equation too where it has no variance; the ends lie beside it.
    seen, edge = (b - c) / n, 1e-9
    low = -1.0 if seen <= -1.0 else float(brentq(gap, -1.0, seen - edge, args=(1.0,)))
    high = 1.0 if seen >= 1.0 else float(brentq(gap, seen + edge, 1.0, args=(-1.0,)))
    return min(low, seen), max(high, seen)
