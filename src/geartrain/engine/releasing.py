"""What people do with releases, written down: sign, waive, move, roll back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from geartrain.domain.contract import Contract
from geartrain.domain.release import ReleaseStage
from geartrain.domain.roles import Role
from geartrain.engine.workspace import MACHINE, Workspace, stream_of
from geartrain.errors import LedgerConflict
from geartrain.release import commands, rollout
from geartrain.release.answers import Accepted, Answer, Refusal
from geartrain.release.state import ReleaseState

_TRIES = 20

Command = Callable[[ReleaseState], Answer]


def releases(workspace: Workspace, product: str) -> ReleaseState:
    """Where the product's releases stand now."""
    return workspace.releases(product)


def carry_out(
    workspace: Workspace, product: str, command: Command, *, now: datetime, actor: str = MACHINE
) -> Answer:
    """Decide *command* on the present state and append what it says, both or neither.

    Somebody may append between the reading and the writing; then the command is decided
    again on what is true by then. A refusal is written down too.
    """
    for _ in range(_TRIES):
        state, version = workspace.standing(product)
        answer = command(state)
        events = answer.events if isinstance(answer, Accepted) else (answer.event,)
        if not events:
            return answer
        try:
            workspace.ledger.append(stream_of(product), events, at=now, actor=actor, expected_version=version)
        except LedgerConflict:
            continue
        return answer
    raise LedgerConflict("others keep deciding about this product", where=product, hint="try again")


def sign(
    workspace: Workspace,
    contract: Contract,
    *,
    release: str,
    role: Role,
    person: str,
    now: datetime,
    reason: str = "",
) -> Answer:
    """Give *role*'s yes to the release that *release* names (an id, its beginning, or an alias)."""

    def command(state: ReleaseState) -> Answer:
        return commands.sign(
            state,
            contract,
            release=state.resolve(release),
            role=role,
            person=person,
            now=now,
            reason=reason,
        )

    return carry_out(workspace, contract.product.name, command, now=now, actor=person)


def waive(
    workspace: Workspace,
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
    """Let the release pass although *clause* is not kept."""

    def command(state: ReleaseState) -> Answer:
        return commands.waive(
            state,
            contract,
            release=state.resolve(release),
            clause=clause,
            reason=reason,
            role=role,
            person=person,
            expires_at=expires_at,
            now=now,
        )

    return carry_out(workspace, contract.product.name, command, now=now, actor=person)


def enter(
    workspace: Workspace,
    contract: Contract,
    *,
    release: str,
    stage: ReleaseStage,
    share: float,
    now: datetime,
    reason: str = "",
    actor: str = MACHINE,
) -> Answer:
    """Take the next step of the rollout."""

    def command(state: ReleaseState) -> Answer:
        return rollout.enter(
            state,
            contract,
            release=state.resolve(release),
            stage=stage,
            share=share,
            now=now,
            reason=reason,
        )

    return carry_out(workspace, contract.product.name, command, now=now, actor=actor)


def promote(
    workspace: Workspace,
    contract: Contract,
    *,
    release: str,
    now: datetime,
    reason: str = "",
    actor: str = MACHINE,
) -> Answer:
    """Make the release the champion."""

    def command(state: ReleaseState) -> Answer:
        return rollout.promote(state, contract, release=state.resolve(release), now=now, reason=reason)

    return carry_out(workspace, contract.product.name, command, now=now, actor=actor)


def abort(
    workspace: Workspace,
    contract: Contract,
    *,
    release: str,
    reason: str,
    now: datetime,
    actor: str = MACHINE,
) -> Answer:
    """Take a release out of its rollout."""

    def command(state: ReleaseState) -> Answer:
        return rollout.abort(state, contract, release=state.resolve(release), reason=reason)

    return carry_out(workspace, contract.product.name, command, now=now, actor=actor)


def roll_back(
    workspace: Workspace,
    contract: Contract,
    *,
    reason: str,
    now: datetime,
    to: str | None = None,
    actor: str = MACHINE,
) -> Answer:
    """Give the traffic back to an earlier release, at once."""

    def command(state: ReleaseState) -> Answer:
        target = None if to is None else state.resolve(to)
        return rollout.roll_back(state, contract, now=now, reason=reason, to=target)

    return carry_out(workspace, contract.product.name, command, now=now, actor=actor)


def accepted(answer: Answer) -> bool:
    """Whether the answer was yes."""
    return not isinstance(answer, Refusal)
