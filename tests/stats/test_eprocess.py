"""The anytime-valid tests keep their bounds and find what they are for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.domain.wire import decode, encode
from geartrain.stats.eprocess import (
    BLOCK,
    TRIGGER_BETS,
    UNCHANGED_BETS,
    Detector,
    Form,
    Learning,
    Purse,
    Unchanged,
    Watch,
    bet,
    learned_levels,
    restart_weight,
    watch,
)

LEVEL = 0.2
PAGE = Detector(form=Form.PAGE, level=LEVEL, bound=100.0)
TRIGGER = Detector(form=Form.TRIGGER, level=LEVEL, bound=10_000.0)


def test_page_rings_falsely_no_more_often_than_promised():
    """At alpha = 0.05 and exactly the tolerated level, at most 5 % + 2 sd of 300 streams ever ring."""
    detector = Detector(form=Form.PAGE, level=LEVEL, bound=20.0)
    random = np.random.default_rng(1)

    rung = sum(
        watch(detector, Watch(), (random.random(2000) < LEVEL).astype(float)).alarmed for _ in range(300)
    )

    assert rung / 300 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 300)


def test_peeking_at_a_z_test_would_ring_much_more_often():
    """The control: a 5 % z-test looked at after each row rings in most streams."""
    random = np.random.default_rng(2)
    rows = np.arange(1, 2001)

    def rings() -> bool:
        mean = np.cumsum(random.random(2000) < LEVEL) / rows
        z = (mean - LEVEL) / np.sqrt(LEVEL * (1 - LEVEL) / rows)
        return bool((z[30:] > 1.645).any())

    assert sum(rings() for _ in range(100)) > 30


def test_trigger_runs_long_between_false_alarms():
    """The mean run length is at least the bound: run to 4 x A, few streams may have rung by A / 2."""
    detector = Detector(form=Form.TRIGGER, level=LEVEL, bound=1000.0)
    random = np.random.default_rng(3)
    runs = []

    for _ in range(200):
        seen = watch(detector, Watch(), (random.random(6000) < LEVEL).astype(float))
        runs.append(6000 if seen.alarm_row is None else seen.alarm_row)

    assert np.mean(runs) + 2 * np.std(runs) / math.sqrt(200) >= 1000


def test_delay_after_a_jump_is_near_what_was_measured():
    """After 10,000 quiet rows, .2 -> .3: a page rings within about 470 rows, a trigger within about 145."""
    random = np.random.default_rng(4)
    page, trigger = [], []

    for _ in range(40):
        quiet = (random.random(10_000) < LEVEL).astype(float)
        after = (random.random(4000) < 0.3).astype(float)
        for detector, delays in ((PAGE, page), (TRIGGER, trigger)):
            seen = watch(detector, watch(detector, Watch(), quiet), after)
            # A trigger may well ring before: its mean run length is 10,000 rows.
            if seen.alarm_row is not None and seen.alarm_row >= 10_000:
                delays.append(seen.alarm_row - 10_000)

    assert len(page) == 40
    assert 300 < np.median(page) < 650
    assert 80 < np.median(trigger) < 230


def test_onset_is_found_near_the_change():
    """The estimated beginning lies within a few dozen rows of the true one, with its mark."""
    random = np.random.default_rng(5)
    losses = np.concatenate([random.random(5000) < LEVEL, random.random(1500) < 0.5]).astype(float)

    seen = watch(PAGE, Watch(), losses, marks=np.arange(6500) * 10)

    assert seen.onset_row is not None
    assert abs(seen.onset_row - 5000) < 60
    assert seen.onset_mark == seen.onset_row * 10


@given(
    losses=st.lists(st.floats(0, 1), min_size=1, max_size=600),
    cut=st.integers(0, 600),
    form=st.sampled_from(Form),
)
@settings(max_examples=60)
def test_chunks_give_what_all_at_once_gives(losses, cut, form):
    """Updating with two parts is updating with the whole, for either form."""
    detector = Detector(form=form, level=0.3, bound=50.0, block=40)
    values = np.asarray(losses)

    whole = watch(detector, Watch(), values)
    parts = watch(detector, watch(detector, Watch(), values[:cut]), values[cut:])

    assert parts.rows == whole.rows
    assert parts.log_wealth == pytest.approx(whole.log_wealth, abs=1e-9)
    assert parts.climbs == pytest.approx(whole.climbs, abs=1e-9)
    assert parts.peak == pytest.approx(whole.peak, abs=1e-9)


def test_wealth_neither_overflows_nor_vanishes():
    """A million quiet rows and ten thousand bad ones stay finite, and the change is still seen at once."""
    quiet = watch(PAGE, Watch(), np.zeros(1_000_000))
    seen = watch(PAGE, quiet, np.ones(10_000))

    assert all(math.isfinite(log) for log in quiet.log_wealth)
    assert seen.alarm_row is not None
    # New money comes at the next block's start at the latest.
    assert seen.alarm_row < 1_000_000 + BLOCK + 60
    assert math.isfinite(seen.evidence)


def test_restart_weights_sum_to_one():
    """All the money that a page ever stakes is one unit."""
    total = sum(restart_weight(look) for look in range(1, 100_000))

    assert total == pytest.approx(1, abs=1e-4)


def test_state_survives_json():
    """A state goes to the ledger and comes back the same."""
    seen = watch(PAGE, Watch(), np.linspace(0, 1, 300))

    assert decode(encode(seen), Watch) == seen
    assert decode(encode(Watch()), Watch) == Watch()


@pytest.mark.parametrize("losses", [[1.5], [-0.1], [float("nan")]])
def test_losses_outside_the_unit_interval_are_refused(losses):
    """A loss that no guarantee holds for is an error, not a guess."""
    with pytest.raises(ValueError, match="scale them"):
        watch(PAGE, Watch(), np.asarray(losses))


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, float("nan")])
def test_impossible_levels_are_refused(level):
    """A tolerated mean at or beyond the ends cannot be watched."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        Detector(form=Form.PAGE, level=level, bound=100.0)


