"""Rows that are like the reference are seldom named, also when columns depend on each other; others are, without a label."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from geartrain.domain.contract import Cause
from geartrain.domain.incident import Signal
from geartrain.monitoring.triage import triage
from geartrain.monitoring.unlike import EPOCH, SCORE, UNLIKE, supporting, unlike

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def times(rows, *, days=10):
    begins = round((NOW - days * DAY).timestamp() * 1e6)
    return begins + np.arange(rows) * (days * 86_400_000_000 // rows)


def seen(live, reference, *, alpha=0.01, seed=0, at_us=None):
    rows = len(next(iter(live.values())))
    at_us = times(rows) if at_us is None else at_us
    return unlike(among(live), reference, at_us, now=NOW, alpha=alpha, seed=seed)


def among(live):
    """The columns of *live* at some rows' places."""
    return lambda places: {name: values[places] for name, values in live.items()}


@pytest.mark.parametrize("kind", ["twins", "opposites", "independent"])
def test_while_nothing_changes_hardly_any_look_names_any_column(kind):
    """P(any ever named) <= alpha = .1 for eight columns, equal, opposite or independent, ties and gaps among them."""
    rung = 0
    for seed in range(60):
        chance = np.random.default_rng(seed)
        whole = chance.standard_cauchy((400, 8))
        if kind != "independent":
            whole[:, 1:] = whole[:, :1] * ((-1.0) ** np.arange(1, 8) if kind == "opposites" else 1.0)
        whole[:, 3] = np.round(whole[:, 3])
        whole[chance.uniform(size=400) < 0.1, 5] = np.nan
        names = [f"c{place}" for place in range(8)]
        live = dict(zip(names, whole[200:].T, strict=True))
        reference = dict(zip(names, whole[:200].T, strict=True))
        rung += any(one.named for one in seen(live, reference, alpha=0.1, seed=seed).columns)

    assert rung / 60 <= 0.1 + 2 * math.sqrt(0.1 * 0.9 / 60)


@pytest.mark.parametrize("kind", ["twins", "opposites"])
def test_the_share_of_falsely_named_columns_holds_under_dependence(kind):
    """Four columns move and twelve, which are copies of one another or their negatives, do not: false ones are at most alpha of the named."""
    shares = []
    for seed in range(30):
        chance = np.random.default_rng(seed)
        still = np.repeat(chance.normal(size=(700, 1)), 12, axis=1)
        still *= (-1.0) ** np.arange(12) if kind == "opposites" else 1.0
        moved = chance.normal(size=(700, 4)) + np.where(np.arange(700) >= 300, 1.0, 0.0)[:, None]
        whole = np.hstack([moved, still])
        names = [f"moved{place}" for place in range(4)] + [f"still{place}" for place in range(12)]
        found = seen(
            dict(zip(names, whole[200:].T, strict=True)),
            dict(zip(names, whole[:200].T, strict=True)),
            alpha=0.1,
            seed=seed,
        )
        named = [one.name for one in found.columns if one.named]
        assert {one for one in named if one.startswith("moved")} == set(names[:4])
        shares.append(sum(one.startswith("still") for one in named) / len(named))

    assert float(np.mean(shares)) <= 0.1


def test_a_shift_is_named_with_its_day_and_its_score():
    """A column that moves on the fifth day is named with about that day; one without a reference is compared with itself."""
    chance = np.random.default_rng(1)
    moved = np.where(np.arange(2000) >= 1000, 1.0, 0.0)
    found = seen(
        {
            "amount": chance.normal(size=2000) + moved,
            "hour": chance.normal(size=2000),
            SCORE: chance.uniform(size=2000) + moved,
        },
        {"amount": chance.normal(size=500), "hour": chance.normal(size=500)},
    )

    named = {one.name: one for one in found.columns if one.named}
    assert set(named) == {"amount", SCORE}
    assert abs(named["amount"].since - (NOW - 5 * DAY)) <= DAY
    assert (named["amount"].reference, named[SCORE].reference) == (500, 0)
    assert "`amount` are not exchangeable with the reference" in found.message
    assert "P(any ever named while exchangeable) <= 0.01" in found.message


def test_the_hours_of_a_day_are_no_news():
    """What rises each morning and falls each evening is like itself; the same cycle in one order through the days is not."""
    at_us = times(2000)
    hours = (at_us // 3_600_000_000) % 24
    reference = {"hour": np.arange(480) % 24.0}

    assert not any(one.named for one in seen({"hour": hours.astype(float)}, reference, at_us=at_us).columns)
    assert any(
        one.named for one in seen({"hour": np.sort(hours).astype(float)}, reference, at_us=at_us).columns
    )


def test_a_later_look_in_the_same_day_says_the_same():
    """Only whole days count, each in an order that stays: rows of today change nothing."""
    chance = np.random.default_rng(3)
    values, at_us = chance.normal(size=1200), times(1200, days=6)
    more = np.concatenate([at_us, round(NOW.timestamp() * 1e6) + np.arange(50) * 10_000_000])

    first = unlike(among({"x": values}), {}, at_us, now=NOW, alpha=0.01)
    longer = {"x": np.append(values, np.full(50, 9.0))}
    later = unlike(among(longer), {}, more, now=NOW + timedelta(hours=3), alpha=0.01)

    assert (later.rows, later.columns) == (first.rows, first.columns)


def test_too_little_and_too_much_are_said():
    """Before a hundred rows of whole days there is a reason, and so there is for a thousand pixels."""
    assert "at least 100 are needed" in seen({"x": np.zeros(50)}, {}).reason
    assert "too many" in seen({str(one): np.zeros(200) for one in range(300)}, {}).reason


def test_only_rows_that_are_compared_are_read():
    """Of a log of 30,000 rows the last two epochs, once: whoever encodes rows need not encode the others."""
    asked = []

    def read(places):
        asked.append(len(places))
        return {"x": np.zeros(len(places))}

    found = unlike(read, {}, times(30_000), now=NOW, alpha=0.01)

    assert asked == [found.rows] == [2 * EPOCH]


def test_it_joins_an_incident_and_opens_none(contract):
    """Alone it calls nobody. Beside a drift it is part of that incident, which ends when the drift does."""
    chance = np.random.default_rng(1)
    found = seen({"amount": np.concatenate([chance.normal(size=300), chance.normal(3, 1, 300)])}, {})
    (extra,) = supporting(found)
    assert extra.kind == UNLIKE
    assert triage((extra,), contract=contract, now=NOW).opened == ()

    drift = Signal(
        kind="drift",
        about="amount",
        measure="PSI",
        size=0.5,
        evidence=1e6,
        since=NOW - 4 * DAY,
        rows=600,
        message="moved",
    )
    (opened,) = triage((extra, drift), contract=contract, now=NOW).opened
    assert (opened.cause, {one.kind for one in opened.signals}) == (Cause.POPULATION, {"drift", UNLIKE})
    assert opened.message.startswith("moved")

    quiet = triage((extra,), contract=contract, now=NOW + DAY, open_incidents=(opened,)).quiet
    assert [one.incident for one in quiet] == [opened.id]
