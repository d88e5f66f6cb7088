"""What is tried on rooms like this one, in vain: by address, by header, by cookie, by form."""

import base64
import json
from dataclasses import replace
from urllib.parse import quote

import pytest

from geartrain.domain.events import SignedOff
from geartrain.web.app import create_room
from geartrain.web.contents import ACTIONS, DOWNLOADS, PAGES
from geartrain.web.room import RoomSettings

from .conftest import PASSWORD, Browser, proof_in
from .life import RAW, live_in, walk

TRAVERSALS = (
    "../../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/ledger.db",
    "..\\..\\signing-key",
    "....//....//ledger.db",
    "/etc/passwd",
    "ledger.db%00.html",
)


def _filled(path, value):
    for one in ("product", "release", "document", "source", "name", "incident", "proposal"):
        path = path.replace("{" + one + "}", "shop" if one == "product" else value)
    return path


@pytest.mark.parametrize("told", TRAVERSALS)
def test_no_address_leads_to_a_file_that_is_not_offered(team, told):
    """Path traversal: in every name of every page and download, and among the static files."""
    browser = team.signed_in(team.holder("product"))
    champion = team.workspace.releases("shop").champion
    at = f"/products/shop/releases/{champion}/documents/{told}"
    addresses = [at, f"/static/{told}", f"/static/0000/{told}", f"/products/{told}/promise"]
    addresses += [_filled(one.path, told) for one in (*PAGES, *DOWNLOADS) if one.path.count("{") > 1]
    for address in addresses:
        answer = browser.get(address)
        assert answer.status_code in {303, 404}, (address, answer.status_code)
        assert "root:" not in answer.text
        assert "SQLite" not in answer.text


def test_no_name_gets_into_a_header(team):
    """Header injection: line breaks in where to go, in what was said and in a file's name stay what they are."""
    for to in ("/people\r\nset-cookie: a=b", "/\nx: y", "/%0d%0aset-cookie:a=b", "/\u2028x"):
        answer = team.browser().enter("Visitor Vera", to=to)
        assert answer.status_code == 303
        assert "a" not in answer.cookies
        assert "\n" not in answer.headers["location"]
        assert "x" not in answer.headers
    browser = team.signed_in("Visitor Vera")
    answer = browser.act("/people/tokens", name="n\r\nset-cookie: c=d", days="5", **{"scope-read": "yes"})
    assert "c" not in answer.cookies
    away = team.browser().get("/people?x=" + quote("\r\nset-cookie: e=f"))
    assert "e" not in away.cookies


def test_a_cookie_that_somebody_planted_shows_nothing_but_text(team):
    """Cookie tossing: what an action said comes back by a cookie, which a neighbour on this host might set."""
    browser = team.signed_in("Visitor Vera")
    for said in (
        ["done", f"{RAW[0]}.title=1</script>"],
        ["<b>", "x"],
        {"a": 1},
        ["done"],
        ["done", ["a"]],
        "x",
        None,
    ):
        planted = base64.urlsafe_b64encode(json.dumps(said).encode()).decode()
        answer = browser.client.get("/people", headers={"cookie": _cookies(browser, planted)})
        assert answer.status_code == 200, said
        assert RAW[0] not in answer.text
    for planted in ("%%%", "=", "AAAA", "\u00e4"):
        header = _cookies(browser, planted).encode("utf-8")
        assert browser.client.get("/people", headers={"cookie": header}).status_code == 200


def _cookies(browser, said):
    return f"geartrain-session={browser.client.cookies['geartrain-session']}; geartrain-said={said}"


def test_over_tls_only_the_cookie_that_nobody_else_can_set_counts(team):
    """Session fixation by a neighbour: `__Host-` cookies come from this host over TLS, and the plain name is not read."""
    known = team.signed_in("Visitor Vera").client.cookies["geartrain-session"]
    team.app = create_room(replace(team.room, settings=RoomSettings(secure=True)))
    browser = Browser(team)
    browser.client.base_url = "https://127.0.0.1"
    browser.client.cookies.set("geartrain-session", known, domain="127.0.0.1")
    assert browser.get("/").status_code == 303
    answer = browser.enter("Visitor Vera")
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("__Host-"))
    assert "Secure" in cookie
    assert "Path=/;" in cookie
    assert "Domain" not in cookie
    assert "max-age" in answer.headers["strict-transport-security"]
    assert browser.get("/").status_code == 200


