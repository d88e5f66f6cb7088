"""Whatever people do in whatever order, the release keeps its promises."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from geartrain.domain.clause import Stage
from geartrain.domain.contract import ReleaseTerms
from geartrain.domain.events import RolledBack, StageEntered
from geartrain.domain.release import ReleaseStage
from geartrain.domain.roles import Role
from geartrain.release.answers import Accepted
from geartrain.release.bundle import evidence_of
from geartrain.release.commands import propose, sign, waive
from geartrain.release.rollout import abort, enter, promote, roll_back
from geartrain.release.state import EMPTY, fold, live_at

#: How many proposals back; mostly the latest, since that is what a team works on.
BACK = st.sampled_from([0, 0, 0, 1, 2, 3])
SELDOM = st.sampled_from([False, False, True])
PEOPLE = ((Role.PRODUCT, "Paula"), (Role.DOMAIN, "Dana"), (Role.ENGINEERING, "Emil"), (Role.SCIENCE, "Sana"))
KEPT, UNPROVEN = 0.97, 0.92


def machine(made):
    """A machine over the releases of one product; some need a waiver for their recall."""

    class Releases(RuleBasedStateMachine):
        @initialize(steps=st.booleans())
        def begin(self, steps):
            self.terms = made.contract(release=ReleaseTerms(rollout=made.rollout if steps else ()))
            self.desk = made.desk(self.terms)
            self.desk.adopt(self.terms)
            # The model: every release's recall in the order of proposal, what was signed and
            # waived since the last proposal, and who was live.
            self.recall = {}
            self.signed = {}
            self.waived = {}
            self.lives = []
            self.number = 0
            self.prepare(again=False, recall=KEPT)
            self.go_the_way(back=0)

        def id(self, back):
            return list(self.recall)[-1 - back % len(self.recall)]

        def take(self, answer):
            before = len(self.desk.recorded)
            self.desk.take(answer)
            for recorded in self.desk.recorded[before:]:
                self.follow(recorded)
            return answer

        def follow(self, recorded):
            """Hold every move against the model."""
            event = recorded.event
            if isinstance(event, StageEntered) and event.stage is ReleaseStage.LIVE:
                record = self.desk.state.record(event.release)
                assert self.signed[event.release] == {role for role, _ in PEOPLE}
                assert record.release.contract == self.desk.terms.id
                recall = next(
                    one
                    for judged in self.desk.state.judged
                    if evidence_of(judged.findings) == record.release.evidence
                    for one in judged.findings
                    if one.clause == "success.recall"
                )
                assert recall.low >= recall.bound or self.waived.get(event.release, recorded.at) > recorded.at
                self.lives.append((recorded.at, event.release))
            if isinstance(event, RolledBack):
                assert event.to in {release for _, release in self.lives}
                assert event.release == self.lives[-1][1]
                self.lives.append((recorded.at, event.to))

        @rule(again=SELDOM, recall=st.sampled_from([KEPT, UNPROVEN]))
        def propose(self, again, recall):
            seen = made.findings(self.desk.terms, recall=recall)
            self.number += not again
            release = made.release(self.desk.terms, seen, str(self.number))
            self.desk.found(release.id, seen, Stage.RELEASE)
            answer = self.take(propose(self.desk.state, self.desk.terms, release, seen))
            if isinstance(answer, Accepted):
                self.recall.pop(release.id, None)
                self.recall[release.id] = recall
                if answer.events:
                    self.signed[release.id] = set()
                    self.waived.pop(release.id, None)

        @rule(back=BACK, who=st.sampled_from([*PEOPLE, (Role.SCIENCE, "Paula"), (Role.ENGINEERING, "Dana")]))
        def sign(self, back, who):
            self.one_signs(back, *who)

        @rule(back=BACK)
        def all_sign(self, back):
            for role, person in PEOPLE:
                self.one_signs(back, role, person)

        def one_signs(self, back, role, person):
            release = self.id(back)
            answer = self.take(
                sign(
                    self.desk.state,
                    self.desk.terms,
                    release=release,
                    role=role,
                    person=person,
                    now=self.desk.now,
                )
            )
            if isinstance(answer, Accepted) and answer.events:
                assert person in self.desk.terms.holders(role)
                self.signed[release].add(role)

        @rule(back=BACK, days=st.integers(1, 20))
        def waive(self, back, days):
            until = self.desk.now + timedelta(days=days)
            answer = self.take(
                waive(
                    self.desk.state,
                    self.desk.terms,
                    release=self.id(back),
                    clause="success.recall",
                    reason="more rows come",
                    role=Role.DOMAIN,
                    person="Dana",
                    expires_at=until,
                    now=self.desk.now,
                )
            )
            if isinstance(answer, Accepted):
                assert self.recall[self.id(back)] == UNPROVEN
                self.waived[self.id(back)] = max(until, self.waived.get(self.id(back), until))

        @rule(back=BACK, canary=st.booleans())
        def enter(self, back, canary):
            stage, share = (ReleaseStage.CANARY, 0.1) if canary else (ReleaseStage.SHADOW, 1.0)
            self.take(
                enter(
                    self.desk.state,
                    self.desk.terms,
                    release=self.id(back),
                    stage=stage,
                    share=share,
                    now=self.desk.now,
                )
            )

        @rule(back=BACK)
        def promote(self, back):
            self.take(promote(self.desk.state, self.desk.terms, release=self.id(back), now=self.desk.now))

        @rule(back=BACK, really=SELDOM)
        def abort(self, back, really):
            if not really:
                return
            champion = self.desk.state.champion
            self.take(abort(self.desk.state, self.desk.terms, release=self.id(back), reason="stop"))
            assert self.desk.state.champion == champion

        @rule(back=st.one_of(st.none(), BACK))
        def roll_back(self, back):
            to = None if back is None else self.id(back)
            self.take(roll_back(self.desk.state, self.desk.terms, now=self.desk.now, reason="worse", to=to))

        @rule(again=SELDOM, recall=st.sampled_from([KEPT, UNPROVEN]))
        def prepare(self, again, recall):
            """The usual beginning, so that the machine gets far in few steps."""
            self.propose(again=again, recall=recall)
            self.all_sign(back=0)

        @rule(back=BACK)
        def go_the_way(self, back):
            """The usual end."""
            for canary, days in ((False, 7), (True, 3)):
                self.enter(back=back, canary=canary)
                self.desk.wait(days)
            self.promote(back=back)

        @rule(days=st.sampled_from([0.5, 3, 7]))
        def wait(self, days):
            self.desk.wait(days)

        @rule(really=SELDOM)
        def change_contract(self, really):
            if not really:
                return
            silent = (*self.desk.terms.silent, "costs")
            self.desk.adopt(replace(self.desk.terms, silent=silent))

        @invariant()
        def one_champion(self):
            state = self.desk.state
            live = [one.id for one in state.records if one.stage is ReleaseStage.LIVE]
            assert live == ([] if state.champion is None else [state.champion])
            assert state.champion == (self.lives[-1][1] if self.lives else None)

        @invariant()
        def one_challenger(self):
            state = self.desk.state
            moving = [
                one.id for one in state.records if one.stage in (ReleaseStage.SHADOW, ReleaseStage.CANARY)
            ]
            assert moving == ([] if state.challenger is None else [state.challenger])

        @invariant()
        def history_answers(self):
            for at, _ in self.lives:
                # Of several changes at one instant the last is what was live from then on.
                last = [release for moment, release in self.lives if moment == at][-1]
                assert live_at(self.desk.state, at).release == last
            for left, right in zip(self.desk.state.reigns, self.desk.state.reigns[1:], strict=False):
                assert left.until == right.since

        def teardown(self):
            recorded = getattr(getattr(self, "desk", None), "recorded", [])
            middle = len(recorded) // 2
            assert fold(recorded[middle:], start=fold(recorded[:middle])) == fold(recorded)

    return Releases


def test_releases_keep_their_promises_in_any_order(made) -> None:
    """Never live unsigned or behind closed gates, one champion at most, back only to what was live."""
    run_state_machine_as_test(machine(made), settings=settings(max_examples=80, stateful_step_count=40))


@given(cut=st.integers(0, 40), more=st.integers(0, 40))
@settings(max_examples=40)
def test_folding_in_parts_is_folding_at_once(made, cut, more) -> None:
    """A kept state fed with what is new equals the fold over the whole stream."""
    terms = made.contract(release=ReleaseTerms())
    desk = made.desk(terms)
    desk.adopt(terms)
    for name in ("a", "b", "c"):
        seen = made.findings(terms)
        release = made.release(terms, seen, name)
        desk.found(release.id, seen)
        desk.take(propose(desk.state, terms, release, seen))
        for role, person in PEOPLE:
            desk.take(sign(desk.state, terms, release=release.id, role=role, person=person, now=desk.now))
        desk.wait(1)
        desk.take(promote(desk.state, terms, release=release.id, now=desk.now))
    desk.take(roll_back(desk.state, terms, now=desk.now, reason="worse"))

    first = fold(desk.recorded[:cut], start=EMPTY)
    second = fold(desk.recorded[cut : cut + more], start=first)

    assert fold(desk.recorded[cut + more :], start=second) == fold(desk.recorded) == desk.state
    assert desk.state.champion is not None
