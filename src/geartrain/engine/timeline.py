"""A product's history as points on a line: what happened, in words."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from geartrain.documents.chart_nouns import EventKind, TimelineEvent
from geartrain.domain import events as ev
from geartrain.domain.contract import Cause
from geartrain.domain.digest import short
from geartrain.domain.events import Recorded
from geartrain.domain.release import ReleaseStage

#: Causes that are a change of the world rather than something broken.
_DRIFT = frozenset({Cause.POPULATION, Cause.CONCEPT})


def timeline_of(history: Iterable[Recorded], *, since: datetime) -> tuple[TimelineEvent, ...]:
    """The decisions and changes in *history*, in order of time."""
    told = (_told(one) for one in history if one.at >= since)
    return tuple(sorted((one for one in told if one is not None), key=lambda one: one.at))


def _told(recorded: Recorded) -> TimelineEvent | None:
    at, who = recorded.at, recorded.actor
    match recorded.event:
        case ev.StageEntered(stage=ReleaseStage.LIVE) as entered:
            return TimelineEvent(
                at=at,
                kind=EventKind.RELEASE,
                title=f"release {short(entered.release)} is live",
                detail=f"approved by {', '.join(entered.approved_by) or 'nobody'}; {entered.reason}",
                who=who,
            )
        case ev.StageEntered(stage=ReleaseStage.SHADOW | ReleaseStage.CANARY) as entered:
            return TimelineEvent(
                at=at,
                kind=EventKind.NOTE,
                title=f"{short(entered.release)} in {entered.stage} on {entered.share:.0%}",
                detail=entered.reason,
                who=who,
            )
        case ev.StageEntered(stage=ReleaseStage.ABORTED) as entered:
            return TimelineEvent(
                at=at,
                kind=EventKind.REFUSAL,
                title=f"{short(entered.release)} taken out of its rollout",
                detail=entered.reason,
                who=who,
            )
        case ev.RolledBack() as rolled:
            return TimelineEvent(
                at=at,
                kind=EventKind.ROLLBACK,
                title=f"rolled back to {short(rolled.to)}",
                detail=rolled.reason,
                who=who,
            )
        case ev.RetrainingStarted() as started:
            return TimelineEvent(
                at=at, kind=EventKind.REFIT, title="retraining began", detail=started.trigger, who=who
            )
        case ev.ChallengeDecided() as decided:
            return TimelineEvent(
                at=at,
                kind=EventKind.NOTE if decided.promoted else EventKind.REFUSAL,
                title="the challenger won" if decided.promoted else "the champion stays",
                detail=(
                    f"{decided.reason}; cost per 1000: champion {decided.cost_per_1000_champion:,.0f},"
                    f" challenger {decided.cost_per_1000_challenger:,.0f} on {decided.rows:,} rows"
                ),
                who=who,
            )
        case ev.Refused() as refused:
            return TimelineEvent(
                at=at,
                kind=EventKind.REFUSAL,
                title=f"refused to {refused.what}",
                detail=refused.reason,
                who=who,
            )
        case ev.IncidentOpened(incident=incident):
            return TimelineEvent(
                at=at,
                kind=EventKind.DRIFT if incident.cause in _DRIFT else EventKind.INCIDENT,
                title=f"{incident.cause}: {incident.owner} was called",
                detail=f"{incident.message}. First action: {incident.first_action}",
                who=incident.owner.value,
            )
        case ev.IncidentUpdated(incident=incident, was=was) if was is not None:
            return TimelineEvent(
                at=at,
                kind=EventKind.DRIFT if incident.cause in _DRIFT else EventKind.INCIDENT,
                title=f"{incident.cause}, not {was}: {incident.owner} was called",
                detail=f"{incident.message}. First action: {incident.first_action}",
                who=incident.owner.value,
            )
        case ev.IncidentClosed() as closed:
            return TimelineEvent(
                at=at, kind=EventKind.NOTE, title="an incident ended", detail=closed.reason, who=who
            )
        case ev.ContractAdopted() as adopted:
            return TimelineEvent(
                at=at, kind=EventKind.CONTRACT, title=f"contract {short(adopted.contract)} adopted", who=who
            )
        case _:
            return None
