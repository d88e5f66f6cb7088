"""A ratio of costs and an AUC hold at every look; what pairs share makes the ratio narrow."""

from __future__ import annotations

import math

import numpy as np
import pytest

from geartrain.domain.finding import Guarantee
from geartrain.stats.bounded import Scale, over_time
from geartrain.stats.bounded_pairs import auc_over_time, calibration_over_time, ratio_over_time

LOOKS = (30, 200, 1000)
STREAMS = 25
BAR = 0.05 + 2 * math.sqrt(0.05 * 0.95 / STREAMS)


def _costs(chance, rows):
    """Costs of a model and of a baseline that are dear on the same rows: means .1 * .8 * 5 and .1 * 5."""
    hard = chance.uniform(size=rows) < 0.1
    return np.where(hard & (chance.uniform(size=rows) < 0.8), 5.0, 0.0), np.where(hard, 5.0, 0.0)


def test_a_ratio_holds_at_all_looks():
    """The true .8 is in every interval of at least 95 % of streams, less 2 sd."""
    missed = 0
    for seed in range(STREAMS):
        costs, base = _costs(np.random.default_rng(seed), 1000)
        seen = [
            ratio_over_time(costs[:n], base[:n], scale=Scale(high=5.0), confidence=0.95, most=2.0)
            for n in LOOKS
        ]
        missed += any(not one.low <= 0.8 <= one.high for one in seen if one is not None)

    assert missed / STREAMS <= BAR


def test_pairs_prove_what_two_means_could_not():
    """Against a baseline that is dear on the same rows a ratio below 1 is proven; the means' own intervals overlap."""
    costs, base = _costs(np.random.default_rng(1), 2500)
    scale = Scale(high=5.0)

    seen = ratio_over_time(costs, base, scale=scale, confidence=0.95, most=2.0)
    mine, theirs = (over_time(one, confidence=0.95, scale=scale) for one in (costs, base))

    assert seen.high < 1 < mine.high / theirs.low
    assert seen.guarantee is Guarantee.AT_ALL_TIMES


def test_the_ends_say_what_is_not_known():
    """A ratio beyond what is of interest is only proven to be beyond; of thirty rows hardly anything is proven."""
    base = np.tile([0.0, 1.0], 2000)

    beyond = ratio_over_time(base, base, scale=Scale(), confidence=0.95, most=0.5)
    thin = ratio_over_time(base[:30], base[:30], scale=Scale(), confidence=0.95, most=0.5)

    assert (beyond.low, beyond.value, beyond.high) == (0.5, 1.0, math.inf)
    assert (thin.low < 0.5, thin.high) == (True, math.inf)


def test_a_free_baseline_has_no_ratio():
    """Nothing is a fraction of nothing, and values below zero have none either."""
    rows = np.ones(10)
    assert ratio_over_time(rows, 0 * rows, scale=Scale(), confidence=0.95, most=2.0) is None
    assert ratio_over_time(rows, rows, scale=Scale(low=-1.0), confidence=0.95, most=2.0) is None


def test_an_auc_holds_at_all_looks():
    """Two normals a spread apart have the AUC .760; with one positive in ten it is held in at least 95 % of streams, less 2 sd."""
    missed = 0
    for seed in range(STREAMS):
        chance = np.random.default_rng(seed)
        positive = chance.uniform(size=1000) < 0.1
        scores = chance.normal(size=1000) + positive
        seen = [auc_over_time(scores[:n], positive[:n], confidence=0.95) for n in LOOKS]
        missed += any(not one.low <= 0.7602 <= one.high for one in seen if one is not None)

    assert missed / STREAMS <= BAR


def test_an_auc_is_of_pieces_and_ties_count_half():
    """Each piece ends where both kinds have come: three of them here, of which one is a tie and one is wrong."""
    scores = np.array([0.1, 0.2, 0.9, 0.5, 0.5, 0.3, 0.8, 0.7])
    positive = np.array([False, False, True, True, False, True, False, False])

    seen = auc_over_time(scores, positive, confidence=0.95)

    assert (seen.value, seen.relevant, seen.rows) == (pytest.approx((1 + 0.5 + 0) / 3), 3, 8)
    assert auc_over_time(scores, np.ones(8, dtype=bool), confidence=0.95) is None


def test_a_calibration_error_holds_at_all_looks_and_is_found():
    """Probabilities a fifth of their way off: the true error is in every interval; honest ones are never proven to be off."""
    missed = wrong = 0
    for seed in range(STREAMS):
        chance = np.random.default_rng(seed)
        said = chance.uniform(size=1000)
        honest, off = ((chance.uniform(size=1000) < one).astype(float) for one in (said, 0.8 * said))
        for n in LOOKS:
            seen = calibration_over_time(said[:n], off[:n], confidence=0.95)
            missed += not seen.low <= 0.2 * float(said[:n].mean()) <= seen.high
            wrong += calibration_over_time(said[:n], honest[:n], confidence=0.95).low > 0

    assert missed <= STREAMS * BAR
    assert wrong <= STREAMS * BAR


def test_a_calibration_error_is_proven_broken_and_kept():
    """With 20,000 rows an error of .2 is proven to be above .1, and honest probabilities below .1."""
    chance = np.random.default_rng(1)
    said = chance.uniform(size=20_000)
    honest, off = ((chance.uniform(size=20_000) < one).astype(float) for one in (said, 0.6 * said))

    assert calibration_over_time(said, off, confidence=0.95).low > 0.1
    assert calibration_over_time(said, honest, confidence=0.95).high < 0.1
