"""What people say about single decisions: answers, how far they agree, and what comes of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

import numpy as np
import polars as pl

from geartrain.domain.contract import Contract
from geartrain.domain.digest import short
from geartrain.domain.events import DecisionReviewed, Recorded, Verdict
from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Decision, Outcome
from geartrain.domain.roles import Role
from geartrain.domain.rule import PREDICT, rule_of
from geartrain.domain.task import Task
from geartrain.engine.ingesting import Door
from geartrain.engine.logbook import key_of
from geartrain.engine.outcomes import OutcomeBook, keys_held, rows_with_truth
from geartrain.engine.review_cases import FullCase, full_case, known_truth
from geartrain.engine.review_queue import Why
from geartrain.engine.rows import data_of
from geartrain.engine.workspace import Workspace
from geartrain.release.answers import Refusal
from geartrain.serving.host import OutcomeStatus
from geartrain.stats.intervals import proportion
from geartrain.stats.label_noise import agreement

#: `chosen` of a decision that somebody looked up without being asked.
BY_HAND = "picked by hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a person says about a decision now.

    Attributes:
        action: What was done.
        right: What would have been right; empty where they agree or cannot tell.
        chosen: Why they were asked.
        before: How often they had answered otherwise; those answers stay in the ledger.
    """

    person: str
    at: datetime
    decision: str
    release: str
    verdict: Verdict
    action: str
    right: str
    reason: str
    chosen: str
    before: int = 0

    @property
    def rightly(self) -> str | None:
        """The action that they hold to be right; None where they cannot tell."""
        match self.verdict:
            case Verdict.AGREE:
                return self.action
            case Verdict.DISAGREE:
                return self.right
            case _:
                return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How often people agree with what was decided.

    Attributes:
        about: Which decisions.
        share: Of the answers that could tell, those that agree; None while there is none.
        cannot_tell: The answers that could not.
    """

    about: str
    share: Measurement | None
    cannot_tell: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """How far two people agree about the same decisions.

    Attributes:
        agreed: The share of decisions about which they hold the same action to be right.
        kappa: The same beyond chance; None where both only ever said one and the same.
    """

    people: tuple[str, str]
    agreed: Measurement
    kappa: Measurement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """All that people said, in numbers.

    Attributes:
        at_random: Of decisions that were drawn at random: this alone speaks for all decisions.
        by_reason: Of those that were chosen for a reason, one by one: they are unlike the others.
        between: Of each two people who looked at the same decisions.
    """

    at_random: Agreement
    by_reason: tuple[Agreement, ...]
    between: tuple[Between, ...]


def answers(history: Iterable[Recorded]) -> tuple[Answer, ...]:
    """Each person's last answer about each decision, the latest first."""
    found: dict[tuple[str, str], Answer] = {}
    for recorded in history:
        event = recorded.event
        if isinstance(event, DecisionReviewed):
            key = (recorded.actor, event.decision)
            earlier = found.pop(key, None)
            found[key] = Answer(
                person=recorded.actor,
                at=recorded.at,
                decision=event.decision,
                release=event.release,
                verdict=event.verdict,
                action=event.action,
                right=event.right,
                reason=event.reason,
                chosen=event.chosen,
                before=earlier.before + 1 if earlier else 0,
            )
    return tuple(reversed(found.values()))


def actions_of(contract: Contract) -> tuple[str, ...]:
    """Everything that may be done about a row: the model's actions and those of whoever stands in."""
    terms = contract.decision
    stands_in = (terms.abstain.then,) if terms.abstain else ()
    if terms.task is Task.REGRESSION:
        return (PREDICT, *stands_in)
    return tuple(dict.fromkeys((*(terms.actions or terms.classes), *stands_in)))


def answer(
    workspace: Workspace,
    contract: Contract,
    decision: Decision,
    *,
    verdict: Verdict,
    right: str,
    reason: str,
    chosen: str,
    person: str,
    now: datetime,
) -> Refusal | None:
    """Write down what *person* says; None where it was. A later answer takes the place of an earlier one.

    Only who holds a role in the contract is asked. Whoever disagrees names the action that
    would have been right (for a value: the value), and says why.
    """
    product = contract.product.name
    if not any(person in people for _, people in contract.team):
        return _no(
            product,
            decision.id,
            "you hold no role in this product",
            "the contract's team names its reviewers",
        )
    if verdict is not Verdict.DISAGREE:
        right = ""
    elif refused := _wrong(contract, decision, right, reason):
        return refused
    event = DecisionReviewed(
        product=product,
        decision=decision.id,
        release=decision.release,
        verdict=verdict,
        action=decision.action,
        right=right,
        reason=reason,
        chosen=chosen,
    )
    said = next((one for one in answers(workspace.history(product)) if _same(one, event, person)), None)
    if said is None:
        workspace.record(product, [event], now=now, actor=person)
    return None


def reviewed(said: Sequence[Answer]) -> Reviewed:
    """The share of agreement with exact intervals, and how far people agree with each other.

    An interval counts a decision that several people looked at as what it is: one decision.
    """
    return Reviewed(
        at_random=_agreement(Why.RANDOM, said),
        by_reason=tuple(
            _agreement(why, said)
            for why in (*(one for one in Why if one is not Why.RANDOM), BY_HAND)
            if any(one.chosen == why for one in said)
        ),
        between=_between(said),
    )


