"""Who may sign and waive what, and when a word does not count any more."""

from dataclasses import replace

import pytest

from geartrain.domain.contract import ReleaseTerms
from geartrain.domain.events import Refused
from geartrain.domain.release import ReleaseStage
from geartrain.domain.roles import Role
from geartrain.errors import ReleaseUnknown
from geartrain.release.answers import Accepted, Refusal
from geartrain.release.commands import propose, sign, waive
from geartrain.release.conditions import signing
from geartrain.release.rollout import abort, promote
from geartrain.release.state import fold

SIGNERS = ((Role.PRODUCT, "Paula"), (Role.DOMAIN, "Dana"), (Role.ENGINEERING, "Emil"), (Role.SCIENCE, "Sana"))


def offered(made, terms=None, name="a", desk=None, **values):
    """A desk at which one release was proposed with its findings recorded."""
    terms = terms or made.contract()
    if desk is None:
        desk = made.desk(terms)
        desk.adopt(terms)
    seen = made.findings(terms, **values)
    release = made.release(terms, seen, name)
    desk.found(release.id, seen)
    assert isinstance(desk.take(propose(desk.state, terms, release, seen)), Accepted)
    return desk, release


def signed(desk, release, role, person, **changes):
    return desk.take(
        sign(desk.state, desk.terms, release=release.id, role=role, person=person, now=desk.now, **changes)
    )


def waived(desk, release, **changes):
    asked = {
        "clause": "success.recall",
        "reason": "300 more samples arrive in May",
        "role": Role.DOMAIN,
        "person": "Dana",
        "expires_at": desk.now.replace(year=2027),
    }
    asked.update(changes)
    return desk.take(waive(desk.state, desk.terms, release=release.id, now=desk.now, **asked))


def test_every_role_signs_the_exact_release(made) -> None:
    """Each answer says who is still to sign; then nobody is."""
    desk, release = offered(made)

    notes = [signed(desk, release, role, person).notes[0] for role, person in SIGNERS]

    assert notes[0] == "still to sign: domain, engineering, science"
    assert notes[-1] == "every role that must sign has signed"
    assert signing(desk.terms, desk.state.record(release.id)).missing == ()


def test_who_signs_is_told_that_the_gates_are_closed_and_by_what(made) -> None:
    """A yes to what may not go live is written down all the same, and nobody gives it unknowing."""
    desk, release = offered(made, recall=0.8)

    notes = signed(desk, release, *SIGNERS[0]).notes

    assert any("the gates are closed by success.recall (broken)" in one for one in notes)
    kept_desk, kept = offered(made)
    assert not any("gates" in one for one in signed(kept_desk, kept, *SIGNERS[0]).notes)


def test_signing_twice_changes_nothing(made) -> None:
    """A repeated command after a crash is accepted and appends no second signature."""
    desk, release = offered(made)
    signed(desk, release, Role.PRODUCT, "Paula")

    again = signed(desk, release, Role.PRODUCT, "Paula")

    assert again == Accepted(events=(), notes=("Paula signed for product already",))


def test_only_a_holder_of_the_role_signs(made) -> None:
    """The refusal names who can, and becomes an event of the ledger."""
    desk, release = offered(made)

    answer = signed(desk, release, Role.SCIENCE, "Paula")

    assert isinstance(answer, Refusal)
    assert (answer.reason, answer.do) == ("Paula does not hold the role science", "ask Sana")
    assert answer.event == Refused(product="triage", what="sign", subject=release.id, reason=answer.reason)


def test_one_person_does_not_sign_for_two_roles_unless_agreed(made) -> None:
    """Dana holds two roles; four eyes stay four unless the contract says otherwise."""
    desk, release = offered(made)
    signed(desk, release, Role.DOMAIN, "Dana")
    agreed, same = offered(made, made.contract(release=ReleaseTerms(two_roles_one_person=True)))
    signed(agreed, same, Role.DOMAIN, "Dana")

    refused = signed(desk, release, Role.ENGINEERING, "Dana")

    assert isinstance(refused, Refusal)
    assert "Emil" in refused.do
    assert isinstance(signed(agreed, same, Role.ENGINEERING, "Dana"), Accepted)


def test_an_unknown_or_shortened_id_is_not_signed(made) -> None:
    """A signature names the whole id, so nobody signs by mistake."""
    desk, release = offered(made)

    for name in ("0" * 64, release.id[:12]):
        answer = sign(desk.state, desk.terms, release=name, role=Role.PRODUCT, person="Paula", now=desk.now)
        assert isinstance(answer, Refusal)
        assert answer.reason == "no release has this id"


def test_a_superseded_release_is_not_signed(made) -> None:
    """A newer proposal takes the older one off the table, and the refusal names it."""
    desk, old = offered(made)
    _, new = offered(made, desk.terms, "b", desk)

    answer = signed(desk, old, Role.PRODUCT, "Paula")

    assert isinstance(answer, Refusal)
    assert desk.state.record(old.id).stage is ReleaseStage.SUPERSEDED
    assert new.id in answer.do


def test_a_changed_contract_voids_signatures_and_says_who_signs_again(made) -> None:
    """The adopted contract is another one: neither signing nor promoting goes on."""
    desk, release = offered(made)
    for role, person in SIGNERS:
        signed(desk, release, role, person)
    desk.adopt(replace(desk.terms, silent=("costs",)))

    refused = promote(desk.state, desk.terms, release=release.id, now=desk.now)

    assert isinstance(refused, Refusal)
    assert "contract changed" in refused.reason
    assert refused.signs == tuple(role for role, _ in SIGNERS)
    assert isinstance(signed(desk, release, Role.PRODUCT, "Paula"), Refusal)


