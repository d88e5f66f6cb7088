"""What must not go on is stopped by the machine, with its reason in the ledger, and the server goes on answering."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from geartrain.domain.clause import Clause, Comparison, Stage
from geartrain.domain.contract import Contract, DecisionTerms, ProductTerms, ReleaseTerms
from geartrain.domain.events import ReleaseProposed, RolledBack, StageEntered
from geartrain.domain.finding import Guarantee, Measurement, Status, judge
from geartrain.domain.prediction import Outcome
from geartrain.domain.release import ReleaseStage
from geartrain.domain.roles import Role
from geartrain.domain.task import Task
from geartrain.engine import releasing
from geartrain.engine.canary_live import may_stop, noted_arms
from geartrain.engine.guarding import breaking
from geartrain.engine.monitoring_live import watch_live
from geartrain.serving.lanes import Ask, answer, decide_in_shadow

NAME = "shop"
ROWS = 300


def now() -> datetime:
    return datetime.now(UTC)


def ask(living, rows):
    """Decide as the API does, through the lane and into the log; the decisions."""
    given = Ask(
        rows=tuple(rows),
        ids=tuple(living.host.new_id() for _ in rows),
        keys=tuple(str(row["visit_id"]) for row in rows),
    )
    lane = living.host.lane(NAME)
    (records,) = answer(lane, [given], now())
    assert isinstance(records, tuple)
    living.host.log.record(records + decide_in_shadow(lane, [given], now())).result(timeout=5)
    assert living.host.log.flush(timeout_s=10)
    return [one.decision for one in records]


def visits(name, *, pages=(1.0,), devices=("phone",)):
    return [
        {
            "visit_id": f"{name}-{i}",
            "visitor": "v1",
            "pages": pages[i % len(pages)],
            "device": devices[i % len(devices)],
        }
        for i in range(ROWS)
    ]


def tell(living, decisions, label):
    """What came of every decision: *label*."""
    outcomes = [
        Outcome(decision=one.id, label=label, happened_at=now(), arrived_at=now(), by="test")
        for one in decisions
    ]
    living.host.record_outcomes(NAME, outcomes)


def look(the_shop, *, after=timedelta(days=2)):
    """`geartrain monitor`, when labels have had their day."""
    return watch_live(the_shop.workspace(), the_shop.product, now=now() + after)


def last(the_shop, kind):
    """The last event of its kind, with who wrote it."""
    found = [one for one in the_shop.workspace().history(NAME) if isinstance(one.event, kind)]
    return found[-1]


def enter(the_shop, stage, share):
    event = StageEntered(product=NAME, release=the_shop.second, stage=stage, share=share, approved_by=())
    the_shop.workspace().record(NAME, [event], now=now())


def promote(the_shop, living):
    answered = releasing.promote(
        the_shop.workspace(), the_shop.product.contract, release=the_shop.second, now=now(), reason="better"
    )
    assert releasing.accepted(answered)
    living.look()
    assert living.host.lane(NAME).champion.release == the_shop.second


def wait(living, took_ms, *, answers=400):
    """So many visitors, ten seconds apart, each answered after *took_ms*."""
    lane, begins = living.host.lane(NAME), now()
    records = []
    for i in range(answers):
        row = {"visit_id": f"late-{i}", "visitor": "v1", "pages": 1.0, "device": "phone"}
        given = Ask(rows=(row,), ids=(living.host.new_id(),), keys=(row["visit_id"],), arrived_s=0.0)
        (made,) = answer(lane, [given], begins + timedelta(seconds=10 * i), clock=lambda: took_ms / 1e3)
        records.extend(made)
    living.host.log.record(records).result(timeout=5)
    assert living.host.log.flush(timeout_s=10)


def failing(served):
    """The same release with a model that raises."""

    def predict(matrix):
        raise RuntimeError("no memory")

    return replace(served, predict=predict)


def answers_by(living, release):
    living.look()
    (decision, *_) = ask(living, visits("after", pages=(25.0,)))
    return decision.release == release and bool(decision.probabilities)


@pytest.mark.parametrize(
    ("stage", "share"), [(ReleaseStage.SHADOW, 1.0), (ReleaseStage.CANARY, 0.9)], ids=["shadow", "canary"]
)
def test_a_rollout_that_breaks_an_abort_clause_is_aborted(living, the_shop, stage, share):
    """Nobody who bought was shown the offer: the rollout ends with that as its reason, once; the champion answers."""
    enter(the_shop, stage, share)
    living.look()
    tell(living, ask(living, visits("v")), "yes")

    found = look(the_shop)
    again = look(the_shop)

    entered = last(the_shop, StageEntered)
    assert (entered.event.release, entered.event.stage) == (the_shop.second, ReleaseStage.ABORTED)
    assert entered.actor == "geartrain"
    assert "success.recall is broken" in entered.event.reason
    assert "at all times at once" in entered.event.reason
    assert (len(found.stopped), again.stopped) == (1, ())
    recorded = releasing.releases(the_shop.workspace(), NAME).findings(the_shop.second, Stage(str(stage)))
    assert {one.clause: str(one.status) for one in recorded}["success.recall"] == "broken"
    assert living.host.lane(NAME).champion.release == the_shop.first
    assert answers_by(living, the_shop.first)
    assert living.host.lane(NAME).canary is None


def test_a_rollout_that_keeps_its_clauses_goes_on(living, the_shop):
    """Right decisions stop nothing."""
    enter(the_shop, ReleaseStage.SHADOW, 1.0)
    living.look()
    decisions = ask(living, visits("v", pages=(1.0, 25.0), devices=("phone", "phone", "desk", "desk")))
    tell(living, [one for one in decisions if one.action == "show"], "yes")
    tell(living, [one for one in decisions if one.action == "hide"], "no")

    found = look(the_shop)

    assert (found.stopped, len(found.beside)) == ((), 4)
    assert releasing.releases(the_shop.workspace(), NAME).challenger == the_shop.second


@pytest.mark.parametrize("broken", ["success.recall", "fairness.phones_and_desks"])
def test_a_live_release_that_breaks_an_abort_clause_is_rolled_back(living, the_shop, broken):
    """The champion before it answers again; the event has the clause as its reason. It is not taken back in turn."""
    promote(the_shop, living)
    if broken == "success.recall":
        tell(living, ask(living, visits("v")), "yes")
    else:
        decisions = ask(living, visits("v", pages=(25.0, 1.0), devices=("phone", "desk")))
        tell(living, [one for one in decisions if one.action == "show"], "yes")
        tell(living, [one for one in decisions if one.action == "hide"], "no")

    found = look(the_shop)

    rolled = last(the_shop, RolledBack)
    assert (rolled.event.release, rolled.event.to) == (the_shop.second, the_shop.first)
    assert rolled.actor == "geartrain"
    assert f"{broken} is broken" in rolled.event.reason
    assert len(found.stopped) == 1
    assert answers_by(living, the_shop.first)

    tell(living, ask(living, visits("w")), "yes")
    later = look(the_shop)
    assert later.stopped == ()
    assert any("a second step is for people to take" in one for one in later.missing)
    assert releasing.releases(the_shop.workspace(), NAME).champion == the_shop.first


def test_answers_that_come_too_late_are_stopped_like_any_broken_clause(living, the_shop):
    """No label is waited for: a canary that is slow is aborted."""
    enter(the_shop, ReleaseStage.CANARY, 0.9)
    living.look()
    wait(living, 80.0)

    look(the_shop)

    entered = last(the_shop, StageEntered)
    assert (entered.event.release, entered.event.stage) == (the_shop.second, ReleaseStage.ABORTED)
    assert "budget.latency_p99 is broken: latency_p99 is 80 (80 to " in entered.event.reason
    assert "until the decision was handed to the log" in entered.event.reason


def test_a_slow_live_release_is_rolled_back(living, the_shop):
    """The champion before it answers again; engineering was called by the page on latencies, once."""
    wait(living, 5.0)
    promote(the_shop, living)
    wait(living, 80.0)

    found = look(the_shop)

    rolled = last(the_shop, RolledBack)
    assert (rolled.event.release, rolled.event.to) == (the_shop.second, the_shop.first)
    assert "budget.latency_p99 is broken" in rolled.event.reason
    (slow,) = [one for one in found.signals if one.kind == "latency"]
    assert (slow.about, slow.rows) == ("budget.latency_p99", 400)
    assert [one.about for one in found.opened for one in one.signals if one.kind == "latency"] == [slow.about]


def test_without_a_way_back_the_release_stays_and_people_are_told(living, the_shop):
    """The first release has none before it."""
    tell(living, ask(living, visits("v")), "yes")

    found = look(the_shop)

    assert found.stopped == ()
    assert any("no earlier release" in one and "success.recall" in one for one in found.missing)


def test_a_canary_whose_model_fails_is_aborted(living, the_shop):
    """Its share of failures is above the champion's on the same traffic; no label is waited for."""
    enter(the_shop, ReleaseStage.CANARY, 0.5)
    living.look()
    living.host.set_canary(NAME, failing(living.host.lane(NAME).canary), share=0.5)
    ask(living, visits("v"))

    found = look(the_shop, after=timedelta(seconds=1))

    entered = last(the_shop, StageEntered)
    assert (entered.event.release, entered.event.stage) == (the_shop.second, ReleaseStage.ABORTED)
    assert entered.actor == "geartrain"
    assert "its model failed on 100 %" in entered.event.reason
    assert "fallback_rate" not in entered.event.reason
    assert len(found.stopped) == 1
    assert answers_by(living, the_shop.first)


