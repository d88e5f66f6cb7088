"""Ledger: nothing is left out, a changed byte is found, and what was live is said for any time."""

import json
import sqlite3
import typing

import pytest

from geartrain.domain.events import Event
from geartrain.engine.telling import told_event

AT = "/products/shop/ledger"


def test_every_entry_is_told_in_words(team):
    """All pages together hold every entry once, each with a sentence."""
    browser = team.signed_in("Visitor Vera")
    history = team.workspace.history("shop")
    seen, page = [], 1
    while True:
        view = browser.twin(f"{AT}?page={page}")
        seen += view["entries"]
        if page == view["pages"]:
            break
        page += 1
    assert [one["position"] for one in seen] == [one.position for one in reversed(history)]
    assert all(one["words"] for one in seen)
    assert view["trials_in_all"] == sum(type(one.event).__name__ == "TrialRecorded" for one in history)
    assert view["looks"]


def test_every_type_of_event_has_words():
    """A new event without a sentence is a type error, and no page falls over it."""
    import inspect

    from geartrain.engine import telling

    source = inspect.getsource(telling)
    for kind in typing.get_args(Event):
        assert f"ev.{kind.__name__}" in source
    assert told_event


def test_entries_are_chosen_by_type_and_by_person(team):
    """The address chooses entries by their type and their actor."""
    view = team.signed_in("Visitor Vera").twin(f"{AT}?kind=SignedOff")
    assert view["entries"]
    assert {one["kind"] for one in view["entries"]} == {"SignedOff"}
    actor = view["entries"][0]["actor"]
    assert {
        one["actor"] for one in team.signed_in("Visitor Vera").twin(f"{AT}?actor={actor}")["entries"]
    } == {actor}


@pytest.mark.parametrize("page", ["0", "-1", "999999", "x", "9" * 400])
def test_a_page_that_is_not_there_is_the_nearest_that_is(team, page):
    """No number in the address breaks the page."""
    assert team.signed_in("Visitor Vera").twin(f"{AT}?page={page}")["entries"]


def test_what_was_live_is_said_for_any_time(team):
    """Before the first release nothing was live, and nonsense is said to be none."""
    browser = team.signed_in("Visitor Vera")
    reign = team.workspace.releases("shop").reigns[0]
    live = browser.twin(f"{AT}?at={reign.since.isoformat().replace('+', '%2B')}")["live"]
    assert live["release"] == reign.release
    assert browser.twin(f"{AT}?at=2001-01-01")["live"]["release"] is None
    assert "not a time" in browser.twin(f"{AT}?at=yesterday")["at_wrong"]


def test_a_changed_byte_in_the_ledger_is_found(team):
    """The chain is verified on request and names the first entry that does not hold."""
    browser = team.signed_in("Visitor Vera")
    assert browser.twin(f"{AT}?verify=1")["checked"]["holds"]
    with sqlite3.connect(team.root / "ledger.db") as database:
        database.execute("UPDATE events SET actor = 'Eve' WHERE position = 2")
    checked = browser.twin(f"{AT}?verify=1")["checked"]
    assert not checked["holds"]
    assert "position 2" in checked["words"]


def test_the_history_can_be_taken_away(team):
    """The download has every event with the hashes that chain it."""
    answer = team.signed_in("Visitor Vera").get(f"{AT}/history")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert len(lines) == len(team.workspace.history("shop"))
    assert all(one["hash"] and one["previous"] for one in lines)