def test_equal_models_are_seldom_called_different():
    """With no difference, the chance of ever proving one at alpha = .05 is at most that."""
    random = np.random.default_rng(6)

    proven = sum(
        bet(Purse(), random.normal(0, 0.2, 2000).clip(-1, 1), bound=20.0).proven_row is not None
        for _ in range(300)
    )

    assert proven / 300 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 300)


def test_a_better_model_is_proven_and_stays_proven():
    """A mean gain of .05 with sd .3 is proven within a thousand rows or so, and the proof stays."""
    random = np.random.default_rng(7)
    gains = random.normal(0.05, 0.3, 3000).clip(-1, 1)

    purse = bet(Purse(), gains, bound=20.0)
    after = bet(purse, np.full(5000, -0.5), bound=20.0)

    assert purse.proven_row is not None
    assert purse.proven_row < 2000
    assert after.proven_row == purse.proven_row
    assert after.evidence == purse.evidence


@given(gains=st.lists(st.floats(-1, 1), max_size=200), cut=st.integers(0, 200))
@settings(max_examples=50)
def test_bets_in_parts_are_bets_at_once(gains, cut):
    """Two updates of a purse are one."""
    values = np.asarray(gains, dtype=float)

    whole = bet(Purse(), values, bound=20.0)
    parts = bet(bet(Purse(), values[:cut], bound=20.0), values[cut:], bound=20.0)

    assert parts.proven_row == whole.proven_row
    assert parts.log_wealth == pytest.approx(whole.log_wealth, abs=1e-9)
    assert parts.peak == pytest.approx(whole.peak, abs=1e-9)


def test_alike_rows_do_not_page_when_their_worth_is_known():
    """At the true mean of an AR(1) with .9, rows worth .053 ring within the bound; taken as whole they often ring."""
    random = np.random.default_rng(8)
    corrected = Detector(form=Form.PAGE, level=LEVEL, bound=20.0, worth=0.1 / 1.9)
    naive = Detector(form=Form.PAGE, level=LEVEL, bound=20.0)
    rung, fooled = 0, 0

    for _ in range(100):
        fresh = random.random(4000) >= 0.9
        fresh[0] = True
        last = np.maximum.accumulate(np.where(fresh, np.arange(4000), 0))
        losses = (random.random(4000) < LEVEL).astype(float)[last]
        rung += watch(corrected, Watch(), losses).alarmed
        fooled += watch(naive, Watch(), losses).alarmed

    assert rung <= 5 + 2 * math.sqrt(100 * 0.05 * 0.95)
    assert fooled > 50


@given(losses=st.lists(st.floats(0, 1), min_size=1, max_size=300), cut=st.integers(0, 300))
@settings(max_examples=40)
def test_a_learned_level_depends_on_rows_not_on_batches(losses, cut):
    """What a trigger learns from two parts is what it learns from the whole."""
    learning = Learning(rows=100, total=30.0, squares=20.0, alpha=0.01, smallest=0.1, offset=0.5)
    detector = Detector(form=Form.TRIGGER, level=0.5, bound=1000.0, learning=learning)
    values = np.asarray(losses)

    whole = watch(detector, Watch(), values)
    parts = watch(detector, watch(detector, Watch(), values[:cut]), values[cut:])

    assert parts.total == pytest.approx(whole.total)
    assert parts.log_wealth == pytest.approx(whole.log_wealth, abs=1e-6)
    assert parts.alarm_row == whole.alarm_row


def test_learning_keeps_the_run_length_and_shortens_the_delay():
    """A level learned from 500 rows and what follows: runs are at least the bound, a rise of a third is seen sooner."""
    random = np.random.default_rng(9)
    runs, learned, fixed = [], [], []

    for _ in range(60):
        reference = (random.random(500) < LEVEL).astype(float)
        total = float(reference.sum())
        learning = Learning(rows=500, total=total, squares=total, alpha=0.05)
        detector = Detector(form=Form.TRIGGER, level=0.25, bound=1000.0, learning=learning)
        seen = watch(detector, Watch(), (random.random(4000) < LEVEL).astype(float))
        runs.append(4000 if seen.alarm_row is None else seen.alarm_row)
        rising = np.concatenate([random.random(3000) < LEVEL, random.random(3000) < 0.27]).astype(float)
        for delays, one in ((learned, learning), (fixed, None)):
            alarm = watch(
                Detector(form=Form.TRIGGER, level=0.25, bound=1e6, learning=one), Watch(), rising
            ).alarm_row
            delays.append(6000 if alarm is None else alarm)

    assert np.mean(runs) + 2 * np.std(runs) / math.sqrt(60) >= 1000
    assert np.mean(learned) < np.mean(fixed) - 100


