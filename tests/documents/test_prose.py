"""What people write stays theirs: included with its writer, flagged when it may be stale, never read as markup."""

from dataclasses import replace

import pytest

from geartrain.documents.paper import Items, Missing, Text, Written, escaped
from geartrain.documents.prose import About, Note, begun, blocks_of, flag, read_note
from geartrain.documents.rendering import ASKS, documents_of, papers_of

ABOUT = About(release="ab12" * 16, contract="cd34" * 16, others=("ef56" * 16,))
HOSTILE = "# Owned\n\n<script>alert(1)</script> [x](javascript:y) ![i](j)\n\n---\n\n| a | b |\n\n```\ncode\n```\n<img src=x onerror=z>"


def note(text: str = "Read twice.", **changes: str) -> Note:
    return Note(document="model-card", section="caveats", text=text, **changes)


def of(facts, name: str) -> str:
    (found,) = [one.content.decode() for one in documents_of(facts) if one.name == name]
    return found


def test_a_missing_statement_is_named_with_its_owner_and_place(samples) -> None:
    """Nothing is guessed: each asked statement is missing, with the role and the file it belongs into."""
    facts = samples.model_facts()
    papers = {paper.kind: paper for paper in papers_of(facts)}

    for ask in ASKS:
        if ask.document in {"ml-bom", "ml-test-score"}:
            continue
        assert any(
            one == Missing(what=ask.missing, owner=ask.owner, where=ask.path)
            for one in papers[ask.document].missing
        ), ask.path


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"release": "ab12ab12"}, ""),
        ({"contract": "cd34cd34cd34"}, ""),
        ({"release": "99999999"}, "written for release 99999999, now ab12ab12ab12"),
        ({"contract": "ef56"}, "written for contract ef56, now cd34cd34cd34"),
        ({}, "it does not say for which release or contract it was written"),
        ({"release": "a"}, "written for release a, now ab12ab12ab12"),
    ],
)
def test_a_note_is_held_against_what_it_was_written_for(named, said) -> None:
    """Another release or contract flags it; so does saying neither, or too little to tell two ids apart."""
    assert flag(note(**named), ABOUT) == said


def test_an_id_of_another_release_in_the_words_is_noticed() -> None:
    """A text that speaks of the last release by its id is told from one that speaks of this one."""
    told = note("As in ef56ef56ef56 we saw; ab12ab12 is better; cafe0000 is no release.", release="ab12ab12")

    assert flag(told, ABOUT) == "it speaks of release ef56ef56ef56, this is ab12ab12ab12"


def test_a_file_that_holds_only_the_question_counts_as_nothing() -> None:
    """Beginning a note does not make its statement; an unclosed comment hides the rest rather than show the question."""
    for ask in ASKS:
        told = read_note(ask.document, ask.section, begun(ask, ABOUT))
        assert told.empty
        assert flag(told, ABOUT) == ""
    assert read_note("model-card", "caveats", "<!-- never closed\nwords").empty


def test_header_values_are_text_and_line_ends_do_not_matter() -> None:
    """An id of digits stays text; files from other systems read alike."""
    told = read_note("model-card", "caveats", "\ufeff---\r\nrelease: 1e5\r\nby: 'Bo'\r\n---\r\nWords.\r\n")

    assert (told.release, told.by, told.text) == ("1e5", "Bo", "Words.")


def test_paragraphs_and_lists_are_kept() -> None:
    """That is all the form that a note has; the rest is shown as typed."""
    assert blocks_of("One\nline.\n\n- a\n  b\n- c\n1. d\n\n> e") == (
        Text(words="One line."),
        Items(items=("a b", "c", "d")),
        Text(words="> e"),
    )


def test_markup_in_a_note_stays_what_was_typed(samples) -> None:
    """No heading, script, link, picture, table, rule or code can be brought in through a note, in either form."""
    facts = samples.model_facts()
    told = replace(facts, notes=(note(HOSTILE, by="<b>Bo</b>", release=facts.id),))
    words, page = of(told, "model-card.md"), of(told, "model-card.html")
    clean, clean_page = of(facts, "model-card.md"), of(facts, "model-card.html")

    for raw in ("<script", "<img", "](", "```", "<b>"):
        assert raw not in words.replace("\\](", "")
    for tag in ("<script", "<img", "<b>", "<a ", "onerror=z>"):
        assert tag not in page
    for line_start in ("#", "---", "|"):
        assert sum(one.startswith(line_start) for one in words.splitlines()) == sum(
            one.startswith(line_start) for one in clean.splitlines()
        )
    assert page.count("<h2>") == clean_page.count("<h2>")


@pytest.mark.parametrize("value", ["- a", "+ a", "1. a", "12) a", "=====", "---", "# a", "> a", "~~~", "* a"])
def test_no_value_begins_a_block_of_its_own(value) -> None:
    """What would start a list, rule, heading, quote or fence is escaped where it stands first."""
    assert escaped(value) != value
    assert escaped(value).replace("\\", "") == value


def test_numbers_stay_as_they_are() -> None:
    """A decimal point or a minus sign in front is no list."""
    assert [escaped(one) for one in ("0.94 (0.89 to 0.98)", "-3", "1,234")] == [
        "0.94 (0.89 to 0.98)",
        "-3",
        "1,234",
    ]


def test_a_note_that_no_section_asks_for_is_not_dropped(samples) -> None:
    """People may say more than they were asked: it stands at the end of its document."""
    facts = samples.model_facts()
    further = Note(
        document="model-card", section="board-minutes", text="We met.", by="Ann", contract=facts.contract.id
    )

    assert "## Board minutes\n\nWe met.\n\n*Written by Ann" in of(
        replace(facts, notes=(further,)), "model-card.md"
    )


def test_written_words_stand_with_writer_and_place(samples) -> None:
    """Who reads a statement sees whose it is."""
    facts = samples.model_facts()
    told = replace(facts, notes=(note(by="Dev", release=facts.id),))
    (card,) = [paper for paper in papers_of(told) if paper.kind == "model-card"]
    (block,) = [one for section in card.sections for one in section.blocks if isinstance(one, Written)]

    assert (block.by, block.where, block.flag) == ("Dev", "prose/model-card/caveats.md", "")
