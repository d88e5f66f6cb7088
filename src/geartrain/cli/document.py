"""`geartrain document`: write a release's documents, ask what people still have to write, tell the ML Test Score."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geartrain.cli.answer import Answer, answering
from geartrain.cli.options import loaded, moment_of, now_option, opened, product_option, workspace_option
from geartrain.domain.digest import short

if TYPE_CHECKING:
    from geartrain.documents.facts import DocumentFacts

release_argument = click.argument("release_name", metavar="RELEASE", default="latest")


@click.group()
def document() -> None:
    """Write a release's documents; ask what people still have to write.

    RELEASE is an id or its beginning, `champion`, `challenger` or `latest`. Numbers come from
    the ledger and the signed bundle; what people write lies in the product's folder `prose`
    and is never touched.
    """


@document.command()
@workspace_option
@product_option
@release_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    show_default="documents in the product's folder",
    help="Where to write them.",
)
@now_option
@answering
def write(
    workspace: Path | None, folder: Path, release_name: str, output: Path | None, now: datetime | None
) -> Answer:
    """Write model card, one page, technical file, ML-BOM and ML Test Score."""
    from geartrain.documents.rendering import documents_of, papers_of
    from geartrain.engine import documenting

    facts = _facts(workspace, folder, release_name, now)
    files = documenting.keep_documents(output or folder / documenting.FOLDER, documents_of(facts))
    missing = {paper.kind: len(paper.missing) for paper in papers_of(facts)}
    stale = [one for one in documenting.standings(facts) if one.words not in {"written", "missing"}]
    strays = documenting.stray_notes(folder)
    lines = [f"  {file}" for file in files]
    lines += ["", f"release {short(facts.id)}; statements missing: {_counted(missing)}"]
    lines += [f"read again: {one.ask.path}: {one.words}" for one in stale]
    lines += [f"in no document: {one}; the folders are {', '.join(_folders())}" for one in strays]
    lines.append("next: `geartrain document prose` names what people have to write")
    return Answer(
        schema="document-write/1",
        ok=True,
        result={
            "release": facts.id,
            "files": [str(one) for one in files],
            "missing": missing,
            "read_again": [{"path": one.ask.path, "why": one.words} for one in stale],
            "in_no_document": strays,
        },
        text="\n".join(lines),
    )


@document.command()
@workspace_option
@product_option
@release_argument
@click.option(
    "--begin", is_flag=True, help="Write a file with the question for each statement that has none."
)
@now_option
@answering
def prose(
    workspace: Path | None, folder: Path, release_name: str, *, begin: bool, now: datetime | None
) -> Answer:
    """What people have to write: missing, to be read again, or written; no is exit code 1."""
    from geartrain.documents.scoring import NAME as SCORE
    from geartrain.engine import documenting

    facts = _facts(workspace, folder, release_name, now)
    told = documenting.standings(facts)
    # A note for the score is one way among others to earn a point, not a gap.
    asked = [one for one in told if one.ask.document != SCORE]
    made = documenting.begin_notes(folder, facts, [one.ask for one in asked]) if begin else ()
    lines = [
        f"  {one.ask.owner:<12} {one.ask.path}: {one.words}"
        + ("" if one.holds else f"\n{'':15}{one.ask.question}")
        for one in asked
    ]
    lines += ["", *(f"begun: {one}" for one in made)]
    held = sum(one.holds for one in asked)
    lines.append(
        f"{held} of {len(asked)} statements are written for release {short(facts.id)} or its contract"
    )
    return Answer(
        schema="document-prose/1",
        ok=held == len(asked),
        result={
            "release": facts.id,
            "begun": made,
            "statements": [
                {
                    "path": one.ask.path,
                    "owner": one.ask.owner,
                    "question": one.ask.question,
                    "standing": one.words,
                    "by": one.by,
                }
                for one in told
            ],
        },
        text="\n".join(lines),
    )


@document.command()
@workspace_option
@product_option
@release_argument
@now_option
@answering
def score(workspace: Path | None, folder: Path, release_name: str, now: datetime | None) -> Answer:
    """Tell the ML Test Score: 28 tests, the evidence for each, the lowest of four sums."""
    from geartrain.documents.ml_test_score import score as scored

    facts = _facts(workspace, folder, release_name, now)
    told = scored(facts)
    lines = []
    for (name, tests), (_, points) in zip(told.sections, told.sums, strict=True):
        lines.append(f"{name}: {points:g} of 7")
        lines += [
            f"  {one.test.number}  {one.seen.points.worth:>3g}  {one.test.asks}\n           {one.seen.points}: {one.seen.evidence}"
            for one in tests
        ]
    lines += ["", f"score {told.total:g}: {told.reading}"]
    return Answer(
        schema="document-score/1",
        ok=True,
        result={
            "release": facts.id,
            "score": told.total,
            "reading": told.reading,
            "sums": dict(told.sums),
            "tests": [
                {
                    "test": one.test.number,
                    "asks": one.test.asks,
                    "points": one.seen.points.worth,
                    "how": one.seen.points,
                    "evidence": one.seen.evidence,
                    "owner": one.test.owner,
                }
                for _, tests in told.sections
                for one in tests
            ],
        },
        text="\n".join(lines),
    )


def _facts(workspace: Path | None, folder: Path, release: str, now: datetime | None) -> DocumentFacts:
    from geartrain.engine.documenting import document_facts

    product, space = loaded(folder), opened(workspace)
    return document_facts(space, product.name, release, now=moment_of(now), folder=folder)


def _counted(missing: dict[str, int]) -> str:
    return ", ".join(f"{count} in {kind}" for kind, count in missing.items() if count) or "none"


def _folders() -> tuple[str, ...]:
    from geartrain.documents.rendering import DOCUMENTS

    return tuple(f"prose/{one}" for one in DOCUMENTS)
