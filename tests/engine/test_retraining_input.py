"""A retraining on bad input refuses with its reason or learns from what is left; nothing crashes or counts twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from geartrain.domain.contract import RetrainingTerms
from geartrain.domain.events import PoolOpened, PoolsCommitted, Refused, RetrainingAsked, RetrainingStarted
from geartrain.domain.model import Pool
from geartrain.engine.diary import Day, Diary
from geartrain.engine.ingesting import Door
from geartrain.engine.retraining_live import ask, facts_of
from geartrain.engine.rows import OUTCOMES, table_of
from geartrain.engine.windows import window_for
from geartrain.engine.world import KEY, TRUTH
from geartrain.errors import SnapshotEmpty, TrainingImpossible
from geartrain.ports.lake import ARRIVAL_TIME, EVENT_TIME
from geartrain.retraining.policy import Occasion, Refusal, Trigger, should_retrain
from geartrain.retraining.window import Incumbent
from geartrain.training.pools import sealed_names

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROWS = 400
DOCUMENT = {
    "product": {"name": "shop", "title": "Shop", "problem": "which parcel comes back"},
    "decision": {"task": "binary", "unit": "a parcel", "label": "back", "positive": "yes", "negative": "no"},
    "data": {
        "sources": {
            "parcels": {
                "kind": "decisions",
                "key": "id",
                "event_time": "at",
                "arrival_time": "at",
                "fields": {
                    "id": {"type": "string", "required": True},
                    "at": {"type": "timestamp", "required": True},
                    "weight": {"type": "number"},
                    "spare": {"type": "number"},
                    "kind": {"type": "string"},
                    "back": {"type": "string", "values": ["yes", "no"]},
                },
            }
        }
    },
    "retraining": {
        "window": "30 days",
        "every": "20 days",
        "cool_down": "5 days",
        "refuse_when": {"fewer_labels_than": 100, "fewer_per_class_than": 5},
    },
}


def parcels(**changed):
    """Heavy parcels come back; *changed* columns replace the usual ones."""
    random = np.random.default_rng(1)
    weight = random.random(ROWS)
    usual = {
        "id": [f"p{number:03d}" for number in range(ROWS)],
        "at": [BEGAN + timedelta(hours=3 * number) for number in range(ROWS)],
        "weight": weight,
        "spare": random.random(ROWS),
        "kind": random.choice(["book", "lamp", "shoe"], ROWS),
        "back": np.where(weight + 0.2 * random.random(ROWS) > 0.6, "yes", "no"),
    }
    kinds = {"spare": pl.Float64, "kind": pl.String, "back": pl.String}
    return pl.DataFrame({**usual, **changed}, schema_overrides=kinds)


@pytest.fixture
def shop(memory, product):
    """A function that makes a shop which took these parcels in."""

    def make(frame):
        workspace, made = memory(), product(DOCUMENT)
        Door(workspace, made.contract).take("parcels", frame, content=b"parcels", now=NOW)
        return workspace, made

    return make


def refused(workspace, made):
    """What the contract's policy answers when the calendar asks."""
    terms = made.contract.retraining or RetrainingTerms()
    facts = facts_of(workspace, made, terms, now=NOW)
    answer = should_retrain(terms, replace(facts, live_since=BEGAN), NOW)
    assert isinstance(answer, Refusal)
    return facts, answer.reason


def chosen(workspace, made, *, occasion=Occasion.ALARM, incumbent=None):
    """The window that a retraining would learn from."""
    trigger = Trigger(occasion=occasion, reason="costs rose", since=NOW - timedelta(days=25))
    return window_for(
        workspace, made, {"num_leaves": 3}, trigger=trigger, incumbent=incumbent, now=NOW, seed=1
    )


def test_no_row_in_the_window_is_a_reason_to_refuse(shop):
    """Feeds that have been silent for longer than the contract's window: a refusal for labels, and no error."""
    workspace, made = shop(parcels())
    terms = replace(made.contract.retraining or RetrainingTerms(), window_s=86_400.0)
    later = NOW + timedelta(days=400)

    facts = facts_of(workspace, made, terms, now=later)
    answer = should_retrain(terms, replace(facts, live_since=BEGAN), later)

    assert (facts.mature_labels, facts.per_class) == (0, ())
    assert isinstance(answer, Refusal)
    assert "labels immature" in answer.reason


