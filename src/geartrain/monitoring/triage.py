"""Triage: one incident with a cause and an owner, not fifty alerts.

Causes are walked cheap first: feed, column, label feed, population, concept, model. The
first that fires becomes an incident, and what it explains folds into it if it began no
earlier: a feed that stopped explains the nulls, the drift and the cost that followed.
A rise of cost is split into the part that comes from other cases and the part that comes
from the same cases ending otherwise; the part that is proven names the cause. Where it is
not split, and nothing in the inputs explains it, the concept is taken to have changed,
unless the model's side changed shortly before: then that is called first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from geartrain.domain.contract import Cause, Contract, MonitoringTerms
from geartrain.domain.digest import digest, short
from geartrain.domain.incident import FirstAction, Incident, LossSplit, Signal
from geartrain.stats.eprocess import MOST_EVIDENCE

#: Values that are not like the reference's, however little that matters.
UNLIKE = "unlike"
#: What each kind of signal speaks of by itself.
CAUSES: dict[str, Cause] = {
    "silent-feed": Cause.FEED,
    "low-volume": Cause.FEED,
    "duplicates": Cause.FEED,
    "clock": Cause.FEED,
    "nulls": Cause.COLUMN,
    "refused": Cause.COLUMN,
    "constant": Cause.COLUMN,
    "unit": Cause.COLUMN,
    "swap": Cause.COLUMN,
    "categories": Cause.COLUMN,
    "label-feed": Cause.LABEL_FEED,
    "drift": Cause.POPULATION,
    "new-category": Cause.POPULATION,
    UNLIKE: Cause.POPULATION,
    "attribution": Cause.POPULATION,
    "cost": Cause.CONCEPT,
    "cost-trigger": Cause.CONCEPT,
    "abstention": Cause.CONCEPT,
    "abstention-trigger": Cause.CONCEPT,
    "calibration": Cause.CONCEPT,
    "fairness": Cause.CONCEPT,
    "plausibility": Cause.CONCEPT,
    "success": Cause.CONCEPT,
    "skew": Cause.MODEL,
    "latency": Cause.MODEL,
    "errors": Cause.MODEL,
}
#: Evidence that joins an incident, but neither opens one nor keeps it open: it says nothing about size.
SUPPORTING = frozenset({UNLIKE})
#: Cheap first.
ORDER = (Cause.FEED, Cause.COLUMN, Cause.LABEL_FEED, Cause.POPULATION, Cause.CONCEPT, Cause.MODEL)
#: Which later causes' signals each cause explains.
EXPLAINS: dict[Cause, frozenset[Cause]] = {
    Cause.FEED: frozenset({Cause.COLUMN, Cause.LABEL_FEED, Cause.POPULATION, Cause.CONCEPT}),
    Cause.COLUMN: frozenset({Cause.POPULATION, Cause.CONCEPT}),
    Cause.LABEL_FEED: frozenset({Cause.CONCEPT}),
    Cause.POPULATION: frozenset({Cause.CONCEPT}),
    Cause.CONCEPT: frozenset({Cause.POPULATION}),
    Cause.MODEL: frozenset({Cause.CONCEPT}),
}
#: Causes on the way of the data: they explain even what began after a release.
DATA_CAUSES = frozenset({Cause.FEED, Cause.COLUMN, Cause.LABEL_FEED})
#: Signals of a cost that rose, after which a drift no longer only asks to be watched.
COST = frozenset({"cost", "cost-trigger"})
#: Signals that the answers are late or missing, whatever the model says in them.
_SLOW = frozenset({"latency", "errors"})


class Side(StrEnum):
    """What changed on the model's side."""

    RELEASE = "release"
    CONTRACT = "contract"


