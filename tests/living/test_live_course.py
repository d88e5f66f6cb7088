"""What a live log says to the policy, and what is done about it: as in a replay, from what really was answered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from geartrain.domain.contract import RetrainingAction, RetrainingTerms
from geartrain.domain.events import ChallengeDecided, ReleaseProposed, RolledBack, StageEntered
from geartrain.domain.prediction import Outcome
from geartrain.domain.release import ReleaseStage
from geartrain.domain.wire import encode
from geartrain.engine import releasing
from geartrain.engine.live_course import course_of, reference_costs
from geartrain.engine.monitoring_live import watch_live
from geartrain.engine.retraining_live import ask, facts_of
from geartrain.engine.runs import remember_run
from geartrain.engine.settling import may_go_back, settle
from geartrain.retraining.course import Drop, Promote, next_move
from geartrain.retraining.policy import Occasion, Refusal, Trigger, should_retrain
from geartrain.serving.lanes import Ask, answer, decide_in_shadow

NAME = "shop"
ROWS = 260


def now() -> datetime:
    return datetime.now(UTC)


def later() -> datetime:
    """When the labels of now have had their day."""
    return now() + timedelta(days=2)


def bought(living, *, rows=ROWS):
    """People who look around much are asked about, and buy."""
    sent = [
        {"visit_id": f"late-{place}", "visitor": "v1", "pages": 27.0, "device": "phone"}
        for place in range(rows)
    ]
    given = Ask(
        rows=tuple(sent),
        ids=tuple(living.host.new_id() for _ in sent),
        keys=tuple(str(row["visit_id"]) for row in sent),
    )
    lane = living.host.lane(NAME)
    (records,) = answer(lane, [given], now())
    living.host.log.record(records + decide_in_shadow(lane, [given], now())).result(timeout=5)
    assert living.host.log.flush(timeout_s=10)
    living.host.record_outcomes(
        NAME,
        [
            Outcome(decision=one.decision.id, label="yes", happened_at=now(), arrived_at=now(), by="test")
            for one in records
        ],
    )


def inverted(served):
    """The same release with a model that says the opposite."""

    def predict(matrix):
        told = served.predict(matrix)
        return replace(told, values=told.values[:, ::-1].copy())

    return replace(served, predict=predict)


def promote_second(the_shop, living):
    answered = releasing.promote(
        the_shop.workspace(), the_shop.product.contract, release=the_shop.second, now=now(), reason="better"
    )
    assert releasing.accepted(answered)
    living.look()


def shadow_second(the_shop, living):
    """The second release was retrained, and decides in shadow."""
    space = the_shop.workspace()
    known = space.releases(NAME).record(the_shop.second).release
    space.record(
        NAME,
        [
            ReleaseProposed(id=the_shop.second, release=known, retrained=True),
            StageEntered(
                product=NAME,
                release=the_shop.second,
                stage=ReleaseStage.SHADOW,
                share=1.0,
                approved_by=(),
            ),
        ],
        now=now(),
    )
    living.look()


def told(the_shop, kind):
    return [one.event for one in the_shop.workspace().history(NAME) if isinstance(one.event, kind)]


def test_a_release_that_stands_by_and_decides_cheaper_is_named_and_gone_back_to(the_shop, living):
    """The champion is wrong about 260 visits, the one before it would have been right: no refit, a way back."""
    promote_second(the_shop, living)
    living.host.swap(NAME, inverted(living.host.lane(NAME).champion))
    bought(living)
    space, product, moment = the_shop.workspace(), the_shop.product, later()

    course = course_of(space, product, now=moment)
    refused = ask(space, product, now=moment, person="Sam Cole", course=course)

    assert course.asked == (the_shop.first,)
    assert course.back is not None
    assert course.back.release == the_shop.first
    assert isinstance(refused, Refusal)
    assert f"rolling back is cheaper: release {the_shop.first[:12]}" in refused.reason
    for _ in range(2):
        assert settle(space, product, course, course.back, now=moment).done == "rolled back"
    assert [(one.release, one.to) for one in told(the_shop, RolledBack)] == [
        (the_shop.second, the_shop.first)
    ]


def test_a_champion_that_decides_as_well_stays(the_shop, living):
    """Both are right: the one that stands by was asked, and nothing is proven."""
    promote_second(the_shop, living)
    bought(living)

    course = watch_live(the_shop.workspace(), the_shop.product, now=later()).course

    assert course.champion == the_shop.second
    assert course.asked == (the_shop.first,)
    assert course.back is None


def test_what_cannot_be_asked_is_said(the_shop, living):
    """A bundle that somebody damaged is not asked what it would have done."""
    promote_second(the_shop, living)
    bought(living)
    space = the_shop.workspace()
    damaged = the_shop.root / "bundles" / the_shop.first / "model.onnx"
    damaged.write_bytes(b"something else")

    course = course_of(space, the_shop.product, now=later())

    assert course.asked == ()
    assert any("stands by and is not asked" in one for one in course.missing)


@pytest.mark.parametrize("better", [True, False])
def test_a_retrained_release_in_shadow_is_tested_on_what_both_answered(the_shop, living, better):
    """Proven better it moves on as far as the contract lets a machine; shown worse it is dropped; written down once."""
    shadow_second(the_shop, living)
    lane = living.host.lane(NAME)
    if better:
        living.host.swap(NAME, inverted(lane.champion))
        living.host.set_shadow(NAME, lane.shadow, share=1.0)
    else:
        living.host.set_shadow(NAME, inverted(lane.shadow), share=1.0)
    bought(living)
    space, product, moment = the_shop.workspace(), the_shop.product, later()

    course = course_of(space, product, now=moment)
    move = next_move(course.contest, None, lambda: None)

    assert course.challenger == the_shop.second
    assert course.contest.seen.rows == ROWS
    assert isinstance(move, Promote if better else Drop)
    for _ in range(2):
        settled = settle(space, product, course, move, now=moment)
    assert len(told(the_shop, ChallengeDecided)) == 1
    stage = space.releases(NAME).record(the_shop.second).stage
    if better:
        assert "people take it on" in settled.reason
        assert stage is ReleaseStage.SHADOW
    else:
        assert settled.done == "dropped"
        assert stage is ReleaseStage.ABORTED


def test_a_loss_that_outweighs_a_refit_asks_for_one(the_shop, living):
    """The champion cost little when it was judged and much now: until the next slot more is lost than a refit costs."""
    space, product = the_shop.workspace(), the_shop.product
    judged = tuple(float(place % 10 == 0) for place in range(300))
    remember_run(
        the_shop.root, NAME, "build", {"release": the_shop.first, "costs": space.blobs.put(encode(judged))}
    )
    living.host.swap(NAME, inverted(living.host.lane(NAME).champion))
    bought(living)
    terms = RetrainingTerms(on_alarm=False, refit_cost=40.0, cool_down_s=86_400.0, fewest_labels=100)

    course = course_of(space, product, now=later())
    facts = replace(facts_of(space, product, terms, now=later(), course=course), open_incidents=())

    assert course.gap.per_decision == pytest.approx(2.9, abs=0.1)
    assert course.gap.decisions_per_day == pytest.approx(ROWS / 14, rel=0.01)
    answer = should_retrain(terms, facts, later())
    assert isinstance(answer, Trigger)
    assert answer.occasion is Occasion.COST
    assert should_retrain(replace(terms, refit_cost=10_000.0), facts, later()) is None


def test_a_new_champion_is_watched_by_the_stricter_reference(the_shop, living):
    """A dear release after a cheap one is held to the cheap one's costs; one that came back is held to its own."""
    space = the_shop.workspace()
    for release, cost in ((the_shop.first, 0.2), (the_shop.second, 0.9)):
        costs = tuple([cost] * 100)
        remember_run(
            the_shop.root, NAME, "build", {"release": release, "costs": space.blobs.put(encode(costs))}
        )
    promote_second(the_shop, living)
    watched = reference_costs(space, NAME, space.releases(NAME))
    releasing.roll_back(space, the_shop.product.contract, reason="a test", now=now())
    back = reference_costs(space, NAME, space.releases(NAME))

    assert np.unique(watched).tolist() == [0.2]
    assert np.unique(back).tolist() == [0.2]
    assert space.releases(NAME).came_back


def test_a_machine_goes_back_where_it_may_promote_and_only_once(the_shop, living):
    """Proposing machines leave it to people; so does one whose champion has just come back."""
    promote_second(the_shop, living)
    space, contract = the_shop.workspace(), the_shop.product.contract
    state = space.releases(NAME)

    def may(action, state=state):
        return may_go_back(state, replace(contract, retraining=RetrainingTerms(action=action)))

    assert may(RetrainingAction.PROMOTE)
    assert not may(RetrainingAction.SHADOW)
    assert not may_go_back(state, contract)
    releasing.roll_back(space, contract, reason="a test", now=now())
    assert not may(RetrainingAction.PROMOTE, space.releases(NAME))