def test_a_live_release_whose_model_fails_is_rolled_back(living, the_shop):
    """Even where the release before it stood in for every answer, the log says whose model failed."""
    ask(living, visits("before"))
    promote(the_shop, living)
    lane = living.host.lane(NAME)
    living.host.swap(NAME, failing(lane.champion))
    living.host.set_previous(NAME, lane.previous)
    decisions = ask(living, visits("v"))
    assert {one.release for one in decisions} == {the_shop.first}

    found = look(the_shop, after=timedelta(seconds=1))

    (fell,) = [one for one in found.findings if one.clause == "budget.fallback_rate"]
    assert (fell.status, fell.value, fell.rows, fell.holds_at_all_times) == (Status.BROKEN, 1.0, ROWS, True)
    rolled = last(the_shop, RolledBack)
    assert (rolled.event.release, rolled.event.to, rolled.actor) == (
        the_shop.second,
        the_shop.first,
        "geartrain",
    )
    assert "its model failed on 100 %" in rolled.event.reason
    assert answers_by(living, the_shop.first)


CLAUSE = Clause(
    path="plausibility.rises",
    metric="rises_with",
    owner=Role.DOMAIN,
    comparison=Comparison.AT_MOST,
    bound=0.1,
    stages=(Stage.LIVE,),
)


