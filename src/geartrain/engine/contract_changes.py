"""A contract is changed by the people who own what changes: propose, discuss, sign, adopt.

A proposal is for exactly one text in the place of exactly one contract. When another
contract has come into force meanwhile it can no longer be adopted: whoever signed it
read a different change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from geartrain.contract.diff import ContractDiff, diff, question
from geartrain.domain.clause import Stage
from geartrain.domain.contract import Contract
from geartrain.domain.digest import digest
from geartrain.domain.events import (
    ContractAdopted,
    ContractProposed,
    Event,
    FindingsRecorded,
    ProposalClosed,
    ProposalDiscussed,
    ProposalSigned,
    Recorded,
)
from geartrain.domain.finding import Finding, Measurement, Status, judge
from geartrain.domain.roles import Role
from geartrain.engine.adopted import contract_in_force, read_contract_text
from geartrain.engine.folders import known_folders
from geartrain.engine.living import latest_findings
from geartrain.engine.products import read_contract
from geartrain.engine.pulling import put_contract
from geartrain.engine.workspace import Workspace, stream_of
from geartrain.errors import ContractInvalid, ContractUnreadable, LedgerConflict
from geartrain.release.answers import Refusal

_Decision = Callable[[tuple[Recorded, ...], Contract], "Refusal | list[Event]"]
_TRIES = 20
#: Findings of these sections do not depend on what is decided or what an error costs.
_ASIDE = frozenset({"budget", "data"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What somebody said about a proposal."""

    person: str
    at: datetime
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A contract that somebody asks for.

    Attributes:
        base: The contract that it would replace.
        contract: The contract's id that it would put into force.
        text: The digest of its YAML in the blob store.
        signed: The roles that said yes, and by whom.
        closed: None while it is open, else `adopted` or why it was taken back.
    """

    id: str
    base: str
    contract: str
    text: str
    reason: str
    by: str
    at: datetime
    remarks: tuple[Remark, ...] = ()
    signed: tuple[tuple[Role, str], ...] = ()
    closed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequence:
    """What the live release's finding about a clause would be under the proposed contract.

    Attributes:
        after: None where it has to be measured again.
    """

    clause: str
    before: Status
    after: Status | None
    finding: Finding | None


def proposals(workspace: Workspace, product: str) -> tuple[Proposal, ...]:
    """Every proposal for *product*, the latest first."""
    return tuple(reversed(_fold(workspace.history(product)).values()))


def open_proposals(workspace: Workspace, product: str) -> tuple[Proposal, ...]:
    """Those that were neither adopted nor taken back."""
    return tuple(one for one in proposals(workspace, product) if one.closed is None)


def proposal(workspace: Workspace, product: str, id_: str) -> Proposal | None:
    """The proposal with that id, or None."""
    return _fold(workspace.history(product)).get(id_)


def _fold(history: Iterable[Recorded]) -> dict[str, Proposal]:
    told: dict[str, Proposal] = {}
    for recorded in history:
        match recorded.event:
            case ContractProposed() as event:
                told[event.id] = Proposal(
                    id=event.id,
                    base=event.base,
                    contract=event.contract,
                    text=event.text,
                    reason=event.reason,
                    by=recorded.actor,
                    at=recorded.at,
                )
            case ProposalDiscussed(proposal=id_, words=words) if id_ in told:
                remark = Remark(person=recorded.actor, at=recorded.at, words=words)
                told[id_] = replace(told[id_], remarks=(*told[id_].remarks, remark))
            case ProposalSigned(proposal=id_, role=role, person=person) if id_ in told:
                told[id_] = replace(told[id_], signed=(*told[id_].signed, (role, person)))
            case ProposalClosed(proposal=id_, adopted=adopted, reason=reason) if id_ in told:
                told[id_] = replace(told[id_], closed="adopted" if adopted else reason or "taken back")
    return told


def propose(
    workspace: Workspace, product: str, *, text: str, reason: str, person: str, now: datetime
) -> Proposal | Refusal:
    """Ask the team for the contract that *text* says, in the place of the one in force.

    Raises:
        ContractInvalid: The text says things that cannot hold; with every problem and its place.
        ContractUnreadable: It is not YAML.
    """
    base = contract_in_force(workspace, product)
    wanted = read_contract_text(text)
    if base is None or wanted.product.name != product:
        return _no(
            product, "propose", wanted.id, "the text is another product's contract", "keep `product.name`"
        )
    if wanted.id == base.id:
        return _no(
            product, "propose", base.id, "it means the same as the contract in force", "change something"
        )
    if any(one.contract == wanted.id and one.base == base.id for one in open_proposals(workspace, product)):
        return _no(product, "propose", wanted.id, "the same change is proposed already", "discuss that one")
    event = ContractProposed(
        product=product,
        id=digest((base.id, wanted.id, person, now)),
        base=base.id,
        contract=wanted.id,
        text=workspace.blobs.put(text.encode()),
        reason=reason,
    )
    workspace.record(product, [event], now=now, actor=person)
    made = proposal(workspace, product, event.id)
    assert made is not None
    return made


def discuss(
    workspace: Workspace, product: str, id_: str, *, words: str, person: str, now: datetime
) -> Refusal | None:
    """Say something about a proposal; None where it was said."""
    if (said := proposal(workspace, product, id_)) is None or said.closed is not None:
        return _closed(product, "discuss", id_)
    event = ProposalDiscussed(product=product, proposal=id_, words=words)
    workspace.record(product, [event], now=now, actor=person)
    return None


def sign(
    workspace: Workspace, product: str, id_: str, *, role: Role, person: str, now: datetime
) -> Refusal | None:
    """Give *role*'s yes to exactly this proposal; None where it was given.

    Only a holder under the contract in force may, and nobody for two roles unless that
    contract lets one person hold two.
    """

    def decided(history: tuple[Recorded, ...], base: Contract) -> Refusal | list[Event]:
        said = _fold(history).get(id_)
        if said is None or said.closed is not None:
            return _closed(product, "sign", id_)
        if said.base != base.id:
            return _stale(product, "sign", id_)
        if person not in base.holders(role):
            return _no(product, "sign", id_, f"{person} does not hold {role}", f"ask {_holders(base, role)}")
        if role in dict(said.signed):
            return _no(
                product, "sign", id_, f"{role} has signed already", "nothing is left to do for this role"
            )
        twice = [one for one, who in said.signed if who == person]
        if twice and not (base.release and base.release.two_roles_one_person):
            reason = f"{person} has signed for {twice[0]}, and nobody signs for two roles here"
            return _no(product, "sign", id_, reason, f"ask another holder of {role}")
        return [
            ProposalSigned(product=product, proposal=id_, contract=said.contract, role=role, person=person)
        ]

    return _settled(workspace, product, decided, person=person, now=now)


def withdraw(
    workspace: Workspace, product: str, id_: str, *, reason: str, person: str, now: datetime
) -> Refusal | None:
    """Take a proposal back; whoever made it may, and whoever must sign it."""

    def decided(history: tuple[Recorded, ...], base: Contract) -> Refusal | list[Event]:
        said = _fold(history).get(id_)
        if said is None or said.closed is not None:
            return _closed(product, "withdraw", id_)
        if person != said.by and person not in _everybody(base):
            return _no(product, "withdraw", id_, f"{person} holds no role here", f"ask {said.by}")
        return [ProposalClosed(product=product, proposal=id_, adopted=False, reason=reason)]

    return _settled(workspace, product, decided, person=person, now=now)


def adopt_proposal(
    workspace: Workspace, product: str, id_: str, *, person: str, now: datetime
) -> Refusal | None:
    """Put the proposed contract into force, where every role that must has signed it; whoever holds a role may.

    The live release is judged again at once by what was measured about it: a bound that
    moved needs no new look at the rows. What has to be measured again says so.
    """

    def decided(history: tuple[Recorded, ...], base: Contract) -> Refusal | list[Event]:
        said = _fold(history).get(id_)
        if said is None or said.closed is not None:
            return _closed(product, "adopt", id_)
        holders = _everybody(base)
        if holders and person not in holders:
            return _no(
                product, "adopt", id_, f"{person} holds no role here", f"ask {' or '.join(sorted(holders))}"
            )
        if said.base != base.id:
            return _stale(product, "adopt", id_)
        wanted = read_contract_text(workspace.blobs.get(said.text).decode())
        missing = [role for role in diff(base, wanted).must_sign if role not in dict(said.signed)]
        if missing:
            return replace(
                _no(product, "adopt", id_, f"{_and(missing)} must sign first", "ask them to read the change"),
                signs=tuple(missing),
            )
        return [
            ContractAdopted(product=product, contract=said.contract, text=said.text),
            ProposalClosed(product=product, proposal=id_, adopted=True, reason=said.reason),
            *_judged_again(workspace, product, base, wanted, now=now),
        ]

    refused = _settled(workspace, product, decided, person=person, now=now)
    if refused is None:
        _into_folder(workspace, product, id_)
    return refused


def change_of(workspace: Workspace, said: Proposal, base: Contract) -> ContractDiff:
    """What the proposal means against *base*."""
    return diff(base, read_contract_text(workspace.blobs.get(said.text).decode()))


def consequences(
    workspace: Workspace, product: str, base: Contract, wanted: Contract, *, now: datetime
) -> tuple[Consequence, ...]:
    """For each clause of *wanted* whose finding on the live release would differ, what it would be."""
    state = workspace.releases(product)
    found = latest_findings(state, state.record(state.champion) if state.champion else None)
    told = []
    for clause in wanted.clauses:
        before = found.get(clause.path)
        after = _again(base, wanted, clause.path, before, now=now)
        status = before.status if before else Status.NOT_MEASURED
        asked_anew = after is None and status is not Status.NOT_MEASURED
        if asked_anew or (after is not None and after.status is not status):
            told.append(
                Consequence(
                    clause=clause.path, before=status, after=after.status if after else None, finding=after
                )
            )
    return tuple(told)


def _again(
    base: Contract, wanted: Contract, path: str, before: Finding | None, *, now: datetime
) -> Finding | None:
    """The finding under *wanted* by what was measured before; None where it must be measured again."""
    was, clause = base.clause(path), wanted.clause(path)
    assert clause is not None
    moved = _decides_differently(base, wanted) and clause.section not in _ASIDE
    if before is None or before.value is None or was is None or question(was) != question(clause) or moved:
        same = was is not None and question(was) == question(clause) and not moved
        return replace(before, bound=clause.bound) if same and before is not None else None
    assert before.low is not None and before.high is not None
    measured = Measurement(
        value=before.value,
        low=before.low,
        high=before.high,
        confidence=before.confidence,
        rows=before.rows,
        method=before.method,
        guarantee=before.guarantee,
    )
    return judge(clause, measured, stage=before.stage, now=now)


def _decides_differently(base: Contract, wanted: Contract) -> bool:
    return (base.costs, base.decision, base.baselines) != (wanted.costs, wanted.decision, wanted.baselines)


def _judged_again(
    workspace: Workspace, product: str, base: Contract, wanted: Contract, *, now: datetime
) -> list[Event]:
    state = workspace.releases(product)
    record = state.record(state.champion) if state.champion else None
    if record is None:
        return []
    found = latest_findings(state, record)
    again = [_again(base, wanted, clause.path, found.get(clause.path), now=now) for clause in wanted.clauses]
    findings = tuple(
        one
        if one is not None
        else judge(
            clause,
            None,
            stage=Stage.RELEASE,
            now=now,
            reason="the contract asks something new; it is measured with the next candidate",
        )
        for clause, one in zip(wanted.clauses, again, strict=True)
    )
    return [
        FindingsRecorded(
            product=product, stage=Stage.LIVE, subject=record.id, contract=wanted.id, findings=findings
        )
    ]


def _settled(
    workspace: Workspace,
    product: str,
    decided: _Decision,
    *,
    person: str,
    now: datetime,
) -> Refusal | None:
    """Decide on what is true when it is written; somebody may have written in between."""
    for _ in range(_TRIES):
        history = workspace.history(product)
        base = contract_in_force(workspace, product)
        if base is None:
            return _no(product, "adopt", "", "no contract is in force", "run `geartrain train` first")
        answer = decided(history, base)
        if isinstance(answer, Refusal):
            return answer
        try:
            workspace.ledger.append(
                stream_of(product), answer, at=now, actor=person, expected_version=len(history)
            )
        except LedgerConflict:
            continue
        return None
    raise LedgerConflict("others keep deciding about this product", where=product, hint="try again")


def _into_folder(workspace: Workspace, product: str, id_: str) -> None:
    """Write the adopted text over the folder's, where that still says what was replaced."""
    said = proposal(workspace, product, id_)
    folder = known_folders(workspace.root).get(product)
    if said is None or folder is None or not folder.is_dir():
        return
    try:
        _, standing = read_contract(folder)
    except (ContractInvalid, ContractUnreadable):
        # Somebody is writing there; `geartrain contract pull` fetches it when they are done.
        return
    if standing.id == said.base:
        put_contract(folder, workspace.blobs.get(said.text))


def _no(product: str, what: str, subject: str, reason: str, do: str) -> Refusal:
    return Refusal(product=product, what=what, subject=subject, reason=reason, do=do)


def _closed(product: str, what: str, id_: str) -> Refusal:
    return _no(product, what, id_, "this proposal is not open", "make a new one")


def _stale(product: str, what: str, id_: str) -> Refusal:
    return _no(
        product,
        what,
        id_,
        "another contract came into force since this was proposed",
        "propose the change again, against the contract in force",
    )


def _holders(contract: Contract, role: Role) -> str:
    return " or ".join(contract.holders(role)) or "the product owner to name one in `team`"


def _everybody(contract: Contract) -> set[str]:
    """Everybody who holds a role."""
    return {one for role in Role for one in contract.holders(role)}


def _and(roles: list[Role]) -> str:
    return " and ".join(roles)
