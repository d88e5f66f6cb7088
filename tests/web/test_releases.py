"""Releases: evidence beside the champion, signatures by holders only, void after a changed byte."""

import re
from datetime import timedelta
from html import unescape

import numpy as np
import pytest

from geartrain.domain.events import RolledBack, SignedOff, StageEntered, Waived
from geartrain.domain.release import ReleaseStage
from geartrain.domain.roles import Role
from geartrain.engine.canary_live import Arms, note_arms
from geartrain.release import conditions
from geartrain.retraining.split import split_of
from geartrain.stats.bounded import Scale

AT = "/products/shop/releases"


@pytest.fixture
def candidate(team):
    """The release that is proposed and not live."""
    state = team.workspace.releases("shop")
    return next(one.id for one in reversed(state.records) if one.id != state.champion)


def _bundle_file(team, release):
    return next(one for one in (team.root / "bundles" / release).rglob("*") if one.suffix == ".onnx")


def test_a_candidate_stands_beside_the_champion(team, candidate):
    """Each clause is there with both findings, and the list knows who is live."""
    browser = team.signed_in("Visitor Vera")
    view = browser.twin(f"{AT}/{candidate}")
    assert view["champion"] == team.workspace.releases("shop").champion
    assert view["intact"]
    paths = {one["line"]["path"] for one in view["clauses"]}
    assert paths == {clause.path for clause in team.contract.clauses}
    listed = browser.twin(AT)
    assert {one["id"] for one in listed["releases"]} == {
        one.id for one in team.workspace.releases("shop").records
    }
    assert [one["champion"] for one in listed["releases"]].count(True) == 1
    assert listed["reigns"][0]["until"] is None


def test_only_a_holder_signs_and_only_for_their_role(team, candidate):
    """Whoever holds no role signs nothing; a signature names its person in the ledger."""
    vera = team.signed_in("Visitor Vera")
    before = len(team.workspace.history("shop"))
    vera.act(f"{AT}/{candidate}/sign", role="science", reason="I like it")
    assert "hold" in vera.said()
    vera.act(f"{AT}/{candidate}/sign", role="king")
    assert "no such role" in vera.said()
    signed = [one for one in team.workspace.history("shop")[before:] if isinstance(one.event, SignedOff)]
    assert signed == []
    view = vera.twin(f"{AT}/{candidate}")
    assert not any(one["mine"] for one in view["signatures"])


def test_a_changed_byte_voids_every_signature_and_nobody_can_sign(team, candidate):
    """What is on disk is not what was signed: signatures are void, signing and promoting are refused."""
    state = team.workspace.releases("shop")
    champion = state.champion
    file = _bundle_file(team, champion)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    browser = team.signed_in(team.holder("product"))
    view = browser.twin(f"{AT}/{champion}")
    assert not view["intact"]
    given = [one for one in view["signatures"] if one["person"]]
    assert given
    assert all(one["void"] for one in given)
    assert "This is not what was signed" in browser.page(f"{AT}/{champion}")

    file = _bundle_file(team, candidate)
    file.write_bytes(file.read_bytes() + b"x")
    browser.act(f"{AT}/{candidate}/sign", role="product", reason="blindly")
    assert "nobody may sign this" in browser.said()
    browser.act(f"{AT}/{candidate}/go-on")
    assert "may not answer anybody" in browser.said()


def test_a_rollout_is_taken_step_by_step_and_back_by_its_team(team, candidate):
    """Only holders act; every step is an event with its actor; a rollback is at once."""
    champion = team.workspace.releases("shop").champion
    vera, owner = team.signed_in("Visitor Vera"), team.signed_in(team.holder("product"))
    vera.act(f"{AT}/{candidate}/go-on")
    assert "holds no role" in vera.said()
    for _ in range(5):
        owner.act(f"{AT}/{candidate}/go-on", reason="it is ready")
        if team.workspace.releases("shop").champion == candidate:
            break
        team.now += timedelta(days=30)
    assert team.workspace.releases("shop").champion == candidate, owner.said()
    entered = [one for one in team.workspace.history("shop") if isinstance(one.event, StageEntered)][-1]
    assert (entered.actor, entered.event.stage) == (team.holder("product"), ReleaseStage.LIVE)

    vera.act(f"{AT}/roll-back", reason="I want to")
    assert "holds no role" in vera.said()
    owner.act(f"{AT}/roll-back", reason="it costs too much")
    assert team.workspace.releases("shop").champion == champion
    last = team.workspace.history("shop")[-1]
    assert isinstance(last.event, RolledBack)
    assert (last.actor, last.event.reason) == (team.holder("product"), "it costs too much")


def test_a_rollback_that_is_sent_twice_goes_back_once(team, candidate):
    """The form names the release that was seen as the one before: whoever is second changes nothing. A reason has words."""
    champion = team.workspace.releases("shop").champion
    owner = team.signed_in(team.holder("product"))
    for _ in range(5):
        owner.act(f"{AT}/{candidate}/go-on", reason="it is ready")
        if team.workspace.releases("shop").champion == candidate:
            break
        team.now += timedelta(days=30)
    seen = re.search(r'name="to" value="([0-9a-f]+)"', owner.page(AT))
    assert seen is not None

    owner.act(f"{AT}/roll-back", reason="  ", to=seen[1])
    assert "a reason is needed" in owner.said()
    for _ in range(2):
        owner.act(f"{AT}/roll-back", reason="it costs too much", to=seen[1])

    assert "live already" in owner.said()
    assert team.workspace.releases("shop").champion == champion
    assert sum(isinstance(one.event, RolledBack) for one in team.workspace.history("shop")) == 1


