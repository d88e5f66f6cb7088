"""Incidents: the owner acts and ends them, everybody reads and writes down."""

import html
from datetime import timedelta

import pytest

from geartrain.domain.contract import Cause
from geartrain.domain.events import IncidentClosed, IncidentNoted, IncidentOpened, RetrainingAsked
from geartrain.domain.incident import FirstAction, Incident, Signal
from geartrain.domain.roles import Role
from geartrain.engine.adopted import read_contract_text
from geartrain.engine.contract_changes import open_proposals
from geartrain.engine.retraining_live import person_asking

AT = "/products/shop/incidents"


@pytest.fixture
def opened(team):
    """A function that opens an incident of the science role; its address."""

    def make(action=FirstAction.RETRAIN, message="the same cases end differently"):
        signal = Signal(
            kind="cost", about="success.expected_cost", measure="EUR", size=2.5, evidence=1e4,
            since=team.now - timedelta(days=3), rows=1200, message="decisions cost more than was promised",
        )  # fmt: skip
        incident = Incident(
            id=f"incident-{action.name.lower()}", product="shop", cause=Cause.CONCEPT, owner=Role.SCIENCE,
            opened_at=team.now, began_at=team.now - timedelta(days=3), message=message,
            first_action=action, signals=(signal,), cost_per_day=31.5,
        )  # fmt: skip
        team.workspace.record("shop", [IncidentOpened(incident=incident)], now=team.now)
        return f"{AT}/{incident.id}"

    return make


def test_an_incident_says_cause_cost_owner_and_first_action(team, opened):
    """The page says what is needed to act, and no hostile name gets through."""
    at = opened(message="<script>alert(1)</script> drifted")
    browser = team.signed_in("Visitor Vera")
    page = browser.page(at)
    for words in ("31.5", "science", team.holder("science"), "decisions cost more than was promised"):
        assert words in page
    assert "<script>alert" not in page
    assert "The same cases end differently than before" in page
    assert browser.twin(AT)["open"][0]["id"] == "incident-retrain"
    assert team.signed_in(team.holder("science")).twin(AT)["open"][0]["mine"]


def test_only_the_owner_takes_the_first_action(team, opened):
    """A retraining is asked for, by name; the worker's next round takes it up."""
    at = opened()
    vera, owner = team.signed_in("Visitor Vera"), team.signed_in(team.holder("science"))
    vera.act(f"{at}/act")
    assert "does not hold science" in vera.said()
    assert person_asking(team.workspace, "shop") is None
    owner.act(f"{at}/act")
    asked = [one for one in team.workspace.history("shop") if isinstance(one.event, RetrainingAsked)]
    assert [one.actor for one in asked] == [team.holder("science")]
    assert person_asking(team.workspace, "shop") == team.holder("science")


def test_what_people_do_outside_is_taken_on_by_name(team, opened):
    """An action outside of geartrain is noted with who took it on."""
    at = opened(FirstAction.REPAIR_FEED)
    owner = team.signed_in(team.holder("science"))
    owner.act(f"{at}/act")
    note = team.workspace.history("shop")[-1]
    assert isinstance(note.event, IncidentNoted)
    assert note.actor == team.holder("science")
    assert "repair the feed" in note.event.words


def test_an_incident_ends_with_what_was_learned(team, opened):
    """Everybody may write down, only the owner ends it, once, with a lesson."""
    at = opened()
    vera, owner = team.signed_in("Visitor Vera"), team.signed_in(team.holder("science"))
    vera.act(f"{at}/note", words="I saw it too")
    assert "I saw it too" in owner.page(at)
    vera.act(f"{at}/close", reason="boring")
    assert "does not hold science" in vera.said()
    owner.act(f"{at}/close", reason="")
    assert "what was learned" in owner.said()
    owner.act(f"{at}/close", reason="the holiday; next year we know")
    last = team.workspace.history("shop")[-1]
    assert isinstance(last.event, IncidentClosed)
    assert last.actor == team.holder("science")
    view = owner.twin(AT)
    assert (view["open"], view["ended"][0]["ended"]) == ([], "the holiday; next year we know")
    owner.act(f"{at}/close", reason="twice")
    assert "not open" in owner.said()


def test_an_incident_opens_the_form_of_a_proposal_filled_in(team):
    """The page links what it suggests; form, preview and proposal carry the change and the incident's name."""
    signal = Signal(
        kind="nulls", about="device", measure="share", size=0.4, evidence=1e4, since=None, rows=90,
        message="`device` is missing in 40 %",
    )  # fmt: skip
    incident = Incident(
        id="incident-nulls", product="shop", cause=Cause.COLUMN, owner=Role.ENGINEERING, opened_at=team.now,
        began_at=None, message=signal.message, first_action=FirstAction.REPAIR_COLUMN, signals=(signal,),
    )  # fmt: skip
    team.workspace.record("shop", [IncidentOpened(incident=incident)], now=team.now)
    browser = team.signed_in(team.holder("engineering"))
    assert "What the contract could learn from it" in browser.page(f"{AT}/{incident.id}")
    (draft,) = browser.twin(f"{AT}/{incident.id}")["drafts"]
    assert draft["words"] == "refuse rows without `device`"
    form = browser.twin(draft["address"])
    leaves = {f"leaf-{one['name']}": one["value"] for one in form["leaves"]}
    assert leaves["leaf-required"] == "true"
    assert "incident incident-nul (column)" in form["reason"]
    shown = browser.act("/products/shop/promise/preview", path=form["path"], reason=form["reason"], **leaves)
    assert shown.status_code == 200
    text = html.unescape(shown.text.split('<textarea name="text" hidden>')[1].split("</textarea>")[0])
    browser.act("/products/shop/promise/propose", text=text, reason=form["reason"])
    (proposal,) = open_proposals(team.workspace, "shop")
    (field,) = [
        one
        for one in read_contract_text(team.workspace.blobs.get(proposal.text).decode())
        .data.source("visits")
        .fields
        if one.name == "device"
    ]
    assert field.required
    assert proposal.reason == form["reason"]
    assert browser.get(f"/products/shop/promise/propose?incident={incident.id}&draft=2").status_code == 404
