"""Getting in and out: the first account, signing in, invitations, tokens."""

import httpx
from playwright.sync_api import expect

from geartrain.testing.accounts import MemoryAccounts

from ..conftest import PASSWORD


def _fill(page, **fields):
    for name, value in fields.items():
        page.locator(f"main [name={name}]:not([type=hidden])").fill(value)


def test_from_the_terminals_address_to_an_open_room(team, house):
    """Whoever began the room follows the address, opens the first account and stands among the products."""
    fresh = MemoryAccounts()
    for name in ("_people", "_sessions", "_invitations", "_tokens"):
        setattr(team.accounts, name, getattr(fresh, name))
    page = house.arrive()
    page.goto("/")
    expect(page).to_have_url(f"{house.url}/first")
    page.goto("/first?code=the-first-code")
    _fill(page, person="Pia Roth", password=PASSWORD, again=PASSWORD)
    page.get_by_role("button", name="Open the room").click()
    expect(page).to_have_url(f"{house.url}/")
    page.get_by_role("link", name="Who will buy").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What Who will buy promises")
    page.locator("summary", has_text="Pia Roth").click()
    expect(page.get_by_text("Here you speak for product")).to_be_visible()


def test_a_wrong_password_then_the_right_one_leads_where_one_wanted_to_go(house):
    """The door says that it was wrong, keeps the name, and remembers the page that was asked for."""
    page = house.arrive()
    page.goto("/products/shop/ledger?kind=SignedOff")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    _fill(page, person="Sam Cole", password="not this one")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("the name or the password is not right")
    assert page.locator("[name=person]").input_value() == "Sam Cole"
    _fill(page, password=PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{house.url}/products/shop/ledger?kind=SignedOff")


def test_who_has_signed_out_sees_nothing_by_going_back(house):
    """After signing out the page before is not shown again, neither by the button nor from a cache."""
    page = house.arrive("Sam Cole")
    page.goto("/products/shop/promise")
    page.locator("summary", has_text="Sam Cole").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.go_back()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_an_invitation_lets_one_person_in_once(team, house):
    """A keeper makes a link, a guest takes it, and after that it opens nothing."""
    keeper = house.arrive(team.accounts.people()[0].person)
    keeper.goto("/people")
    _fill(keeper, person="Nora New")
    keeper.get_by_role("button", name="Invite").click()
    link = keeper.locator("output").inner_text()
    guest = house.arrive()
    guest.goto(link)
    expect(guest.get_by_role("heading", level=1)).to_have_text("Welcome, Nora New")
    _fill(guest, password=PASSWORD, again=PASSWORD)
    guest.get_by_role("button", name="Join the room").click()
    expect(guest.locator("summary", has_text="Nora New")).to_be_visible()
    late = house.arrive()
    late.goto(link)
    expect(late.get_by_role("heading", level=1)).to_contain_text("used, replaced or has expired")


def test_a_token_works_until_it_is_revoked(house):
    """Made on the page, used by a program, revoked on the page after being asked, and worthless then."""
    page = house.arrive("Visitor Vera")
    page.goto("/people")
    _fill(page, name="nightly export")
    page.get_by_label("read").check()
    page.get_by_role("button", name="Make a token").click()
    secret = page.locator("output").inner_text()
    program = {"headers": {"authorization": f"Bearer {secret}"}}
    at = f"{house.url}/products/shop/promise.json"
    assert httpx.get(at, **program).json()["title"] == "Who will buy"
    asked = []
    page.once("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    page.get_by_role("button", name="Revoke").click()
    assert asked == ["Revoke nightly export?"]
    assert httpx.get(at, **program).status_code == 200
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("status")).to_contain_text("holds no longer")
    assert httpx.get(at, **program).status_code == 401