@dataclass(frozen=True, slots=True, kw_only=True)
class SideChange:
    """Something that people or the loop changed about how decisions are made."""

    at: datetime
    side: Side
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """An open incident that ended, and why."""

    incident: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """Since when an open incident's own signals have been silent."""

    incident: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Triage:
    """What to do about the signals of one look.

    Attributes:
        opened: New incidents; their owners are to be called.
        updated: Open incidents, under their old ids, that more signals folded into.
        closed: Incidents that ended.
        quiet: To be given to the next look.
    """

    opened: tuple[Incident, ...] = ()
    updated: tuple[Incident, ...] = ()
    closed: tuple[Closure, ...] = ()
    quiet: tuple[Quiet, ...] = ()


def triage(
    signals: tuple[Signal, ...],
    *,
    contract: Contract,
    now: datetime,
    open_incidents: tuple[Incident, ...] = (),
    quiet: tuple[Quiet, ...] = (),
    live_since: datetime | None = None,
    changes: tuple[SideChange, ...] = (),
    split: LossSplit | None = None,
) -> Triage:
    """Fold *signals* into the incidents that are open, open new ones, close those that ended.

    *live_since* is when the present release replaced another (None for a first one), *changes*
    is what else changed on the model's side; *split* says why decisions cost more, where that
    was estimated. The same signals twice change nothing.
    """
    terms = contract.monitoring or MonitoringTerms()
    window = timedelta(seconds=terms.window_s)
    if live_since is not None:
        changes = (*changes, SideChange(at=live_since, side=Side.RELEASE, words="another release went live"))
    sorter = _Sorter(window=window, now=now, changes=changes, split=split)
    left = sorted(signals, key=lambda signal: (ORDER.index(sorter.cause(signal)), sorter.began(signal)))
    folded, left = _fold(left, open_incidents, sorter)
    opened: list[Incident] = []
    while root := next((one for one in left if one.kind not in SUPPORTING), None):
        cause = sorter.cause(root)
        members = [signal for signal in left if sorter.belongs(signal, root, cause)]
        left = [signal for signal in left if signal not in members]
        opened.append(
            _incident(
                members,
                root=root,
                cause=cause,
                contract=contract,
                terms=terms,
                now=now,
                change=sorter.change(root) if cause is Cause.MODEL else None,
            )
        )
    explained = _explained(open_incidents, opened, window, split=split)
    gone = {one.incident for one in explained}
    still, ended = _ended(open_incidents, signals, quiet, window=window, now=now)
    return Triage(
        opened=tuple(opened),
        updated=tuple(new for old, new in folded if new != old and old.id not in gone),
        closed=(*explained, *(one for one in ended if one.incident not in gone)),
        quiet=tuple(one for one in still if one.incident not in gone),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sorter:
    """What tells signals apart at one look."""

    window: timedelta
    now: datetime
    changes: tuple[SideChange, ...]
    split: LossSplit | None

    def began(self, signal: Signal) -> datetime:
        return signal.since or self.now

    def cause(self, signal: Signal) -> Cause:
        natural = CAUSES.get(signal.kind, Cause.MODEL)
        if natural is Cause.CONCEPT and self.change(signal) is not None:
            return Cause.MODEL
        if natural is Cause.POPULATION and self.split is not None and self.split.is_concept:
            return Cause.CONCEPT
        if signal.kind in COST and self.split is not None and self.split.is_population:
            return Cause.POPULATION
        return natural

    def change(self, signal: Signal) -> SideChange | None:
        """The latest change of the model's side that *signal* followed within a window."""
        began = self.began(signal)
        near = [one for one in self.changes if one.at <= began <= one.at + self.window]
        return max(near, key=lambda one: one.at, default=None)

    def belongs(self, signal: Signal, root: Signal, cause: Cause) -> bool:
        """Whether an incident of *cause* that began with *root* holds *signal*."""
        theirs = self.cause(signal)
        if signal is root:
            return True
        if theirs is cause:
            near = abs(self.began(signal) - self.began(root)) <= self.window
            return near if cause is not Cause.FEED else signal.about == root.about
        if self.began(signal) < self.began(root) - self.window:
            return False
        if cause is Cause.POPULATION and self.split is not None and self.split.is_concept:
            return False
        # A broken feed or column explains a rise of cost even right after a release.
        natural = CAUSES.get(signal.kind, Cause.MODEL)
        return theirs in EXPLAINS[cause] or (cause in DATA_CAUSES and natural in EXPLAINS[cause])


def _key(signal: Signal) -> tuple[str, str]:
    return signal.kind, signal.about


def _own(incident: Incident) -> frozenset[tuple[str, str]]:
    """The signals that keep an incident open: those of its cause, not those that merely followed."""
    kinds = {incident.cause, Cause.CONCEPT} if incident.cause is Cause.MODEL else {incident.cause}
    if incident.split is not None and incident.cause in {Cause.POPULATION, Cause.CONCEPT}:
        kinds = {Cause.POPULATION, Cause.CONCEPT}
    leading = [one for one in incident.signals if one.kind not in SUPPORTING]
    own = frozenset(_key(one) for one in leading if CAUSES.get(one.kind, Cause.MODEL) in kinds)
    return own or frozenset(_key(one) for one in leading)


def _root(incident: Incident) -> Signal:
    own = _own(incident)
    return next(one for one in incident.signals if _key(one) in own)


def _fold(
    left: list[Signal], open_incidents: tuple[Incident, ...], sorter: _Sorter
) -> tuple[list[tuple[Incident, Incident]], list[Signal]]:
    """Give signals to open incidents that hold or explain them; the cheapest cause takes first."""
    heard = {_key(signal) for signal in left}
    folded: list[tuple[Incident, Incident]] = []
    for incident in sorted(open_incidents, key=lambda one: (ORDER.index(one.cause), one.opened_at)):
        held = {_key(one) for one in incident.signals}
        firing = bool(_own(incident) & heard)
        root = replace(_root(incident), since=incident.began_at or incident.opened_at)
        own = [one for one in left if _key(one) in held]
        more = [
            one
            for one in left
            if _key(one) not in held and firing and sorter.belongs(one, root, incident.cause)
        ]
        left = [one for one in left if one not in own and one not in more]
        folded.append((incident, _grown(incident, more) if more else incident))
    return folded, left


def _grown(incident: Incident, more: list[Signal]) -> Incident:
    signals = _strongest_first((*incident.signals, *more))
    return replace(
        incident,
        signals=signals,
        first_action=(
            incident.first_action if incident.cause is Cause.MODEL else _first_action(incident.cause, signals)
        ),
        message=_message(_root(incident), signals),
    )


def _incident(
    members: list[Signal],
    *,
    root: Signal,
    cause: Cause,
    contract: Contract,
    terms: MonitoringTerms,
    now: datetime,
    change: SideChange | None,
) -> Incident:
    signals = _strongest_first(tuple(members))
    began = min((one.since for one in members if one.since is not None), default=None)
    identity = (contract.product.name, cause, _key(root), now)
    return Incident(
        id=short(digest(identity)),
        product=contract.product.name,
        cause=cause,
        owner=root.owner or terms.owner(cause),
        opened_at=now,
        began_at=root.since or began,
        message=_message(root, signals),
        first_action=_first_action(cause, signals, change),
        signals=signals,
        side_change=f"{change.words} on {change.at:%Y-%m-%d %H:%M} UTC" if change is not None else "",
    )


def recaused(incident: Incident, split: LossSplit, terms: MonitoringTerms) -> Incident:
    """The incident with the cause that *split*, known only now, proves; itself where it proves no other.

    A population incident whose cases are proven to end otherwise is one of the concept; a cost
    that other cases are proven to explain is the population's. The owner and the first action follow.
    """
    match incident.cause:
        case Cause.POPULATION if split.is_concept:
            cause, told = Cause.CONCEPT, "the same cases end otherwise"
        case Cause.CONCEPT if split.is_population and all(one.kind in COST for one in incident.signals):
            cause, told = Cause.POPULATION, "other cases come"
        case _:
            return incident
    return replace(
        incident,
        cause=cause,
        owner=terms.owner(cause),
        first_action=_first_action(cause, incident.signals),
        message=f"{incident.message}; by now it is proven that {told}",
    )


def _strongest_first(signals: tuple[Signal, ...]) -> tuple[Signal, ...]:
    """By evidence, in order of cause where it is equal; a trigger's number is no e-value and comes last."""

    def rank(signal: Signal) -> tuple[float, int, str]:
        strength = 0.0 if signal.kind.endswith("-trigger") else min(signal.evidence, MOST_EVIDENCE)
        return -strength, ORDER.index(CAUSES.get(signal.kind, Cause.MODEL)), signal.about

    return tuple(sorted(signals, key=rank))


def _message(root: Signal, signals: tuple[Signal, ...]) -> str:
    others = [f"{one.kind} of `{one.about}`" for one in signals if _key(one) != _key(root)]
    if not others:
        return root.message
    shown = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
    return f"{root.message}; with it: {shown}"


def _first_action(cause: Cause, signals: tuple[Signal, ...], change: SideChange | None = None) -> FirstAction:
    kinds = {one.kind for one in signals}
    match cause:
        case Cause.FEED:
            return FirstAction.REPAIR_FEED
        case Cause.COLUMN:
            return FirstAction.REPAIR_COLUMN
        case Cause.LABEL_FEED:
            return FirstAction.REPAIR_LABELS
        case Cause.MODEL:
            if change is not None and change.side is Side.CONTRACT:
                return FirstAction.CHANGE_CONTRACT
            slow = change is None and kinds <= _SLOW
            return FirstAction.FALL_BACK if slow else FirstAction.ROLL_BACK
        case Cause.CONCEPT:
            return FirstAction.RETRAIN if kinds & COST else FirstAction.ASK_LABELS
        case Cause.POPULATION:
            if kinds & COST:
                return FirstAction.RETRAIN
            return FirstAction.CHANGE_CONTRACT if "new-category" in kinds else FirstAction.WATCH


def _explained(
    open_incidents: tuple[Incident, ...],
    opened: list[Incident],
    window: timedelta,
    *,
    split: LossSplit | None,
) -> tuple[Closure, ...]:
    """Open incidents that a cheaper cause, found only now, explains, or a concept that is proven only now."""
    proven = split is not None and split.is_concept
    found: list[Closure] = []
    for old in open_incidents:
        began = old.began_at or old.opened_at
        for new in opened:
            since = new.began_at or new.opened_at
            cheaper = ORDER.index(new.cause) < ORDER.index(old.cause) or (
                proven and new.cause is Cause.CONCEPT and old.cause is Cause.POPULATION
            )
            if cheaper and old.cause in EXPLAINS[new.cause] and abs(began - since) <= window:
                found.append(
                    Closure(incident=old.id, reason=f"explained by incident {new.id}: {new.message}")
                )
                break
    return tuple(found)


def _ended(
    open_incidents: tuple[Incident, ...],
    signals: tuple[Signal, ...],
    quiet: tuple[Quiet, ...],
    *,
    window: timedelta,
    now: datetime,
) -> tuple[tuple[Quiet, ...], tuple[Closure, ...]]:
    """Incidents whose own signals have been silent for a window end; a clock that went back starts anew."""
    heard = {_key(signal) for signal in signals}
    before = {one.incident: one.since for one in quiet}
    still: list[Quiet] = []
    ended: list[Closure] = []
    for incident in open_incidents:
        if _own(incident) & heard:
            continue
        since = min(before.get(incident.id, now), now)
        if now - since >= window:
            ended.append(Closure(incident=incident.id, reason=f"quiet since {since:%Y-%m-%d %H:%M} UTC"))
        else:
            still.append(Quiet(incident=incident.id, since=since))
    return tuple(still), tuple(ended)
