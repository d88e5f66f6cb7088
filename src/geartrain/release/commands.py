"""What people do with a release before it moves: propose it, sign it, waive a clause.

Each command is pure: the state, the contract and a clock's reading in, events or a refusal out.
The caller appends the events under the stream's expected version, so that two people who act
on the same state cannot both succeed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from geartrain.domain.clause import Clause, Severity
from geartrain.domain.contract import Contract
from geartrain.domain.digest import short
from geartrain.domain.events import ReleaseProposed, SignedOff, Waived
from geartrain.domain.finding import Finding, Status
from geartrain.domain.release import Release, ReleaseStage, SignOff, Waiver
from geartrain.domain.roles import Role
from geartrain.release.answers import Accepted, Answer, Refusal, Refusing
from geartrain.release.bundle import evidence_of
from geartrain.release.conditions import contract_moved, evidence, gates_of, signing
from geartrain.release.gates import gates
from geartrain.release.state import IN_ROLLOUT, ReleaseRecord, ReleaseState

#: Stages in which a signature or a waiver can still matter to what happens next.
_OPEN = (ReleaseStage.PROPOSED, *IN_ROLLOUT)


def propose(
    state: ReleaseState,
    contract: Contract,
    release: Release,
    findings: Iterable[Finding],
    *,
    retrained: bool = False,
) -> Answer:
    """Offer *release* for signatures; an earlier proposal that nobody moved is superseded.

    *findings* are the evidence whose digest the release names; the caller has recorded
    them, or records them with the proposal, so that signers and gates see the same.
    """
    refuse = Refusing(product=release.product, what="propose", subject=release.id)
    if release.product != contract.product.name:
        return refuse.because(
            f"the release is of `{release.product}`, the contract of `{contract.product.name}`",
            "propose it under its own product",
        )
    moved = contract_moved(state, contract, None)
    if not moved and release.contract != contract.id:
        moved = (
            f"the release was built for contract {short(release.contract)}, adopted is {short(contract.id)}"
        )
    if moved:
        return refuse.because(moved, "judge the model under the adopted contract and assemble a new release")
    if evidence_of(tuple(findings)) != release.evidence:
        return refuse.because(
            "the findings are not the evidence that the release names",
            "propose it with the findings it was built from",
        )
    known = state.record(release.id)
    if known is None or known.stage in (ReleaseStage.ABORTED, ReleaseStage.SUPERSEDED):
        again = "it was proposed before: earlier signatures do not count any more"
        event = ReleaseProposed(id=release.id, release=release, retrained=retrained)
        return Accepted(events=(event,), notes=(again,) if known else ())
    if known.stage in (ReleaseStage.RETIRED, ReleaseStage.ROLLED_BACK):
        return refuse.because(
            f"the release was live before and is {known.stage}",
            "roll back to it by its id, or build a new release",
        )
    return Accepted(events=(), notes=(f"the release is {known.stage} already",))


def sign(
    state: ReleaseState,
    contract: Contract,
    *,
    release: str,
    role: Role,
    person: str,
    now: datetime,
    reason: str = "",
) -> Answer:
    """Give *role*'s yes to the exact *release*, by its whole id."""
    refuse = Refusing(product=contract.product.name, what="sign", subject=release)
    record = state.record(release)
    unfit = _unfit(state, contract, record, refuse)
    if record is None or unfit is not None:
        return unfit or refuse.unknown()
    if record.stage not in _OPEN:
        return refuse.because(
            f"the release is {record.stage}; a signature would change nothing", _next(state)
        )
    asked = signing(contract, record)
    if role not in asked.needed:
        return refuse.because(
            f"{role} is not asked to sign", f"asked are: {_roles(asked.needed)}", signs=asked.missing
        )
    if person not in contract.holders(role):
        return _not_holder(refuse, contract, person, role)
    mine = [one for one in record.sign_offs if one.person == person]
    if any(one.role is role for one in mine):
        return Accepted(events=(), notes=(f"{person} signed for {role} already",))
    if role not in asked.missing:
        return Accepted(events=(), notes=(f"{role} has signed already",))
    two_roles = contract.release is not None and contract.release.two_roles_one_person
    if mine and not two_roles:
        return refuse.because(
            f"{person} has signed for {mine[0].role}, and one person does not sign for two roles",
            f"ask another who holds {role}: {_people(contract, role, but=person)};"
            " or agree on `release.two_roles_one_person` in the contract",
            signs=asked.missing,
        )
    left = tuple(one for one in asked.missing if one is not role)
    notes = [f"still to sign: {_roles(left)}"] if left else ["every role that must sign has signed"]
    if asked.note:
        notes.append(asked.note)
    gate = gates_of(state, contract, record, now)
    if gate is not None and not gate.passed:
        notes.append(
            f"{gate.sentence}: until each is kept or waived the release does not go live, signed or not"
        )
    signed = SignOff(release=release, role=role, person=person, signed_at=now, reason=reason)
    return Accepted(events=(SignedOff(product=contract.product.name, sign_off=signed),), notes=tuple(notes))


