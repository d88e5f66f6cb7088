"""A share of attribution that moved is named with its size; what did not move by enough hardly ever is."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np

from geartrain.domain.contract import Cause
from geartrain.domain.incident import FirstAction, Signal
from geartrain.monitoring.attributing import attribution, attribution_signals, shares_of
from geartrain.monitoring.triage import triage

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NAMES = ("amount", "hour", "age")


def shares(chance, rows, weights):
    """Shares of a row's contributions, whose means are in proportion to *weights*."""
    return chance.dirichlet(np.asarray(weights) * 4, size=rows)


def test_a_share_that_moved_is_named_with_how_far():
    """From 60 % to 35 %: named with an interval that holds the .25; what moved by three points is not."""
    chance = np.random.default_rng(1)
    seen = attribution(
        shares(chance, 1000, (0.35, 0.42, 0.23)),
        shares(chance, 1000, (0.6, 0.2, 0.2)),
        NAMES,
        alpha=0.01,
        since=NOW,
    )

    named = {one.feature: one for one in seen.features if one.named}
    assert set(named) == {"amount", "hour"}
    assert named["amount"].difference.low <= 0.25 <= named["amount"].difference.high
    assert [one.feature for one in seen.features] == ["hour", "amount", "age"]
    assert "decisions rest on `amount` for 34%, on the reference for 60%" in seen.message


def test_a_share_that_moved_by_what_does_not_matter_is_seldom_named():
    """Shares off by just five points: in at most alpha = 10 % + 2 sd of 100 worlds any is named."""
    rung = 0
    for seed in range(100):
        chance = np.random.default_rng(seed)
        seen = attribution(
            shares(chance, 1000, (0.55, 0.25, 0.2)), shares(chance, 1000, (0.6, 0.2, 0.2)), NAMES, alpha=0.1
        )
        rung += any(one.named for one in seen.features)

    assert rung / 100 <= 0.1 + 2 * math.sqrt(0.1 * 0.9 / 100)


def test_a_block_spends_its_part_of_alpha():
    """A later block has wider intervals, so that all blocks together keep the promise."""
    chance = np.random.default_rng(1)
    live, reference = shares(chance, 500, (1, 1, 1)), shares(chance, 500, (1, 1, 1))

    first, later = (attribution(live, reference, NAMES, alpha=0.01, part=one) for one in (0.6, 0.006))

    assert later.features[0].difference.high > first.features[0].difference.high


def test_too_few_rows_are_a_reason():
    """Ninety-nine rows on either side name nothing."""
    few, many = np.full((99, 3), 1 / 3), np.full((500, 3), 1 / 3)
    assert "99 live and 500 reference rows" in attribution(few, many, NAMES, alpha=0.01).reason
    assert attribution(many, few, NAMES, alpha=0.01).features == ()


def test_shares_are_of_features_not_of_columns():
    """A feature and its missing-signal are one, signs do not matter, and a row that rests on nothing is left out."""
    found = shares_of(np.array([[2.0, -1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, -5.0]]), np.array([0, 1, 0]))

    assert found.tolist() == [[0.75, 0.25], [1.0, 0.0]]


def test_it_is_a_matter_of_the_population(contract):
    """Alone it asks to be watched, by the owner of the population; beside a drift it is part of that incident."""
    chance = np.random.default_rng(1)
    seen = attribution(
        shares(chance, 1000, (0.2, 0.6, 0.2)),
        shares(chance, 1000, (0.6, 0.2, 0.2)),
        NAMES,
        alpha=0.01,
        since=NOW,
    )
    moved = attribution_signals(seen)
    assert {one.about for one in moved} == {"amount", "hour"}
    (alone,) = triage(moved, contract=contract, now=NOW).opened
    assert (alone.cause, alone.first_action) == (Cause.POPULATION, FirstAction.WATCH)

    drift = Signal(
        kind="drift",
        about="hour",
        measure="PSI",
        size=0.5,
        evidence=1e6,
        since=NOW - timedelta(days=1),
        rows=600,
        message="moved",
    )
    (together,) = triage((drift, *moved), contract=contract, now=NOW).opened
    assert together.message.startswith("moved")
    assert len(together.signals) == 3