def test_a_window_without_labels(shop):
    """The policy refuses for immature labels, and the choice of a window says that there is nothing to try."""
    workspace, made = shop(parcels(back=[None] * ROWS))

    facts, reason = refused(workspace, made)

    assert facts.mature_labels == 0
    assert "labels immature: 0 mature labels" in reason
    with pytest.raises(SnapshotEmpty, match="no labelled row"):
        chosen(workspace, made)


def test_a_window_of_one_class_only(shop):
    """The policy names the class that is missing; no window can be tried, and that is said."""
    workspace, made = shop(parcels(back=["no"] * ROWS))

    _, reason = refused(workspace, made)

    assert "too few of a class: 0 of `yes`" in reason
    choice = chosen(workspace, made)
    assert choice.window.name == "all"
    assert "no window could be tried" in choice.reason


def test_a_window_whose_newest_part_has_one_class(shop):
    """A window that cannot be learned from is passed over; a longer one is taken."""
    last = ["yes" if number % 3 else "no" for number in range(ROWS - 200)] + ["no"] * 200
    workspace, made = shop(parcels(back=last))

    choice = chosen(workspace, made)

    costs = {one.window.name: one.cost for one in choice.tried}
    assert costs["since the change"] is None
    assert costs["all"] is not None
    assert "since the change: not trainable" in choice.reason


@pytest.mark.parametrize("value", [7.0, None])
def test_a_constant_or_empty_column(shop, value):
    """A column that says nothing is no reason to fail: every window is tried, on the others."""
    workspace, made = shop(parcels(spare=[value] * ROWS))

    choice = chosen(workspace, made)

    assert [one.cost is not None for one in choice.tried] == [True] * len(choice.tried)
    assert min(one.cost for one in choice.tried if one.cost is not None) < 0.3


def test_categories_that_no_window_ever_saw(shop):
    """New categories in the last block are unknown to every model, and it answers all the same."""
    kinds = ["book"] * (ROWS - 60) + ["drone"] * 60
    workspace, made = shop(parcels(kind=kinds))

    choice = chosen(workspace, made)

    assert all(one.cost is not None for one in choice.tried)


def test_a_clock_that_goes_back(shop):
    """A retraining that began after now is a wrong clock: it refuses, and begins nothing."""
    workspace, made = shop(parcels())
    started = RetrainingStarted(
        product="shop", trigger="schedule", champion="", since=None, until=NOW + timedelta(days=1)
    )
    workspace.record("shop", [started], now=NOW + timedelta(days=1))

    answer = ask(workspace, made, now=NOW, person="Dev")

    assert isinstance(answer, Refusal)
    assert "the clock went back" in answer.reason
    assert [one.event.reason for one in workspace.history("shop") if isinstance(one.event, Refused)] == [
        answer.reason
    ]


def test_a_spent_holdout_refuses_before_anything_is_fitted(shop):
    """Eighteen candidates were judged on rows that would be sealed again: only fresh labels help."""
    workspace, made = shop(parcels())
    names = sealed_names([f"p{number:03d}" for number in range(ROWS)])
    committed = PoolsCommitted(
        product="shop",
        contract=made.contract.id,
        snapshot="s",
        commitment="c",
        sealed=workspace.blobs.put(names.astype("<u8").tobytes()),
        rows=(0, 0, ROWS),
    )
    looks = [
        PoolOpened(
            product="shop",
            pool=Pool.VERDICT,
            contract=made.contract.id,
            snapshot="s",
            candidate=f"c{number}",
            purpose="judge",
            commitment="c",
        )
        for number in range(18)
    ]
    workspace.record("shop", [committed, *looks[:17]], now=NOW)

    one_left = ask(workspace, made, now=NOW, person="Dev")
    workspace.record("shop", [looks[17]], now=NOW)
    spent = ask(workspace, made, now=NOW, person="Dev")

    assert isinstance(one_left, Trigger)
    assert isinstance(spent, Refusal)
    assert spent.reasons == ("the sealed holdout is spent: new labels must mature before another verdict",)


def test_the_same_refusal_is_written_down_once_a_week(shop):
    """A command that is given every hour fills no ledger; after a week, or when a person asks, it is told again."""
    workspace, made = shop(parcels(back=[None] * ROWS))

    def refusals():
        return sum(isinstance(one.event, Refused) for one in workspace.history("shop"))

    for hours in (0, 1, 2):
        ask(workspace, made, now=NOW + timedelta(hours=hours), person="Dev")
    assert refusals() == 1
    workspace.record("shop", [RetrainingAsked(product="shop", person="Dev", reason="now")], now=NOW)
    ask(workspace, made, now=NOW + timedelta(hours=3), person="Dev")
    assert refusals() == 2
    ask(workspace, made, now=NOW + timedelta(days=8), person="Dev")
    assert refusals() == 3


