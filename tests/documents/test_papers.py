"""One page says its limits first; the technical file has every point; both are safe to open and show their gaps."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from geartrain.documents.one_page import one_page_paper
from geartrain.documents.paper import Items, Missing, Text, to_markdown
from geartrain.documents.rendering import documents_of
from geartrain.documents.technical_file import technical_file_paper
from geartrain.domain.events import Recorded, StageEntered
from geartrain.domain.finding import Status
from geartrain.domain.groups import Impossibility
from geartrain.domain.release import ReleaseStage

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>\n# owned [a](javascript:b) | `c` \u202e'


class Tags(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def words_of(paper, heading: str) -> str:
    (section,) = [one for one in paper.sections if one.heading == heading]
    told = []
    for block in section.blocks:
        match block:
            case Text():
                told.append(block.words)
            case Items():
                told += block.items
            case Missing():
                told.append(block.what)
    return "\n".join(told)


def test_the_limits_come_first(samples) -> None:
    """What it must not be used for, where it is not proven, who is not covered; only then what it does."""
    facts = samples.model_facts()
    paper = one_page_paper(facts)

    assert [one.heading for one in paper.sections] == [
        "What it must not be used for", "Where it is not proven", "Who is not covered",
        "What it does", "What it costs", "Who answers for it",
    ]  # fmt: skip
    kept = sum(one.status is Status.KEPT for one in facts.findings)
    assert 0 < kept < len(facts.findings)
    assert paper.lead == (
        (
            f"This release is proposed, not live. {kept} of {len(facts.findings)} promises are kept;"
            " 2 of 4 roles have signed."
        ),
    )


def test_an_open_promise_is_said_in_plain_words(samples) -> None:
    """Not the metric's name but what it asks, whether it is broken or only unproven, and who allowed it."""
    said = words_of(one_page_paper(samples.model_facts()), "Where it is not proven")

    assert (
        "Not kept: how far its probabilities are from what comes true, promised at most 0.08; it is 0.12."
        in said
    )
    assert (
        "Not proven: how many of those that are malignant it finds, promised at least 97%; it is 96%. 171 rows cannot tell"
        in said
    )
    assert "Dr. Dana Okafor allowed it until 30 Jun 2026." in said
    assert "Not measured: between the groups of worst texture > 25" in said


def test_a_waiver_that_ran_out_allows_nothing(samples) -> None:
    """As known after its last day, nobody allows the clause any more."""
    facts = samples.model_facts()
    late = replace(facts, made_at=facts.waivers[0].expires_at)

    assert "allowed it until" not in words_of(one_page_paper(late), "Where it is not proven")
    assert "(run out)" in to_markdown(technical_file_paper(late))


def test_a_product_that_a_simpler_way_beats_says_so(samples) -> None:
    """The page does not hide that the simple linear model costs less, nor that luck would do as well."""
    facts = samples.model_facts(above_luck=False)
    dear = replace(facts, metrics=(replace(facts.metrics[0], value=0.2),))

    assert "a simple linear model, costs 140. The product does not beat it." in words_of(
        one_page_paper(dear), "What it costs"
    )
    assert "does not beat" not in words_of(one_page_paper(facts), "What it costs")
    assert "would show by luck alone" in words_of(one_page_paper(facts), "Where it is not proven")


def test_small_groups_are_not_covered(samples) -> None:
    """A group without a verdict is named with its rows; of one that was judged, what was not."""
    said = words_of(one_page_paper(samples.model_facts()), "Who is not covered")

    assert "age: under 18 (3 rows)" in said
    assert "recall of age: over 50" not in said
    assert "precision of age: over 50" in said


def test_another_contract_since_then_is_said(samples) -> None:
    """A release of an older contract is not passed off as today's agreement."""
    (lead,) = one_page_paper(samples.model_facts(adopted="ee" * 32)).lead

    assert lead.endswith("The team has since agreed on another contract, eeeeeeeeeeee.")


def test_one_page_stays_short(samples) -> None:
    """However much is open or forbidden, lists are cut and counted; the whole is in the model card."""
    contract = samples.contract_of()
    terms = replace(contract.product, out_of_scope=tuple(f"use {number} " * 40 for number in range(30)))
    paper = one_page_paper(samples.model_facts(contract=replace(contract, product=terms)))
    said = words_of(paper, "What it must not be used for").splitlines()

    assert len(said) == 6
    assert said[-1] == "and 25 more, in the model card"
    assert len(to_markdown(paper)) < 6_000


