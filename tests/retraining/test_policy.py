"""Every trigger has its occasion, every refusal its reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from geartrain.domain.contract import Cause, RetrainingTerms
from geartrain.domain.incident import FirstAction, Incident, Signal
from geartrain.domain.roles import Role
from geartrain.retraining.policy import Facts, Gap, Occasion, Refusal, Trigger, gap_of, should_retrain

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TERMS = RetrainingTerms(every_s=30 * 86_400.0, cool_down_s=7 * 86_400.0)
ALARM = Signal(
    kind="cost-trigger",
    about="success.expected_cost",
    measure="m",
    size=2.0,
    evidence=1e5,
    since=NOW - 3 * DAY,
    rows=900,
    message="cost rose",
)
GOOD = Facts(
    live_since=NOW - 20 * DAY,
    alarm=ALARM,
    mature_labels=5000,
    per_class=(("fraud", 90), ("genuine", 4910)),
    verdicts_left=3,
    cheaper="",
)


def _incident(cause: Cause) -> Incident:
    return Incident(
        id="i1",
        product="p",
        cause=cause,
        owner=Role.ENGINEERING,
        opened_at=NOW,
        began_at=None,
        message="something broke",
        first_action=FirstAction.REPAIR_FEED,
        signals=(ALARM,),
    )


def test_an_alarm_triggers_and_tells_since_when():
    """With good facts an alarm begins a retraining at once."""
    assert should_retrain(TERMS, GOOD, NOW) == Trigger(
        occasion=Occasion.ALARM, reason="cost rose", since=NOW - 3 * DAY
    )


def test_the_schedule_triggers_when_it_is_due():
    """Without an alarm nothing begins before its day, counted from the last beginning."""
    calm = replace(GOOD, alarm=None)

    assert should_retrain(TERMS, calm, NOW) is None
    due = should_retrain(TERMS, replace(calm, live_since=NOW - 31 * DAY), NOW)
    assert isinstance(due, Trigger)
    assert due.occasion is Occasion.SCHEDULE
    assert (
        should_retrain(TERMS, replace(calm, live_since=NOW - 90 * DAY, last_retraining=NOW - 29 * DAY), NOW)
        is None
    )
    assert (
        should_retrain(replace(TERMS, every_s=None), replace(calm, live_since=NOW - 900 * DAY), NOW) is None
    )
    assert should_retrain(TERMS, replace(calm, live_since=None), NOW) is None


def test_an_alarm_asks_for_nothing_where_the_contract_says_so():
    """`on_alarm: false` leaves only the schedule."""
    assert should_retrain(replace(TERMS, on_alarm=False), GOOD, NOW) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mature_labels": 10}, "labels immature: 10"),
        ({"mature_labels": 0, "per_class": ()}, "labels immature: 0"),
        ({"per_class": (("fraud", 0), ("genuine", 5000))}, "0 of `fraud`"),
        ({"quarantined_share": 0.2}, "20.0% of the rows are in quarantine"),
        ({"quarantined_share": float("nan")}, "quarantine"),
        ({"open_incidents": (_incident(Cause.FEED),)}, "feed incident i1 is open"),
        ({"open_incidents": (_incident(Cause.COLUMN),)}, "column incident i1"),
        ({"open_incidents": (_incident(Cause.LABEL_FEED),)}, "label-feed incident i1"),
        ({"verdicts_left": 0}, "holdout is spent"),
        ({"cheaper": "abc"}, "rolling back is cheaper: release abc"),
        ({"last_retraining": NOW - 2 * DAY}, "cooling down until 2026-06-06"),
        ({"last_retraining": NOW + 2 * DAY}, "clock went back"),
    ],
)
def test_each_bad_fact_refuses_with_its_reason(changes, words):
    """One bad fact is enough, and the reason names it with its number."""
    found = should_retrain(TERMS, replace(GOOD, **changes), NOW)

    assert isinstance(found, Refusal)
    assert len(found.reasons) == 1
    assert words in found.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"open_incidents": (_incident(Cause.CONCEPT), _incident(Cause.POPULATION), _incident(Cause.MODEL))},
        {"verdicts_left": None, "cheaper": ""},
        {"per_class": ()},
        {"last_retraining": NOW - 7 * DAY},
    ],
)
def test_what_does_not_forbid_it(changes):
    """Changed concepts, unknown facts and a regression's missing classes do not refuse."""
    assert isinstance(should_retrain(TERMS, replace(GOOD, **changes), NOW), Trigger)


