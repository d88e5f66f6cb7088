"""Learning curves: what more rows of the same kind would change, said only where the curve has earned it.

The law is pow3, err(n) = a + b n^-c, the family that fits most curves of real learners
(Viering & Loog 2022, "The shape of learning curves: a review", section 4). Curves are not
always monotone and no law holds for all, so a forecast is given only if the law, fitted on at
most half of the rows, predicts what was seen with all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.stats.intervals import CONFIDENCE, Labels

RESAMPLES = 400
#: The exponents that are tried; a curve that falls faster than n^-2 is none that was ever seen.
EXPONENTS = np.linspace(0.01, 2.0, 200)
#: A prediction of the last point that is off by less is a hit, however surely it is off.
NEAR = 0.05
#: A prediction that may be off by more says nothing, even if it happens to be right.
VAGUE = 0.5
FEWEST_SIZES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLaw:
    """err(n) = a + b n^-c with a >= 0, b >= 0 and 0 < c <= 2: `a` is what no number of rows takes away."""

    a: float
    b: float
    c: float

    def at(self, rows: float) -> float:
        """The error after *rows* rows.

        >>> PowerLaw(a=0.1, b=1.0, c=0.5).at(100)
        0.2
        """
        return float(self.a + self.b * rows**-self.c)


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """What models taught on `rows` rows showed, over `draws` draws of those rows."""

    rows: int
    value: float
    low: float
    high: float
    draws: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What the law says for `times` as many rows.

    Attributes:
        expected: The cost then, with a bootstrap interval.
        change: The cost then less the cost of the largest size that was seen, on the same judged
            rows: their luck is in both and cancels.
    """

    times: float
    rows: int
    expected: Measurement
    change: Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """A learning curve, and whether it may be believed.

    Attributes:
        law: The law fitted to every point; None where there were too few points.
        accepted: Whether the law fitted on at most half of the rows predicted the last point.
        reason: Why it was accepted or not, as a plain sentence without a full stop.
        predicted: What that earlier law said for the last point.
        forecasts: For more rows than there are; empty unless accepted.
    """

    points: tuple[CurvePoint, ...]
    law: PowerLaw | None
    accepted: bool
    reason: str
    predicted: float | None = None
    forecasts: tuple[Forecast, ...] = ()


def fit_power_law(sizes: Floats, errors: Floats, variances: Floats) -> PowerLaw:
    """Weighted nonlinear least squares of a + b n^-c, shapes (k,), weights 1 / variance.

    For a given c the best a and b are linear least squares with a, b >= 0; c is found on a
    grid and then refined (scipy's bounded minimiser), so the fit has no bad starting point.

    Raises:
        ValueError: Fewer than three sizes: three numbers cannot be learned from them.
    """
    from scipy.optimize import minimize_scalar

    if len(sizes) < FEWEST_SIZES:
        raise ValueError(f"{len(sizes)} sizes cannot give three numbers")
    scale = float(sizes.max())
    best = int(np.argmin(_linear(sizes / scale, errors[None], variances, EXPONENTS)[2][0]))
    step = float(EXPONENTS[1] - EXPONENTS[0])
    found = minimize_scalar(
        lambda c: float(_linear(sizes / scale, errors[None], variances, np.array([c]))[2][0, 0]),
        bounds=(max(1e-3, EXPONENTS[best] - step), min(2.0, EXPONENTS[best] + step)),
        method="bounded",
        options={"xatol": 1e-7},
    )
    c = float(found.x)
    a, b, _ = _linear(sizes / scale, errors[None], variances, np.array([c]))
    return PowerLaw(a=float(a[0, 0]), b=float(b[0, 0]) * scale**c, c=c)


