"""The conditions of a release: who must sign, what the gates say, what the rollout asks for next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from geartrain.domain.clause import Severity, Stage
from geartrain.domain.contract import Contract, ReleaseTerms, RolloutKind, RolloutStep
from geartrain.domain.digest import short
from geartrain.domain.finding import Finding, Status
from geartrain.domain.release import ReleaseStage
from geartrain.domain.roles import Role
from geartrain.release.bundle import evidence_of
from geartrain.release.gates import GateResult, due, gates
from geartrain.release.state import ReleaseRecord, ReleaseState

#: Stages whose findings a release can be signed on.
_EVIDENCE = (Stage.TRAINING, Stage.COMPRESSION, Stage.RELEASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """Whose yes a release needs.

    Attributes:
        needed: The roles that must sign.
        missing: Those that have not signed this exact id.
        note: Why these roles, where the contract does not say.
    """

    needed: tuple[Role, ...]
    missing: tuple[Role, ...]
    note: str = ""


def signing(contract: Contract, record: ReleaseRecord) -> Signing:
    """Who must sign *record*'s release and who has not.

    A signature counts only while its person still holds the role. Without a release
    section every role of the team signs: nobody is left out by not being written down.
    """
    terms, note = contract.release, ""
    if terms is None:
        needed = tuple(role for role, _ in contract.team)
        note = "the contract has no release section, so every role of the team must sign"
    elif record.retrained and terms.retrained_sign is not None:
        needed = terms.retrained_sign
        note = "a retrained release, for which the contract asks these roles"
    else:
        needed = terms.sign
    signed = {
        one.role
        for one in record.sign_offs
        if one.release == record.id and one.person in contract.holders(one.role)
    }
    return Signing(needed=needed, missing=tuple(role for role in needed if role not in signed), note=note)


def approvals(contract: Contract, record: ReleaseRecord) -> tuple[str, ...]:
    """The sign-offs that hold, as `role:person`, in the order in which they were given."""
    return tuple(
        f"{one.role}:{one.person}"
        for one in record.sign_offs
        if one.release == record.id and one.person in contract.holders(one.role)
    )


def evidence(state: ReleaseState, record: ReleaseRecord) -> tuple[Finding, ...] | None:
    """The findings that were signed: those whose digest the release names, or None if not in the ledger."""
    for judged in reversed(state.judged):
        if judged.stage in _EVIDENCE and evidence_of(judged.findings) == record.release.evidence:
            return judged.findings
    return None


def gates_of(
    state: ReleaseState, contract: Contract, record: ReleaseRecord, now: datetime
) -> GateResult | None:
    """What the gates say about the signed evidence at *now*; None where it is not in the ledger."""
    found = evidence(state, record)
    if found is None:
        return None
    return gates(found, record.waivers, now, clauses=due(contract.clauses))


def broken_on_the_way(
    state: ReleaseState, contract: Contract, record: ReleaseRecord, now: datetime
) -> tuple[Finding, ...]:
    """Findings in shadow or canary that stop the rollout: broken, and blocking or named in `abort_on`.

    Unproven does not stop it here: a canary is short, and the evidence that was signed
    has proved the clause already. A waiver that holds lets a blocking clause pass, but
    never one that the team said aborts.
    """
    aborting = contract.release.abort_on if contract.release else ()
    waived = {one.clause for one in record.waivers if one.granted_at <= now < one.expires_at}
    return tuple(
        finding
        for stage in (Stage.SHADOW, Stage.CANARY)
        for finding in state.findings(record.id, stage)
        if finding.status is Status.BROKEN
        and finding.found_at >= record.proposed_at
        and (
            finding.clause in aborting
            or (finding.severity is Severity.BLOCK and finding.clause not in waived)
        )
    )


def steps_done(record: ReleaseRecord) -> int:
    """How many rollout steps the release has entered since it was proposed."""
    return sum(1 for one in record.passages if one.stage in (ReleaseStage.SHADOW, ReleaseStage.CANARY))


def next_step(contract: Contract, record: ReleaseRecord) -> RolloutStep | None:
    """The rollout step that comes next, or None where only going live is left."""
    steps = (contract.release or ReleaseTerms()).rollout
    done = steps_done(record)
    return steps[done] if done < len(steps) else None


def bakes_until(contract: Contract, record: ReleaseRecord) -> datetime | None:
    """When the present step has baked long enough, or None outside a rollout."""
    steps = (contract.release or ReleaseTerms()).rollout
    done = steps_done(record)
    if record.stage not in (ReleaseStage.SHADOW, ReleaseStage.CANARY) or not 0 < done <= len(steps):
        return None
    return record.entered_at + timedelta(seconds=steps[done - 1].bake_s)


def contract_moved(state: ReleaseState, contract: Contract, record: ReleaseRecord | None) -> str:
    """Why signatures cannot hold any more because the contract changed; empty where it did not."""
    if state.contract and state.contract != contract.id:
        return f"contract {short(contract.id)} is not the adopted one, {short(state.contract)} is"
    if record and record.release.contract != contract.id:
        return (
            f"the contract changed: the release was built for {short(record.release.contract)},"
            f" adopted is {short(contract.id)}, and so every signature on it is void"
        )
    return ""


def may_come_back(state: ReleaseState, contract: Contract, release: str) -> bool:
    """Whether *release* may be live again unasked: it was not rolled back, and was signed under the adopted contract."""
    record = state.record(release)
    return (
        record is not None
        and record.stage is not ReleaseStage.ROLLED_BACK
        and not contract_moved(state, contract, record)
    )


def stage_of(kind: RolloutKind) -> ReleaseStage:
    """The release stage that a rollout step of *kind* is."""
    return ReleaseStage.SHADOW if kind is RolloutKind.SHADOW else ReleaseStage.CANARY


def in_words(step: RolloutStep) -> str:
    """A step as people say it.

    >>> in_words(RolloutStep(kind=RolloutKind.CANARY, share=0.1, bake_s=3 * 86_400.0))
    'canary on 10% of the traffic for 3 days'
    """
    units = (("day", 86_400.0), ("hour", 3600.0), ("minute", 60.0), ("second", 1.0))
    name, length = next((one for one in units if step.bake_s >= one[1]), units[-1])
    count = step.bake_s / length
    time = f"{count:.4g} {name}{'' if count == 1 else 's'}"
    return f"{step.kind} on {100 * step.share:.4g}% of the traffic for {time}"
