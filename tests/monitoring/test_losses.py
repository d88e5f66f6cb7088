"""Costs of matured decisions: alarms that keep their promise, measurements that may be read at any time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.domain.contract import MonitoringTerms
from geartrain.domain.wire import decode, encode
from geartrain.monitoring.losses import (
    LossMonitor,
    LossPlan,
    begin,
    measure,
    plan_of,
    rearm,
    signals,
    take,
)
from geartrain.stats.bounded import Scale
from geartrain.stats.eprocess import Learning, Unchanged

PLAN = LossPlan(about="success.expected_cost", alpha=0.01, smallest_change=0.1, run_rows=10_000)
START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = 60_000_000


def _times(first: int, rows: int) -> np.ndarray:
    return int(START.timestamp() * 1e6) + (first + np.arange(rows)) * MINUTE


def _costs(random: np.random.Generator, rows: int, rate: float) -> np.ndarray:
    """Frauds of some tens of euros at a rate, and a small cost of needless reviews."""
    return np.where(random.random(rows) < rate, random.gamma(2, 30, rows), 0.2)


def _fed(monitor: LossMonitor, costs: np.ndarray, first: int = 0, chunk: int = 500) -> LossMonitor:
    for start in range(0, len(costs), chunk):
        part = costs[start : start + chunk]
        monitor = take(monitor, part, _times(first + start, len(part)))
    return monitor


def test_quiet_costs_seldom_page():
    """60 streams of 4000 unchanged rows, each with its own reference of 1000: none should page at alpha = .01."""
    random = np.random.default_rng(1)

    paged = sum(
        _fed(
            begin(PLAN, _costs(random, 1000, 0.05)), _costs(random, 4000, 0.05), chunk=4000
        ).page_seen.alarmed
        for _ in range(60)
    )

    assert paged <= 2


def test_a_rise_pages_with_its_size_and_start():
    """Three times the frauds are paged, with what decisions cost since and about when it began."""
    random = np.random.default_rng(2)
    quiet = _fed(begin(PLAN, _costs(random, 2000, 0.05)), _costs(random, 3000, 0.05))

    changed = _fed(quiet, _costs(random, 3000, 0.15), first=3000)

    assert signals(quiet) == ()
    by_kind = {signal.kind: signal for signal in signals(changed)}
    assert set(by_kind) == {"cost", "cost-trigger"}
    page = by_kind["cost"]
    assert page.evidence >= 100
    assert page.since is not None
    assert abs(page.since - (START + timedelta(minutes=3000))) < timedelta(minutes=250)
    assert page.size == pytest.approx(0.15 * 60, rel=0.25)
    assert "P(false, ever) <= 0.01" in page.message
    trigger_row, page_row = changed.trigger_seen.alarm_row, changed.page_seen.alarm_row
    assert trigger_row is not None
    assert page_row is not None
    assert trigger_row <= page_row


def test_live_measurement_holds_the_true_mean():
    """The interval covers the mean cost (within the scale) and narrows."""
    random = np.random.default_rng(3)
    costs = _costs(random, 20_000, 0.05)
    monitor = begin(PLAN, _costs(random, 2000, 0.05), scale=Scale(high=400.0))

    early, late = _fed(monitor, costs[:500]), _fed(monitor, costs)
    first, last = measure(early), measure(late)

    assert first is not None
    assert last is not None
    true = 0.05 * 60 + 0.95 * 0.2
    assert first.low <= true <= first.high
    assert last.low <= true <= last.high
    assert last.high - last.low < (first.high - first.low) / 2
    assert last.rows == 20_000


def test_negative_costs_are_values_and_can_be_watched():
    """Where right decisions earn money, a fall of earnings is a rise of cost."""
    random = np.random.default_rng(4)

    def earned(rows: int, share: float) -> np.ndarray:
        return np.where(random.random(rows) < share, -5.0, 1.0)

    quiet = _fed(begin(PLAN, earned(2000, 0.6)), earned(2000, 0.6))
    changed = _fed(quiet, earned(3000, 0.3), first=2000)

    assert signals(quiet) == ()
    assert "cost" in {signal.kind for signal in signals(changed)}
    assert changed.scale == Scale(low=-5.0, high=1.0)


@given(
    rows=st.lists(st.one_of(st.floats(0, 50), st.just(float("nan"))), min_size=1, max_size=120),
    cut=st.integers(0, 120),
)
@settings(max_examples=40)
def test_parts_and_repeats_change_nothing(rows, cut):
    """Feeding in parts, or the first part twice, gives the same evidence; repeats are counted."""
    costs, times = np.asarray(rows), _times(0, len(rows))
    monitor = begin(PLAN, np.tile([0.0, 1.0, 5.0, 50.0], 30))

    whole = take(monitor, costs, times)
    first = take(monitor, costs[:cut], times[:cut])
    again = take(take(first, costs[:cut], times[:cut]), costs[cut:], times[cut:])

    assert again.page_seen.log_wealth == pytest.approx(whole.page_seen.log_wealth, abs=1e-9)
    assert again.sequence.rows == whole.sequence.rows
    assert again.unknown == whole.unknown == int(np.isnan(costs).sum())
    assert again.repeated == min(cut, len(rows))


def test_without_a_reference_the_first_labels_make_one():
    """A monitor without reference says that it waits, holds its first labels, and then watches."""
    random = np.random.default_rng(5)
    empty = begin(PLAN, np.array([]))

    held = take(empty, _costs(random, 100, 0.05), _times(0, 100))
    ready = take(held, _costs(random, 900, 0.05), _times(100, 900))
    changed = _fed(ready, _costs(random, 3000, 0.3), first=1000)

    assert measure(held) is None
    assert "100 of 500" in held.note
    assert ready.sequence.rows == 500
    assert signals(changed)


def test_nothing_can_be_proven_where_everything_is_lost_already():
    """A reference in which every decision is wrong leaves no room for a rise, and that is said."""
    monitor = take(begin(PLAN, np.ones(200), scale=Scale()), np.ones(50), _times(0, 50))

    assert monitor.page is None
    assert "not watching" in monitor.note
    assert signals(monitor) == ()
    assert measure(monitor) is not None


def test_costs_beyond_the_scale_are_cut_and_told():
    """One enormous cost counts as the scale's end, and the measurement says so."""
    monitor = take(begin(PLAN, np.tile([0.0, 1.0], 100)), np.array([1e9, 0.0]), _times(0, 2))
    measured = measure(monitor)

    assert measured is not None
    assert measured.value == 0.5
    assert "1 costs beyond 1" in measured.note


