"""A look at a live release on bad input: each kind is handled and said, nothing crashes, nothing is counted twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from geartrain.domain.prediction import Outcome
from geartrain.engine.bundles import load_bundle
from geartrain.engine.decided import decisions_of, with_truth
from geartrain.engine.live_course import course_of, known_costs
from geartrain.engine.monitoring_live import watch_live
from geartrain.serving.lanes import Ask, answer

NAME = "shop"
ROWS = 120


def now() -> datetime:
    return datetime.now(UTC)


def decide(living, *, prefix="v", pages=None, device=None):
    """Decisions about visits, in the log; usual ones where nothing else is said."""
    sent = [
        {
            "visit_id": f"{prefix}-{place}",
            "visitor": "v1",
            "pages": float(place % 30) if pages is None else pages,
            "device": ("phone", "desk")[place % 2] if device is None else (device or None),
        }
        for place in range(ROWS)
    ]
    given = Ask(
        rows=tuple(sent),
        ids=tuple(living.host.new_id() for _ in sent),
        keys=tuple(str(row["visit_id"]) for row in sent),
    )
    (records,) = answer(living.host.lane(NAME), [given], now())
    living.host.log.record(records).result(timeout=5)
    assert living.host.log.flush(timeout_s=10)
    return [one.decision for one in records]


def tell(living, decisions, label, *, at=None):
    """What came of every decision."""
    moment = at or now()
    statuses = living.host.record_outcomes(
        NAME,
        [
            Outcome(decision=one.id, label=label, happened_at=moment, arrived_at=moment, by="test")
            for one in decisions
        ],
    )
    return {str(one) for one in statuses}


@pytest.fixture
def look(the_shop):
    """A function that looks as `geartrain monitor` does, when labels have had their day."""

    def look(*, after=timedelta(days=2)):
        return watch_live(the_shop.workspace(), the_shop.product, now=now() + after)

    return look


def test_decisions_without_a_label(living, look, the_shop):
    """What cannot be watched is said, and the policy gets no cost to reason from."""
    decide(living)

    seen = look()

    assert (seen.decisions, seen.labelled) == (ROWS, 0)
    assert any(one.startswith("no decision's truth is known yet") for one in seen.missing)
    course = course_of(the_shop.workspace(), the_shop.product, now=now())
    assert (course.gap, course.contest, course.back) == (None, None, None)


def test_labels_of_one_class_only(living, look):
    """Costs are counted as they are; what needs both classes says that it has none."""
    tell(living, decide(living), "no")

    seen = look()

    assert seen.labelled == ROWS
    recall = next(one for one in seen.findings if one.clause == "success.recall")
    assert recall.status == "not measured"
    assert "no row" in recall.message or "none" in recall.message, recall.message


@pytest.mark.parametrize(
    ("rows", "kinds"),
    [
        ({"pages": 7.0}, {"constant", "drift"}),
        ({"device": ""}, {"nulls"}),
        ({"device": "watch"}, {"categories", "new-category", "nulls"}),
    ],
    ids=["a constant column", "an empty column", "categories never seen"],
)
def test_columns_that_say_nothing(living, look, rows, kinds):
    """Every decision is watched; once a window is full the column is named as what it is."""
    tell(living, decide(living, **rows), "no")

    seen = look(after=timedelta(days=40))

    assert seen.labelled == seen.decisions == ROWS
    told = {one.kind for one in seen.signals if one.about in {*rows}}
    assert told & kinds, [(one.kind, one.about) for one in seen.signals]


def test_a_clock_that_goes_back(living, look):
    """A look from before the decisions knows none of them, and the next one all: nothing is kept twice."""
    tell(living, decide(living), "no")

    first = look()
    earlier = look(after=timedelta(days=-1))
    again = look()

    assert (first.labelled, earlier.labelled, again.labelled) == (ROWS, 0, ROWS)
    assert [one.id for one in again.open] == [one.id for one in first.open]
    assert again.opened == ()


def test_outcomes_that_come_twice_or_change_later(living, look, the_shop):
    """Each decision has one cost, that of the last word; neither log nor count is longer for it."""
    decisions = decide(living, pages=29.0)

    def costs():
        space, contract = the_shop.workspace(), the_shop.product.contract
        moment = now() + timedelta(days=2)
        log = decisions_of(space, NAME, now=moment, release=the_shop.first)
        known = with_truth(space, contract, log, now=moment)
        return known_costs(
            space, contract, load_bundle(space, the_shop.first), known, now=moment
        ).costs.tolist()

    tell(living, decisions, "yes")
    tell(living, decisions, "yes")
    assert costs() == [0.0] * ROWS
    tell(living, decisions, "no", at=now() + timedelta(hours=1))
    seen = look()

    assert costs() == [1.0] * ROWS
    assert (seen.decisions, seen.labelled) == (ROWS, ROWS)
