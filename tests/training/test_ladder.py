"""The Ladder withstands the attack that it was made for."""

from __future__ import annotations

import numpy as np
import pytest

from geartrain.training.ladder import Ladder, climb


def attacked(rows: int, tries: int, seed: int) -> tuple[float, float]:
    """The public error of a majority of coin flips that 'did well': told everything, and told by the Ladder."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, rows)
    flips = random.integers(0, 2, (tries, rows))
    errors = (flips != truth).mean(axis=1)
    naive = flips[errors < 0.5].mean(axis=0) > 0.5
    ladder, kept, shown = Ladder(), [], 0.5
    for flip in flips:
        ladder, step = climb(ladder, (flip != truth).astype(np.float64))
        if step.shown < shown:
            kept.append(flip)
            shown = step.shown
    by_ladder = np.mean(kept, axis=0) > 0.5 if kept else flips[0] == 1
    return float((naive != truth).mean()), float((by_ladder != truth).mean())


def test_the_boosting_attack_learns_little():
    """400 coin flips boosted on 2000 rows: 0.376 when told all (Blum & Hardt's attack), near a half by Ladder."""
    naive, by_ladder = np.mean([attacked(2000, 400, seed) for seed in range(4)], axis=0)
    assert naive == pytest.approx(0.39, abs=0.025)
    assert by_ladder > 0.46


def test_only_a_step_larger_than_noise_is_shown():
    """The answer stays the best so far until a submission beats it by its standard error."""
    base = np.random.default_rng(1).random(400)
    ladder, first = climb(Ladder(), base)
    assert first.improved
    assert first.shown == pytest.approx(base.mean(), abs=1 / 400)
    ladder, nudge = climb(ladder, base - 0.01 + np.tile([0.5, -0.5], 200))
    assert not nudge.improved
    assert nudge.shown == first.shown
    ladder, leap = climb(ladder, base - 0.3)
    assert leap.improved
    assert ladder.looks == 3


def test_another_pool_is_refused():
    """A ladder belongs to its rows."""
    ladder, _ = climb(Ladder(), np.ones(3))
    with pytest.raises(ValueError, match="3 rows"):
        climb(ladder, np.ones(4))