@pytest.mark.parametrize(
    ("path", "changed", "stops"),
    [
        ("plausibility.rises", {}, True),
        ("success.recall", {}, True),
        ("fairness.alike", {}, True),
        ("plausibility.rises", {"guarantee": Guarantee.ONE_LOOK, "confidence": 1.0}, True),
        ("plausibility.rises", {"guarantee": Guarantee.ONE_LOOK}, False),
        ("plausibility.rises", {"value": 0.05, "low": 0.0, "high": 0.2}, False),
        ("data.visits.freshness", {}, False),
    ],
)
def test_only_a_statement_for_all_times_about_the_release_stops_it(path, changed, stops):
    """A finding of one look, an unproven one and one about a feed stop nothing; what is not in `abort_on` never does."""
    clause = replace(CLAUSE, path=path)
    seen = replace(
        Measurement(
            value=0.5, low=0.4, high=0.6, rows=500, method="Clopper-Pearson", guarantee=Guarantee.AT_ALL_TIMES
        ),
        **changed,
    )
    contract = Contract(
        product=ProductTerms(name="shop", title="Shop", problem="who buys"),
        decision=DecisionTerms(task=Task.BINARY, unit="visit", label="bought"),
        team=(),
        clauses=(clause,),
        release=ReleaseTerms(abort_on=(path,)),
    )
    found = (judge(clause, seen, stage=Stage.LIVE, now=datetime(2026, 3, 1, tzinfo=UTC)),)
    assert breaking(contract, found) == (found if stops else ())
    assert breaking(replace(contract, release=ReleaseTerms()), found) == ()


