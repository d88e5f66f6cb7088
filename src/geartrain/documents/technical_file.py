"""The technical file: what is known, under the headings of the EU AI Act's Annex IV.

Source of the headings: Regulation (EU) 2024/1689, Annex IV (technical documentation
referred to in Article 11(1)), points 1 to 9. The wording of the headings is ours.
Whether the product is a high-risk system, and whether this suffices, is for lawyers.
"""

from __future__ import annotations

from geartrain.documents.annex_development import development
from geartrain.documents.annex_general import general
from geartrain.documents.annex_life import life
from geartrain.documents.facts import DocumentFacts
from geartrain.documents.paper import Paper
from geartrain.documents.spelling import day
from geartrain.documents.tables import colophon
from geartrain.domain.digest import short

NAME = "technical-file"


def technical_file_paper(facts: DocumentFacts) -> Paper:
    """Every point from 1(a) to 9, each with its source; what is missing stands there with its owner."""
    paper = Paper(
        kind=NAME,
        title=f"{facts.contract.product.title}: technical file",
        lead=(
            (
                f"Release {short(facts.id)} of {facts.contract.product.name}, as known on {day(facts.made_at)}, in the"
                " order of Annex IV of Regulation (EU) 2024/1689."
            ),
            (
                "This is a draft made from evidence. It does not say whether the product is a high-risk system, and"
                " it is no assessment of conformity; a person who knows the law has to read it."
            ),
        ),
        sections=(*general(facts), *development(facts), *life(facts)),
        colophon=colophon(facts),
    )
    missing = len(paper.missing)
    counted = (
        f"{missing} statements are missing; each names the role that owns it."
        if missing
        else "No statement that it asks for is missing."
    )
    return Paper(
        kind=paper.kind,
        title=paper.title,
        lead=(*paper.lead, counted),
        sections=paper.sections,
        colophon=paper.colophon,
    )
