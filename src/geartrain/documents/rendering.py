"""All documents of a release, ready to be kept or downloaded: a name, a media type, bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from geartrain.documents import (
    annex_development,
    annex_general,
    annex_life,
    ml_bom,
    ml_test_score,
    model_card,
    one_page,
)
from geartrain.documents.facts import DocumentFacts
from geartrain.documents.paper import Paper, Section, to_html, to_markdown
from geartrain.documents.prose import Ask, written
from geartrain.documents.technical_file import NAME as TECHNICAL_FILE
from geartrain.documents.technical_file import technical_file_paper

MARKDOWN, HTML, BILL = (
    "text/markdown; charset=utf-8",
    "text/html; charset=utf-8",
    "application/vnd.cyclonedx+json",
)

#: Every statement that a document asks of people.
ASKS: tuple[Ask, ...] = (
    *one_page.ASKS,
    *model_card.ASKS,
    *annex_general.ASKS,
    *annex_development.ASKS,
    *annex_life.ASKS,
    *ml_bom.ASKS,
    *ml_test_score.ASKS,
)
#: The folders that a note may lie in.
DOCUMENTS = tuple(dict.fromkeys(ask.document for ask in ASKS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A document as a file."""

    name: str
    media_type: str
    content: bytes


def papers_of(facts: DocumentFacts) -> tuple[Paper, ...]:
    """Every document that has a paper form, with the notes that no section asked for at its end."""
    made: tuple[Callable[[DocumentFacts], Paper], ...] = (
        one_page.one_page_paper,
        model_card.model_card_paper,
        technical_file_paper,
        ml_test_score.ml_test_score_paper,
    )
    return tuple(_with_further(make(facts), facts) for make in made)


def documents_of(facts: DocumentFacts) -> tuple[Rendered, ...]:
    """Every document of one release: the same facts give the same bytes."""
    files = []
    for paper in papers_of(facts):
        words = to_markdown(paper)
        if paper.kind == model_card.NAME:
            words = f"{model_card.header(facts)}\n\n{words}"
        files.append(Rendered(name=f"{paper.kind}.md", media_type=MARKDOWN, content=words.encode()))
        files.append(Rendered(name=f"{paper.kind}.html", media_type=HTML, content=to_html(paper).encode()))
    bill = ml_bom.ml_bom(facts)
    return (*files, Rendered(name="ml-bom.cdx.json", media_type=BILL, content=bill))


def _with_further(paper: Paper, facts: DocumentFacts) -> Paper:
    """What people wrote is never dropped: a note under a name of their own stands at the end."""
    asked = {ask.path for ask in ASKS}
    further = [
        note
        for note in facts.notes
        if note.document == paper.kind and note.path not in asked and not note.empty
    ]
    if not further:
        return paper
    sections = [
        Section(heading=note.section.replace("-", " ").capitalize(), blocks=(written(note, facts.about),))
        for note in further
    ]
    return replace(paper, sections=(*paper.sections, *sections))


__all__ = ["ASKS", "DOCUMENTS", "TECHNICAL_FILE", "Rendered", "documents_of", "papers_of"]
