"""Incidents: what changed, why, what it costs, whose it is, and what is done about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from geartrain.contract.diff import describe
from geartrain.domain.contract import Cause
from geartrain.domain.incident import FirstAction, Incident, Signal
from geartrain.domain.roles import Role
from geartrain.engine import incidents
from geartrain.engine.bench import currency_of
from geartrain.engine.incident_drafts import incident_drafts
from geartrain.engine.incidents import Case, Note
from geartrain.engine.workspace import MACHINE
from geartrain.errors import PageMissing
from geartrain.monitoring.explaining import behind
from geartrain.web.addresses import address
from geartrain.web.pages.standing import contract_of
from geartrain.web.paging import Action, Denied, Done, Download, Outcome, Page
from geartrain.web.plain import CAUSES
from geartrain.web.room import Asked

_LONGEST_WORDS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentLine:
    """An incident among others.

    Attributes:
        by_machine: Whether the machinery ended it; what a person wrote at its end is shown as they wrote it.
    """

    id: str
    cause: Cause
    cause_in_words: str
    owner: Role
    message: str
    opened_at: datetime
    closed_at: datetime | None
    ended: str
    ended_by: str
    by_machine: bool
    cost_per_day: float | None
    mine: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentsView:
    """Open incidents first, then those that ended."""

    currency: str
    show: str
    open: tuple[IncidentLine, ...]
    ended: tuple[IncidentLine, ...]
    ended_in_all: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftLine:
    """A change of the contract that an incident suggests.

    Attributes:
        address: The form in which it is proposed, filled in.
    """

    words: str
    meaning: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentView:
    """One incident, from the first sign to the write-up.

    Attributes:
        mine: Whether the visitor holds the role that owns the cause.
        behind: What is known of cases, parts of the cost and the model's side, a line each.
        drafts: Changes of the contract that it suggests.
        within_chance: Whether the interval of what a decision costs more includes nothing at all.
        by_itself: Whether the first action is one that geartrain takes when it is told to.
    """

    line: IncidentLine
    currency: str
    people: tuple[str, ...]
    began_at: datetime | None
    first_action: FirstAction
    within_chance: bool
    by_itself: bool
    behind: tuple[str, ...]
    signals: tuple[Signal, ...]
    notes: tuple[Note, ...]
    closed_by: str
    mine: bool
    drafts: tuple[DraftLine, ...]


def incidents_view(asked: Asked) -> IncidentsView:
    """Every open incident, and the latest of those that ended (`?show=all`: all of them)."""
    contract = contract_of(asked)
    every = incidents.cases(asked.workspace.history(asked.product))
    lines = [_line(asked, one) for one in every]
    ended = [one for one in lines if one.closed_at is not None]
    show = "all" if asked.query.get("show") == "all" else ""
    return IncidentsView(
        currency=currency_of(contract),
        show=show,
        open=tuple(one for one in lines if one.closed_at is None),
        ended=tuple(ended if show else ended[:10]),
        ended_in_all=len(ended),
    )


def incident_view(asked: Asked) -> IncidentView:
    """One incident."""
    contract, found = contract_of(asked), _case(asked)
    line = _line(asked, found)
    return IncidentView(
        line=line,
        currency=currency_of(contract),
        people=contract.holders(found.incident.owner),
        began_at=found.incident.began_at,
        first_action=found.incident.first_action,
        within_chance=_within_chance(found.incident),
        by_itself=found.incident.first_action in {FirstAction.ROLL_BACK, FirstAction.RETRAIN},
        behind=behind(found.incident, currency=currency_of(contract)),
        signals=found.incident.signals,
        notes=found.notes,
        closed_by=found.closed_by,
        mine=line.mine,
        drafts=tuple(
            DraftLine(
                words=one.words,
                meaning=describe(one.change),
                address=address(
                    f"/products/{asked.product}/promise/propose",
                    incident=found.incident.id,
                    draft=str(place),
                ),
            )
            for place, one in enumerate(
                incident_drafts(asked.workspace, asked.product, found.incident.id), start=1
            )
        ),
    )


def act(asked: Asked) -> Outcome:
    """Take the first action."""
    found = _case(asked)
    done, refused = incidents.act(
        asked.workspace, contract_of(asked), found.incident.id, person=asked.visitor.person, now=asked.now
    )
    if refused is not None:
        return Denied(to=_here(asked), reason=refused.reason, do=refused.do)
    return Done(to=_here(asked), said=done)


def note(asked: Asked) -> Outcome:
    """Write something down; everybody who is let in may."""
    found, words = _case(asked), asked.form.get("words", "").strip()[:_LONGEST_WORDS]
    if not words:
        return Denied(to=_here(asked), reason="nothing was written")
    incidents.note(
        asked.workspace,
        asked.product,
        found.incident.id,
        words=words,
        person=asked.visitor.person,
        now=asked.now,
    )
    return Done(to=_here(asked), said="written down")


def close(asked: Asked) -> Outcome:
    """End it, with what was learned."""
    found, reason = _case(asked), asked.form.get("reason", "").strip()[:_LONGEST_WORDS]
    if not reason:
        return Denied(
            to=_here(asked), reason="an incident ends with what was learned", do="Write it in a sentence"
        )
    refused = incidents.close(
        asked.workspace,
        contract_of(asked),
        found.incident.id,
        reason=reason,
        person=asked.visitor.person,
        now=asked.now,
    )
    if refused is not None:
        return Denied(to=_here(asked), reason=refused.reason, do=refused.do)
    return Done(to=_here(asked), said="the incident has ended")


def _within_chance(incident: Incident) -> bool:
    total = incident.split.total if incident.split else None
    return total is not None and total.low <= 0.0 <= total.high


def _line(asked: Asked, found: Case) -> IncidentLine:
    incident = found.incident
    return IncidentLine(
        id=incident.id,
        cause=incident.cause,
        cause_in_words=CAUSES[incident.cause],
        owner=incident.owner,
        message=incident.message,
        opened_at=found.recorded_at,
        closed_at=found.closed_at,
        ended=found.ended,
        ended_by=found.closed_by,
        by_machine=found.closed_by == MACHINE,
        cost_per_day=incident.cost_per_day,
        mine=asked.visitor.person in contract_of(asked).holders(incident.owner),
    )


def _case(asked: Asked) -> Case:
    contract_of(asked)
    found = incidents.case(asked.workspace, asked.product, asked.names["incident"])
    if found is None:
        raise PageMissing("there is no such incident", found=asked.names["incident"][:64])
    return found


def _here(asked: Asked) -> str:
    return f"/products/{asked.product}/incidents/{asked.names['incident']}"


_AT = "/products/{product}/incidents"
PAGES = (
    Page(path=_AT, template="incidents.html", view=incidents_view),
    Page(path=f"{_AT}/{{incident}}", template="incident.html", view=incident_view),
)
ACTIONS = (
    Action(path=f"{_AT}/{{incident}}/act", act=act),
    Action(path=f"{_AT}/{{incident}}/note", act=note),
    Action(path=f"{_AT}/{{incident}}/close", act=close),
)
DOWNLOADS: tuple[Download, ...] = ()