def test_a_waiver_needs_a_reason_and_an_end(team, candidate):
    """A waiver without reason or end, or for no clause, is refused with words."""
    owner = team.signed_in(team.holder("product"))
    clause = "success.expected_cost"
    owner.act(f"{AT}/{candidate}/waive", clause=clause, reason="", days="30")
    assert "needs its reason" in owner.said()
    owner.act(f"{AT}/{candidate}/waive", clause=clause, reason="x", days="9000")
    assert "lasts 1 to" in owner.said()
    owner.act(f"{AT}/{candidate}/waive", clause="success.made_up", reason="x", days="3")
    assert "no such clause" in owner.said()
    before = [one for one in team.workspace.history("shop") if isinstance(one.event, Waived)]
    owner.act(f"{AT}/{candidate}/waive", clause=clause, reason="<b>soon</b> proven", days="30")
    after = [one for one in team.workspace.history("shop") if isinstance(one.event, Waived)]
    if len(after) > len(before):
        assert after[-1].event.waiver.role is Role.PRODUCT
        assert "<b>soon" not in owner.page(f"{AT}/{candidate}")
    else:
        assert owner.said()


def test_its_documents_can_be_taken_away(team):
    """Made from the ledger and the bundle; a file to keep, never a page of the room."""
    browser = team.signed_in("Visitor Vera")
    champion = team.workspace.releases("shop").champion
    names = [name for name, _ in browser.twin(f"{AT}/{champion}")["documents"]]
    assert names
    for name in names:
        answer = browser.get(f"{AT}/{champion}/documents/{name}")
        assert answer.status_code == 200, name
        assert answer.headers["content-disposition"].startswith("attachment"), name
        assert len(answer.content) > 500, name
    assert browser.get(f"{AT}/{champion}/documents/secrets.txt").status_code == 404
    assert browser.get(f"{AT}/no-such-release").status_code == 404


def test_the_sizes_that_were_tried_stand_beside_each_other(team, candidate):
    """Each variant with its size, speed and cost; the one that this release holds is marked, and the front is drawn."""
    browser = team.signed_in("Visitor Vera")
    view = browser.twin(f"{AT}/{candidate}")
    assert len(view["variants"]) > 1
    assert [one["chosen"] for one in view["variants"]].count(True) == 1
    assert all(one["cost"] is not None and one["speed"]["size_bytes"] > 0 for one in view["variants"])
    assert view["front"]["dots"]
    assert "Smaller against dearer" in browser.page(f"{AT}/{candidate}")


def test_closed_gates_are_told_in_words_where_people_sign(team, candidate, monkeypatch):
    """Where the evidence does not keep a promise that blocks, the page names it as a sentence."""
    assert team.signed_in("Visitor Vera").twin(f"{AT}/{candidate}")["gate_open"]
    monkeypatch.setattr(conditions, "evidence", lambda *_: ())
    browser = team.signed_in("Visitor Vera")
    view = browser.twin(f"{AT}/{candidate}")
    assert not view["gate_open"]
    page = unescape(browser.page(f"{AT}/{candidate}"))
    assert "The gates are closed" in page
    assert view["closed_by"]
    assert {standing for _, standing in view["steps"]} <= {"done", "now", "ahead"}
    for one in view["closed_by"]:
        assert one["words"] in page
        assert one["sentence"] != one["path"]
    assert one["status"] in {"unproven", "not measured", "broken"}


def test_a_canary_stands_beside_what_is_live_on_the_keys_of_each(team, candidate):
    """What decisions cost in both arms, with intervals, and what is proven; a release that is in no canary shows none."""
    state = team.workspace.releases("shop")
    browser = team.signed_in("Visitor Vera")
    assert browser.twin(f"{AT}/{candidate}")["arms_at"] is None
    chance = np.random.default_rng(1)
    mine = chance.uniform(size=1500) < 0.2
    split = split_of(np.where(mine, 1.0, 0.25), mine, np.full(1500, 0.2), scale=Scale(high=3.0))
    entered = state.record(candidate).entered_at
    canary = StageEntered(
        product="shop", release=candidate, stage=ReleaseStage.CANARY, share=0.2, approved_by=()
    )
    team.workspace.record("shop", [canary], now=entered + timedelta(days=1))
    note_arms(
        team.workspace,
        "shop",
        Arms(release=candidate, seen_at=entered + timedelta(days=2), split=split, reason=split.reason),
    )

    view, page = browser.twin(f"{AT}/{candidate}"), unescape(browser.page(f"{AT}/{candidate}"))

    assert [(one["name"], one["keys"]) for one in view["arms"]] == [
        ("this release", int(mine.sum())),
        ("what is live", int((~mine).sum())),
    ]
    assert [one["value"] for one in view["arms"]] == pytest.approx([1.0, 0.25])
    assert "Beside what is live, on the keys of each" in page
    assert "proven dearer" in page
    assert browser.twin(f"{AT}/{state.champion}")["arms"] == []
