"""The review queue: stable for a day, honest at random, and the rest where a look helps most."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from geartrain.contract.parsing import parse
from geartrain.domain.features import Encoding, FeatureSet, FeatureType, RequestFeature
from geartrain.domain.rule import rule_of
from geartrain.engine import review_queue as queues
from geartrain.engine.logbook import DECISIONS, SHADOWS
from geartrain.engine.release_words import Reading
from geartrain.engine.review_queue import Why, review_queue
from geartrain.engine.rows import table_of
from geartrain.monitoring.profiling import build

NOW = datetime(2026, 6, 10, 9, tzinfo=UTC)
CONTRACT = """\
geartrain: 1
product: {name: shop, title: Shop, problem: "Whom to show the offer?"}
decision:
  task: binary
  unit: one visit
  label: bought
  positive: "yes"
  actions: {"no": hide, "yes": show}
costs: {currency: EUR, false_negative: 3 * pages, false_positive: pages}
success:
  baselines: {many-pages: {rule: "pages > 20", action: show}}
  expected_cost: {at_most: 5, owner: product, because: it is a test}
data:
  sources:
    visits:
      kind: decisions
      key: visit_id
      fields:
        visit_id: {type: string}
        pages: {type: number}
        device: {type: string}
        bought: {type: string}
team: {product: [Ann], domain: [Bo], engineering: [Cleo], science: [Dev]}
"""


@pytest.fixture
def contract():
    """A shop whose threshold lies at one quarter in every row, whatever the pages."""
    return parse(CONTRACT, origin="product.yaml")


@pytest.fixture
def live(contract, monkeypatch):
    """A live release that learned from 5 to 15 pages on two kinds of device, hardly ever missing."""
    features = FeatureSet(
        features=(
            RequestFeature(name="pages", expression="pages"),
            RequestFeature(name="device", expression="device", type=FeatureType.CATEGORY),
        )
    )
    reference = pl.DataFrame({"pages": np.linspace(5.0, 15.0, 200), "device": ["phone", "desk"] * 100})
    reading = Reading(
        release="r1",
        encoding=Encoding(
            feature_set=features, columns=("pages", "device"), categories=(("device", ("desk", "phone")),)
        ),
        rule=rule_of(contract, ("no", "yes")),
        profile=build(reference.to_arrow()),
        served=None,
    )
    monkeypatch.setattr(queues, "live_reading", lambda *_: reading)
    return reading


def logged(space, chances, *, begins=NOW - timedelta(days=3), batch="b", table=DECISIONS, **more):
    """Decisions with these probabilities of `yes`, a minute apart; an action follows from the threshold."""
    count = len(chances)
    times = pl.Series([begins + timedelta(minutes=i) for i in range(count)], dtype=pl.Datetime("us", "UTC"))
    told = {
        "_event_time": times,
        "_arrival_time": times,
        "_batch": [batch] * count,
        "key": [f"{batch}-{i}" for i in range(count)],
        "decision_id": [f"{batch}-{i}" for i in range(count)],
        "release": ["r1"] * count,
        "arm": ["champion"] * count,
        "action": ["show" if one > 0.25 else "hide" for one in chances],
        "probabilities": [json.dumps({"no": 1 - one, "yes": one}) for one in chances],
        "expected_cost": [0.1] * count,
        "abstained": [False] * count,
        "fallback": [False] * count,
        "doubt": [""] * count,
        "feature:pages": [10.0] * count,
        "feature:device": ["desk"] * count,
        **more,
    }
    space.lake.append(table_of("shop", table), pl.DataFrame(told).to_arrow(), batch=batch)


def chosen(queue, why):
    return {one.decision for one in queue.chosen if one.why is why}


def test_the_queue_is_the_same_all_day_and_for_everybody(memory, contract):
    """It follows from product and day, whatever arrives meanwhile and in whatever order rows lie."""
    space, other = memory(), memory("other")
    chances = np.linspace(0.0, 0.2, 120).tolist()
    logged(space, chances[:60], batch="first")
    logged(space, chances[60:], batch="second")
    logged(other, chances[60:], batch="second")
    logged(other, chances[:60], batch="first")
    before = review_queue(space, contract, now=NOW)
    logged(space, chances, batch="today", begins=NOW - timedelta(hours=5))
    assert review_queue(space, contract, now=NOW + timedelta(hours=8)) == before
    assert review_queue(other, contract, now=NOW) == before
    tomorrow = review_queue(space, contract, now=NOW + timedelta(days=1))
    assert {one.decision for one in tomorrow.chosen} != {one.decision for one in before.chosen}
    assert (before.since, before.until) == (
        datetime(2026, 6, 3, tzinfo=UTC),
        datetime(2026, 6, 10, tzinfo=UTC),
    )


def test_without_a_release_to_ask_all_are_drawn_at_random(memory, contract):
    """Where nothing tells one decision from another, every place is drawn, each decision as likely."""
    space = memory()
    logged(space, [0.1] * 100)
    counted = Counter()
    for day in range(3):
        queue = review_queue(space, contract, now=NOW + timedelta(days=day))
        assert queue.at_random == 1.0
        counted.update(one.decision for one in queue.chosen)
    assert len(counted) > 60


def test_the_random_ones_do_not_depend_on_what_else_is_chosen(memory, contract, live):
    """A decision near the threshold that is drawn counts as drawn: else the drawn ones would be too easy."""
    space = memory()
    chance = np.random.default_rng(3)
    logged(space, np.where(np.arange(400) % 2, 0.25 + 0.001 * chance.normal(size=400), 0.01).tolist())
    queue = review_queue(space, contract, now=NOW)
    drawn, near = chosen(queue, Why.RANDOM), chosen(queue, Why.THRESHOLD)
    assert queue.at_random == len(drawn) / len(queue.chosen) >= 0.25
    assert len(near) == 10
    assert not drawn & near
    odd = sum(int(one.split("-")[1]) % 2 for one in drawn)
    assert 0 < odd < len(drawn), "both kinds are drawn"


def test_near_the_threshold_is_where_two_actions_cost_nearly_the_same(memory, contract, live):
    """The costs of the row count, not the distance from one half; abstentions have no threshold."""
    space = memory()
    chances = [0.01] * 200 + [0.251, 0.249, 0.26, 0.5]
    doubts = [""] * 202 + ["nobody could say"] + [""]
    logged(space, chances, doubt=doubts, abstained=[bool(one) for one in doubts])
    queue = review_queue(space, contract, now=NOW)
    near = chosen(queue, Why.THRESHOLD) | (chosen(queue, Why.RANDOM) & {"b-200", "b-201"})
    assert near == {"b-200", "b-201"}
    words = next(one.words for one in queue.chosen if one.why is Why.THRESHOLD)
    assert "is expected to cost 7." in words
    assert "EUR" in words


def test_a_shadow_and_the_teams_rule_may_disagree(memory, contract, live):
    """Said with who would have done what; a rule that agrees is not mentioned."""
    space = memory()
    pages = [10.0] * 100 + [30.0] * 3
    logged(space, [0.01] * 103, **{"feature:pages": pages})
    logged(
        space, [0.9] * 2, table=SHADOWS, batch="s", decision_id=["b-1", "b-2"], release=["shadowrelease"] * 2
    )
    told = {
        one.decision: one.words
        for one in review_queue(space, contract, now=NOW).chosen
        if one.why is Why.DISAGREEMENT
    }
    drawn = chosen(review_queue(space, contract, now=NOW), Why.RANDOM)
    assert set(told) | drawn >= {"b-1", "b-2", "b-100", "b-101", "b-102"}
    assert set(told) <= {"b-1", "b-2", "b-100", "b-101", "b-102"}
    assert any(
        "the shadow release shadowreleas" in words and "would show" in words for words in told.values()
    )
    assert any("many pages" in words for words in told.values())


def test_doubtful_input_is_handed_over_strange_or_incomplete(memory, contract, live):
    """The log's own doubt, values that no reference row had, and what hardly ever was missing."""
    space = memory()
    count = 600
    pages, device = [10.0] * count, ["desk"] * count
    pages[7], device[9], pages[11], device[13] = 16.0, "fridge", None, None
    doubts = ["" if i != 5 else "the feeds have been silent for 9 h" for i in range(count)]
    logged(space, [0.01] * count, doubt=doubts, abstained=[bool(one) for one in doubts],
           **{"feature:pages": pages, "feature:device": device})  # fmt: skip
    queue = review_queue(space, contract, now=NOW)
    told = {one.decision: one.words for one in queue.chosen if one.why is Why.DOUBT}
    expected = {
        "b-5": "silent", "b-7": "pages is higher than in all known cases",
        "b-9": "device is a value that nobody has seen", "b-11": "pages is missing", "b-13": "device is missing",
    }  # fmt: skip
    others = chosen(queue, Why.RANDOM) | chosen(queue, Why.DISAGREEMENT)
    assert set(told) | (others & set(expected)) == set(expected)
    assert all(expected[id_] in words for id_, words in told.items())
    assert len(told) >= 3


def test_a_product_that_fell_silent_keeps_its_last_busy_days(memory, contract):
    """There is something to look at, and the page can say from when."""
    space = memory()
    logged(space, [0.1] * 50, begins=NOW - timedelta(days=100))
    queue = review_queue(space, contract, now=NOW)
    assert queue.drawn_from == 50
    assert queue.until == datetime(2026, 3, 3, tzinfo=UTC)


def test_of_very_many_decisions_the_latest_are_drawn_from(memory, contract, monkeypatch):
    """The share that is looked at is said, and is the latest."""
    monkeypatch.setattr(queues, "MOST_DRAWN_FROM", 30)
    space = memory()
    logged(space, [0.1] * 200)
    queue = review_queue(space, contract, now=NOW)
    assert queue.drawn_from == 30
    assert all(int(one.decision.split("-")[1]) >= 170 for one in queue.chosen)


def test_nothing_logged_is_an_empty_queue(memory, contract):
    """No decision, no question."""
    assert review_queue(memory(), contract, now=NOW).chosen == ()
