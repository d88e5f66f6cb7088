"""Heterogeneity: whether effects that were measured in several places differ by more than chance, and by how much."""

from __future__ import annotations

import math
from dataclasses import dataclass

from geartrain.domain.prediction import Floats
from geartrain.stats.intervals import CONFIDENCE, normal_quantile

#: Above this, the exact distribution of Q and its normal limit agree to three digits.
_LARGE = 5_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heterogeneity:
    """What k effects with known errors say about their differences.

    Attributes:
        mean: Their mean, weighted by precision.
        q: Cochran's Q, the weighted squares around it; chance alone makes it `df` on average.
        df: k - 1.
        chance: The probability of such a Q or a larger one if all effects are the same.
        i_squared: The share of the differences that is not chance, max(0, (Q - df) / Q).
        spread: The standard deviation of the effects themselves, without their errors' part.
        spread_low: The lower end of its interval.
        spread_high: The upper end.
    """

    mean: float
    q: float
    df: int
    chance: float
    i_squared: float
    spread: float
    spread_low: float
    spread_high: float


def heterogeneity(effects: Floats, errors: Floats, *, confidence: float = CONFIDENCE) -> Heterogeneity:
    """Compare *effects* with standard errors *errors*, both of shape (k,), k > 1.

    With w = 1 / error^2: Q = sum w (effect - mean)^2 is noncentral chi-square with k - 1
    degrees and noncentrality L = sum w (true effect - true mean)^2. The spread is
    sqrt(L / C), C = sum w - sum w^2 / sum w, at L = Q - df (DerSimonian and Laird 1986);
    its interval inverts the distribution of Q (Hedges and Pigott 2001). I^2 is that of
    Higgins and Thompson (2002), "Quantifying heterogeneity in a meta-analysis".

    Raises:
        ValueError: Fewer than two effects, or an error that is not positive.
    """
    from scipy.special import chdtrc

    if len(effects) < 2 or not (errors > 0).all():
        raise ValueError("heterogeneity needs two effects or more, each with a positive error")
    weights = 1.0 / errors**2
    mean = float((weights * effects).sum() / weights.sum())
    q = float((weights * (effects - mean) ** 2).sum())
    df = len(effects) - 1
    scale = float(weights.sum() - (weights**2).sum() / weights.sum())
    tail = (1.0 - confidence) / 2.0
    low, high = _noncentrality(q, df, 1.0 - tail), _noncentrality(q, df, tail)
    return Heterogeneity(
        mean=mean,
        q=q,
        df=df,
        chance=float(chdtrc(df, q)),
        i_squared=max(0.0, (q - df) / q) if q > 0 else 0.0,
        spread=math.sqrt(max(0.0, q - df) / scale),
        spread_low=math.sqrt(min(low, max(0.0, q - df)) / scale),
        spread_high=math.sqrt(max(high, q - df, 0.0) / scale),
    )


def _noncentrality(q: float, df: int, level: float) -> float:
    """The noncentrality under which a Q of at most *q* has probability *level*; 0 where none is as large."""
    from scipy.optimize import brentq
    from scipy.special import chdtr, chndtr

    if q > _LARGE:
        # q = df + L + z sqrt(2 df + 4 L), solved for sqrt of the variance.
        z = normal_quantile(level)
        root = -z + math.sqrt(max(0.0, z * z + q - df / 2.0))
        return max(0.0, root * root - df / 2.0)
    if chdtr(df, q) <= level:
        return 0.0
    return float(brentq(lambda one: float(chndtr(q, df, one)) - level, 1e-9, q + 40 * math.sqrt(q + df) + 80))