def learning_curve(
    sizes: Sequence[int],
    costs: Sequence[Floats],
    *,
    least: Floats | None = None,
    reference: Floats | None = None,
    groups: Labels | None = None,
    seed: int,
    times: Sequence[float] = (2.0, 10.0),
    whole: int | None = None,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> LearningCurve:
    """The curve of the mean cost over growing *sizes*, with what the law says for *times* the *whole*.

    *costs* holds for each size an array of shape (draws, n): what each of the same n judged
    rows cost under a model taught on that many other rows. *least*, shape (n,), is what each
    would cost without any error; the law is fitted to what is above it, so that a >= 0 means
    something. With *reference*, shape (n,), everything is a fraction of its mean. Judged
    rows (whole *groups* where rows repeat) and draws are resampled together, so an interval
    holds both kinds of luck.

    Accepted if the law fitted on at most half of the largest size predicts the mean at the
    largest: 0 lies in the bootstrap interval of the miss, or the miss is below 5 % of what was
    seen, and the interval is not wider than half of what was seen to either side.
    """
    generator = np.random.default_rng(seed)
    rows = costs[0].shape[1]
    floor = np.zeros(rows) if least is None else least
    below = np.ones(rows) if reference is None else reference
    weights = _weights(rows, groups, generator, resamples)
    base, scale = weights @ floor, weights @ below
    errors = np.empty((resamples + 1, len(sizes)))
    spread = np.zeros(len(sizes))
    for place, each in enumerate(costs):
        above = each - floor
        own = above.sum(axis=1) / rows / scale[0]
        spread[place] = own.var(ddof=1) / len(own) if len(own) > 1 else np.nan
        errors[:, place] = _redrawn(weights @ above.T, generator) / scale
        if len(each) == 1 and place:
            # One draw shows no luck of drawing; its smaller neighbour's is the nearest that is known.
            luck = math.sqrt(spread[place - 1] * len(costs[place - 1])) if spread[place - 1] > 0 else 0.0
            errors[1:, place] += luck * generator.normal(size=resamples)
    xs = np.asarray(sizes, dtype=np.float64)
    points = tuple(
        _point(size, column + base / scale, len(each), confidence)
        for size, column, each in zip(sizes, errors.T, costs, strict=True)
    )
    early = xs <= xs[-1] / 2
    if early.sum() < FEWEST_SIZES:
        return _refused(points, None, f"{len(points)} sizes are too few to fit a law and test it")
    variances = _variances(spread, errors[0], [len(each) for each in costs])
    law = fit_power_law(xs, errors[0], variances)
    before = _forecasts(xs[early], errors[:, early], variances[early], xs[-1])
    predicted = float(before[0] + base[0] / scale[0])
    reason, accepted = _verdict(errors[:, -1], before, confidence, xs, points[-1].value, predicted)
    if not accepted:
        return _refused(points, law, reason, predicted)
    made = []
    whole = whole or int(xs[-1])
    for factor in times:
        said = _forecasts(xs, errors, variances, whole * factor)
        expected, change = (
            _told(each, rows, confidence) for each in (said + base / scale, said - errors[:, -1])
        )
        made.append(Forecast(times=factor, rows=round(whole * factor), expected=expected, change=change))
    return LearningCurve(
        points=points, law=law, accepted=True, reason=reason, predicted=predicted, forecasts=tuple(made)
    )


def _told(values: Floats, rows: int, confidence: float) -> Measurement:
    low, high = _ends(values[1:], confidence)
    value = float(values[0])
    return Measurement(
        value=value,
        low=min(low, value),
        high=max(high, value),
        confidence=confidence,
        rows=rows,
        method="pow3 learning curve, bootstrap",
    )


def _refused(
    points: tuple[CurvePoint, ...], law: PowerLaw | None, reason: str, predicted: float | None = None
) -> LearningCurve:
    return LearningCurve(points=points, law=law, accepted=False, reason=reason, predicted=predicted)


def _verdict(
    last: Floats, before: Floats, confidence: float, sizes: Floats, seen: float, predicted: float
) -> tuple[str, bool]:
    miss = before - last
    low, high = _ends(miss[1:], confidence)
    told = (
        f"fitted on at most {int(sizes[sizes <= sizes[-1] / 2][-1]):,} rows, the curve says {predicted:.3g}"
        f" for {int(sizes[-1]):,}; {seen:.3g} was seen"
    )
    size = float(last[0])
    if size <= 0:
        return f"no error is left to learn from with {int(sizes[-1]):,} rows", False
    if not (low <= 0 <= high or abs(float(miss[0])) <= NEAR * size):
        return f"{told}: the law does not hold here", False
    if (high - low) / 2 > VAGUE * size:
        return f"{told}, but chance alone could have moved that by {(high - low) / 2:.2g}: too vague", False
    return told, True


def _weights(rows: int, groups: Labels | None, generator: np.random.Generator, resamples: int) -> Floats:
    """How often each row stands in each resample over the rows; the first is the rows themselves."""
    weights = np.empty((resamples + 1, rows))
    weights[0] = 1.0
    codes = np.arange(rows) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
    units = int(codes.max()) + 1
    for each in range(1, resamples + 1):
        weights[each] = np.bincount(generator.integers(0, units, units), minlength=units)[codes]
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _redrawn(means: Floats, generator: np.random.Generator) -> Floats:
    """The mean over draws, shape (m, draws) -> (m,), draws drawn again in every row but the first."""
    draws = means.shape[1]
    average = means.mean(axis=1)
    if draws == 1:
        return np.asarray(average)
    picks = generator.integers(0, draws, means.shape)
    picks[0] = np.arange(draws)
    drawn = np.take_along_axis(means, picks, axis=1).mean(axis=1)
    # Drawing from so few shows (draws - 1) / draws of their variance.
    return np.asarray(average + (drawn - average) * math.sqrt(draws / (draws - 1)))


def _variances(spread: Floats, errors: Floats, draws: list[int]) -> Floats:
    """Of each point's mean over draws; a size drawn once takes its smaller neighbour's, per draw."""
    found = spread.copy()
    for place in range(len(found)):
        if np.isnan(found[place]):
            known = found[place - 1] * draws[place - 1] if place else 0.0
            found[place] = known / draws[place]
    # Equal draws say "no variance", which no fit could weigh.
    return np.asarray(found + (0.01 * np.abs(errors)) ** 2 + 1e-18)


def _forecasts(sizes: Floats, errors: Floats, variances: Floats, rows: float) -> Floats:
    """What the law of each row of *errors*, shape (m, k), says at *rows*; shape (m,)."""
    scale = float(sizes.max())
    a, b, loss = _linear(sizes / scale, errors, variances, EXPONENTS)
    best = loss.argmin(axis=1)
    each = np.arange(len(errors))
    return np.asarray(a[each, best] + b[each, best] * (rows / scale) ** -EXPONENTS[best])


def _linear(
    xs: Floats, errors: Floats, variances: Floats, exponents: Floats
) -> tuple[Floats, Floats, Floats]:
    """The best a, b >= 0 and their weighted loss, for each row of errors and each exponent: (m, g)."""
    weight = 1.0 / variances
    terms = xs[None, :] ** -exponents[:, None]
    total, sx, sxx = weight.sum(), terms @ weight, (terms**2) @ weight
    sy, syy = errors @ weight, (errors**2) @ weight
    sxy = (errors * weight) @ terms.T
    spread = np.maximum(total * sxx - sx**2, 1e-300)
    b = (total * sxy - sx * sy[:, None]) / spread
    a = (sy[:, None] - b * sx) / total
    a, b = np.where(b < 0, sy[:, None] / total, a), np.maximum(b, 0.0)
    b = np.where(a < 0, np.maximum(sxy / sxx, 0.0), b)
    a = np.maximum(a, 0.0)
    loss = syy[:, None] - 2 * a * sy[:, None] - 2 * b * sxy + a * a * total + 2 * a * b * sx + b * b * sxx
    return a, b, loss


def _point(size: int, values: Floats, draws: int, confidence: float) -> CurvePoint:
    low, high = _ends(values[1:], confidence)
    value = float(values[0])
    return CurvePoint(rows=size, value=value, low=min(low, value), high=max(high, value), draws=draws)


def _ends(values: Floats, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def growing_sizes(rows: int, *, fewest: int, points: int = 4) -> tuple[int, ...]:
    """Sizes to teach with: *points* from a sixteenth to a half of *rows*, evenly in ratio, then all.

    Empty where half of the rows are fewer than three different sizes above *fewest*.

    >>> growing_sizes(1600, fewest=20)
    (100, 200, 400, 800, 1600)
    """
    first = max(fewest, rows / 16)
    if rows / 2 < 1.5 * first:
        return ()
    early: NDArray[np.float64] = np.geomspace(first, rows / 2, points)
    sizes = tuple(dict.fromkeys(round(one) for one in early))
    return (*sizes, rows) if len(sizes) >= FEWEST_SIZES else ()
