"""Every trigger has its occasion, every refusal its reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from geartrain.domain.contract import Cause, RetrainingTerms
from geartrain.domain.incident import FirstAction, Incident, Signal
from geartrain.domain.roles import Role
from geartrain.retraining.policy import Facts, Occasion, Refusal, Trigger, should_retrain

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
    previous_is_cheaper=False,
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
        ({"previous_is_cheaper": True}, "rolling back is cheaper"),
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
        {"verdicts_left": None, "previous_is_cheaper": None},
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
