"""How a release moves: into shadow, onto shares of the traffic, live, and back.

The rollout compares a release with the champion. A product's first release has none: there is
nothing to be a shadow of, and a canary's other share would have no model. So it may go live without the
rollout steps, which the answer says; gates and signatures hold for it as for any other.
"""

from __future__ import annotations

from datetime import datetime

from geartrain.domain.contract import Contract, RetrainingAction
from geartrain.domain.digest import short
from geartrain.domain.events import RolledBack, StageEntered
from geartrain.domain.release import ReleaseStage
from geartrain.release.answers import Accepted, Answer, Refusal, Refusing
from geartrain.release.conditions import (
    approvals,
    bakes_until,
    broken_on_the_way,
    contract_moved,
    gates_of,
    in_words,
    next_step,
    signing,
    stage_of,
)
from geartrain.release.state import IN_ROLLOUT, ReleaseRecord, ReleaseState

#: What to do about a live release that no other came before.
_ONLY_ONE = "it goes on deciding until another release is promoted; to stop it at once, stop the server"
#: Retraining actions that may bring a release into shadow before anybody signed: a shadow acts on nothing.
_SHADOW_UNSIGNED = (RetrainingAction.SHADOW, RetrainingAction.PROMOTE)


def enter(
    state: ReleaseState,
    contract: Contract,
    *,
    release: str,
    stage: ReleaseStage,
    share: float,
    now: datetime,
    reason: str = "",
) -> Answer:
    """Take the next step of the contract's rollout with *release*: shadow or a canary share."""
    if stage is ReleaseStage.LIVE:
        return promote(state, contract, release=release, now=now, reason=reason)
    refuse = _refusing(contract, f"enter {stage}", release)
    record = state.record(release)
    if record is None:
        return refuse.unknown()
    if (record.stage, record.share) == (stage, share) and stage in IN_ROLLOUT:
        return Accepted(events=(), notes=(f"the release is in {stage} on this share already",))
    if record.stage not in (ReleaseStage.PROPOSED, *IN_ROLLOUT):
        return refuse.because(f"the release is {record.stage}", "propose a release first")
    step = next_step(contract, record)
    if step is None:
        return refuse.because("the contract's rollout has no further step", "promote it")
    if (stage_of(step.kind), step.share) != (stage, share):
        return refuse.because(f"the next step is {in_words(step)}", "take the steps in the contract's order")
    if state.challenger not in (None, release):
        return refuse.because(
            f"release {short(state.challenger or '')} is on its way already",
            "promote or abort that one first; two challengers would blur each other's evidence",
        )
    retraining = contract.retraining
    unsigned = (
        stage is ReleaseStage.SHADOW
        and record.retrained
        and retraining is not None
        and retraining.action in _SHADOW_UNSIGNED
    )
    stopped = _stopped(state, contract, record, now, what=f"enter {stage}", signatures=not unsigned)
    if stopped is not None:
        return stopped
    return Accepted(events=(_entering(contract, record, stage, share, reason),))


def promote(
    state: ReleaseState, contract: Contract, *, release: str, now: datetime, reason: str = ""
) -> Answer:
    """Make *release* the champion, once it has signatures, open gates and its whole rollout."""
    refuse = _refusing(contract, "promote", release)
    record = state.record(release)
    if record is None:
        return refuse.unknown()
    if state.champion == release:
        return Accepted(events=(), notes=("the release is live already",))
    if record.stage in (ReleaseStage.RETIRED, ReleaseStage.ROLLED_BACK):
        return refuse.because(
            f"the release was live before and is {record.stage}", "roll back to it by its id"
        )
    if record.stage not in (ReleaseStage.PROPOSED, *IN_ROLLOUT):
        return refuse.because(f"the release is {record.stage}", "propose a release first")
    stopped = _stopped(state, contract, record, now, what="promote", signatures=True)
    if stopped is not None:
        return stopped
    notes: tuple[str, ...] = ()
    step = next_step(contract, record)
    if step is not None and state.champion is not None:
        return refuse.because(f"the contract asks for {in_words(step)} first", "take that step, then promote")
    if step is not None:
        notes = ("the first release: there is no champion to compare with, so rollout steps were left out",)
    why = "; ".join((*((reason,) if reason else ()), *notes))
    return Accepted(events=(_entering(contract, record, ReleaseStage.LIVE, 1.0, why),), notes=notes)


