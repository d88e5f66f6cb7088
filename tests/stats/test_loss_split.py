"""A rise of the loss is split into the cases that came and the concept that changed, with an honest interval."""

from __future__ import annotations

import numpy as np
import pytest

from geartrain.domain.incident import LossSplit
from geartrain.stats.intervals import normal_quantile
from geartrain.stats.loss_split import FEWEST, WIDER, split_loss


def _world(random: np.random.Generator, rows: int, *, shift: float = 0.0, flip: bool = False):
    """Errors of a fixed rule: other cases come with *shift*; with *flip* a corner of the cases ends otherwise."""
    x = random.normal(size=(rows, 4))
    x[:, :2] += shift * np.array([1.0, 0.7])
    p = 1 / (1 + np.exp(-(1.2 * x[:, 0] - 0.8 * x[:, 1] * x[:, 2] + 0.5 * x[:, 3] - 1)))
    corner = (x[:, 0] > 0.5) & (x[:, 3] > 0)
    truth = random.uniform(size=rows) < np.where(corner & flip, 1 - p, p)
    return x, ((p > 0.5) != truth).astype(float)


def _split(seed: int, rows: int, **changed: object) -> LossSplit:
    random = np.random.default_rng(seed)
    before, after = _world(random, rows), _world(random, rows, **changed)
    found = split_loss(*before, *after, seed=seed)
    assert found is not None
    return found


def test_a_changed_concept_is_proven_and_the_parts_add_up():
    """Where a corner of the cases turns round, the concept carries the rise; both parts sum to it."""
    found = _split(1, 2000, flip=True)

    assert found.is_concept
    assert not found.is_population
    assert found.covariate.value + found.concept.value == pytest.approx(found.total.value)
    assert found.concept.value == pytest.approx(0.095, abs=0.04)
    assert found.covariate.low < 0 < found.covariate.high


def test_other_cases_alone_are_no_concept():
    """Where other cases come and each ends as before, the covariate part moves and the classifier sees it."""
    found = _split(2, 3000, shift=0.8)

    assert not found.is_concept
    assert found.apart.low > 0.6
    assert found.covariate.value == pytest.approx(found.total.value, abs=0.05)


def test_without_labels_the_effect_of_the_cases_is_told_and_the_concept_left_open():
    """Truths that have not come leave the concept open; what other cases cost is told all the same."""
    random = np.random.default_rng(3)
    before, losses = _world(random, 800)
    after, _ = _world(random, 800, shift=0.8)

    found = split_loss(before, losses, after, np.full(800, np.nan), seed=3)

    assert found.total is None
    assert found.concept is None
    assert not found.is_concept
    assert found.covariate.high > found.covariate.low


def test_too_few_rows_are_not_split():
    """Under `FEWEST` rows on a side nobody knows."""
    x, losses = _world(np.random.default_rng(4), FEWEST - 1)

    assert split_loss(x, losses, x, losses, seed=1) is None


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "worlds"), [(500, 40), (2000, 24)])
def test_the_interval_holds_while_only_the_cases_change(rows, worlds):
    """Under covariate shift alone the standardised concept has spread about 1 and misses 0 in at most 5 % + 2 sd."""
    z = []
    for seed in range(worlds):
        concept = _split(100 + seed, rows, shift=0.6).concept
        z.append(concept.value / ((concept.high - concept.low) / 2 / normal_quantile(0.975)))

    assert 0.6 < np.std(z) * WIDER < 1.35
    assert np.std(z) < 1.1
    assert np.mean(np.abs(z) > normal_quantile(0.975)) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / worlds)
