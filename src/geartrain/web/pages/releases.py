"""Releases: every candidate, who was live when, and the way back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from geartrain.domain.release import ReleaseStage
from geartrain.domain.roles import Role
from geartrain.engine import releasing
from geartrain.release import conditions
from geartrain.release.answers import Refusal
from geartrain.release.rollout import previous_champion
from geartrain.web.pages.endings import end_of
from geartrain.web.pages.standing import Tally, contract_of, findings_now, tallies
from geartrain.web.paging import Action, Denied, Done, Download, Outcome, Page
from geartrain.web.room import Asked

_LONGEST_REASON = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseLine:
    """A release among others."""

    id: str
    stage: ReleaseStage
    retrained: bool
    proposed_at: datetime
    proposed_by: str
    tallies: tuple[Tally, ...]
    missing: tuple[Role, ...]
    champion: bool
    challenger: bool
    ended_at: datetime | None
    replaced_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reigned:
    """A time during which a release was live."""

    release: str
    since: datetime
    until: datetime | None
    approved_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasesView:
    """Every release of a product, the latest first, and who was live when."""

    releases: tuple[ReleaseLine, ...]
    reigns: tuple[Reigned, ...]
    champion: str | None
    previous: str | None
    may_roll_back: bool


def releases_view(asked: Asked) -> ReleasesView:
    """Every release, the latest first."""
    contract, state = contract_of(asked), asked.workspace.releases(asked.product)
    return ReleasesView(
        releases=tuple(
            ReleaseLine(
                id=one.id,
                stage=one.stage,
                retrained=one.retrained,
                proposed_at=one.proposed_at,
                proposed_by=one.proposed_by,
                tallies=tallies(Counter(found.status for found in findings_now(state, one).values())),
                missing=conditions.signing(contract, one).missing,
                champion=one.id == state.champion,
                challenger=one.id == state.challenger,
                ended_at=end.at if end else None,
                replaced_by=end.by if end else None,
            )
            for one, end in ((one, end_of(state, one)) for one in reversed(state.records))
        ),
        reigns=tuple(
            Reigned(release=one.release, since=one.since, until=one.until, approved_by=one.approved_by)
            for one in reversed(state.reigns)
        ),
        champion=state.champion,
        previous=previous_champion(state),
        may_roll_back=bool(asked.visitor.roles(contract)),
    )


def roll_back(asked: Asked) -> Outcome:
    """Give the traffic back to an earlier release, at once; every holder of a role may."""
    contract = contract_of(asked)
    here = f"/products/{asked.product}/releases"
    if not asked.visitor.roles(contract):
        return Denied(to=here, reason=f"{asked.visitor.person} holds no role in this product")
    reason = asked.form.get("reason", "").strip()[:_LONGEST_REASON]
    if not reason:
        return Denied(to=here, reason="a reason is needed", do="say in a few words why")
    answer = releasing.roll_back(
        asked.workspace,
        contract,
        reason=reason,
        now=asked.now,
        to=asked.form.get("to") or None,
        actor=asked.visitor.person,
    )
    if isinstance(answer, Refusal):
        return Denied(to=here, reason=answer.reason, do=answer.do)
    if not answer.events:  # somebody else was faster
        return Done(to=here, said="; ".join(answer.notes))
    return Done(to=here, said="rolled back; the servers follow within a second")


_AT = "/products/{product}/releases"
PAGES = (Page(path=_AT, template="releases.html", view=releases_view),)
ACTIONS = (Action(path=f"{_AT}/roll-back", act=roll_back),)
DOWNLOADS: tuple[Download, ...] = ()
