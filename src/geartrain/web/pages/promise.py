"""Promise: the contract in plain sentences, by role, each with what was found last."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from geartrain.contract.wording import promise_in_words
from geartrain.documents.report import rows_to_settle
from geartrain.documents.spelling import number
from geartrain.domain.clause import Clause, Severity, Stage
from geartrain.domain.contract import Contract
from geartrain.domain.events import FindingsRecorded, Recorded
from geartrain.domain.finding import Finding, Status
from geartrain.domain.release import ReleaseStage
from geartrain.domain.roles import Role
from geartrain.domain.wording import class_in_words
from geartrain.engine.adopted import adoptions
from geartrain.engine.contract_changes import open_proposals
from geartrain.engine.releasing import releases
from geartrain.release.state import ReleaseRecord
from geartrain.web.pages.standing import (
    WORST_FIRST,
    Tally,
    contract_of,
    findings_now,
    subject_of,
    tallies,
    words_of,
)
from geartrain.web.paging import Action, Download, Page
from geartrain.web.plain import Plain, meaning
from geartrain.web.room import Asked

#: So many earlier findings of a clause are shown.
_LATEST = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One earlier finding about a clause."""

    at: datetime
    stage: Stage
    subject: str
    status: Status
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseLine:
    """One promise and how it stands.

    Attributes:
        sentence: What is promised, in the contract's own names; `words` in those that people use.
        message: What was found, in the same names; `told` in those that people use.
        means: What the measured quantity is, for those who have never had to know; empty where its name says it.
        consequence: What happens where it is not kept.
        finding: What was found last about the release that speaks for the product.
        settles: How much more evidence would settle an unproven one; else empty.
        history: Earlier findings of every release, the latest first.
    """

    path: str
    owner: Role
    sentence: str
    words: str
    means: str
    because: str
    consequence: str
    status: Status
    message: str
    told: str
    settles: str
    finding: Finding | None
    history: tuple[Seen, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleGroup:
    """The promises that one role answers for."""

    role: Role
    people: tuple[str, ...]
    clauses: tuple[ClauseLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactLines:
    """A fact about the product, in one or more lines."""

    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseView:
    """What the product promises, and whether it keeps it."""

    name: str
    title: str
    problem: str
    contract: str
    adopted_at: datetime
    adopted_by: str
    proposals: int
    subject: str | None
    subject_is: str
    tallies: tuple[Tally, ...]
    facts: tuple[FactLines, ...]
    groups: tuple[RoleGroup, ...]
    silent: tuple[str, ...]


def promise_view(asked: Asked) -> PromiseView:
    """The contract that is in force, and the latest findings about the release that speaks for it."""
    contract = contract_of(asked)
    state = releases(asked.workspace, asked.product)
    record = subject_of(state)
    found = findings_now(state, record)
    plain, seen = words_of(asked), _histories(asked.workspace.history(asked.product))
    lines = [
        clause_line(clause, found.get(clause.path), contract, plain, seen.get(clause.path, ()))
        for clause in contract.clauses
    ]
    adopted = adoptions(asked.workspace, asked.product)[-1]
    return PromiseView(
        name=contract.product.name,
        title=contract.product.title,
        problem=contract.product.problem,
        contract=contract.id,
        adopted_at=adopted.at,
        adopted_by=adopted.actor,
        proposals=len(open_proposals(asked.workspace, asked.product)),
        subject=record.id if record else None,
        subject_is=_standing(record),
        tallies=tallies(Counter(line.status for line in lines)),
        facts=_facts(contract),
        groups=tuple(
            RoleGroup(
                role=role,
                people=contract.holders(role),
                clauses=tuple(
                    sorted(
                        (line for line in lines if line.owner is role),
                        key=lambda line: WORST_FIRST.index(line.status),
                    )
                ),
            )
            for role in Role
            if any(line.owner is role for line in lines)
        ),
        silent=contract.silent,
    )


def clause_line(
    clause: Clause, finding: Finding | None, contract: Contract, plain: Plain, history: tuple[Seen, ...] = ()
) -> ClauseLine:
    """The clause and its finding, in words."""
    return ClauseLine(
        path=clause.path,
        owner=clause.owner,
        sentence=promise_in_words(clause),
        words=plain.promise(clause),
        means=meaning(clause),
        because=clause.because.rstrip("."),
        consequence="a release is blocked" if clause.severity is Severity.BLOCK else "it is a warning",
        status=finding.status if finding else Status.NOT_MEASURED,
        message=measured_in_words(finding),
        told=plain.measured(clause, finding),
        settles=_settles(clause, finding, contract),
        finding=finding,
        history=history,
    )


def measured_in_words(finding: Finding | None) -> str:
    """What was measured, its interval and its remark; or why nothing was."""
    if finding is None:
        return "nothing was measured yet"
    if finding.value is None:
        return finding.message
    unit = f" {finding.unit}" if finding.unit else ""
    interval = "" if finding.low == finding.high else f" ({number(finding.low)} to {number(finding.high)})"
    remark = finding.message[finding.message.index("[") :] if finding.message.endswith("]") else ""
    return f"measured {number(finding.value)}{interval}{unit} {remark}".rstrip()


def _settles(clause: Clause, finding: Finding | None, contract: Contract) -> str:
    wanted = clause.parameter("class") or contract.decision.positive
    counted = ""
    if clause.metric == "recall" and isinstance(wanted, str) and finding and finding.relevant_needed:
        counted = f"cases that turn out to be {class_in_words(contract.decision.label, wanted)}"
    words = rows_to_settle(finding, counted=counted) if finding else ""
    return f"{words[0].upper()}{words[1:]}." if words else ""


def _histories(history: Iterable[Recorded]) -> dict[str, tuple[Seen, ...]]:
    """Everything that was ever found about each clause, the latest first and at most so many."""
    seen: dict[str, deque[Seen]] = defaultdict(lambda: deque(maxlen=_LATEST))
    for one in history:
        if not isinstance(one.event, FindingsRecorded):
            continue
        for finding in one.event.findings:
            seen[finding.clause].appendleft(
                Seen(
                    at=one.at,
                    stage=one.event.stage,
                    subject=one.event.subject,
                    status=finding.status,
                    value=finding.value,
                    low=finding.low,
                    high=finding.high,
                )
            )
    return {path: tuple(found) for path, found in seen.items()}


def _standing(record: ReleaseRecord | None) -> str:
    if record is None:
        return ""
    if record.stage is ReleaseStage.LIVE:
        return f"live since {record.entered_at:%d %B %Y}".replace(" 0", " ")
    return f"which is {record.stage}"


def _facts(contract: Contract) -> tuple[FactLines, ...]:
    product = contract.product
    told = (
        ("Who is served", (product.serves,)),
        ("What it is for", product.intended_use),
        ("What it is not for", product.out_of_scope),
        ("Without it", (product.without_it,)),
    )
    return tuple(
        FactLines(name=name, lines=tuple(line for line in lines if line))
        for name, lines in told
        if any(lines)
    )


PAGES = (Page(path="/products/{product}/promise", template="promise.html", view=promise_view),)
ACTIONS: tuple[Action, ...] = ()
DOWNLOADS: tuple[Download, ...] = ()
