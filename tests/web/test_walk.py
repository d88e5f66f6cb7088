"""A walk through the whole room: every page can be reached, and nothing that somebody typed gets out of its place."""

import html

from geartrain.web.contents import PAGES

from .life import EVIL, RAW, live_in, walk


def test_every_page_is_reached_by_links(team):
    """From the first page links lead to every page there is; none is known only to those who know its address."""
    live_in(team, words="plain words")
    seen = walk(team.signed_in(team.holder("product")))
    assert {page.path for page in PAGES} - set(seen) == set()


def test_what_people_and_feeds_say_stays_text_on_every_page(team):
    """Stored cross-site scripting: hostile words are told in many places and are markup in none."""
    live_in(team)
    browser = team.signed_in(team.holder("product"))
    told = 0
    for some in walk(browser).values():
        for address in some:
            page = browser.page(address)
            for raw in RAW:
                assert raw not in page, (address, raw, page[max(0, page.find(raw) - 200) :][:400])
            told += html.escape(EVIL[:30], quote=False) in page or EVIL[:4] in page
    assert told >= 6