def test_an_empty_batch_changes_nothing_and_state_survives_json():
    """No matured decisions: the same state; a state read back from JSON is the same."""
    monitor = take(begin(PLAN, np.tile([0.0, 1.0], 100)), np.array([1.0, 0.0]), _times(0, 2))

    assert take(monitor, np.array([]), np.array([], dtype=np.int64)) == monitor
    assert decode(encode(monitor), LossMonitor) == monitor


def test_rearming_forgets_alarms_but_not_the_reference():
    """After an incident the same level is watched afresh, and old rows stay old."""
    monitor = _fed(begin(PLAN, np.tile([0.0, 0.0, 1.0], 100)), np.ones(500))

    fresh = rearm(monitor)

    assert signals(monitor)
    assert signals(fresh) == ()
    assert fresh.tolerated == monitor.tolerated
    assert take(fresh, np.ones(500), _times(0, 500)).repeated == 500


def test_plan_counts_false_triggers_in_time():
    """One false trigger a year at 100 decisions a day is one in 36,500 rows."""
    terms = MonitoringTerms(false_alarm_every_s=365 * 86_400.0, false_alarm_alpha=0.02)

    plan = plan_of(terms, about="abstentions", decisions_per_day=100.0, kind="abstention")

    assert plan.run_rows == pytest.approx(36_500)
    assert plan.alpha == 0.02


def test_a_rate_is_watched_like_a_cost():
    """Abstentions that rise from 5 % to 20 % ring under their own kind."""
    random = np.random.default_rng(6)
    plan = LossPlan(about="abstentions", kind="abstention")

    monitor = begin(plan, (random.random(1000) < 0.05).astype(float), scale=Scale())
    monitor = _fed(monitor, (random.random(2000) < 0.2).astype(float))

    assert monitor.reference is not None
    assert monitor.reference.method == "Clopper-Pearson"
    assert signals(monitor)[0].kind == "abstention"


def test_costs_that_come_in_spells_do_not_page():
    """40 quiet streams of 8000 costs in spells of about ten rows: none pages, for a row is known to be worth less."""
    random = np.random.default_rng(8)

    def spells(rows: int) -> np.ndarray:
        fresh = random.random(rows) >= 0.9
        fresh[0] = True
        last = np.maximum.accumulate(np.where(fresh, np.arange(rows), 0))
        return np.where(random.random(rows) < 0.2, 10.0, 1.0)[last]

    monitors = [_fed(begin(PLAN, spells(3000)), spells(8000), chunk=8000) for _ in range(40)]

    assert sum(monitor.page_seen.alarmed for monitor in monitors) <= 1
    assert all(monitor.page is not None and monitor.page.worth < 0.25 for monitor in monitors)
    assert "neighbouring rows are alike" in monitors[0].note


def test_a_reference_that_is_too_short_or_too_small_is_a_caution():
    """Sixty rare costs bound nothing, and a run of days that are alike is no sample; a good reference needs no word."""
    random = np.random.default_rng(5)
    good = random.gamma(2, 1, 2000)
    days = np.repeat(random.gamma(2, 1, 20), 50)

    assert begin(PLAN, good).cautions == ()
    (small,) = begin(PLAN, _costs(random, 60, 0.05)).cautions
    assert "the 60 rows of the reference of success.expected_cost are worth 60 independent ones" in small
    assert "nothing rings before the mean rises from" in small
    short, none = begin(PLAN, days).cautions
    assert "too short for its own correlation" in short
    assert "there are 1,000" in short
    assert "no alarm on success.expected_cost can ring, not watching" in none


def test_where_every_rise_matters_and_losses_are_errors_the_trigger_needs_no_level():
    """Otherwise it learns one: a tolerated rise is a rise above something, and costs in between bet better so."""
    random = np.random.default_rng(8)
    errors, costs = (random.random(400) < 0.2).astype(float), random.random(400)

    def learns(smallest, reference):
        plan = LossPlan(about="errors", smallest_change=smallest)
        return type(begin(plan, reference, scale=Scale()).trigger.learning)

    assert learns(0.0, errors) is Unchanged
    assert learns(0.1, errors) is Learning
    assert learns(0.0, costs) is Learning
