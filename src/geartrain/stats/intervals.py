"""Intervals: how far the truth may be from what so few rows show.

Proportions get exact intervals, costs get the bootstrap, and rows that repeat one
patient or card count as fewer than they are. Every interval is two-sided at
`confidence`; the value, its ends and the way they were made travel as a `Measurement`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats

CONFIDENCE = 0.95
RESAMPLES = 2000
#: Beyond this many rows the normal limit and the bootstrap agree to the digits that are shown.
MOST_BOOTSTRAPPED = 200_000
#: Up to this many distinct rows, one multinomial draw replaces drawing row by row.
MOST_DISTINCT = 64
DRAWN_AT_ONCE = 1_000_000
#: With fewer resamples expected beyond an end, the percentile there is only the extreme one drawn.
FEWEST_BEYOND = 5

Labels = NDArray[Any]


def clopper_pearson(
    successes: float, trials: float, *, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """The exact interval of a proportion: low = Beta(a/2; k, n-k+1), high = Beta(1-a/2; k+1, n-k).

    It covers the truth at least as often as it says, whatever the truth (Clopper and
    Pearson 1934). Numbers between whole ones are allowed for effective sample sizes.

    >>> [round(end, 4) for end in clopper_pearson(8, 10)]
    [0.4439, 0.9748]
    """
    from scipy.special import betaincinv

    _checked(successes, trials)
    if trials == 0:
        return 0.0, 1.0
    tail = (1.0 - confidence) / 2.0
    low = 0.0 if successes <= 0 else float(betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes >= trials else float(betaincinv(successes + 1, trials - successes, 1.0 - tail))
    return low, high


def wilson(successes: float, trials: float, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The score interval: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n) (Wilson 1927).

    Shorter than the exact one and right on average; for differences and pictures.
    """
    _checked(successes, trials)
    if trials == 0:
        return 0.0, 1.0
    z = normal_quantile(0.5 + confidence / 2.0)
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    low = 0.0 if successes == 0 else max(0.0, (centre - spread) / scale)
    high = 1.0 if successes == trials else min(1.0, (centre + spread) / scale)
    return low, high


def zero_failures_bound(trials: int, *, confidence: float = CONFIDENCE) -> float:
    """The highest failure rate that *trials* without a failure still allow: 1 - (1 - confidence)^(1/n).

    One-sided; about 3/n at 95 % ("the rule of three").

    >>> round(zero_failures_bound(300), 4)
    0.0099
    """
    return 1.0 if trials <= 0 else 1.0 - (1.0 - confidence) ** (1.0 / trials)


def normal_quantile(probability: float) -> float:
    """The standard normal quantile."""
    from scipy.special import ndtri

    return float(ndtri(probability))


def proportion(
    hits: NDArray[np.bool_],
    *,
    rows: int | None = None,
    groups: Labels | None = None,
    confidence: float = CONFIDENCE,
    note: str = "",
) -> Measurement:
    """The share of true *hits*, shape (n,) with n > 0, with its exact interval.

    Where rows of one of *groups* (shape (n,)) repeat each other, the exact interval is
    taken at the effective number of rows n / max(1, deff), with deff the between-group
    variance over the binomial one; a share of 0 or 1 counts groups instead of rows
    (Korn and Graubard 1998, "Confidence intervals for proportions with small expected
    number of positive counts").

    *rows* is how many rows the hits were chosen from; the hits are the relevant ones.
    """
    trials = len(hits)
    if trials == 0:
        raise ValueError("a share of no rows has no value")
    share = float(hits.mean())
    effective, method = float(trials), "Clopper-Pearson"
    if groups is not None:
        effective = _effective_rows(hits.astype(np.float64), groups)
        method = "Clopper-Pearson, effective rows by group"
    low, high = clopper_pearson(share * effective, effective, confidence=confidence)
    return Measurement(
        value=share,
        low=min(low, share),
        high=max(high, share),
        confidence=confidence,
        rows=trials if rows is None else rows,
        relevant=None if rows is None else trials,
        method=method,
        note=note,
    )


