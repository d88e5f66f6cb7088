"""A release moves by the contract's steps, with signatures and open gates, and back at once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from geartrain.domain.clause import Stage
from geartrain.domain.contract import RetrainingAction, RetrainingTerms
from geartrain.domain.release import ReleaseStage
from geartrain.domain.roles import Role
from geartrain.release.answers import Accepted, Refusal
from geartrain.release.commands import propose, sign, waive
from geartrain.release.past import steps_of
from geartrain.release.rollout import abort, enter, previous_champion, promote, roll_back
from geartrain.release.state import live_at

SIGNERS = ((Role.PRODUCT, "Paula"), (Role.DOMAIN, "Dana"), (Role.ENGINEERING, "Emil"), (Role.SCIENCE, "Sana"))
SHADOW = {"stage": ReleaseStage.SHADOW, "share": 1.0}
CANARY = {"stage": ReleaseStage.CANARY, "share": 0.1}


def opened(made, terms=None):
    terms = terms or made.contract()
    desk = made.desk(terms)
    desk.adopt(terms)
    return desk


def offer(made, desk, name, *, signs=True, retrained=False, **values):
    seen = made.findings(desk.terms, **values)
    release = made.release(desk.terms, seen, name).id
    desk.found(release, seen)
    desk.take(
        propose(desk.state, desk.terms, made.release(desk.terms, seen, name), seen, retrained=retrained)
    )
    for role, person in SIGNERS if signs else ():
        desk.take(sign(desk.state, desk.terms, release=release, role=role, person=person, now=desk.now))
    return release


def step(desk, release, **where):
    return desk.take(enter(desk.state, desk.terms, release=release, now=desk.now, **where))


def go_live(desk, release):
    return desk.take(promote(desk.state, desk.terms, release=release, now=desk.now))


def back(desk, **changes):
    return desk.take(roll_back(desk.state, desk.terms, now=desk.now, reason="costs rose", **changes))


def whole_way(desk, release):
    """Shadow, canary, live, each step baked."""
    for days, move in ((7, SHADOW), (3, CANARY)):
        assert isinstance(step(desk, release, **move), Accepted)
        desk.wait(days)
    answer = go_live(desk, release)
    assert isinstance(answer, Accepted), answer
    return release


def test_the_first_release_goes_live_without_a_rollout_and_says_so(made) -> None:
    """There is no champion to be a shadow of; signatures and gates are asked for all the same."""
    desk = opened(made)
    unsigned = offer(made, desk, "a", signs=False)
    refused = go_live(desk, unsigned)
    release = offer(made, desk, "b")

    answer = go_live(desk, release)

    assert isinstance(refused, Refusal)
    assert refused.signs == tuple(role for role, _ in SIGNERS)
    assert "no champion" in answer.notes[0]
    assert desk.state.champion == release
    assert live_at(desk.state, desk.now).approved_by == tuple(f"{role}:{person}" for role, person in SIGNERS)


def test_later_releases_take_every_step_of_the_contract(made) -> None:
    """Shadow, then canary, each for its baking time, in that order, with that share."""
    desk = opened(made)
    first = offer(made, desk, "a")
    go_live(desk, first)
    second = offer(made, desk, "b")

    assert "shadow on 100% of the traffic for 7 days first" in go_live(desk, second).reason
    assert isinstance(step(desk, second, **CANARY), Refusal)
    assert isinstance(step(desk, second, **SHADOW), Accepted)
    assert desk.state.challenger == second
    desk.wait(6.9)
    assert "bakes until" in step(desk, second, **CANARY).reason
    desk.wait(0.1)
    assert isinstance(step(desk, second, **(CANARY | {"share": 0.5})), Refusal)
    assert isinstance(step(desk, second, **CANARY), Accepted)
    assert "bakes until" in go_live(desk, second).reason
    desk.wait(3)
    assert isinstance(go_live(desk, second), Accepted)
    assert (desk.state.champion, desk.state.challenger) == (second, None)
    assert desk.state.record(first).stage is ReleaseStage.RETIRED


def test_moves_may_be_repeated(made) -> None:
    """A step, promotion or abortion that has happened is accepted again without an event."""
    desk = opened(made)
    first = offer(made, desk, "a")
    go_live(desk, first)
    second = offer(made, desk, "b")
    step(desk, second, **SHADOW)

    answers = [go_live(desk, first), step(desk, second, **SHADOW), back(desk, to=first)]

    assert [one.events for one in answers] == [(), (), ()]


@pytest.mark.parametrize("value", [0.92, 0.8, None])
def test_closed_gates_stop_every_step(made, value) -> None:
    """Unproven, broken and not measured: the refusal names the clause."""
    desk = opened(made)
    release = offer(made, desk, "a", recall=value)

    for answer in (go_live(desk, release), step(desk, release, **SHADOW)):
        assert isinstance(answer, Refusal)
        assert "success.recall" in answer.reason


def test_a_waiver_opens_the_gates_until_it_expires(made) -> None:
    """On the day of its expiry the same promotion is refused and the expiry told."""
    desk = opened(made)
    release = offer(made, desk, "a", recall=0.92)
    until = desk.now + timedelta(days=10)
    desk.take(
        waive(
            desk.state,
            desk.terms,
            release=release,
            clause="success.recall",
            reason="more samples in May",
            role=Role.DOMAIN,
            person="Dana",
            expires_at=until,
            now=desk.now,
        )
    )

    late = promote(desk.state, desk.terms, release=release, now=until)
    go_live(desk, release)

    assert "expired on 2026-01-11" in late.reason
    assert [one.clause for one in live_at(desk.state, desk.now).waivers] == ["success.recall"]
    after = live_at(desk.state, until)
    assert (after.waivers, [one.clause for one in after.expired]) == ((), ["success.recall"])


def test_evidence_that_is_not_in_the_ledger_stops_it(made) -> None:
    """The gates judge exactly what was signed, or nothing."""
    desk = opened(made)
    seen = made.findings(desk.terms)
    made_release = made.release(desk.terms, seen)
    desk.take(propose(desk.state, desk.terms, made_release, seen))
    for role, person in SIGNERS:
        desk.take(
            sign(desk.state, desk.terms, release=made_release.id, role=role, person=person, now=desk.now)
        )

    assert "not in the ledger" in go_live(desk, made_release.id).reason


def test_a_clause_that_breaks_on_the_way_stops_the_rollout(made) -> None:
    """Broken in shadow stops, unproven does not: a shadow is short."""
    desk = opened(made)
    go_live(desk, offer(made, desk, "a"))
    release = offer(made, desk, "b")
    step(desk, release, **SHADOW)
    desk.wait(7)
    desk.found(release, made.findings(desk.terms, recall=0.92), Stage.SHADOW)
    step(desk, release, **CANARY)
    broken = tuple(replace(one, found_at=desk.now) for one in made.findings(desk.terms, recall=0.8))
    desk.found(release, broken, Stage.CANARY)
    desk.wait(3)

    answer = go_live(desk, release)

    assert desk.state.record(release).stage is ReleaseStage.CANARY
    assert (answer.reason, answer.do) == ("the rollout has broken success.recall", "abort it")


def test_only_one_challenger_at_a_time(made) -> None:
    """A second one waits, is told why, and may enter once the first was aborted."""
    desk = opened(made)
    go_live(desk, offer(made, desk, "a"))
    second = offer(made, desk, "b")
    step(desk, second, **SHADOW)
    third = offer(made, desk, "c")

    refused = step(desk, third, **SHADOW)
    desk.take(abort(desk.state, desk.terms, release=second, reason="a newer one is better"))

    assert "on its way already" in refused.reason
    assert desk.state.challenger is None
    assert isinstance(step(desk, third, **SHADOW), Accepted)
    assert isinstance(step(desk, second, **SHADOW), Refusal)


@pytest.mark.parametrize(
    ("action", "accepted"),
    [(RetrainingAction.PROPOSE, False), (RetrainingAction.SHADOW, True), (RetrainingAction.PROMOTE, True)],
)
def test_a_retrained_release_enters_shadow_unsigned_only_where_agreed(made, action, accepted) -> None:
    """A shadow acts on nothing; a canary is signed in any case."""
    desk = opened(made, made.contract(retraining=RetrainingTerms(action=action)))
    go_live(desk, offer(made, desk, "a"))
    release = offer(made, desk, "b", signs=False, retrained=True)

    answer = step(desk, release, **SHADOW)
    desk.wait(7)
    then = step(desk, release, **CANARY)

    assert isinstance(answer, Accepted) is accepted
    assert isinstance(then, Refusal)


def test_a_rollback_returns_through_history_and_never_to_what_was_rolled_back(made) -> None:
    """A, B, C live: back from C is B, back from B is A, and then there is nothing left."""
    desk = opened(made)
    a = offer(made, desk, "a")
    go_live(desk, a)
    b = whole_way(desk, offer(made, desk, "b"))
    c = whole_way(desk, offer(made, desk, "c"))

    assert previous_champion(desk.state) == b
    back(desk)
    assert (desk.state.champion, desk.state.record(c).stage) == (b, ReleaseStage.ROLLED_BACK)
    desk.wait(1)
    back(desk)
    assert desk.state.champion == a
    assert isinstance(back(desk), Refusal)
    named = back(desk, to=c)
    assert "itself rolled back" in named.notes[0]
    assert desk.state.champion == c


def test_a_rollback_does_not_wait_for_signatures_but_tells_what_changed(made) -> None:
    """Under a new contract the old release takes over at once, with a note to judge it again."""
    desk = opened(made)
    go_live(desk, offer(made, desk, "a"))
    whole_way(desk, offer(made, desk, "b"))
    desk.adopt(replace(desk.terms, silent=("costs",)))

    answer = back(desk)

    assert "judge it against the adopted one" in answer.notes[0]


@pytest.mark.parametrize("name", ["proposed", "unknown"])
def test_a_rollback_goes_only_to_what_was_live(made, name) -> None:
    """It is no way around signatures."""
    desk = opened(made)
    go_live(desk, offer(made, desk, "a"))
    proposed = offer(made, desk, "b")

    answer = back(desk, to=proposed if name == "proposed" else "0" * 64)

    assert isinstance(answer, Refusal)
    assert "never live" in answer.reason


def test_what_is_live_is_not_aborted_and_what_was_is_not_promoted(made) -> None:
    """Each state has its own way out, and the refusal names it."""
    desk = opened(made)
    nothing = back(desk)
    a = offer(made, desk, "a")
    go_live(desk, a)
    b = whole_way(desk, offer(made, desk, "b"))

    assert nothing.reason == "nothing is live"
    assert abort(desk.state, desk.terms, release=b, reason="x").do == "roll back instead"
    assert go_live(desk, a).do == "roll back to it by its id"


def test_the_only_live_release_goes_on_deciding_and_both_refusals_say_so(made) -> None:
    """Neither refusal sends to the other, and neither says that the fallback rule decides."""
    desk = opened(made)
    a = offer(made, desk, "a")
    go_live(desk, a)

    stopped, returned = abort(desk.state, desk.terms, release=a, reason="x"), back(desk)

    assert stopped.do == returned.do
    assert "goes on deciding" in stopped.do
    assert "stop the server" in stopped.do


def test_live_at_answers_for_every_time(made) -> None:
    """Before, at, between and after the changes, with who had approved."""
    desk = opened(made)
    before = desk.now - timedelta(seconds=1)
    a = offer(made, desk, "a")
    go_live(desk, a)
    first = desk.now
    b = whole_way(desk, offer(made, desk, "b"))
    second = desk.now

    assert live_at(desk.state, before).release is None
    assert live_at(desk.state, first).release == a
    assert live_at(desk.state, second - timedelta(microseconds=1)).release == a
    assert (live_at(desk.state, second).release, live_at(desk.state, second).since) == (b, second)


def test_what_happened_to_a_release_is_told_in_order(made):
    """Its own steps, all of them, and nothing that is about another release; a roll-back belongs to both ends."""
    desk = opened(made)
    first = whole_way(desk, offer(made, desk, "a"))
    second = whole_way(desk, offer(made, desk, "b"))
    back(desk)
    of_first, of_second = steps_of(desk.recorded, release=first), steps_of(desk.recorded, release=second)
    kinds = ["ReleaseProposed", *["SignedOff"] * 4, *["StageEntered"] * 3, "RolledBack"]
    assert [type(one.event).__name__ for one in of_second] == kinds
    assert [type(one.event).__name__ for one in of_first] == kinds
    everything = steps_of(desk.recorded)
    assert len(everything) == len(of_first) + len(of_second) - 1
    assert [one.position for one in everything] == sorted(one.position for one in everything)
