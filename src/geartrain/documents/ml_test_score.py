"""The ML Test Score: 28 tests, each with the evidence for it, and the lowest of four sums.

Source: Breck, Cai, Nielsen, Salib & Sculley, The ML Test Score, IEEE Big Data 2017. The
paper gives half a point for a test that was done by hand and written down, and one for a
test that runs by itself again and again; the score is the lowest of the four sections'
sums. Here a test must also have *passed*: one that ran and said no, or could not tell,
gives no point.
"""

from __future__ import annotations

from dataclasses import dataclass

from geartrain.documents.facts import DocumentFacts
from geartrain.documents.paper import Block, Paper, Section, Table, Text
from geartrain.documents.prose import flag, written
from geartrain.documents.score_after import infrastructure_tests, monitoring_tests
from geartrain.documents.score_before import data_tests, model_tests
from geartrain.documents.scoring import NAME, Points, Seen, Test
from geartrain.documents.spelling import number
from geartrain.documents.tables import colophon

_SECTIONS = (
    ("Data", data_tests),
    ("Model", model_tests),
    ("Infrastructure", infrastructure_tests),
    ("Monitoring", monitoring_tests),
)

ASKS = tuple(test.ask for _, tests in _SECTIONS for test in tests())

#: Up to which score which reading holds, after the paper's table I, in our words.
_READINGS = (
    (0.0, "more a research project than a product"),
    (1.0, "not untested, but serious holes must be expected"),
    (2.0, "a first pass at being ready; more may need doing"),
    (3.0, "reasonably tested; more of it could run by itself"),
    (5.0, "strong levels of testing and monitoring by machine"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One test with what was seen."""

    test: Test
    seen: Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The whole score.

    Attributes:
        sections: Each section's name and its seven tests, in the paper's order.
    """

    sections: tuple[tuple[str, tuple[Scored, ...]], ...]

    @property
    def sums(self) -> tuple[tuple[str, float], ...]:
        """The points of each section."""
        return tuple((name, sum(one.seen.points.worth for one in tests)) for name, tests in self.sections)

    @property
    def total(self) -> float:
        """The lowest section's sum: a product is as ready as its weakest side."""
        return min(points for _, points in self.sums)

    @property
    def reading(self) -> str:
        """What the paper says about such a total."""
        return next(
            (words for most, words in _READINGS if self.total <= most),
            "exceptional levels of testing by machine",
        )


def score(facts: DocumentFacts) -> Score:
    """Look for the evidence of each of the 28 tests.

    Where no event, finding or setting shows a test, a note by a named person, written for
    this very release, counts as done by hand. A test that ran and did not pass stays one.
    """
    return Score(
        sections=tuple(
            (name, tuple(Scored(test=test, seen=_seen(test, facts)) for test in tests()))
            for name, tests in _SECTIONS
        )
    )


def _seen(test: Test, facts: DocumentFacts) -> Seen:
    seen = test.rule(facts)
    if seen.points is not Points.NONE:
        return seen
    note = next((one for one in facts.notes if one.path == test.ask.path and not one.empty), None)
    if note is None:
        return seen
    if not note.by:
        return Seen(points=Points.NONE, evidence=f"{note.path} names nobody who did it; {seen.evidence}")
    if doubt := flag(note, facts.about):
        return Seen(points=Points.NONE, evidence=f"{note.path} does not count: {doubt}")
    return Seen(points=Points.BY_HAND, evidence=f"by {note.by}, in {note.path}")


def ml_test_score_paper(facts: DocumentFacts) -> Paper:
    """The score with each test's evidence, and what people wrote about it."""
    scored = score(facts)
    lowest = [name for name, points in scored.sums if points == scored.total]
    return Paper(
        kind=NAME,
        title=f"{facts.contract.product.title}: ML Test Score",
        lead=(
            f"{number(scored.total)} of 7: {scored.reading}. The lowest: {', '.join(lowest)}.",
            (
                "After Breck et al., The ML Test Score, 2017: half a point for a test that was done by hand or once,"
                " one for a test that runs by itself; the score is the lowest of four sums. Stricter than there: a test"
                " that ran and did not pass gives no point. No evidence in the ledger is not the same as not done, but"
                " nobody who reads the ledger can tell the two apart."
            ),
        ),
        sections=(
            Section(
                heading="Sums",
                blocks=(
                    Table(
                        head=("section", "points of 7"),
                        rows=tuple((name, number(points)) for name, points in scored.sums),
                    ),
                ),
            ),
            *(Section(heading=name, blocks=_tests(tests, facts)) for name, tests in scored.sections),
        ),
        colophon=colophon(facts),
    )


def _tests(tests: tuple[Scored, ...], facts: DocumentFacts) -> tuple[Block, ...]:
    rows = tuple(
        (
            one.test.number,
            one.test.asks,
            number(one.seen.points.worth),
            one.seen.points.value,
            one.seen.evidence,
            one.test.owner.value,
        )
        for one in tests
    )
    blocks: list[Block] = [
        Table(
            head=("", "test", "points", "how it is done", "evidence, or what is missing", "owner"), rows=rows
        )
    ]
    paths = {one.test.ask.path: one.test.number for one in tests}
    for note in facts.notes:
        if note.path in paths and not note.empty:
            blocks += [Text(words=paths[note.path], strong=True), written(note, facts.about)]
    return tuple(blocks)