def ratio(
    numerator: Floats,
    denominator: Floats | None = None,
    *,
    seed: int,
    groups: Labels | None = None,
    strata: Labels | None = None,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    method: str = "BCa",
    note: str = "",
) -> Measurement:
    """sum(numerator) / sum(denominator) over rows, shapes (n,), with a bootstrap interval.

    Without a denominator it is the mean. Both are resampled together, so a ratio of two
    ways of deciding about the same rows is a paired comparison. *groups* are drawn whole
    (cluster bootstrap), *strata* are drawn each from its own rows.

    `BCa` corrects the percentiles for bias, z0 = Phi^-1(share of t* below t), and
    skewness, a = sum u^3 / (6 (sum u^2)^1.5), with u the influence of each unit
    (Efron 1987); `percentile` does not. Units are in the numerator's over the denominator's.

    Raises:
        ValueError: No rows, a denominator that sums to 0, or both groups and strata.
    """
    if len(numerator) == 0:
        raise ValueError("a mean of no rows has no value")
    if groups is not None and strata is not None:
        raise ValueError("draw groups whole or strata apart, not both at once")
    rows = len(numerator)
    below = np.ones(rows) if denominator is None else denominator
    units = np.column_stack([numerator, below]).astype(np.float64)
    if groups is not None:
        units = _sums_by(units, groups)
    # Sorted, so that neither rounding nor drawing depends on the order of delivery.
    order = np.lexsort(units.T)
    units, strata = units[order], None if strata is None else strata[order]
    total = units.sum(axis=0)
    if total[1] == 0:
        raise ValueError("a ratio to nothing has no value")
    value = float(total[0] / total[1])
    influence = (units[:, 0] - value * units[:, 1]) * len(units) / total[1]
    kind = "cluster bootstrap" if groups is not None else "bootstrap"
    if len(units) > MOST_BOOTSTRAPPED:
        z = normal_quantile(0.5 + confidence / 2.0)
        half = z * float(influence.std()) / math.sqrt(len(units))
        low, high, name = value - half, value + half, "normal limit of the " + kind
    else:
        drawn = _resampled_sums(units, strata, seed=seed, resamples=resamples)
        with np.errstate(divide="ignore", invalid="ignore"):
            stars = drawn[:, 0] / drawn[:, 1]
        stars = stars[np.isfinite(stars)]
        levels = _bca_levels(stars, value, influence, confidence) if method == "BCa" else _tails(confidence)
        low, high = (float(end) for end in np.quantile(stars, levels)) if len(stars) else (value, value)
        name = f"{kind}, {method}"
        if len(stars) * (1.0 - confidence) / 2.0 < FEWEST_BEYOND:
            error = float(influence.std()) / math.sqrt(len(units))
            low, high = _no_narrower(low, high, value, error, confidence)
            name += " or normal limit, the wider"
    return Measurement(
        value=value,
        low=min(low, value),
        high=max(high, value),
        confidence=confidence,
        rows=rows,
        method=name,
        note=note,
    )


def bootstrap(
    statistic: Callable[[Floats], float],
    rows: int,
    *,
    seed: int,
    groups: Labels | None = None,
    confidence: float = CONFIDENCE,
    resamples: int = 500,
) -> tuple[float, float, Floats]:
    """The percentile interval of any statistic of row weights, and the resampled values.

    *statistic* takes how often each row was drawn, shape (rows,), so that it can sort
    once and weigh often; a resample in which it is not defined (NaN) is left out.

    Raises:
        ValueError: It was defined in none.
    """
    generator = np.random.default_rng(seed)
    if groups is None:
        codes, units = np.arange(rows), rows
    else:
        codes = np.unique(groups, return_inverse=True)[1].reshape(-1)
        units = int(codes.max()) + 1
    values = np.empty(resamples)
    for turn in range(resamples):
        drawn = np.bincount(generator.integers(0, units, units), minlength=units)
        values[turn] = statistic(drawn[codes].astype(np.float64))
    values = values[np.isfinite(values)]
    if len(values) == 0:
        raise ValueError("the statistic has no value in any resample")
    low, high = (float(end) for end in np.quantile(values, _tails(confidence)))
    if len(values) * (1.0 - confidence) / 2.0 < FEWEST_BEYOND:
        low, high = _no_narrower(low, high, float(values.mean()), float(values.std()), confidence)
    return low, high, values