def outcomes(workspace, told):
    """Outcomes as the server appends them: (key, label, time)."""
    clock = pl.Datetime("us", "UTC")
    rows = pl.DataFrame(
        {
            EVENT_TIME: pl.Series([at for _, _, at in told], dtype=clock),
            ARRIVAL_TIME: pl.Series([at for _, _, at in told], dtype=clock),
            "_batch": [str(len(told))] * len(told),
            "key": [key for key, _, _ in told],
            "label": [label for _, label, _ in told],
            "decision": [key for key, _, _ in told],
        }
    )
    workspace.lake.append(table_of("shop", OUTCOMES), rows.to_arrow(), batch=str(len(told)))


def test_outcomes_that_come_twice_or_change_later_count_once(shop):
    """Each parcel is one label, whatever was sent about it; the last word counts."""
    workspace, made = shop(parcels(back=["no"] * ROWS))
    early, late = NOW - timedelta(days=3), NOW - timedelta(days=1)

    outcomes(
        workspace,
        [("p001", "yes", early), ("p001", "yes", late), ("p002", "yes", early), ("p002", "no", late)],
    )
    facts = facts_of(workspace, made, RetrainingTerms(), now=NOW)

    assert facts.mature_labels == ROWS
    assert dict(facts.per_class) == {"no": ROWS - 1, "yes": 1}


def day(keys):
    """A day's decisions about *keys*, none of them known yet."""
    return Day(
        day=BEGAN,
        requests=pl.DataFrame({KEY: keys}),
        features=pl.DataFrame(),
        decisions=(),
        actions=np.zeros(len(keys), dtype=np.int64),
        values=np.zeros(len(keys)),
        releases=np.array(["r"] * len(keys), dtype=np.object_),
    )


def told(*labels):
    """Labels that arrived: (key, truth)."""
    return pl.DataFrame(
        {
            KEY: [key for key, _ in labels],
            TRUTH: [truth for _, truth in labels],
            ARRIVAL_TIME: [NOW + timedelta(minutes=number) for number in range(len(labels))],
        },
        schema_overrides={ARRIVAL_TIME: pl.Datetime("us", "UTC")},
    )


def test_no_test_counts_a_row_twice_however_often_its_label_comes():
    """A duplicate and a later change ripen nothing again; the account at the end has the last word."""
    diary = Diary()
    diary.add(day(["a", "b", "c"]))

    first = list(diary.ripen(told(("a", "yes"), ("a", "yes"), ("b", "no")), ("no", "yes")))
    again = list(diary.ripen(told(("a", "yes"), ("b", "yes"), ("stranger", "yes")), ("no", "yes")))
    last = list(diary.ripen(told(("c", "no")), ("no", "yes")))

    assert [one.rows.tolist() for one in first] == [[0, 1]]
    assert first[0].truth.tolist() == [1.0, 0.0]
    assert again == []
    assert [one.rows.tolist() for one in last] == [[2]]
    assert diary.days[0].truth.tolist() == [1.0, 1.0, 0.0]
    assert diary.again == 3


def incumbent(cost):
    """A champion that was live all the time, decided once an hour, and whose every decision cost that."""
    hours = np.arange(1_200, dtype=np.int64)
    at_us = round(BEGAN.timestamp() * 1e6) + hours * 3_600_000_000
    return Incumbent(since=BEGAN, at_us=at_us, costs=np.full(len(hours), cost))


def test_an_alarm_that_no_window_can_answer_begins_nothing(shop):
    """A champion that is free on the block cannot be beaten: nothing begins, unless the calendar or a person asked, or it is dear."""
    workspace, made = shop(parcels())

    with pytest.raises(TrainingImpossible, match="no window teaches a model that is clearly cheaper"):
        chosen(workspace, made, incumbent=incumbent(0.0))

    calendar = chosen(workspace, made, occasion=Occasion.SCHEDULE, incumbent=incumbent(0.0))
    person = chosen(workspace, made)
    dear = chosen(workspace, made, incumbent=incumbent(1000.0))
    assert calendar.window == person.window == dear.window