def test_all_reasons_are_given_at_once():
    """Two bad facts are two reasons in one refusal."""
    found = should_retrain(TERMS, replace(GOOD, mature_labels=1, quarantined_share=0.5), NOW)

    assert isinstance(found, Refusal)
    assert len(found.reasons) == 2


def test_bad_facts_without_an_occasion_say_nothing():
    """Nobody asked: nothing is refused."""
    assert should_retrain(TERMS, replace(GOOD, alarm=None, mature_labels=0), NOW) is None


def test_a_loss_that_outweighs_a_refit_asks_for_one():
    """Two lost a decision, 100 decisions a day, 10 days to the calendar's next: 2000 against what a refit costs."""
    calm = replace(GOOD, alarm=None, gap=Gap(per_decision=2.0, decisions_per_day=100.0))

    cheap = should_retrain(replace(TERMS, refit_cost=1999.0), calm, NOW)
    dear = should_retrain(replace(TERMS, refit_cost=2001.0), calm, NOW)

    assert isinstance(cheap, Trigger)
    assert cheap.occasion is Occasion.COST
    assert cheap.since is None
    assert "2,000 more than promised" in cheap.reason
    assert "a retraining costs 1,999" in cheap.reason
    assert dear is None
    assert should_retrain(TERMS, calm, NOW) is None


def test_without_a_calendar_the_next_slot_is_a_cool_down_away():
    """Seven days of 200 a day are 1400; a gap that nobody could measure asks for nothing."""
    terms = replace(TERMS, every_s=None, refit_cost=1300.0)
    calm = replace(GOOD, alarm=None, gap=Gap(per_decision=2.0, decisions_per_day=100.0))

    assert isinstance(should_retrain(terms, calm, NOW), Trigger)
    assert should_retrain(replace(terms, refit_cost=1500.0), calm, NOW) is None
    assert should_retrain(terms, replace(calm, gap=None), NOW) is None


def test_what_the_cost_rule_asks_for_is_refused_like_anything_else():
    """A loss is no excuse for immature labels."""
    poor = replace(GOOD, alarm=None, gap=Gap(per_decision=9.0, decisions_per_day=1000.0), mature_labels=3)

    found = should_retrain(replace(TERMS, refit_cost=1.0), poor, NOW)

    assert isinstance(found, Refusal)
    assert found.occasion is Occasion.COST


def test_a_gap_is_cautious_and_never_negative():
    """Of 400 stretches without a change about one in ten shows a gap; a real rise is seen, a fall is none."""
    random = np.random.default_rng(5)
    reference = (random.random(20_000) < 0.2).astype(float)
    quiet = [
        gap_of((random.random(500) < reference.mean()).astype(float), reference, decisions_per_day=1.0)
        for _ in range(400)
    ]
    risen = gap_of((random.random(5000) < 0.4).astype(float), reference, decisions_per_day=7.0)

    shown = np.mean([one is not None and one.per_decision > 0 for one in quiet])
    assert shown <= 0.1 + 2 * np.sqrt(0.1 * 0.9 / 400)
    assert risen is not None
    assert 0.15 < risen.per_decision < 0.21
    assert risen.decisions_per_day == 7.0
    fallen = gap_of(np.zeros(500), reference, decisions_per_day=1.0)
    assert fallen is not None
    assert fallen.per_decision == 0.0


def test_too_few_known_costs_show_no_gap():
    """Forty-nine labels, or labels whose cost nobody knows, say nothing."""
    assert gap_of(np.ones(49), np.zeros(500), decisions_per_day=1.0) is None
    assert gap_of(np.full(500, np.nan), np.zeros(500), decisions_per_day=1.0) is None
    assert gap_of(np.ones(500), np.zeros(0), decisions_per_day=1.0) is None
