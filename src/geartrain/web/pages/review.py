"""Review: people look at real decisions, one at a time, and say whether they were right."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from geartrain.documents.spelling import shortened
from geartrain.domain.contract import Contract
from geartrain.domain.digest import short
from geartrain.domain.events import Verdict
from geartrain.domain.prediction import Decision
from geartrain.domain.roles import Role
from geartrain.domain.task import Task
from geartrain.engine import reviewing
from geartrain.engine.bench import currency_of
from geartrain.engine.release_words import Reason
from geartrain.engine.review_cases import FullCase, Said, full_case, known_truth
from geartrain.engine.review_queue import SIMPLEST_NOT_KEPT, Chosen, Queue, Why, review_queue
from geartrain.engine.reviewing import Answer, Reviewed
from geartrain.errors import PageMissing
from geartrain.web.addresses import address
from geartrain.web.pages.standing import contract_of
from geartrain.web.paging import Action, Denied, Done, Download, Outcome, Page
from geartrain.web.room import Asked

_LONGEST_WORDS = 4000
#: What is carried into the form of a clause, in an address.
_LONGEST_BECAUSE = 300
#: So many of the latest answers are listed.
_LATEST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLine:
    """A decision in the queue.

    Attributes:
        answered: Whether the visitor has answered about it.
    """

    decision: str
    at: datetime
    action: str
    why: Why
    words: str
    answered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A clause that could be proposed from a case; `address` leads to the form, filled in."""

    words: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseView:
    """One decision in full.

    Attributes:
        said: The model's answer, in people's words.
        why: Why people are asked about it; `picked by hand` where they are not.
        sensitive: Columns and features that are not shown, by name.
        mine: The visitor's answer, or None.
        truth: What became known; None before the visitor has answered, and while nothing is known.
        others: What others said; empty before the visitor has answered.
        outcome: What the visitor may do to let the answer count as the truth: `may`, or why not.
    """

    decision: Decision
    at: datetime
    said: tuple[tuple[str, float], ...]
    why: str
    why_in_words: str
    row: tuple[Said, ...]
    features: tuple[Said, ...]
    reasons: tuple[Reason, ...]
    sensitive: tuple[str, ...]
    actions: tuple[str, ...]
    asks_value: bool
    mine: Answer | None
    truth: str | None
    others: tuple[Answer, ...]
    may_record: bool
    not_recorded_because: str
    suggestions: tuple[Suggestion, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewView:
    """The day's queue, the decision to look at, and how far people agree.

    Attributes:
        may_answer: Whether the visitor holds a role here.
        answers: The latest about decisions that the visitor has answered too; all of them to whoever is not asked.
        waiting: How many of the queue the visitor has not answered.
        not_compared: Whose disagreement could not be looked for, and why.
    """

    unit: str
    currency: str
    may_answer: bool
    since: datetime | None
    until: datetime | None
    drawn_from: int
    at_random: float
    waiting: int
    queue: tuple[QueueLine, ...]
    case: CaseView | None
    reviewed: Reviewed
    answers: tuple[Answer, ...]
    answers_in_all: int
    not_compared: str


def review_view(asked: Asked) -> ReviewView:
    """The next decision that the visitor has not answered (`?decision=`: that one), and all that was said."""
    contract = contract_of(asked)
    said = reviewing.answers(asked.workspace.history(asked.product))
    person = asked.visitor.person
    mine = {one.decision for one in said if one.person == person}
    queue = review_queue(asked.workspace, contract, now=asked.now)
    lines = tuple(_line(one, mine) for one in queue.chosen)
    named = asked.query.get("decision", "")
    may_answer = bool(asked.visitor.roles(contract))
    # What others said about a decision waits for one's own answer, so that people can be compared.
    open_to_me = tuple(one for one in said if one.decision in mine or not may_answer)
    shown = named or next((one.decision for one in lines if not one.answered), "")
    return ReviewView(
        unit=contract.decision.unit,
        currency=currency_of(contract),
        may_answer=may_answer,
        since=queue.since,
        until=queue.until,
        drawn_from=queue.drawn_from,
        at_random=queue.at_random,
        waiting=sum(not one.answered for one in lines),
        queue=lines,
        case=_case(asked, contract, queue, said, shown) if shown else None,
        reviewed=reviewing.reviewed(said),
        answers=open_to_me[:_LATEST],
        answers_in_all=len(said),
        not_compared=SIMPLEST_NOT_KEPT,
    )


def answer(asked: Asked) -> Outcome:
    """Say whether a decision was right."""
    contract, id_ = contract_of(asked), asked.form.get("decision", "")
    told = asked.form.get("verdict", "")
    if told not in set(Verdict):
        return Denied(
            to=_here(asked, id_), reason="nothing was said", do="Agree, disagree, or say that you cannot tell"
        )
    queue = review_queue(asked.workspace, contract, now=asked.now)
    found = queue.find(id_)
    if found is None:
        # The page may have been opened before midnight.
        found = review_queue(asked.workspace, contract, now=asked.now - timedelta(days=1)).find(id_)
    case = _full(asked, contract, id_, found)
    refused = reviewing.answer(
        asked.workspace,
        contract,
        case.decision,
        verdict=Verdict(told),
        right=asked.form.get("right", "").strip(),
        reason=asked.form.get("reason", "").strip()[:_LONGEST_WORDS],
        chosen=str(found.why) if found else reviewing.BY_HAND,
        person=asked.visitor.person,
        now=asked.now,
    )
    if refused is not None:
        return Denied(to=_here(asked, id_), reason=refused.reason, do=refused.do)
    return Done(to=_here(asked, id_), said=f"written down: {told}, about decision {short(id_)}")


def record_outcome(asked: Asked) -> Outcome:
    """Let the visitor's answer count as the truth."""
    contract, id_ = contract_of(asked), asked.form.get("decision", "")
    done, refused = reviewing.record_as_outcome(
        asked.workspace, contract, id_, person=asked.visitor.person, now=asked.now
    )
    if refused is not None:
        return Denied(to=_here(asked, id_), reason=refused.reason, do=refused.do)
    return Done(to=_here(asked, id_), said=done)


def _line(chosen: Chosen, mine: set[str]) -> QueueLine:
    return QueueLine(
        decision=chosen.decision,
        at=chosen.at,
        action=chosen.action,
        why=chosen.why,
        words=chosen.words,
        answered=chosen.decision in mine,
    )


def _full(asked: Asked, contract: Contract, id_: str, chosen: Chosen | None) -> FullCase:
    found = full_case(asked.workspace, contract, id_, now=asked.now, at=chosen.at if chosen else None)
    if found is None:
        raise PageMissing("there is no such decision in the log", found=id_[:64])
    return found


def _case(asked: Asked, contract: Contract, queue: Queue, said: tuple[Answer, ...], id_: str) -> CaseView:
    chosen, person = queue.find(id_), asked.visitor.person
    case = _full(asked, contract, id_, chosen)
    about = [one for one in said if one.decision == id_]
    mine = next((one for one in about if one.person == person), None)
    truth = known_truth(asked.workspace, contract, case, now=asked.now) if mine else None
    why_not = reviewing.not_an_outcome(contract)
    holds = person in contract.holders(Role.DOMAIN)
    tells = mine is not None and mine.rightly is not None and truth is None
    return CaseView(
        decision=case.decision,
        at=case.at,
        said=case.said,
        why=str(chosen.why) if chosen else reviewing.BY_HAND,
        why_in_words=chosen.words if chosen else "nobody was asked about it today",
        row=case.row,
        features=case.features,
        reasons=case.reasons,
        sensitive=case.hidden,
        actions=tuple(one for one in reviewing.actions_of(contract) if one != case.decision.action),
        asks_value=contract.decision.task is Task.REGRESSION,
        mine=mine,
        truth=truth,
        others=tuple(one for one in about if one.person != person) if mine else (),
        may_record=tells and holds and not why_not,
        not_recorded_because=why_not if tells else "",
        suggestions=_suggestions(asked, contract, case, mine) if mine else (),
    )


def _suggestions(asked: Asked, contract: Contract, case: FullCase, mine: Answer) -> tuple[Suggestion, ...]:
    """Clauses that would say what the visitor said, for the form in which they are proposed."""
    where = f"/products/{asked.product}/promise/propose"
    found: list[Suggestion] = []
    because = shortened(
        mine.reason or f"{mine.person} looked at decision {short(case.decision.id)}", _LONGEST_BECAUSE
    )
    row = json.loads(case.as_known_case)
    if row and contract.decision.task.has_classes and mine.rightly in reviewing.actions_of(contract):
        known = [{"row": row, "action": mine.rightly, "because": because}]
        found.append(
            Suggestion(
                words=f"this row must always be answered with “{mine.rightly}”",
                address=address(
                    where,
                    add=f"case_{case.decision.id[-6:]}",
                    cases=json.dumps(known, ensure_ascii=False),
                    because=because,
                ),
            )
        )
    if mine.verdict is Verdict.DISAGREE:
        for one in case.reasons:
            label = one.feature.replace("_", " ")
            found.append(
                Suggestion(
                    words=f"the answer must not use “{label}”",
                    address=address(
                        where,
                        add=f"without_{_slug(one.feature)}",
                        forbidden=f"[{json.dumps(one.feature)}]",
                        because=because,
                    ),
                )
            )
    return tuple(found)


def _slug(name: str) -> str:
    return "".join(one if one.isalnum() else "_" for one in name.casefold()).strip("_")


def _here(asked: Asked, decision: str) -> str:
    return address(f"/products/{asked.product}/review", decision=decision)


_AT = "/products/{product}/review"
PAGES = (Page(path=_AT, template="review.html", view=review_view),)
ACTIONS = (
    Action(path=f"{_AT}/answer", act=answer),
    Action(path=f"{_AT}/outcome", act=record_outcome),
)
DOWNLOADS: tuple[Download, ...] = ()
