"""The door: who gets in, and what is tried in vain."""

from datetime import timedelta

import pytest

from geartrain.domain.accounts import Scope, Token
from geartrain.domain.events import AccountOpened
from geartrain.testing.accounts import MemoryAccounts
from geartrain.web.contents import ACTIONS, DOWNLOADS, PAGES
from geartrain.web.paging import twin_of
from geartrain.web.secrets import digest_of

from .conftest import PASSWORD, proof_in


def _filled(path):
    return path.replace("{product}", "shop").replace("{", "").replace("}", "")


@pytest.fixture
def nobody(team):
    """A browser in a room without any account."""
    browser = team.browser()
    fresh = MemoryAccounts()
    for name in ("_people", "_sessions", "_invitations", "_tokens"):
        setattr(team.accounts, name, getattr(fresh, name))
    return browser


def test_the_first_account_needs_the_code_from_the_terminal(team, nobody):
    """Whoever finds the room first does not own it: whoever began it does."""
    assert nobody.get("/enter").headers["location"] == "/first"
    fields = {"person": "Ann", "password": PASSWORD, "again": PASSWORD}
    proof = proof_in(nobody.get("/first").text)
    wrong = nobody.send("/first", proof=proof, code="guessed", **fields)
    assert wrong.status_code == 422
    assert "not the code" in wrong.text
    assert team.accounts.people() == ()

    right = nobody.send("/first", proof=proof, code="the-first-code", **fields)
    assert right.status_code == 303
    assert nobody.get("/").status_code == 200
    assert [one.person for one in team.accounts.people()] == ["Ann"]
    opened = list(team.workspace.ledger.read("people"))
    assert [one.event for one in opened] == [AccountOpened(person="Ann", keeper=True)]

    second = team.browser()
    assert second.get("/first").headers["location"] == "/enter"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"password": "short", "again": "short"}, "at least 12"),
        ({"password": PASSWORD, "again": "another long sentence"}, "not the same"),
        ({"person": "", "password": PASSWORD, "again": PASSWORD}, "a name is needed"),
        ({"password": "aaaaaaaaaaaaaaaa", "again": "aaaaaaaaaaaaaaaa"}, "guessed"),
    ],
)
def test_a_bad_name_or_password_is_said(nobody, fields, words):
    """The door says what is wrong with a name or a password, and opens nothing."""
    proof = proof_in(nobody.get("/first").text)
    answer = nobody.send("/first", **{"proof": proof, "code": "the-first-code", "person": "Ann", **fields})
    assert answer.status_code == 422
    assert words in answer.text


def test_nothing_is_shown_or_done_without_signing_in(team):
    """Forced browsing: every page, twin, download and action leads to the door or says no."""
    browser = team.browser()
    for page in PAGES:
        answer = browser.get(_filled(page.path))
        assert answer.status_code == 303, page.path
        assert answer.headers["location"].startswith("/enter?to="), page.path
        assert browser.get(_filled(twin_of(page.path))).status_code == 401, page.path
    for download in DOWNLOADS:
        assert browser.get(_filled(download.path)).status_code in {303, 401}, download.path
    before = list(team.workspace.ledger.read_all())
    for action in ACTIONS:
        answer = browser.send(_filled(action.path), proof="made up")
        assert answer.status_code == 303, action.path
        assert answer.headers["location"].startswith("/enter?to="), action.path
    assert browser.get("/products/shop/changes").status_code == 303
    assert list(team.workspace.ledger.read_all()) == before


def test_no_action_is_taken_from_a_form_that_was_not_made_here(team):
    """CSRF: without the session's proof, with another session's, from another site: nothing happens."""
    keeper = team.accounts.people()[0].person
    mine, other = team.signed_in(keeper), team.signed_in("Visitor Vera")
    foreign = proof_in(other.page("/people"))
    before = list(team.workspace.ledger.read_all())
    for action in ACTIONS:
        for proof in ("", foreign):
            answer = mine.send(_filled(action.path), proof=proof, person="Visitor Vera", name="x")
            assert answer.status_code == 403, action.path
    own = proof_in(mine.page("/people"))
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        answer = mine.client.post(
            "/people/close", data={"proof": own, "person": "Visitor Vera"}, headers=headers
        )
        assert answer.status_code == 403
    assert list(team.workspace.ledger.read_all()) == before
    assert team.accounts.account("Visitor Vera").open


def test_a_session_is_new_after_signing_in_and_over_after_signing_out(team):
    """Session fixation: a cookie that was there before is worth nothing after."""
    browser = team.browser()
    browser.client.cookies.set("geartrain-session", "planted-by-somebody-else", domain="127.0.0.1")
    browser.enter("Visitor Vera")
    cookie = browser.client.cookies.get("geartrain-session")
    assert cookie != "planted-by-somebody-else"
    assert team.accounts.session(digest_of("planted-by-somebody-else"), now=team.now) is None
    browser.act("/leave")
    assert team.accounts.session(digest_of(cookie), now=team.now) is None
    browser.client.cookies.set("geartrain-session", cookie, domain="127.0.0.1")
    assert browser.get("/").status_code == 303