def test_a_method_is_what_it_is(team):
    """No header and no field turns a GET into a change, and no other method is known."""
    keeper = team.signed_in(team.accounts.people()[0].person)
    proof = proof_in(keeper.page("/people"))
    before = list(team.workspace.ledger.read_all())
    override = {"x-http-method-override": "POST", "x-method-override": "POST", "x-http-method": "POST"}
    for action in ACTIONS:
        at = _filled(action.path, "x")
        query = f"{at}?_method=POST&proof={proof}&person=Visitor+Vera"
        assert keeper.client.get(query, headers=override).status_code in {200, 404, 405}, at
        for method in ("PUT", "DELETE", "PATCH", "TRACE"):
            answer = keeper.client.request(
                method, at, headers={"content-type": "application/x-www-form-urlencoded"}
            )
            assert answer.status_code in {404, 405}, (method, at)
    assert list(team.workspace.ledger.read_all()) == before
    assert team.accounts.account("Visitor Vera").open


def test_other_kinds_of_bodies_change_nothing(team):
    """CSRF without a form: JSON and plain text from a signed-in browser, which other sites can send, are refused."""
    keeper = team.signed_in(team.accounts.people()[0].person)
    proof = proof_in(keeper.page("/people"))
    body = json.dumps({"proof": proof, "person": "Visitor Vera"})
    for kind in ("application/json", "text/plain", "application/xml", ""):
        answer = keeper.client.post("/people/close", content=body, headers={"content-type": kind})
        assert answer.status_code in {400, 403, 415}, kind
    assert team.accounts.account("Visitor Vera").open


def test_nobody_acts_in_another_name(team):
    """Fields that name somebody else are not asked: the actor is who is signed in, and rights are not in forms."""
    state = team.workspace.releases("shop")
    release = next(one.id for one in reversed(state.records) if one.id != state.champion)
    vera = team.signed_in("Visitor Vera")
    before = len(team.workspace.history("shop"))
    vera.act(
        f"/products/shop/releases/{release}/sign", role="science", person=team.holder("science"),
        actor=team.holder("science"), keeper="yes", roles="science",
    )  # fmt: skip
    signed = [one for one in team.workspace.history("shop")[before:] if isinstance(one.event, SignedOff)]
    assert signed == []
    keeper = team.signed_in(team.accounts.people()[0].person)
    link = keeper.act("/people/invite", person="New Nora").text.split("/join/")[1].split("<")[0]
    guest = team.browser()
    proof = proof_in(guest.get(f"/join/{link}").text)
    guest.send(f"/join/{link}", proof=proof, password=PASSWORD, again=PASSWORD, keeper="yes")
    assert not team.accounts.account("New Nora").keeper


def test_no_page_lets_itself_be_framed_or_kept(team):
    """Clickjacking and shared caches: every page of a room in which much has happened says no to both."""
    live_in(team)
    browser = team.signed_in(team.holder("product"))
    for addresses in walk(browser).values():
        headers = browser.get(addresses[0]).headers
        assert headers["x-frame-options"] == "DENY", addresses[0]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "server" not in headers


def test_what_is_downloaded_is_never_shown(team):
    """A hostile document cannot run as a page of the room: it is saved, under a name that is only a name."""
    browser = team.signed_in("Visitor Vera")
    champion = team.workspace.releases("shop").champion
    for at in (
        "/products/shop/ledger/history",
        f"/products/shop/releases/{champion}/documents/one-page.html",
    ):
        headers = browser.get(at).headers
        assert headers["content-disposition"].startswith("attachment"), at
        assert headers["x-content-type-options"] == "nosniff", at