def test_a_learned_level_stays_above_the_mean():
    """Of 300 quiet streams of 5000 rows, the level was ever below the true mean in at most 5 % + 2 sd."""
    random = np.random.default_rng(12)
    below = 0
    for _ in range(300):
        reference, rows = (random.random(size) < LEVEL for size in (500, 5000))
        ones = float(reference.sum())
        learning = Learning(rows=500, total=ones, squares=ones, alpha=0.05)
        detector = Detector(form=Form.TRIGGER, level=0.9, bound=1e6, learning=learning)
        below += bool((learned_levels(detector, Watch(), rows.astype(float)) < LEVEL).any())

    assert below / 300 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 300)


@given(losses=st.lists(st.floats(0, 1), min_size=1, max_size=300), cut=st.integers(0, 300))
@settings(max_examples=40)
def test_a_mean_that_is_not_known_costs_the_same_in_parts(losses, cut):
    """The wealth and its price after two parts are those after the whole."""
    detector = Detector(
        form=Form.TRIGGER, level=0.6, bound=1000.0, worth=0.5, learning=Unchanged(rows=100, total=30.0)
    )
    values = np.asarray(losses)

    whole = watch(detector, Watch(), values)
    parts = watch(detector, watch(detector, Watch(), values[:cut]), values[cut:])

    assert parts.price == pytest.approx(whole.price, abs=1e-6)
    assert parts.log_wealth == pytest.approx(whole.log_wealth, abs=1e-6)
    assert parts.alarm_row == whole.alarm_row


def test_the_price_is_what_the_best_mean_explains_better():
    """Against the likelihoods written out row by row: the best single mean over the means before each row."""
    losses = np.array([0.0, 1.0, 0.0, 0.0, 1.0, 1.0])
    detector = Detector(form=Form.TRIGGER, level=0.9, bound=1e6, learning=Unchanged(rows=9, total=3.0))
    told = 0.0
    for row, loss in enumerate(losses):
        mean = (3.5 + losses[:row].sum()) / (10 + row)
        told += math.log(mean if loss else 1 - mean)

    seen = watch(detector, Watch(), losses)

    assert seen.price == pytest.approx(6 * math.log(0.5) - told)


def test_a_trigger_without_a_level_keeps_its_run_length_whatever_the_mean():
    """Runs are at least the bound for each of three means and for losses between 0 and 1, from 100 rows of reference."""
    random = np.random.default_rng(14)

    def runs(draw):
        for _ in range(60):
            reference, rows = draw(100), draw(2500)
            learning = Unchanged(rows=100, total=float(reference.sum()))
            detector = Detector(
                form=Form.TRIGGER, level=0.99, bound=500.0, bets=UNCHANGED_BETS, learning=learning
            )
            alarm = watch(detector, Watch(), rows).alarm_row
            yield 2500 if alarm is None else alarm

    for draw in (
        lambda size: (random.random(size) < 0.02).astype(float),
        lambda size: (random.random(size) < 0.2).astype(float),
        lambda size: (random.random(size) < 0.6).astype(float),
        lambda size: random.random(size) ** 3,
    ):
        found = np.array(list(runs(draw)))
        assert found.mean() + 2 * found.std() / math.sqrt(60) >= 500


def test_a_trigger_without_a_level_sees_a_small_rise_sooner_than_one_that_learns_it():
    """A rise of two fifths after 3000 quiet rows: no bound above the mean has to be crossed first."""
    random = np.random.default_rng(15)
    delays = {Learning: [], Unchanged: []}
    for _ in range(30):
        reference = (random.random(500) < LEVEL).astype(float)
        total = float(reference.sum())
        rows = np.concatenate([random.random(3000) < LEVEL, random.random(3000) < 1.4 * LEVEL]).astype(float)
        for kind, learning in (
            (Learning, Learning(rows=500, total=total, squares=total, alpha=0.0025)),
            (Unchanged, Unchanged(rows=500, total=total)),
        ):
            bets = UNCHANGED_BETS if kind is Unchanged else TRIGGER_BETS
            detector = Detector(form=Form.TRIGGER, level=0.5, bound=1e5, bets=bets, learning=learning)
            alarm = watch(detector, Watch(), rows).alarm_row
            delays[kind].append(3000 if alarm is None else alarm - 3000)

    assert np.mean(delays[Unchanged]) < 0.8 * np.mean(delays[Learning])


def test_a_page_always_has_a_level():
    """Only a trigger can do without: a page's promise is about one level."""
    with pytest.raises(ValueError, match="no such detector"):
        Detector(form=Form.PAGE, level=0.5, bound=100.0, learning=Unchanged(rows=10, total=1.0))