def test_a_contract_that_is_not_adopted_decides_nothing(made) -> None:
    """A command given with an old contract in hand is refused."""
    desk, release = offered(made)
    stale = desk.terms
    desk.adopt(replace(desk.terms, silent=("costs",)))

    answer = sign(desk.state, stale, release=release.id, role=Role.PRODUCT, person="Paula", now=desk.now)

    assert isinstance(answer, Refusal)
    assert "not the adopted one" in answer.reason


def test_who_left_the_role_has_not_signed(made) -> None:
    """A signature counts while its person holds the role."""
    desk, release = offered(made)
    signed(desk, release, Role.SCIENCE, "Sana")
    others = tuple((role, people) for role, people in desk.terms.team if role is not Role.SCIENCE)

    left = signing(
        replace(desk.terms, team=(*others, (Role.SCIENCE, ("Tom",)))), desk.state.record(release.id)
    )

    assert Role.SCIENCE in left.missing


def test_without_a_release_section_every_role_of_the_team_signs_and_it_is_said(made) -> None:
    """Nobody is left out by not being written down."""
    desk, release = offered(made, made.contract(release=None))

    asked = signing(desk.terms, desk.state.record(release.id))

    assert asked.needed == (Role.PRODUCT, Role.DOMAIN, Role.ENGINEERING, Role.SCIENCE)
    assert "no release section" in asked.note
    assert asked.note in signed(desk, release, Role.PRODUCT, "Paula").notes


def test_a_retrained_release_asks_the_roles_that_the_contract_names(made) -> None:
    """`retrained_sign` replaces `sign` only for what no person began."""
    terms = made.contract(release=ReleaseTerms(retrained_sign=(Role.SCIENCE,)))
    desk = made.desk(terms)
    desk.adopt(terms)
    seen = made.findings(terms)
    release = made.release(terms, seen)
    desk.take(propose(desk.state, terms, release, seen, retrained=True))

    assert signing(terms, desk.state.record(release.id)).needed == (Role.SCIENCE,)
    answer = signed(desk, release, Role.PRODUCT, "Paula")
    assert isinstance(answer, Refusal)
    assert answer.reason == "product is not asked to sign"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"role": Role.SCIENCE, "person": "Sana"}, "belongs to domain"),
        ({"person": "Emil"}, "does not hold"),
        ({"reason": "  "}, "without a reason"),
        ({"clause": "success.nothing"}, "no clause"),
        ({"clause": "fairness.size"}, "only warns"),
        ({"clause": "budget.latency", "role": Role.ENGINEERING, "person": "Emil"}, "is kept"),
    ],
)
def test_a_waiver_needs_the_owner_a_reason_and_an_open_clause(made, changes, reason) -> None:
    """Everything else is refused with what is so."""
    desk, release = offered(made, recall=0.92)

    answer = waived(desk, release, **changes)

    assert isinstance(answer, Refusal)
    assert reason in answer.reason


def test_a_waiver_must_expire_in_the_future(made) -> None:
    """Now is not the future."""
    desk, release = offered(made, recall=0.92)

    answer = waived(desk, release, expires_at=desk.now)

    assert isinstance(answer, Refusal)
    assert "expired" in answer.reason


@pytest.mark.parametrize("value", [0.92, 0.8, None])
def test_what_is_not_kept_may_be_waived(made, value) -> None:
    """Unproven, broken and not measured alike, by the clause's owner."""
    desk, release = offered(made, recall=value)

    waived(desk, release)

    waiver = desk.state.record(release.id).waivers[0]
    assert (waiver.clause, waiver.person, waiver.granted_at) == ("success.recall", "Dana", desk.now)


def test_proposing_twice_changes_nothing(made) -> None:
    """The same bytes proposed again keep their signatures."""
    desk, release = offered(made)
    signed(desk, release, Role.PRODUCT, "Paula")

    again = propose(desk.state, desk.terms, release, made.findings(desk.terms))

    assert again == Accepted(events=(), notes=("the release is proposed already",))


def test_an_aborted_release_may_be_proposed_again_without_its_signatures(made) -> None:
    """Something stopped it; whoever wants it again looks again."""
    desk, release = offered(made)
    signed(desk, release, Role.PRODUCT, "Paula")
    desk.take(abort(desk.state, desk.terms, release=release.id, reason="wrong day"))

    offered(made, desk.terms, "a", desk)

    record = desk.state.record(release.id)
    assert (record.stage, record.sign_offs) == (ReleaseStage.PROPOSED, ())


def test_a_proposal_must_fit_product_contract_and_evidence(made) -> None:
    """What was judged under another contract, or with other findings, is not offered for signature."""
    terms = made.contract()
    desk = made.desk(terms)
    desk.adopt(terms)
    seen = made.findings(terms)
    release = made.release(terms, seen)

    answers = [
        propose(desk.state, terms, replace(release, product="other"), seen),
        propose(desk.state, terms, replace(release, contract="older"), seen),
        propose(desk.state, terms, release, seen[:1]),
    ]

    assert all(isinstance(one, Refusal) for one in answers)


def test_names_resolve_to_ids(made) -> None:
    """An id, a beginning that only one release has, or an alias; anything else is an error that lists them."""
    desk, release = offered(made)

    assert desk.state.resolve(release.id) == release.id
    assert desk.state.resolve(release.id[:8]) == release.id
    for name in ("champion", "", "zzz"):
        with pytest.raises(ReleaseUnknown):
            desk.state.resolve(name)


def test_half_a_stream_is_not_folded(made) -> None:
    """A signature for a release that was never proposed shows that events are missing."""
    desk, release = offered(made)
    signed(desk, release, Role.PRODUCT, "Paula")

    with pytest.raises(ReleaseUnknown, match="never proposed"):
        fold(desk.recorded[-1:])