def dearer_canary(living, the_shop, *, retrained):
    """The second release is in a canary on half of the keys and shows everybody the offer; nobody buys."""
    if retrained:
        known = the_shop.workspace().releases(NAME).record(the_shop.second).release
        event = ReleaseProposed(id=the_shop.second, release=known, retrained=True)
        the_shop.workspace().record(NAME, [event], now=now())
    tell(living, ask(living, visits("before")), "no")
    enter(the_shop, ReleaseStage.CANARY, 0.5)
    living.look()
    canary = living.host.lane(NAME).canary
    living.host.set_canary(NAME, showing(canary), share=0.5)
    decisions = ask(living, visits("v", devices=("phone",)))
    assert {one.action for one in decisions if one.release == the_shop.second} == {"show"}
    assert {one.action for one in decisions if one.release == the_shop.first} == {"hide"}
    tell(living, decisions, "no")


def showing(served):
    """The same release with a model that is sure of everybody."""

    def predict(matrix):
        told = served.predict(matrix)
        return replace(told, values=np.tile([0.01, 0.99], (len(told.values), 1)))

    return replace(served, predict=predict)


def test_a_retrained_canary_that_decides_dearer_on_its_keys_is_aborted(living, the_shop):
    """Each of its decisions cost 1, those of the champion on the other keys nothing; the ledger and the room have both figures."""
    dearer_canary(living, the_shop, retrained=True)

    found = look(the_shop)

    entered = last(the_shop, StageEntered)
    assert (entered.event.release, entered.event.stage) == (the_shop.second, ReleaseStage.ABORTED)
    assert entered.actor == "geartrain"
    assert "it decides dearer than the champion: a decision cost 1 (" in entered.event.reason
    assert "the champion's 0 (" in entered.event.reason
    assert "at all times at once" in entered.event.reason
    assert found.arms.split.is_dearer
    assert found.arms.split.canary.rows + found.arms.split.champion.rows == ROWS
    told = noted_arms(the_shop.workspace(), NAME, the_shop.second)
    assert (told["canary"]["value"], told["champion"]["value"]) == (pytest.approx(1.0), 0.0)
    assert answers_by(living, the_shop.first)

    assert look(the_shop).arms is None
    assert noted_arms(the_shop.workspace(), NAME, the_shop.second) is None


def test_a_canary_of_people_that_decides_dearer_is_theirs_to_end(living, the_shop):
    """They may have signed what it costs: it goes on, and they are told. A clause on cost in `abort_on` would end it."""
    dearer_canary(living, the_shop, retrained=False)

    found = look(the_shop)

    assert found.stopped == ()
    assert any("which people began, although it decides dearer" in one for one in found.missing)
    record = releasing.releases(the_shop.workspace(), NAME).record(the_shop.second)
    assert record.stage is ReleaseStage.CANARY
    contract = the_shop.product.contract
    terms = replace(contract.release, abort_on=("success.expected_cost",))
    assert (may_stop(contract, record), may_stop(replace(contract, release=terms), record)) == (False, True)


def test_a_canary_that_decides_alike_goes_on(living, the_shop):
    """Nothing is proven on 300 visits that both decide the same way."""
    tell(living, ask(living, visits("before")), "no")
    enter(the_shop, ReleaseStage.CANARY, 0.5)
    living.look()
    tell(living, ask(living, visits("v", devices=("phone", "desk"))), "no")

    found = look(the_shop)

    assert found.stopped == ()
    assert "neither is proven dearer" in found.arms.reason