def not_an_outcome(contract: Contract) -> str:
    """Why no answer can become an outcome of this product, and how its truth comes instead; empty where one can."""
    if not contract.decision.task.has_classes:
        return "The truth about a value is a value, and no action names it."
    labels = contract.data.labels if contract.data else None
    if labels is not None:
        return (
            f"By the contract the truth comes from the source “{labels.name}”: a judgement that should count"
            " as truth is delivered there, with the columns that it asks for."
        )
    return ""


def record_as_outcome(
    workspace: Workspace, contract: Contract, decision: str, *, person: str, now: datetime
) -> tuple[str, Refusal | None]:
    """Let *person*'s answer count as the truth about the decision, in their name: what was done, or why not.

    Only where the contract has no source of labels of its own, nothing is known yet about the
    decision, and the action that they hold to be right is right for exactly one class.
    """
    product = contract.product.name
    if person not in contract.holders(Role.DOMAIN):
        return "", _no(product, decision, f"{person} does not hold domain", "ask who does")
    if why := not_an_outcome(contract):
        return "", _no(product, decision, "an answer does not become an outcome here", why)
    mine = [one for one in answers(workspace.history(product)) if one.person == person]
    said = next((one for one in mine if one.decision == decision), None)
    case = full_case(workspace, contract, decision, now=now) if said else None
    if said is None or case is None:
        return "", _no(product, decision, "you have not answered about this decision", "answer first")
    if (known := known_truth(workspace, contract, case, now=now)) is not None:
        return "", _no(
            product,
            decision,
            f"the truth is known already: {known}",
            "correct it where it came from, if it is wrong",
        )
    label = class_of(contract, said.rightly)
    if label is None:
        return "", _no(
            product,
            decision,
            "the action that you hold to be right tells no class",
            "answer with one that does",
        )
    _record(workspace, contract, case, label, person=person, now=now)
    return f"“{label}” is the outcome of decision {short(decision)} now, in your name", None


def _record(
    workspace: Workspace, contract: Contract, case: FullCase, label: str, *, person: str, now: datetime
) -> None:
    product = contract.product.name
    outcome = Outcome(decision=case.decision.id, label=label, happened_at=now, arrived_at=now, by=person)
    statuses, news = OutcomeBook(workspace, product).record(
        [outcome], rule=rule_of(contract, contract.decision.classes), find=lambda _: case.decision
    )
    assert OutcomeStatus.INVALID not in statuses, "the label is one of the contract's classes"
    if not case.logged.get("row"):
        return
    held = keys_held(workspace, contract, {key_of(case.decision)})
    rows = rows_with_truth(contract, news, lambda _: case.logged, held=held)
    if rows:
        frame = pl.DataFrame(list(rows))
        Door(workspace, contract).take(
            data_of(contract).decisions.name, frame, content=frame.write_ndjson().encode(), now=now
        )


def class_of(contract: Contract, action: str | None) -> str | None:
    """The one class for which *action* is right; None where it is right for several or for none."""
    terms = contract.decision
    named = [
        one
        for one, right in zip(terms.classes, terms.actions or terms.classes, strict=True)
        if right == action
    ]
    return named[0] if len(named) == 1 else None


def _wrong(contract: Contract, decision: Decision, right: str, reason: str) -> Refusal | None:
    product, allowed = contract.product.name, actions_of(contract)
    if contract.decision.task is Task.REGRESSION:
        if not _is_number(right):
            return _no(product, decision.id, "whoever disagrees says the right value", "give a number")
    elif right not in allowed or right == decision.action:
        others = ", ".join(one for one in allowed if one != decision.action)
        return _no(
            product, decision.id, "whoever disagrees names the action that would be right", f"one of {others}"
        )
    if not reason:
        return _no(
            product,
            decision.id,
            "whoever disagrees says why",
            "a sentence is enough: it is what the others learn from",
        )
    return None


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _same(said: Answer, event: DecisionReviewed, person: str) -> bool:
    return (said.person, said.decision, said.verdict, said.right, said.reason) == (
        person,
        event.decision,
        event.verdict,
        event.right,
        event.reason,
    )


def _agreement(about: str, said: Sequence[Answer]) -> Agreement:
    mine = [one for one in said if one.chosen == about]
    told = [one for one in mine if one.verdict is not Verdict.CANNOT_TELL]
    share = None
    if told:
        decisions = [one.decision for one in told]
        repeated = len(set(decisions)) < len(decisions)
        share = proportion(
            np.array([one.verdict is Verdict.AGREE for one in told]),
            groups=np.array(decisions) if repeated else None,
        )
    return Agreement(about=str(about), share=share, cannot_tell=len(mine) - len(told))


def _between(said: Sequence[Answer]) -> tuple[Between, ...]:
    by_person: dict[str, dict[str, str]] = {}
    for one in said:
        if one.rightly is not None:
            by_person.setdefault(one.person, {})[one.decision] = one.rightly
    found: list[Between] = []
    for first, second in combinations(sorted(by_person), 2):
        both = sorted(by_person[first].keys() & by_person[second].keys())
        if not both:
            continue
        pairs = [(by_person[first][one], by_person[second][one]) for one in both]
        names = sorted({name for pair in pairs for name in pair})
        codes = np.array([[names.index(name) for name in pair] for pair in pairs], dtype=np.int64)
        beyond = agreement(codes[:, 0], codes[:, 1], classes=max(2, len(names)))
        found.append(
            Between(
                people=(first, second),
                agreed=proportion(codes[:, 0] == codes[:, 1]),
                kappa=beyond.kappa if beyond else None,
            )
        )
    return tuple(found)


def _no(product: str, decision: str, reason: str, do: str) -> Refusal:
    return Refusal(product=product, what="review", subject=decision, reason=reason, do=do)
