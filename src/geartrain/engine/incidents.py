"""Incidents as people work on them: what was noticed, who was called, what was done, how it ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from geartrain.domain.contract import Contract
from geartrain.domain.events import (
    IncidentClosed,
    IncidentNoted,
    IncidentOpened,
    IncidentUpdated,
    Recorded,
    RetrainingAsked,
)
from geartrain.domain.incident import FirstAction, Incident
from geartrain.engine import releasing
from geartrain.engine.workspace import MACHINE, Workspace
from geartrain.release.answers import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What somebody wrote about an incident."""

    person: str
    at: datetime
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An incident with everything that was done about it.

    Attributes:
        recorded_at: When the ledger was told.
        closed_at: None while it is open.
    """

    incident: Incident
    recorded_at: datetime
    notes: tuple[Note, ...] = ()
    closed_at: datetime | None = None
    closed_by: str = ""
    ended: str = ""


def cases(history: Iterable[Recorded]) -> tuple[Case, ...]:
    """Every incident, the latest first."""
    found: dict[str, Case] = {}
    for recorded in history:
        match recorded.event:
            case IncidentOpened(incident=incident):
                known = found.get(incident.id)
                found[incident.id] = (
                    replace(known, incident=incident, closed_at=None, closed_by="", ended="")
                    if known
                    else Case(incident=incident, recorded_at=recorded.at)
                )
            case IncidentUpdated(incident=incident) if incident.id in found:
                found[incident.id] = replace(found[incident.id], incident=incident)
            case IncidentNoted(incident=id_, words=words) if id_ in found:
                note = Note(person=recorded.actor, at=recorded.at, words=words)
                found[id_] = replace(found[id_], notes=(*found[id_].notes, note))
            case IncidentClosed(incident=id_, reason=reason) if id_ in found:
                found[id_] = replace(
                    found[id_], closed_at=recorded.at, closed_by=recorded.actor, ended=reason
                )
            case _:
                continue
    return tuple(reversed(found.values()))


def case(workspace: Workspace, product: str, id_: str) -> Case | None:
    """The incident with that id, or None."""
    return next((one for one in cases(workspace.history(product)) if one.incident.id == id_), None)


def note(workspace: Workspace, product: str, id_: str, *, words: str, person: str, now: datetime) -> None:
    """Write down what was seen, tried or learned."""
    workspace.record(
        product, [IncidentNoted(product=product, incident=id_, words=words)], now=now, actor=person
    )


def close(
    workspace: Workspace, contract: Contract, id_: str, *, reason: str, person: str, now: datetime
) -> Refusal | None:
    """End an incident by hand; its owner's holders may. None where it ended."""
    product = contract.product.name
    found = case(workspace, product, id_)
    if found is None or found.closed_at is not None:
        return _no(product, "close", id_, "this incident is not open", "nothing is left to do")
    if refusal := _stranger(contract, found, "close", person):
        return refusal
    event = IncidentClosed(product=product, incident=id_, reason=reason)
    workspace.record(product, [event], now=now, actor=person)
    return None


def act(
    workspace: Workspace, contract: Contract, id_: str, *, person: str, now: datetime
) -> tuple[str, Refusal | None]:
    """Take the incident's first action where geartrain can: what was done in words, or why it was not.

    A rollback takes effect at once. A retraining is asked for: the worker does it if the
    policy allows it. Everything else is done by people outside, and written down here.
    """
    product = contract.product.name
    found = case(workspace, product, id_)
    if found is None or found.closed_at is not None:
        return "", _no(product, "act", id_, "this incident is not open", "nothing is left to do")
    if refusal := _stranger(contract, found, "act", person):
        return "", refusal
    reason = f"incident {id_[:12]}: {found.incident.message}"
    match found.incident.first_action:
        case FirstAction.ROLL_BACK:
            answer = releasing.roll_back(workspace, contract, reason=reason, now=now, actor=person)
            if isinstance(answer, Refusal):
                return "", answer
            done = "rolled back to the release before"
        case FirstAction.RETRAIN:
            event = RetrainingAsked(product=product, person=person, reason=reason)
            workspace.record(product, [event], now=now, actor=person)
            done = "a retraining is asked for; the policy decides at the worker's next round"
        case _:
            done = f"taken on by {person}: {found.incident.first_action}"
    note(workspace, product, id_, words=done, person=person, now=now)
    return done, None


def _stranger(contract: Contract, found: Case, what: str, person: str) -> Refusal | None:
    owner = found.incident.owner
    if person in contract.holders(owner) or person == MACHINE:
        return None
    ask = " or ".join(contract.holders(owner)) or "the team to name somebody"
    reason = f"{owner} owns this cause, and {person} does not hold {owner}"
    return _no(contract.product.name, what, found.incident.id, reason, f"ask {ask}")


def _no(product: str, what: str, subject: str, reason: str, do: str) -> Refusal:
    return Refusal(product=product, what=what, subject=subject, reason=reason, do=do)