def _no_narrower(
    low: float, high: float, centre: float, error: float, confidence: float
) -> tuple[float, float]:
    """Ends that reach at least to the normal limit: where the resamples end, a percentile says nothing."""
    half = normal_quantile(0.5 + confidence / 2.0) * error
    return min(low, centre - half), max(high, centre + half)


def _checked(successes: float, trials: float) -> None:
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} is not a proportion")


def _tails(confidence: float) -> Floats:
    return np.array([(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])


def _effective_rows(values: Floats, groups: Labels) -> float:
    rows = len(values)
    units = _sums_by(np.column_stack([values, np.ones(rows)]), groups)
    share = float(values.mean())
    binomial = share * (1.0 - share) / rows
    if binomial == 0.0 or len(units) == 1:
        return float(len(units))
    residuals = units[:, 0] - share * units[:, 1]
    between = len(units) / (len(units) - 1) * float(residuals @ residuals) / rows**2
    return rows / max(1.0, between / binomial)


def _sums_by(units: Floats, groups: Labels) -> Floats:
    codes = np.unique(groups, return_inverse=True)[1].reshape(-1)
    columns = [np.bincount(codes, weights=units[:, column]) for column in range(units.shape[1])]
    return np.column_stack(columns)


def _resampled_sums(units: Floats, strata: Labels | None, *, seed: int, resamples: int) -> Floats:
    """Sums of the drawn units, shape (resamples, units.shape[1])."""
    generator = np.random.default_rng(seed)
    codes = np.zeros(len(units)) if strata is None else strata
    total = np.zeros((resamples, units.shape[1]))
    for stratum in np.unique(codes):
        inside = units[codes == stratum]
        # Drawing n rows with replacement is one multinomial draw over the distinct rows.
        distinct, counts = np.unique(inside, axis=0, return_counts=True)
        if len(distinct) <= MOST_DISTINCT:
            drawn = generator.multinomial(len(inside), counts / len(inside), size=resamples)
            total += drawn @ distinct
            continue
        columns = np.ascontiguousarray(inside.T)
        # The ones that a mean is divided by are the same in every draw.
        same = [bool((column == column[0]).all()) for column in columns]
        block = max(1, DRAWN_AT_ONCE // len(inside))
        for start in range(0, resamples, block):
            size = min(block, resamples - start)
            rows = generator.integers(0, len(inside), (size, len(inside)))
            for place, column in enumerate(columns):
                drawn = column.sum() if same[place] else column.take(rows).sum(axis=1)
                total[start : start + size, place] += drawn
    return total


def _bca_levels(stars: Floats, value: float, influence: Floats, confidence: float) -> Floats:
    from scipy.special import ndtr, ndtri

    largest = float(np.abs(influence).max())
    if largest == 0.0 or len(stars) == 0:
        return _tails(confidence)
    influence = influence / largest
    # A resample that ties with the value, up to rounding, counts half.
    near = 1e-9 * (1.0 + abs(value))
    below = (float((stars < value - near).sum()) + float((stars <= value + near).sum())) / (2 * len(stars))
    shift = float(ndtri(np.clip(below, 0.5 / len(stars), 1 - 0.5 / len(stars))))
    skew = float((influence**3).sum()) / (6.0 * float(influence @ influence) ** 1.5)
    z = ndtri(_tails(confidence))
    levels: Floats = ndtr(shift + (shift + z) / (1.0 - skew * (shift + z)))
    return levels