def abort(state: ReleaseState, contract: Contract, *, release: str, reason: str) -> Answer:
    """Take *release* out of its rollout; what is live stays live."""
    refuse = _refusing(contract, "abort", release)
    record = state.record(release)
    if record is None:
        return refuse.unknown()
    if record.stage is ReleaseStage.ABORTED:
        return Accepted(events=(), notes=("the release was aborted already",))
    if record.stage is ReleaseStage.LIVE:
        back = "roll back instead" if _previous(state) is not None else _ONLY_ONE
        return refuse.because("the release is live", back)
    if record.stage not in (ReleaseStage.PROPOSED, *IN_ROLLOUT):
        return refuse.because(f"the release is {record.stage}", "there is nothing to abort")
    return Accepted(events=(_entering(contract, record, ReleaseStage.ABORTED, 0.0, reason),))


def roll_back(
    state: ReleaseState, contract: Contract, *, now: datetime, reason: str, to: str | None = None
) -> Answer:
    """Give the traffic back to a release that was live before.

    Nothing is asked for but that: gates and signatures were asked for when it first went
    live, and a rollback must not wait. What has changed since then is told in the notes.

    Args:
        state: The product's releases.
        contract: The adopted contract.
        now: When.
        reason: Why, for the ledger.
        to: The release to return to; None takes the last one before the champion that
            was not itself rolled back.
    """
    refuse = _refusing(contract, "roll back", to or state.champion or "")
    champion = state.champion
    if champion is None:
        return refuse.because("nothing is live", "promote a release first")
    target = to or _previous(state)
    if target is None:
        return refuse.because("there is no earlier release to return to", _ONLY_ONE)
    if target == champion:
        return Accepted(events=(), notes=("this release is live already",))
    reigned = [one for one in state.reigns if one.release == target]
    record = state.record(target)
    if not reigned or record is None:
        return refuse.because(
            "this release was never live", "a rollback returns only to what was live; promote it instead"
        )
    notes = []
    if record.release.contract != contract.id:
        notes.append(
            f"it was signed for contract {short(record.release.contract)}, adopted is {short(contract.id)}:"
            " judge it against the adopted one"
        )
    if record.stage is ReleaseStage.ROLLED_BACK:
        notes.append("this release was itself rolled back before")
    notes.extend(
        f"its waiver for `{one.clause}` expired on {one.expires_at:%Y-%m-%d}"
        for one in record.waivers
        if one.expires_at <= now
    )
    event = RolledBack(product=contract.product.name, release=champion, to=target, reason=reason)
    return Accepted(events=(event,), notes=tuple(notes))


def previous_champion(state: ReleaseState) -> str | None:
    """Where `roll_back` without a target would go, or None."""
    return _previous(state)


def _previous(state: ReleaseState) -> str | None:
    for reign in reversed(state.reigns):
        record = state.record(reign.release)
        if reign.release != state.champion and record and record.stage is not ReleaseStage.ROLLED_BACK:
            return reign.release
    return None


def _stopped(
    state: ReleaseState,
    contract: Contract,
    record: ReleaseRecord,
    now: datetime,
    *,
    what: str,
    signatures: bool,
) -> Refusal | None:
    """The first reason why *record*'s release must not move on, or None."""
    refuse = _refusing(contract, what, record.id)
    asked = signing(contract, record)
    moved = contract_moved(state, contract, record)
    if moved:
        return refuse.because(
            moved,
            "judge the model under the adopted contract and propose it anew; then it needs the signature of "
            + (", ".join(asked.needed) or "nobody")
            + " again",
            signs=asked.needed,
        )
    if signatures and asked.missing:
        return refuse.because(
            f"signatures are missing: {', '.join(asked.missing)}",
            "ask " + "; ".join(f"{role}: {', '.join(contract.holders(role))}" for role in asked.missing),
            signs=asked.missing,
        )
    result = gates_of(state, contract, record, now)
    if result is None:
        return refuse.because(
            "the evidence that was signed is not in the ledger", "record the findings that the release names"
        )
    if not result.passed:
        expired = "".join(
            f"; the waiver for `{one.clause}` expired on {one.expires_at:%Y-%m-%d}" for one in result.expired
        )
        return refuse.because(
            result.sentence + expired,
            "improve the model, gather the rows that the findings ask for, or let each clause's owner waive it",
        )
    broken = broken_on_the_way(state, contract, record, now)
    if broken:
        return refuse.because(
            "the rollout has broken " + ", ".join(dict.fromkeys(one.clause for one in broken)), "abort it"
        )
    until = bakes_until(contract, record)
    if until is not None and now < until:
        return refuse.because(f"the present step bakes until {until:%Y-%m-%d %H:%M} UTC", "wait, or abort it")
    return None


def _entering(
    contract: Contract, record: ReleaseRecord, stage: ReleaseStage, share: float, reason: str
) -> StageEntered:
    return StageEntered(
        product=contract.product.name,
        release=record.id,
        stage=stage,
        share=share,
        approved_by=approvals(contract, record),
        reason=reason,
    )


def _refusing(contract: Contract, what: str, release: str) -> Refusing:
    return Refusing(product=contract.product.name, what=what, subject=release)
