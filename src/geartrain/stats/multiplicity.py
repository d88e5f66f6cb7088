"""Many tries, one statement: what the best of many shows by luck, and how to pay for having looked.

Three situations, three tools. A closed list of tests is corrected by Holm, Benjamini and
Hochberg or Benjamini and Yekutieli (`e_bh` in `distance` does it for e-values). An open
stream of looks is paid for by alpha-spending. The best of many trials is held against
what the best of as many would show if none were any good.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.prediction import Floats
from geartrain.stats.intervals import Labels, normal_quantile

#: Beyond this many independent units the bootstrap of a mean is its normal limit.
MOST_RESAMPLED = 5_000
#: Rows that are worth less than this share of themselves are not worth being looked at again.
LEAST_WORTH = 0.25


def holm(p: Floats) -> Floats:
    """Adjusted p-values that keep the chance of even one false claim at alpha, under any dependence.

    max over j <= i of (k - j + 1) p_(j), at most 1; shapes (k,) (Holm 1979, "A simple
    sequentially rejective multiple test procedure").

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    values, order = _sorted(p)
    stepped = np.maximum.accumulate(values * np.arange(len(values), 0, -1))
    return _back(stepped, order)


def benjamini_hochberg(p: Floats) -> Floats:
    """Adjusted p-values that keep the expected share of false claims among the claims at alpha.

    min over j >= i of k p_(j) / j, at most 1; shapes (k,). For tests that are independent or
    positively dependent (Benjamini and Hochberg 1995).
    """
    return _stepped_up(p, 1.0)


def benjamini_yekutieli(p: Floats) -> Floats:
    """As `benjamini_hochberg`, under any dependence, at the price of a factor sum_{i <= k} 1/i.

    Shapes (k,) (Benjamini and Yekutieli 2001, theorem 1.3).
    """
    return _stepped_up(p, float((1.0 / np.arange(1, len(p) + 1)).sum()))


def alpha_spent(alpha: float, look: int) -> float:
    """The part of *alpha* that the *look*-th look may spend: 6 alpha / (pi^2 look^2).

    The parts sum to alpha however many looks there are, so "none of the intervals ever told
    missed" keeps the confidence 1 - alpha by the union bound (an alpha-spending sequence as
    in Lan and DeMets 1983).

    >>> round(alpha_spent(0.05, 1), 4), round(sum(alpha_spent(0.05, j) for j in range(1, 100_000)), 4)
    (0.0304, 0.05)
    """
    return alpha * 6.0 / (math.pi**2 * look**2)


def worth_of_look(alpha: float, look: int) -> float:
    """The share of its rows that a look is worth beside a single one at 1 - alpha: (z_alpha / z_look)^2.

    An interval's width grows with its normal quantile and shrinks with the root of the rows.

    >>> [round(worth_of_look(0.05, look), 2) for look in (1, 2, 18)]
    [0.82, 0.54, 0.25]
    """
    once = normal_quantile(1.0 - alpha / 2.0)
    return (once / normal_quantile(1.0 - alpha_spent(alpha, look) / 2.0)) ** 2


def affordable_looks(alpha: float, *, least_worth: float = LEAST_WORTH) -> int:
    """How many looks there are before one is worth less than *least_worth* of its rows.

    >>> affordable_looks(0.05)
    18
    """
    look = 1
    while worth_of_look(alpha, look + 1) >= least_worth:
        look += 1
    return look


def luck_bar(error: float, trials: int) -> float:
    """What the best of *trials* without any merit shows: error * Phi^-1(1 - 1/trials), 0 for one or two.

    *error* is the standard error of one trial's figure, in the figure's unit. The quantile
    is about the median of the largest of so many independent normal draws, and about
    error * sqrt(2 ln trials) for many; trials that resemble each other show less.

    >>> round(luck_bar(1.0, 100), 3)
    2.326
    """
    return 0.0 if trials < 3 else error * normal_quantile(1.0 - 1.0 / trials)


def reality_check(gains: Floats, *, seed: int, groups: Labels | None = None, resamples: int = 2000) -> float:
    """The p-value of "none of the tried is better than the baseline", after the best was picked.

    *gains*, shape (n, k), is what each of k trials saved on each row against the baseline
    (cost of the baseline less its own); *groups*, shape (n,), are drawn whole. The statistic is
    V = max_j sqrt(n) mean_j, its law under the null max_j sqrt(n) (mean*_j - mean_j) over
    bootstrap resamples, and p = (1 + #{V* >= V}) / (1 + resamples) (White 2000, "A reality
    check for data snooping", Econometrica 68). Beyond `MOST_RESAMPLED` units the means* are
    drawn from their normal limit, with the same covariance between the trials.

    Assumes that every trial that was made is among the columns. Trials much worse than the
    baseline make it more careful than need be, never less.

    Raises:
        ValueError: There is no row, no trial, or a gain that is not a number.
    """
    if gains.ndim != 2 or not gains.size:
        raise ValueError("a reality check needs rows and trials")
    if not np.isfinite(gains).all():
        raise ValueError("every trial needs a gain on every row")
    generator = np.random.default_rng(seed)
    rows, means = len(gains), gains.mean(axis=0)
    centred = gains - means
    if groups is not None:
        codes = np.unique(groups, return_inverse=True)[1].reshape(-1)
        centred = np.stack([np.bincount(codes, weights=column) for column in centred.T], axis=1)
    units = len(centred)
    best = float(means.max())
    if units <= MOST_RESAMPLED:
        drawn = np.concatenate(
            [
                generator.multinomial(units, np.full(units, 1.0 / units), size=min(200, resamples - start))
                @ centred
                for start in range(0, resamples, 200)
            ]
        )
    else:
        # The root of the covariance by its eigenvectors, for trials may decide alike.
        sizes, vectors = np.linalg.eigh(centred.T @ centred)
        root = vectors * np.sqrt(np.maximum(sizes, 0.0))
        drawn = generator.normal(size=(resamples, len(sizes))) @ root.T
    luck = drawn.max(axis=1) / rows
    # A trial that never differs from the baseline ties with itself; rounding must not decide it.
    ties = best - 1e-12 * (1.0 + abs(best))
    return float((1 + int((luck >= ties).sum())) / (1 + resamples))


def _stepped_up(p: Floats, factor: float) -> Floats:
    values, order = _sorted(p)
    size = len(values)
    scaled = values * factor * size / np.arange(1, size + 1)
    return _back(np.minimum.accumulate(scaled[::-1])[::-1], order)


def _sorted(p: Floats) -> tuple[Floats, NDArray[np.int64]]:
    values = np.asarray(p, dtype=np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("a p-value lies between 0 and 1")
    order = np.argsort(values, kind="stable")
    return values[order], order


def _back(stepped: Floats, order: NDArray[np.int64]) -> Floats:
    adjusted = np.empty(len(stepped))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
