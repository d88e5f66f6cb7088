"""Why a mean loss changed: other cases (covariate shift), or the same cases ending otherwise (concept shift).

With P the reference rows and Q the current ones, theta is what Q's cases would have cost had
they still ended as P's did: theta = mean_Q mu(x) + mean_P w(x) (l - mu(x)), with mu(x) the
reference's expected loss and w(x) the density ratio. It is right if either of the two is
(doubly robust; the case of two mechanisms in Quintas-Martinez et al. 2024, "Multiply-robust
causal change attribution", ICML, arXiv 2404.08839). Then

    covariate = theta - mean_P l,    concept = mean_Q l - theta,    their sum is the change.

mu and w (`reweighting.density_ratio`) are cross-fitted: no row is judged by a model that saw it. Their own error is not in
the plug-in variance, so the standard error is widened by `WIDER`; a test counts how often a
95 % interval of the concept misses 0 while only the cases change.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.finding import Measurement
from geartrain.domain.incident import LossSplit
from geartrain.domain.prediction import Floats
from geartrain.stats.intervals import normal_quantile
from geartrain.stats.reweighting import density_ratio

#: Fewer rows on one side are not split.
FEWEST = 200
#: More rows of one side are sampled: the interval is narrow enough by then.
MOST = 20_000
FOLDS = 5
#: The factor by which the plug-in standard error is too small, as measured on simulated covariate shifts.
WIDER = 1.2
METHOD = "doubly robust, cross-fitted"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """What cross-fitting said of each row, each by models that did not see it.

    Attributes:
        expected_before: mu(x) of the reference rows, shape (n,).
        expected_after: mu(x) of the current rows, shape (m,).
        weights: The density ratio of the reference rows, mean 1, shape (n,).
        apart: How often a current row looks more current than a reference row does (the AUC).
    """

    expected_before: Floats
    expected_after: Floats
    weights: Floats
    apart: float


def cross_fit(before: Floats, losses: Floats, after: Floats, *, seed: int, folds: int = FOLDS) -> Fitted:
    """Fit mu and w by trees: *before* (n, k) with *losses* (n,), *after* (m, k); NaN is a missing value."""
    chance = np.random.default_rng(seed)
    fold_before, fold_after = (_folds(len(rows), folds, chance) for rows in (before, after))
    mu_before, mu_after = np.zeros(len(before)), np.zeros(len(after))
    for fold in range(folds):
        taught = fold_before != fold
        mu = _trees(seed).fit(before[taught], losses[taught])
        for held, mean, rows in ((~taught, mu_before, before), (fold_after == fold, mu_after, after)):
            if held.any():
                mean[held] = _predicted(mu, rows[held])
    ratio = density_ratio(before.astype(np.float32), after.astype(np.float32), seed=seed)
    return Fitted(
        expected_before=mu_before,
        expected_after=mu_after,
        weights=ratio.weights,
        apart=ratio.told_apart.value,
    )


def split_loss(
    before: Floats,
    losses_before: Floats,
    after: Floats,
    losses_after: Floats,
    *,
    seed: int,
    confidence: float = 0.95,
) -> LossSplit | None:
    """Split the change of the mean loss; None where a side has fewer than `FEWEST` rows.

    *before* is (n, k) with known losses (n,). *losses_after* may be NaN where the truth has not
    come: those rows still tell which cases arrive, and with fewer than `FEWEST` truths the
    concept's part is left open.
    """
    before, losses_before = _sample(before, losses_before, seed)
    after, losses_after = _sample(after, losses_after, seed + 1)
    if min(len(before), len(after)) < FEWEST:
        return None
    fitted = cross_fit(before, losses_before, after, seed=seed)
    return estimate_split(fitted, losses_before, losses_after, confidence=confidence)


def estimate_split(
    fitted: Fitted, losses_before: Floats, losses_after: Floats, *, confidence: float = 0.95
) -> LossSplit:
    """The parts and their intervals from what was cross-fitted.

    The truths of the current rows must not be missing for a reason that goes with the loss.
    """
    z = normal_quantile(0.5 + confidence / 2)
    left = fitted.weights * (losses_before - fitted.expected_before)
    theta = float(fitted.expected_after.mean() + left.mean())

    def part(value: float, *groups: Floats, wider: float = WIDER) -> Measurement:
        half = wider * z * math.sqrt(sum(float(one.var(ddof=1)) / len(one) for one in groups))
        return Measurement(
            value=value,
            low=value - half,
            high=value + half,
            confidence=confidence,
            rows=sum(len(one) for one in groups),
            method=METHOD,
        )

    covariate = part(theta - float(losses_before.mean()), fitted.expected_after, left - losses_before)
    known = np.isfinite(losses_after)
    n, m = len(losses_before), len(losses_after)
    spread = math.sqrt((n + m + 1) / (12.0 * n * m))
    apart = Measurement(
        value=fitted.apart,
        low=max(0.0, fitted.apart - z * spread),
        high=min(1.0, fitted.apart + z * spread),
        confidence=confidence,
        rows=n + m,
        method="Mann-Whitney, cross-fitted trees",
    )
    total = concept = None
    if known.sum() >= FEWEST:
        came, foreseen = losses_after[known], fitted.expected_after[known]
        total = part(float(came.mean() - losses_before.mean()), came, losses_before, wider=1.0)
        # mu of rows whose truth is not known only blurs: the concept is read where it is.
        concept = part(float((came - foreseen).mean() - left.mean()), came - foreseen, left)
        covariate = part(
            float(foreseen.mean() + left.mean() - losses_before.mean()), foreseen, left - losses_before
        )
    return LossSplit(
        before=float(losses_before.mean()), total=total, covariate=covariate, concept=concept, apart=apart
    )


def expected_losses(before: Floats, losses: Floats, after: Floats, *, seed: int) -> Floats:
    """What the current rows would have cost had they ended as the reference's did, shape (m,)."""
    before, losses = _sample(before, losses, seed)
    return _predicted(_trees(seed).fit(before, losses), after)


def _sample(rows: Floats, losses: Floats, seed: int) -> tuple[Floats, Floats]:
    if len(rows) <= MOST:
        return rows, losses
    chosen = np.sort(np.random.default_rng(seed).choice(len(rows), MOST, replace=False))
    return rows[chosen], losses[chosen]


def _folds(rows: int, folds: int, chance: np.random.Generator) -> NDArray[np.int64]:
    return chance.permutation(np.arange(rows, dtype=np.int64) % folds)


def _trees(seed: int) -> Any:
    """Few, small, slow trees: what they cannot see must not be made up."""
    import lightgbm

    return lightgbm.LGBMRegressor(
        n_estimators=60,
        num_leaves=8,
        learning_rate=0.08,
        min_child_samples=30,
        reg_lambda=1.0,
        random_state=seed,
        n_jobs=1,
        deterministic=True,
        verbosity=-1,
    )


def _predicted(model: Any, rows: Floats) -> Floats:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        return np.asarray(model.predict(rows), dtype=np.float64)
