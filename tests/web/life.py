"""A room in which much has happened, some of it by people who mean no good, and a walk through all of it."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta

import polars as pl

from geartrain.domain.contract import Cause
from geartrain.domain.events import IncidentOpened
from geartrain.domain.incident import FirstAction, Incident, Signal
from geartrain.domain.roles import Role
from geartrain.engine import contract_changes as changes
from geartrain.engine.ingesting import Door
from geartrain.web.contents import PAGES

#: What somebody types who wants to run a script in everybody's browser; each has its own way to get out.
HOSTILE = (
    "<script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "'-document.title='owned'-'",
    "javascript:document.title='owned'",
    "</textarea></title><svg/onload=document.title='owned'>",
)
#: No page may hold any of these as they are; escaped they are harmless text.
RAW = ("<script>document", "<img src=x", "</textarea></title>", "<svg/onload")
EVIL = "Eve " + HOSTILE[0] + HOSTILE[1] + HOSTILE[4]

_HREF = re.compile(r'href="([^"]+)"')
#: So many addresses of one kind are walked to; the thirtieth release looks like the second.
_OF_A_KIND = 2


def open_incident(team, *, action=FirstAction.RETRAIN, message="the same cases end differently"):
    """An incident of the science role; its address."""
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
    return f"/products/shop/incidents/{incident.id}"


def propose_change(team, *, before="at_most: 5", after="at_most: 4", person="Visitor Vera", reason="more"):
    """A proposal to change the contract's text; its address."""
    said = changes.propose(
        team.workspace, "shop", text=team.product.text.replace(before, after), reason=reason, person=person,
        now=team.room.now(),
    )  # fmt: skip
    return f"/products/shop/promise/proposals/{said.id}"


def bad_delivery(team, *, device="tablet"):
    """A delivery of three visits of which two are put aside; their device is none that the contract knows."""
    rows = pl.DataFrame(
        {
            "visit_id": ["late-1", "late-2", "late-3"],
            "visitor": ["v1", "v2", "v3"],
            "pages": [3.0, 8.0, 12.0],
            "device": ["phone", device, device],
            "at": [(team.now - timedelta(days=30, hours=n)).isoformat() for n in range(3)],
            "bought": ["yes", "no", "no"],
        }
    )
    Door(team.workspace, team.contract).take(
        "visits", rows, content=rows.write_ndjson().encode(), now=team.now
    )


def log_decisions(team, *, of_visits=False, device="phone"):
    """Let the live release have answered, as a server logs it: about new visits, or about those in the lake."""
    champion = team.workspace.releases("shop").champion
    if of_visits:
        visits = pl.from_arrow(team.workspace.lake.scan("shop/visits")).sort("_event_time", "visit_id")
        at, keys = visits["_event_time"], visits["visit_id"].to_list()
    else:
        times = [team.now - timedelta(days=2, minutes=number) for number in range(30)]
        at, keys = pl.Series(times, dtype=pl.Datetime("us", "UTC")), [f"new-{number}" for number in range(30)]
    chances = [0.9 if number % 3 == 0 else 0.05 for number in range(len(keys))]
    sent = [{"visit_id": key, "visitor": "v1", "pages": 12.0, "device": device} for key in keys]
    rows = pl.DataFrame(
        {
            "_event_time": at,
            "_arrival_time": at,
            "_batch": "log",
            "key": keys,
            "decision_id": keys,
            "release": champion,
            "arm": "champion",
            "action": ["show" if one > 0.25 else "hide" for one in chances],
            "probabilities": [json.dumps({"no": 1 - one, "yes": one}) for one in chances],
            "expected_cost": 0.15,
            "abstained": False,
            "fallback": False,
            "doubt": "",
            "row": [json.dumps(one) for one in sent],
        }
    ).with_columns(
        pl.lit(device if one.name == "device" else 3.0).alias(f"feature:{one.name}")
        for one in team.product.features.features
    )
    team.workspace.lake.append("shop/decisions__log", rows.to_arrow(), batch=f"log-{of_visits}")


def live_in(team, *, words=EVIL):
    """Let something of everything happen, told in *words* wherever people or feeds may say what they like."""
    open_incident(team, message=words)
    at = open_incident(team, action=FirstAction.REPAIR_FEED)
    keeper = team.signed_in(team.accounts.people()[0].person)
    keeper.act(f"{at}/note", words=words)
    proposal = propose_change(team, reason=words)
    keeper.act(f"{proposal}/discuss", words=words)
    title = team.product.text.replace("title: Who will buy", f"title: {_quoted(words)}")
    title = title.replace("because: it is a test", f"because: {_quoted(words)}")
    changes.propose(
        team.workspace, "shop", text=title, reason=words, person="Visitor Vera", now=team.room.now()
    )
    bad_delivery(team, device=words)
    log_decisions(team, device=words)
    keeper.act("/people/tokens", name=words[:80], days="30", **{"scope-read": "yes"})
    release = next(
        one.id
        for one in reversed(team.workspace.releases("shop").records)
        if one.id != team.workspace.releases("shop").champion
    )
    keeper.act(
        f"/products/shop/releases/{release}/waive", clause="success.expected_cost", reason=words, days="9"
    )


def walk(browser, *, begin=("/", "/people")):
    """Follow every link from the first page; the addresses that were seen, by the page that they are of.

    A page of the room that no link leads to is missing in the answer.
    """
    patterns = {page.path: re.compile(re.sub(r"\{\w+\}", "[^/]+", page.path) + "$") for page in PAGES}
    seen: dict[str, list[str]] = {}
    waiting, known = list(begin), set(begin)
    while waiting:
        at = waiting.pop(0)
        path = at.partition("?")[0]
        kind = next((one for one, pattern in patterns.items() if pattern.match(path)), None)
        if kind is None or len(seen.setdefault(kind, [])) >= _OF_A_KIND:
            continue
        seen[kind].append(at)
        for found in _HREF.findall(browser.page(at)):
            to = html.unescape(found).partition("#")[0]
            if to.startswith("?"):
                to = f"{path}{to}"
            if to.startswith("/") and to not in known:
                known.add(to)
                waiting.append(to)
    return seen


def every_address(browser):
    """One list of all addresses of `walk`, and where a page opens a form, that one, too."""
    return [address for some in walk(browser).values() for address in some]


def _quoted(words):
    return '"' + words.replace("\\", "\\\\").replace('"', '\\"') + '"'