def test_the_technical_file_has_every_point_in_order(samples) -> None:
    """Points 1(a) to (h), 2(a) to (h) and 3 to 9 of Annex IV, each part with its source."""
    paper = technical_file_paper(samples.model_facts())
    points = [one.heading.split(" ", 1)[0] for one in paper.sections]

    assert points == [
        "1.", *(f"1({letter})" for letter in "abcdefgh"),
        "2.", *(f"2({letter})" for letter in "abcdefgh"),
        *(f"{number}." for number in range(3, 10)),
    ]  # fmt: skip
    assert all(one.source for one in paper.sections if one.blocks)
    assert f"{len(paper.missing)} statements are missing; each names the role that owns it." in paper.lead


def test_the_technical_file_tells_what_ledger_and_evidence_hold(samples) -> None:
    """Purpose, versions, data, tests with hashes, sign-offs, plans and the watch are filled, not only asked for."""
    facts = samples.model_facts(
        impossible=(Impossibility(clauses=("fairness.clinics",), one="a", two="b", excluded=True, sentence="Both cannot hold."),),
        luck=("saves 30 per 1000 decisions",),
    )  # fmt: skip
    text = to_markdown(technical_file_paper(facts))

    for said in (
        "screening of people without a mass",
        "569 rows, content",
        "1 delivery with 570 rows came to the door; 1 broke the contract",
        "3 settings of lightgbm were tried",
        "it is retrained when an alarm rings and every 180 days, on the last 720 days",
        "canary on 10% of the traffic for 3 days",
        "The log of tests, each with the hash",
        f"| release | {len(facts.findings)} clauses |",
        "domain: Dr. Dana Okafor, 1 Jan 2026: with the waiver below",
        "Both cannot hold.",
        "| worst radius missing in every row | all | 0.4 (0.2 to 0.7, 95%) | 171 |",
        "saves 30 per 1000 decisions",
        "No incident was opened.",
        "a pathologist",
    ):
        assert said in text, said


def test_changes_over_life_are_told(samples) -> None:
    """What went live when is in point 6."""
    facts = samples.model_facts()
    live = StageEntered(
        product="tumour-triage", release=facts.id, stage=ReleaseStage.LIVE, share=1.0, approved_by=()
    )
    last = facts.history[-1]
    told = replace(
        facts,
        history=(
            *facts.history,
            Recorded(
                position=last.position + 1, stream=last.stream, version=last.version + 1, at=facts.made_at,
                actor="Emil Berg", event=live, previous=last.hash, hash="9" * 64,
            ),
        ),
    )  # fmt: skip

    assert f"| 4 Jan 2026 | release {facts.id[:12]}: live | Emil Berg |" in to_markdown(
        technical_file_paper(told)
    )


@pytest.mark.parametrize("bare", [False, True])
def test_pages_are_whole_and_ask_no_server(samples, bare: bool) -> None:
    """Every page is closed HTML with its style in it, no script, no link, no picture from anywhere."""
    facts = (
        samples.model_facts(findings=(), history=(), tables=(), explanation=None)
        if bare
        else samples.model_facts()
    )
    for one in documents_of(facts):
        if not one.name.endswith(".html"):
            continue
        tags = Tags()
        tags.feed(one.content.decode())
        assert tags.open == []
        assert tags.found.isdisjoint({"script", "link", "img", "iframe", "a", "object", "form"})
        assert not any(name in {"src", "href"} or name.startswith("on") for name, _ in tags.attributes)
        assert "url(" not in one.content.decode()


def test_hostile_names_do_nothing_in_any_document(samples) -> None:
    """Product, people, features, reasons and currency from outside stay text in Markdown and in HTML."""
    contract = samples.contract_of()
    terms = replace(
        contract.product,
        title=HOSTILE,
        problem=HOSTILE,
        serves=HOSTILE,
        intended_use=(HOSTILE,),
        out_of_scope=(HOSTILE,),
    )
    evil = replace(
        contract,
        product=terms,
        costs=replace(contract.costs, currency=HOSTILE),
        team=tuple((role, (HOSTILE,)) for role, _ in contract.team),
        silent=(HOSTILE,),
    )
    facts = samples.model_facts(contract=evil)
    waiver = replace(facts.waivers[0], reason=HOSTILE, person=HOSTILE)
    for one in documents_of(replace(facts, waivers=(waiver,))):
        text = one.content.decode()
        assert "\u202e" not in text or one.name.endswith(".json")
        if one.name.endswith(".html"):
            tags = Tags()
            tags.feed(text)
            assert tags.found.isdisjoint({"script", "img", "a"})
        if one.name.endswith(".md"):
            body = text.split("\n---\n", 1)[-1]
            assert "<script" not in body
            assert not re.search(r"(?<!\\)\]\(", body)
            assert not re.search(r"^# owned", body, re.MULTILINE)


def test_the_same_facts_give_the_same_bytes(samples) -> None:
    """Made again, nothing moves: a difference between two files is a difference of facts."""
    assert documents_of(samples.model_facts()) == documents_of(samples.model_facts())
