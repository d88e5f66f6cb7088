"""Answers that come too late page, and seldom while they come in time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from geartrain.domain.clause import Clause, Comparison, Stage
from geartrain.domain.roles import Role
from geartrain.monitoring.slow import begin_slow, slow_signals, take_latencies


@pytest.fixture
def monitor(contract):
    clause = Clause(
        path="budget.latency_p99",
        metric="latency_p99",
        comparison=Comparison.AT_MOST,
        bound=10.0,
        unit="ms",
        owner=Role.ENGINEERING,
        stages=(Stage.LIVE,),
    )
    (made,) = begin_slow(replace(contract, clauses=(clause,)))
    return made


def test_a_spike_pages_with_its_start(monitor, now):
    """Half of the answers beyond the bound: told within a few of them, and since when."""
    random = np.random.default_rng(1)
    start = round(now.timestamp() * 1e6)
    at_us = start + np.arange(2000) * 1_000_000
    seen = take_latencies(monitor, random.lognormal(0.5, 0.3, 1000), at_us[:1000])
    assert slow_signals((seen,)) == ()

    seen = take_latencies(seen, random.lognormal(2.3, 0.3, 1000), at_us[1000:])

    (told,) = slow_signals((seen,))
    assert (told.kind, told.about) == ("latency", "budget.latency_p99")
    assert abs(told.since - (now + timedelta(seconds=1000))) < timedelta(seconds=60)


def test_one_in_a_hundred_is_what_was_promised(monitor):
    """At the promised share no more than 1 % + 2 sd of 200 streams of 5,000 answers ever page."""
    rung, at_us = 0, np.arange(5000) * 2_000_000
    for seed in range(200):
        late = np.random.default_rng(seed).uniform(size=5000) < 0.01
        rung += bool(slow_signals((take_latencies(monitor, np.where(late, 20.0, 1.0), at_us),)))

    assert rung <= 200 * 0.01 + 2 * np.sqrt(200 * 0.01 * 0.99)


def test_a_burst_rings_nothing_and_slowness_that_stays_does(monitor):
    """Fifty late answers of one second are one bad spell; a late one in ten, spell after spell, is not what was promised."""
    at_us = np.arange(600) * 20_000
    cold = np.where(np.arange(600) < 50, 500.0, 1.0)
    assert slow_signals((take_latencies(monitor, cold, at_us),)) == ()

    slow = np.where(np.arange(6000) % 10 == 0, 20.0, 1.0)
    (told,) = slow_signals((take_latencies(monitor, slow, np.arange(6000) * 100_000),))
    assert "600 of 6,000 answers took longer than 10 ms" in told.message


def test_without_a_latency_clause_nothing_is_watched(contract):
    """A contract that bounds no latency has no such monitor."""
    assert begin_slow(contract) == ()
