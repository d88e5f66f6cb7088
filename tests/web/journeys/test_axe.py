"""Accessibility, measured: axe-core finds nothing on any page, in the light and in the dark, wide and narrow."""

import pytest
from playwright.sync_api import expect

from ..life import live_in, walk

axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")

_FOUND = """async options => (await axe.run(document, options)).violations.flatMap(
    one => one.nodes.map(node => `${one.id}: ${node.target} ${node.html.slice(0, 160)}`))"""
_WIDER_THAN_ITS_WINDOW = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


def _axe(page, **options):
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(axe_playwright.Axe().axe_script)
    return page.evaluate(_FOUND, {"resultTypes": ["violations"], **options})


def _looked_at(page, address):
    """What axe finds on the page: everything in the light, what colours decide in the dark as well."""
    page.goto(address)
    page.evaluate("for (const one of document.querySelectorAll('main details')) one.open = true")
    page.emulate_media(color_scheme="light")
    found = [f"{address} {one}" for one in _axe(page)]
    page.emulate_media(color_scheme="dark")
    found += [
        f"{address} in the dark {one}" for one in _axe(page, runOnly=["color-contrast", "link-in-text-block"])
    ]
    page.set_viewport_size({"width": 390, "height": 844})
    if page.evaluate(_WIDER_THAN_ITS_WINDOW):
        found.append(f"{address} is wider than a phone")
    page.set_viewport_size({"width": 1280, "height": 900})
    return found


def test_axe_finds_nothing_on_any_page(team, house):
    """Every page of a room in which much has happened, with everything unfolded."""
    live_in(team, words="It was the holiday.")
    person = team.holder("product")
    page = house.arrive(person, viewport={"width": 1280, "height": 900})
    found = []
    for addresses in walk(team.signed_in(person)).values():
        found += _looked_at(page, addresses[0])
    assert not found, "\n".join(found)


def test_axe_finds_nothing_at_the_door(team, house):
    """Signing in, a wrong password, an invitation, a page that is not there."""
    page = house.arrive(viewport={"width": 1280, "height": 900})
    found = _looked_at(page, "/enter")
    page.locator("[name=person]").fill("Sam Cole")
    page.locator("[name=password]").fill("not this one")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    found += _axe(page)
    keeper = team.signed_in(team.accounts.people()[0].person)
    link = keeper.act("/people/invite", person="Nora New").text.split("/join/")[1].split("<")[0]
    found += _looked_at(page, f"/join/{link}")
    found += _looked_at(page, "/nowhere")
    for name in ("_people", "_sessions"):
        getattr(team.accounts, name).clear()
    found += _looked_at(page, "/first")
    assert not found, "\n".join(found)


def test_what_axe_would_find_is_found(house):
    """The instrument works here: grey on grey, a field without a name and a page too wide are told."""
    page = house.arrive("Visitor Vera", viewport={"width": 1280, "height": 900})
    page.goto("/people")
    page.evaluate("""() => {
        const wrong = document.createElement('p');
        wrong.textContent = 'hard to read';
        wrong.style.color = '#999';
        wrong.style.background = '#aaa';
        wrong.style.width = '600px';
        document.querySelector('main').append(wrong, document.createElement('input'));
    }""")
    told = " ".join(_axe(page))
    assert "color-contrast" in told
    assert "label" in told
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate(_WIDER_THAN_ITS_WINDOW)
