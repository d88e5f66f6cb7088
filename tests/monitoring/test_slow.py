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
    rung = 0
    for seed in range(200):
        late = np.random.default_rng(seed).uniform(size=5000) < 0.01
        rung += bool(slow_signals((take_latencies(monitor, np.where(late, 20.0, 1.0), np.arange(5000)),)))

    assert rung <= 200 * 0.01 + 2 * np.sqrt(200 * 0.01 * 0.99)


def test_without_a_latency_clause_nothing_is_watched(contract):
    """A contract that bounds no latency has no such monitor."""
    assert begin_slow(contract) == ()
