"""What one of the ML Test Score's tests is worth, and the words that a rule answers with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from geartrain.documents.facts import DocumentFacts
from geartrain.documents.prose import Ask, Binds
from geartrain.domain.finding import Finding, Status
from geartrain.domain.roles import Role

NAME = "ml-test-score"


class Points(StrEnum):
    """How a test is done; its worth is `worth`."""

    AUTOMATIC = "runs by itself and passed"
    ONCE = "ran once, or in part"
    BY_HAND = "done by hand and written down"
    FAILED = "ran and did not pass"
    NONE = "no evidence"

    @property
    def worth(self) -> float:
        """Half a point for once or by hand, one for a test that runs by itself and passed, else none."""
        return {Points.AUTOMATIC: 1.0, Points.ONCE: 0.5, Points.BY_HAND: 0.5}.get(self, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a rule saw: how the test is done, and the event, finding or setting that shows it."""

    points: Points
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """One of the 28: its number, what it asks, whose it is, and the rule that looks for evidence."""

    number: str
    asks: str
    owner: Role
    rule: Callable[[DocumentFacts], Seen]

    #: Nothing for pytest to collect.
    __test__ = False

    @property
    def ask(self) -> Ask:
        """Where somebody writes down that it was done by hand."""
        return Ask(
            document=NAME,
            section=self.number,
            missing=f"evidence for {self.number}",
            question=f"{self.asks}? Say what was done by hand, when, with which result.",
            owner=self.owner,
            binds=Binds.RELEASE,
        )


def nothing(why: str) -> Seen:
    """No evidence, and what would be some."""
    return Seen(points=Points.NONE, evidence=why)


def automatic(what: str) -> Seen:
    """It runs by itself, and passed."""
    return Seen(points=Points.AUTOMATIC, evidence=what)


def once(what: str) -> Seen:
    """It ran, but not again and again, or it covers a part."""
    return Seen(points=Points.ONCE, evidence=what)


def failed(what: str) -> Seen:
    """It ran and its answer was no, or that the evidence cannot tell."""
    return Seen(points=Points.FAILED, evidence=what)


def by_findings(findings: Iterable[Finding], *, none: str) -> Seen:
    """A full point only where every finding is kept; one that is not says why there is none."""
    seen = tuple(findings)
    if not seen or all(one.status is Status.NOT_MEASURED for one in seen):
        return nothing(none)
    bad = [one for one in seen if one.status is not Status.KEPT]
    if bad:
        return failed(f"{bad[0].clause} at {bad[0].stage}: {bad[0].message}")
    latest = max(one.found_at for one in seen)
    names = ", ".join(sorted({one.clause for one in seen}))
    return automatic(f"kept at {seen[0].stage} on {latest:%Y-%m-%d}: {names}")
