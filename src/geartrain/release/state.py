"""What is true about a product's releases: a fold over its ledger stream, never stored by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from geartrain.domain.clause import Stage
from geartrain.domain.events import (
    ContractAdopted,
    FindingsRecorded,
    Recorded,
    ReleaseProposed,
    RolledBack,
    SignedOff,
    StageEntered,
    Waived,
)
from geartrain.domain.finding import Finding
from geartrain.domain.release import CHALLENGER, CHAMPION, Release, ReleaseStage, SignOff, Waiver
from geartrain.errors import ReleaseUnknown

#: Stages in which a release takes part in traffic beside the champion.
IN_ROLLOUT = (ReleaseStage.SHADOW, ReleaseStage.CANARY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A release entered a stage at a time, with a share of the traffic."""

    stage: ReleaseStage
    share: float
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What was found about a subject (a release's or a model's id) at a stage, under a contract."""

    subject: str
    stage: Stage
    contract: str
    findings: tuple[Finding, ...]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reign:
    """A time during which one release was live; `until` is None while it still is."""

    release: str
    since: datetime
    until: datetime | None
    approved_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRecord:
    """Everything known about one release.

    Attributes:
        sign_offs: The roles' yeses to this exact id, since it was last proposed.
        passages: Every stage that it entered since it was last proposed, oldest first.
    """

    id: str
    release: Release
    retrained: bool
    proposed_at: datetime
    proposed_by: str
    stage: ReleaseStage = ReleaseStage.PROPOSED
    share: float = 0.0
    entered_at: datetime
    approved_by: tuple[str, ...] = ()
    sign_offs: tuple[SignOff, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    passages: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseState:
    """A product's releases as its events tell them.

    Attributes:
        contract: The id of the adopted contract; empty before the first adoption.
        records: Every release in the order of its first proposal.
        champion: The release that is live, or None.
        challenger: The release in shadow or canary, or None.
        reigns: Who was live when, oldest first; the times touch and never overlap.
        judged: The latest findings for each subject and stage.
    """

    contract: str = ""
    records: tuple[ReleaseRecord, ...] = ()
    champion: str | None = None
    challenger: str | None = None
    reigns: tuple[Reign, ...] = ()
    judged: tuple[Judged, ...] = ()

    @property
    def came_back(self) -> bool:
        """Whether the champion is live because another release was taken back."""
        since = self.reigns[-1].since if self.reigns else None
        return any(one.stage is ReleaseStage.ROLLED_BACK and one.entered_at == since for one in self.records)

    def record(self, release: str) -> ReleaseRecord | None:
        """What is known about *release* (an id), or None."""
        return next((one for one in self.records if one.id == release), None)

    def resolve(self, name: str) -> str:
        """The id that *name* means: an alias, an id, or the only id that begins with it.

        Raises:
            ReleaseUnknown: Nothing, or more than one release, has that name.
        """
        aliases = {CHAMPION: self.champion, CHALLENGER: self.challenger}
        found = aliases.get(name) or next((one.id for one in self.records if one.id == name), None)
        if found:
            return found
        starting = [one.id for one in self.records if name and one.id.startswith(name)]
        if len(starting) == 1:
            return starting[0]
        raise ReleaseUnknown(
            f"{'more than one' if starting else 'no'} release is called `{name}`",
            found=", ".join(one.id[:12] for one in self.records) or "no release was proposed yet",
            hint=f"name a release by its id or its beginning, or as `{CHAMPION}` or `{CHALLENGER}`",
        )

    def findings(self, subject: str, stage: Stage | None = None) -> tuple[Finding, ...]:
        """The latest findings about *subject*, at *stage* or at all of them."""
        return tuple(
            finding
            for one in self.judged
            if one.subject == subject and stage in (None, one.stage)
            for finding in one.findings
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveAnswer:
    """What was live at a time, since when, and who had approved it.

    Attributes:
        release: The live release's id, or None where none was.
        approved_by: The sign-offs that held when it went live, as `role:person`.
        waivers: Those granted for it by then that had not expired at the time asked for.
        expired: Those that had: the release was live on a permission that had run out.
    """

    at: datetime
    release: str | None
    since: datetime | None
    approved_by: tuple[str, ...]
    waivers: tuple[Waiver, ...]
    expired: tuple[Waiver, ...]


EMPTY = ReleaseState()


def fold(events: Iterable[Recorded], *, start: ReleaseState = EMPTY) -> ReleaseState:
    """The state after *events* of one product's stream, in order, from *start*.

    Folding a prefix and then the rest gives the same as folding all, so a caller may keep
    a state and feed it what is new. Events about other things change nothing.

    Raises:
        ReleaseUnknown: An event speaks of a release that was never proposed: this is not
            the whole stream.
    """
    state = start
    for recorded in events:
        state = _step(state, recorded)
    return state


def live_at(state: ReleaseState, at: datetime) -> LiveAnswer:
    """What was live at *at*; a release is live from the moment it entered, until the next one did."""
    for reign in reversed(state.reigns):
        if reign.since <= at and (reign.until is None or at < reign.until):
            record = state.record(reign.release)
            granted = [one for one in (record.waivers if record else ()) if one.granted_at <= at]
            return LiveAnswer(
                at=at,
                release=reign.release,
                since=reign.since,
                approved_by=reign.approved_by,
                waivers=tuple(one for one in granted if at < one.expires_at),
                expired=tuple(one for one in granted if one.expires_at <= at),
            )
    return LiveAnswer(at=at, release=None, since=None, approved_by=(), waivers=(), expired=())


def _step(state: ReleaseState, recorded: Recorded) -> ReleaseState:
    match recorded.event:
        case ContractAdopted(contract=contract):
            return replace(state, contract=contract)
        case FindingsRecorded() as found:
            return _judged(state, found, recorded.at)
        case ReleaseProposed() as proposed:
            return _proposed(state, proposed, recorded)
        case SignedOff(sign_off=sign_off):
            record = _known(state, sign_off.release, recorded)
            return _with(state, replace(record, sign_offs=(*record.sign_offs, sign_off)))
        case Waived(waiver=waiver):
            record = _known(state, waiver.release, recorded)
            return _with(state, replace(record, waivers=(*record.waivers, waiver)))
        case StageEntered() as entered:
            return _entered(state, entered, recorded)
        case RolledBack() as rolled:
            return _rolled_back(state, rolled, recorded)
        case _:
            return state


def _judged(state: ReleaseState, found: FindingsRecorded, at: datetime) -> ReleaseState:
    new = Judged(
        subject=found.subject, stage=found.stage, contract=found.contract, findings=found.findings, at=at
    )
    others = (one for one in state.judged if (one.subject, one.stage) != (new.subject, new.stage))
    return replace(state, judged=(*others, new))


def _proposed(state: ReleaseState, proposed: ReleaseProposed, recorded: Recorded) -> ReleaseState:
    new = ReleaseRecord(
        id=proposed.id,
        release=proposed.release,
        retrained=proposed.retrained,
        proposed_at=recorded.at,
        proposed_by=recorded.actor,
        entered_at=recorded.at,
        passages=(Passage(stage=ReleaseStage.PROPOSED, share=0.0, at=recorded.at),),
    )
    for record in state.records:
        if record.stage is ReleaseStage.PROPOSED and record.id != new.id:
            state = _with(state, _moved(record, ReleaseStage.SUPERSEDED, recorded.at))
    if state.record(new.id):
        return _with(state, new)
    return replace(state, records=(*state.records, new))


def _entered(state: ReleaseState, entered: StageEntered, recorded: Recorded) -> ReleaseState:
    record = _known(state, entered.release, recorded)
    moved = _moved(record, entered.stage, recorded.at, share=entered.share, reason=entered.reason)
    state = _with(state, replace(moved, approved_by=entered.approved_by or record.approved_by))
    if entered.stage is ReleaseStage.LIVE:
        return _live(state, entered.release, recorded.at, entered.approved_by, ReleaseStage.RETIRED)
    challenger = None if state.challenger == entered.release else state.challenger
    return replace(state, challenger=entered.release if entered.stage in IN_ROLLOUT else challenger)


def _rolled_back(state: ReleaseState, rolled: RolledBack, recorded: Recorded) -> ReleaseState:
    target = _known(state, rolled.to, recorded)
    reigned = next((one for one in reversed(state.reigns) if one.release == rolled.to), None)
    approved_by = reigned.approved_by if reigned else target.approved_by
    state = _with(state, _moved(target, ReleaseStage.LIVE, recorded.at, share=1.0, reason=rolled.reason))
    return _live(state, rolled.to, recorded.at, approved_by, ReleaseStage.ROLLED_BACK)


def _live(
    state: ReleaseState, release: str, at: datetime, approved_by: tuple[str, ...], former: ReleaseStage
) -> ReleaseState:
    """Make *release* the champion; the one before it becomes *former*."""
    before = state.record(state.champion) if state.champion else None
    if before and before.id != release:
        state = _with(state, _moved(before, former, at))
    closed = tuple(replace(one, until=at) if one.until is None else one for one in state.reigns)
    reign = Reign(release=release, since=at, until=None, approved_by=approved_by)
    return replace(
        state,
        champion=release,
        challenger=None if state.challenger == release else state.challenger,
        reigns=(*closed, reign),
    )


def _moved(
    record: ReleaseRecord, stage: ReleaseStage, at: datetime, *, share: float = 0.0, reason: str = ""
) -> ReleaseRecord:
    passage = Passage(stage=stage, share=share, at=at, reason=reason)
    return replace(record, stage=stage, share=share, entered_at=at, passages=(*record.passages, passage))


def _known(state: ReleaseState, release: str, recorded: Recorded) -> ReleaseRecord:
    record = state.record(release)
    if record is None:
        raise ReleaseUnknown(
            "an event speaks of a release that was never proposed",
            where=f"{recorded.stream}, event {recorded.version}",
            found=release,
            hint="fold the product's whole stream, from its first event",
        )
    return record


def _with(state: ReleaseState, record: ReleaseRecord) -> ReleaseState:
    return replace(state, records=tuple(record if one.id == record.id else one for one in state.records))
