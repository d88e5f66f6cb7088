"""How a replay's or a demo's team signs: in the names of the people in the contract, and marked as such."""

from __future__ import annotations

from datetime import datetime, timedelta

from geartrain.documents.report import rows_to_settle
from geartrain.domain.contract import Contract
from geartrain.domain.finding import Finding, Status
from geartrain.domain.release import ReleaseStage
from geartrain.domain.roles import Role
from geartrain.engine import releasing
from geartrain.engine.workspace import Workspace
from geartrain.release.conditions import evidence, signing

REASON = "signed in a replay"
#: How long a waiver lasts that a replay's team gives for what is merely unproven.
WAIVER = timedelta(days=90)


def sign_for_the_team(workspace: Workspace, contract: Contract, release: str, *, now: datetime) -> bool:
    """Waive what is unproven, sign if nothing is broken, go live where nothing is live yet; whether it is."""
    waive_unproven(workspace, contract, release, now=now)
    if not sign_all(workspace, contract, release, now=now):
        return False
    answer = releasing.promote(workspace, contract, release=release, now=now, reason=REASON)
    return releasing.accepted(answer)


def waive_unproven(
    workspace: Workspace,
    contract: Contract,
    release: str,
    *,
    now: datetime,
    lasts: timedelta = WAIVER,
    why: str = "",
) -> None:
    """Each unproven clause is waived by its owner for a while; a broken one never is.

    *why* stands behind the finding's status in each waiver; what would settle it if empty.
    """
    state = releasing.releases(workspace, contract.product.name)
    record = state.record(release)
    for finding in (evidence(state, record) or ()) if record else ():
        if not finding.blocks or finding.status is Status.BROKEN:
            continue
        person = _holder(contract, finding)
        if person is None:
            continue
        releasing.waive(
            workspace,
            contract,
            release=release,
            clause=finding.clause,
            reason=f"{finding.status} {why or f'on the rows at hand: {rows_to_settle(finding) or finding.message}'}",
            role=finding.owner,
            person=person,
            expires_at=now + lasts,
            now=now,
        )


def sign_all(
    workspace: Workspace, contract: Contract, release: str, *, now: datetime, reason: str = REASON
) -> bool:
    """Every role that is asked signs, by its first holder; False where somebody may not."""
    state = releasing.releases(workspace, contract.product.name)
    record = state.record(release)
    if record is None or record.stage in {ReleaseStage.SUPERSEDED, ReleaseStage.ABORTED}:
        return False
    if any(one.status is Status.BROKEN and one.blocks for one in evidence(state, record) or ()):
        return False
    taken: set[str] = set()
    for role in signing(contract, record).missing:
        person = _free(contract, role, taken)
        answer = releasing.sign(
            workspace, contract, release=release, role=role, person=person, now=now, reason=reason
        )
        if not releasing.accepted(answer):
            return False
        taken.add(person)
    return True


def _holder(contract: Contract, finding: Finding) -> str | None:
    holders = contract.holders(finding.owner)
    return holders[0] if holders else None


def _free(contract: Contract, role: Role, taken: set[str]) -> str:
    holders = contract.holders(role)
    return next((one for one in holders if one not in taken), holders[0] if holders else "nobody")