def test_a_session_ends_by_itself(team):
    """After its time a session is nobody's."""
    browser = team.signed_in("Visitor Vera")
    assert browser.get("/").status_code == 200
    team.now += timedelta(hours=12)
    assert browser.get("/").status_code == 303


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(team):
    """The session's cookie is HttpOnly and stays at home."""
    answer = team.browser().enter("Visitor Vera")
    cookie = next(
        one for one in answer.headers.get_list("set-cookie") if "session=" in one and "secret" in one
    )
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


def test_wrong_passwords_cost_time_and_say_nothing(team):
    """The same words for a wrong name and a wrong password; after five tries the door stays shut for a while."""
    browser = team.browser()
    unknown = browser.enter("Nobody at all", "some wrong password")
    wrong = browser.enter("Visitor Vera", "some wrong password")
    assert unknown.status_code == wrong.status_code == 403
    assert "the name or the password is not right" in unknown.text
    assert "the name or the password is not right" in wrong.text
    for _ in range(5):
        browser.enter("Visitor Vera", "some wrong password")
    assert browser.enter("Visitor Vera").status_code == 429
    team.now += timedelta(minutes=16)
    assert browser.enter("Visitor Vera").status_code == 303


def test_after_signing_in_one_goes_nowhere_else(team):
    """An address that leads out of the room is not followed."""
    for to in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        assert team.browser().enter("Visitor Vera", to=to).headers["location"] == "/"
    assert team.browser().enter("Visitor Vera", to="/people").headers["location"] == "/people"


def test_an_invitation_opens_one_account_once(team):
    """A link opens the account that it was made for, once, and only keepers make links."""
    keeper = team.signed_in(team.accounts.people()[0].person)
    page = keeper.act("/people/invite", person="New Nora").text
    link = page.split("/join/")[1].split("<")[0]
    guest = team.browser()
    proof = proof_in(guest.get(f"/join/{link}").text)
    joined = guest.send(
        f"/join/{link}", proof=proof, password=PASSWORD, again=PASSWORD, person="Somebody Else"
    )
    assert joined.status_code == 303
    assert team.accounts.account("New Nora").open
    assert team.accounts.account("Somebody Else") is None
    assert team.browser().get(f"/join/{link}").status_code == 404
    assert guest.act("/people/invite", person="Friend").status_code == 403


def test_who_is_shut_out_is_out_at_once(team):
    """Closing an account ends its sessions and its tokens; the last keeper cannot be shut out."""
    keeper_name = team.accounts.people()[0].person
    keeper, vera = team.signed_in(keeper_name), team.signed_in("Visitor Vera")
    team.accounts.add_token(
        Token(
            digest=digest_of("gt_x"),
            person="Visitor Vera",
            name="x",
            scopes=(Scope.READ,),
            issued_at=team.now,
        )
    )
    assert vera.get("/").status_code == 200
    keeper.act("/people/close", person="Visitor Vera")
    assert vera.get("/").status_code == 303
    assert team.browser().get("/index.json", headers={"authorization": "Bearer gt_x"}).status_code == 401
    assert vera.enter("Visitor Vera").status_code == 403
    keeper.act("/people/close", person=keeper_name)
    assert "last keeper" in keeper.said()
    assert team.accounts.account(keeper_name).open


def test_a_token_reaches_as_far_as_its_scopes(team):
    """A token may what its scopes say, until its time is over, and its secret is kept nowhere."""
    browser = team.signed_in("Visitor Vera")
    page = browser.act("/people/tokens", name="nightly", days="30", **{"scope-read": "yes"}).text
    secret = "gt_" + page.split("gt_")[1].split("<")[0]
    program = team.browser().client
    headers = {"authorization": f"Bearer {secret}"}
    assert program.get("/index.json", headers=headers).status_code == 200
    denied = program.post("/people/tokens/revoke", json={"name": "nightly"}, headers=headers)
    assert denied.status_code == 403
    assert "act" in denied.json()["message"]
    assert secret not in str(team.accounts.tokens("Visitor Vera"))
    team.now += timedelta(days=31)
    assert program.get("/index.json", headers=headers).status_code == 401


def test_a_changed_password_ends_every_session(team):
    """Whoever had the old password is out everywhere."""
    one, two = team.signed_in("Visitor Vera"), team.signed_in("Visitor Vera")
    new = "another plain sentence"
    one.act("/people/password", old="wrong", password=new, again=new)
    assert "old password" in one.said()
    one.act("/people/password", old=PASSWORD, password=new, again=new)
    assert two.get("/").status_code == 303
    assert team.browser().enter("Visitor Vera").status_code == 403
    assert team.browser().enter("Visitor Vera", new).status_code == 303
