"""The report is one page that tells everything, needs nothing and lets nobody in."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from geartrain.documents.report import (
    against_product,
    counted_statuses,
    findings_by_role,
    more_rows,
    render_report,
)
from geartrain.documents.report_nouns import Fact, FindingRow
from geartrain.domain.finding import Status
from geartrain.domain.roles import Role

VOID = {"meta", "br", "hr", "img", "input", "link"}
HOSTILE = "</style><script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{ 7*7 }}"


class Page(HTMLParser):
    """Checks that elements nest, and collects what a test asks for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def html(samples):
    return render_report(samples.report())


def test_the_page_is_well_nested_and_has_landmarks(html) -> None:
    """Elements close in order; one h1, a main part, a skip link, a language."""
    page = Page(html)

    assert page.open == []
    assert page.tags.count("h1") == page.tags.count("main") == 1
    assert ("html", "lang", "en") in page.attributes
    assert ("a", "href", "#content") in page.attributes


def test_ids_are_unique_and_links_lead_somewhere(html) -> None:
    """Every link on the page and every name of a picture points at something that is there once."""
    attributes = Page(html).attributes
    ids = [value for _, name, value in attributes if name == "id"]
    pointed = [value[1:] for _, name, value in attributes if name == "href"]
    pointed += [one for _, name, value in attributes if name == "aria-labelledby" for one in value.split()]

    assert len(ids) == len(set(ids))
    assert set(pointed) <= set(ids)


def test_the_page_asks_no_server_for_anything(html) -> None:
    """No script, no address, no import: a file that can be read without a network in ten years."""
    page = Page(html)

    assert not re.search(r"https?:|//[a-z]", html)
    assert not {"script", "link", "iframe", "img", "object", "form"} & set(page.tags)
    assert "@import" not in html
    assert "url(" not in html
    assert not [name for _, name, _ in page.attributes if name.startswith("on") or name == "src"]


def test_it_tells_every_part_of_the_story(samples, html) -> None:
    """Promises, findings, variants, signatures, waiver, decision, monitors, costs and every event."""
    text = Page(html).text

    for said in (
        "recall is at least 0.95, because a missed tumour is found too late",
        "The contract says nothing about fairness",
        "first 90 trees",
        "Paula Prada",
        "engineering has not signed",
        "Waived until 30 Jun 2026",
        "answered in 0.83 ms",
        "a false alarm ever: at most 1 in 100",
        "make up",
        "3.28 times as much",
    ):
        assert said in text, said
    for event in samples.events():
        assert event.title in text
        assert event.detail in text


def test_hostile_names_stay_text_everywhere(samples) -> None:
    """Markup in any text of the report adds no element, no attribute and no template code."""

    def poisoned(value: object) -> object:
        kept = {"name", "title", "release"}
        if isinstance(value, tuple):
            return tuple(poisoned(one) for one in value)
        if hasattr(value, "__dataclass_fields__"):
            changes = {}
            for name in value.__dataclass_fields__:
                one = getattr(value, name)
                if type(one) is str and not (name in kept and hasattr(value, "problem")):
                    changes[name] = HOSTILE
                elif isinstance(one, tuple) or hasattr(one, "__dataclass_fields__"):
                    changes[name] = poisoned(one)
            return replace(value, **changes)
        return HOSTILE if type(value) is str else value

    clean = samples.report()
    page = Page(render_report(poisoned(clean)))

    assert not {"script", "img"} & set(page.tags)
    assert page.tags.count("style") == 1
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "7*7" in page.text


def test_a_slug_cannot_leave_its_attribute(samples) -> None:
    """Not even the product's name, which becomes an id and a link."""
    page = Page(render_report(samples.report(samples.section(name='x" onclick="alert(1)'))))

    assert not [name for _, name, _ in page.attributes if name.startswith("on")]


def test_it_fits_two_widths_two_themes_and_paper(html) -> None:
    """The style sheet speaks of narrow pages, dark rooms, printers and people whom motion disturbs."""
    for said in (
        "width=device-width",
        "@media (max-width: 760px)",
        "prefers-color-scheme: dark",
        "@media print",
        "prefers-reduced-motion",
    ):
        assert said in html


def test_wide_tables_scroll_inside_the_page(html) -> None:
    """No table makes a phone's page wider than the phone: each stands in a box that scrolls and can be focused."""
    for place in [one.start() for one in re.finditer("<table", html)]:
        opened = html.rfind("<div", 0, place)
        assert 'class="scroll" tabindex="0"' in html[opened:place]


def test_a_bare_product_still_makes_a_page(samples) -> None:
    """What is not there is left out, not shown empty."""
    bare = samples.section(
        lead="", outcome="", facts=(), stages=(), promises=(), silent=(), findings=(), variants=(),
        reliability=None, release="", sign_offs=(), waivers=(), example=None, monitors=(),
    )  # fmt: skip

    text = Page(render_report(samples.report(bare))).text

    assert "Breast tumour triage" in text
    assert "Who said yes" not in text


def test_the_same_report_is_the_same_page(samples, html) -> None:
    """No clock, no randomness."""
    assert render_report(samples.report()) == html


def test_an_unproven_finding_says_how_many_more_of_what(samples) -> None:
    """In the words of the people who would have to gather them; of kept ones nothing is said."""
    row = FindingRow(finding=samples.finding(value=0.96, half=0.03), counted="malignant patients")

    assert re.fullmatch(
        r"about [\d,]+ more malignant patients, about [\d,]+ rows in all would settle it", more_rows(row)
    )
    assert more_rows(FindingRow(finding=samples.finding(value=0.99, half=0.01))) == ""
    unknown = replace(row.finding, rows_needed=None, relevant_needed=None)
    assert "cannot say" in more_rows(replace(row, finding=unknown))


def test_findings_are_grouped_by_role_with_the_worst_first(samples) -> None:
    """Each role sees at once what it must not overlook."""
    rows = tuple(
        FindingRow(finding=samples.finding(path, value, owner=owner))
        for path, value, owner in (
            ("a", 0.99, Role.DOMAIN),
            ("b", 0.8, Role.DOMAIN),
            ("c", 0.95, Role.DOMAIN),
            ("d", None, Role.PRODUCT),
        )
    )

    grouped = findings_by_role(rows)

    assert [role for role, _ in grouped] == [Role.PRODUCT, Role.DOMAIN]
    assert [row.finding.clause for row in grouped[1][1]] == ["b", "c", "a"]
    assert dict(counted_statuses(rows)) == {
        Status.KEPT: 1,
        Status.BROKEN: 1,
        Status.UNPROVEN: 1,
        Status.NOT_MEASURED: 1,
    }


def test_policies_are_compared_with_the_product_in_words(samples) -> None:
    """More, less, times as much, the same; and nothing where there is nothing to compare."""
    section = samples.replay()
    ours = section.policies[0]

    def said(total: float) -> str:
        return against_product(section, replace(ours, product=False, total=total, name="other"))

    assert said(ours.total * 1.2) == "20% more"
    assert said(ours.total * 0.9) == "10% less"
    assert said(ours.total * 3) == "3 times as much"
    assert said(ours.total) == "the same"
    assert against_product(section, ours) == ""
    assert against_product(section, replace(ours, product=False, decisions=0)) == ""


def test_next_steps_are_shown_as_commands(samples, html) -> None:
    """The reader can copy what to type."""
    step = Fact(name="keep everything running", value="make up")

    assert step in samples.report().next_steps
    assert "<code>make up</code>" in html
