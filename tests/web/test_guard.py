"""The guard: what no request gets past."""

import re

from geartrain.web.guard import LARGEST_BODY
from geartrain.web.rendering import static_digest


def test_the_room_answers_under_its_own_names_only(team):
    """DNS rebinding: a page elsewhere may point its name here, but is not answered."""
    client = team.browser().client
    assert client.get("/enter", headers={"host": "evil.example"}).status_code == 421
    assert client.get("/enter", headers={"host": "127.0.0.1:8800"}).status_code == 200
    assert client.get("/enter", headers={"host": "[::1]:8800"}).status_code == 200


def test_every_answer_says_what_a_browser_may_do_with_it(team):
    """Pages, files and errors carry the same strict headers."""
    browser = team.signed_in("Visitor Vera")
    for path in ("/", "/enter", "/nowhere", "/index.json", f"/static/{static_digest('room.css')}/room.css"):
        headers = browser.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy, path
        assert "unsafe" not in policy, path
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["x-frame-options"] == "DENY", path
    assert browser.get("/").headers["cache-control"] == "no-store"


def test_no_page_has_scripts_or_styles_inside_or_from_elsewhere(team):
    """What the policy forbids is not there to begin with."""
    browser = team.signed_in("Visitor Vera")
    for path in ("/", "/people", f"/products/{team.product.name}/promise"):
        page = browser.page(path)
        assert not re.search(r"<script(?![^>]*src=)", page), path
        assert not re.search(r"\son\w+=", page), path
        assert not re.search(r"<style|\sstyle=", page), path
        assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', page), path


def test_too_much_is_not_taken(team):
    """A body over the limit is refused before it is read."""
    client = team.browser().client
    assert client.post("/enter", content=b"x" * (LARGEST_BODY + 1)).status_code == 413


def test_static_files_are_named_by_their_content(team):
    """An address with a digest may be kept for ever; another digest is another file."""
    client = team.browser().client
    digest = static_digest("room.js")
    answer = client.get(f"/static/{digest}/room.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    assert client.get("/static/0000/room.js").status_code == 404
    assert client.get(f"/static/{digest}/..%2Froom.py").status_code == 404


def test_the_script_is_small(team):
    """Under 40 kB gzipped is the promise; it is a tenth of that."""
    import gzip

    script = team.browser().client.get(f"/static/{static_digest('room.js')}/room.js").content
    assert len(gzip.compress(script)) < 4_000


def test_an_unknown_page_is_said_in_both_spellings(team):
    """What is not there is 404 as a page and as JSON."""
    browser = team.signed_in("Visitor Vera")
    assert browser.get("/products/no-such/promise").status_code == 404
    answer = browser.get("/products/no-such/promise.json")
    assert answer.status_code == 404
    assert answer.json()["code"] == "room.missing"