def waive(
    state: ReleaseState,
    contract: Contract,
    *,
    release: str,
    clause: str,
    reason: str,
    role: Role,
    person: str,
    expires_at: datetime,
    now: datetime,
) -> Answer:
    """Let *release* pass although *clause* is not kept, for a reason and until a time.

    Only the role that owns the clause may, and only for a clause that the evidence does
    not show as kept. A live release's waiver may be renewed before or after it runs out.
    """
    refuse = Refusing(product=contract.product.name, what="waive", subject=release)
    record = state.record(release)
    unfit = _unfit(state, contract, record, refuse)
    if record is None or unfit is not None:
        return unfit or refuse.unknown()
    if record.stage not in (*_OPEN, ReleaseStage.LIVE):
        return refuse.because(f"the release is {record.stage}; a waiver would change nothing", _next(state))
    promise = contract.clause(clause)
    if promise is None:
        return refuse.because(f"the contract has no clause `{clause}`", _clauses(contract))
    if promise.owner is not role:
        return refuse.because(
            f"`{clause}` belongs to {promise.owner}, {role} cannot waive it",
            f"ask {_people(contract, promise.owner)}",
        )
    if person not in contract.holders(role):
        return _not_holder(refuse, contract, person, role)
    if not reason.strip():
        return refuse.because(
            "a waiver without a reason tells the next reader nothing", "say why, in a sentence"
        )
    if expires_at <= now:
        return refuse.because("the waiver would have expired before it began", "name a time in the future")
    kept = _kept(promise, evidence(state, record))
    if kept:
        return refuse.because(kept, "nothing stands in the way of the release here")
    waiver = Waiver(
        release=release,
        clause=clause,
        reason=reason.strip(),
        role=role,
        person=person,
        granted_at=now,
        expires_at=expires_at,
    )
    return Accepted(events=(Waived(product=contract.product.name, waiver=waiver),))


def _not_holder(refuse: Refusing, contract: Contract, person: str, role: Role) -> Refusal:
    return refuse.because(f"{person} does not hold the role {role}", f"ask {_people(contract, role)}")


def _unfit(
    state: ReleaseState, contract: Contract, record: ReleaseRecord | None, refuse: Refusing
) -> Refusal | None:
    """Why no word about this release can count: it is unknown, superseded, or the contract changed."""
    if record is None:
        return refuse.unknown()
    if record.stage is ReleaseStage.SUPERSEDED:
        return refuse.because("a newer proposal has superseded this release", _next(state))
    moved = contract_moved(state, contract, record)
    if moved:
        needed = signing(contract, record).needed
        return refuse.because(
            moved,
            f"judge the model under the adopted contract and propose it anew; then it needs the signature of {_roles(needed)} again",
            signs=needed,
        )
    return None


def _kept(promise: Clause, findings: tuple[Finding, ...] | None) -> str:
    if promise.severity is Severity.WARN:
        return f"`{promise.path}` only warns; there is nothing to waive"
    latest = [one for one in findings or () if one.clause == promise.path]
    if latest and gates(latest, (), latest[0].found_at).kept:
        return f"`{promise.path}` is {Status.KEPT}; there is nothing to waive"
    return ""


def _next(state: ReleaseState) -> str:
    waiting = [one for one in state.records if one.stage in _OPEN]
    if waiting:
        return f"the release that waits is {waiting[-1].id}"
    return "propose a new release"


def _clauses(contract: Contract) -> str:
    blocking = [one.path for one in contract.clauses if one.severity is Severity.BLOCK]
    return "blocking clauses: " + (", ".join(blocking) or "none")


def _roles(roles: tuple[Role, ...]) -> str:
    return ", ".join(roles) or "nobody"


def _people(contract: Contract, role: Role, *, but: str = "") -> str:
    people = [one for one in contract.holders(role) if one != but]
    return ", ".join(people) or f"somebody to whom the contract's team gives {role}"
