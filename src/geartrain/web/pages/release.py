"""One release beside the champion: evidence, signatures, waivers, rollout, files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from geartrain.contract.wording import promise_in_words
from geartrain.documents.chart_nouns import ScatterChart
from geartrain.domain.contract import Contract, ReleaseTerms
from geartrain.domain.digest import short
from geartrain.domain.finding import Finding, Status
from geartrain.domain.release import ReleaseStage, Waiver
from geartrain.domain.roles import Role
from geartrain.engine import releasing
from geartrain.engine.bench import currency_of
from geartrain.engine.bundles import load_bundle
from geartrain.engine.canary_live import noted_arms
from geartrain.engine.folders import known_folders
from geartrain.errors import BundleTampered, PageMissing, ReleaseUnknown
from geartrain.release import conditions
from geartrain.release.answers import Answer, Refusal
from geartrain.release.gates import GateResult
from geartrain.release.state import Passage, ReleaseRecord, ReleaseState
from geartrain.web.pages.endings import Ended, end_of
from geartrain.web.pages.promise import ClauseLine, clause_line
from geartrain.web.pages.sizes import VariantLine, front_of, sizes_tried
from geartrain.web.pages.standing import WORST_FIRST, contract_of, findings_now, words_of
from geartrain.web.paging import Action, Denied, Done, Download, Outcome, Page
from geartrain.web.plain import Plain
from geartrain.web.room import Asked

_LONGEST_REASON = 2000
_LONGEST_WAIVER_DAYS = 366


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """One clause of the candidate, and the champion's finding about the same."""

    line: ClauseLine
    champion: Finding | None
    champion_figure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A role's line on the panel of signatures.

    Attributes:
        void: Why a signature that was given does not hold; empty where it holds or none was given.
        mine: Whether the visitor may sign now.
    """

    role: Role
    needed: bool
    holders: tuple[str, ...]
    person: str | None
    at: datetime | None
    reason: str
    void: str
    mine: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """A promise that keeps the gates closed, in words."""

    path: str
    sentence: str
    words: str
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmLine:
    """What a decision costs on one arm's keys, with its interval; the arms' intervals hold together at all times."""

    name: str
    value: float
    low: float
    high: float
    keys: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseView:
    """One release, as whoever signs it must see it.

    Attributes:
        intact: Whether every byte of the bundle is what the id names; else `damage` says what is not.
        gate: What the gates say, in a sentence; `gate_open` whether they let it pass.
        closed_by: The promises that keep them closed.
        ended: For one that was retired or taken out, how; its gates are then beside the point.
        words: The promises by their paths, in the names that people use.
        moved: Why no signature holds since the contract changed; the gates are then beside the point.
        steps: On the way to live every step that the contract asks for, in words, with `done`, `now` or `ahead`.
        next_step: What the rollout does next, in words; empty where nothing is left.
        arms: In a canary what decisions cost on its keys and on the champion's, as of the last look at `arms_at`;
            `arms_told` says what is proven, or why nothing is compared.
    """

    id: str
    stage: ReleaseStage
    share: float
    entered_at: datetime
    proposed_at: datetime
    proposed_by: str
    retrained: bool
    champion: str | None
    is_champion: bool
    intact: bool
    damage: str
    gate: str
    gate_open: bool
    closed_by: tuple[Closing, ...]
    ended: Ended | None
    words: tuple[tuple[str, str], ...]
    note: str
    moved: str
    clauses: tuple[Beside, ...]
    signatures: tuple[Signature, ...]
    waivers: tuple[Waiver, ...]
    waivable: tuple[str, ...]
    passages: tuple[Passage, ...]
    steps: tuple[tuple[str, str], ...]
    next_step: str
    bakes_until: datetime | None
    baked: bool
    arms: tuple[ArmLine, ...]
    arms_told: str
    arms_at: datetime | None
    currency: str
    variants: tuple[VariantLine, ...]
    front: ScatterChart | None
    documents: tuple[tuple[str, str], ...]
    acts: bool


def release_view(asked: Asked) -> ReleaseView:
    """One release beside the champion."""
    contract, state = contract_of(asked), asked.workspace.releases(asked.product)
    record = _record(asked, state)
    damage = _damage(asked, record)
    moved = conditions.contract_moved(state, contract, record)
    found = {one.clause: one for one in conditions.evidence(state, record) or ()} | findings_now(
        state, record
    )
    champion = state.record(state.champion) if state.champion and state.champion != record.id else None
    theirs = findings_now(state, champion)
    gate = conditions.gates_of(state, contract, record, asked.now)
    step = conditions.next_step(contract, record)
    until = conditions.bakes_until(contract, record)
    plain = words_of(asked)
    lines = [clause_line(one, found.get(one.path), contract, plain) for one in contract.clauses]
    words = {path: path for path in _named(record, gate)} | {one.path: one.words for one in lines}
    variants = sizes_tried(asked.workspace.history(asked.product), record)
    arms = (
        noted_arms(asked.workspace, asked.product, record.id) if record.stage is ReleaseStage.CANARY else None
    )
    on_the_way = record.stage in {ReleaseStage.PROPOSED, ReleaseStage.SHADOW, ReleaseStage.CANARY}
    return ReleaseView(
        id=record.id,
        stage=record.stage,
        share=record.share,
        entered_at=record.entered_at,
        proposed_at=record.proposed_at,
        proposed_by=record.proposed_by,
        retrained=record.retrained,
        champion=champion.id if champion else None,
        is_champion=record.id == state.champion,
        intact=not damage,
        damage=damage,
        gate=gate.sentence if gate else "the evidence that was signed is not in the ledger",
        gate_open=bool(gate and gate.passed),
        closed_by=tuple(
            Closing(
                path=one.clause,
                sentence=_sentence(contract, one.clause),
                words=words[one.clause],
                status=one.status,
            )
            for one in (gate.blocking if gate else ())
        ),
        ended=end_of(state, record),
        words=tuple(words.items()),
        note=conditions.signing(contract, record).note,
        moved=moved,
        clauses=tuple(
            Beside(
                line=line,
                champion=theirs.get(line.path),
                champion_figure=_figure(contract, plain, theirs, line),
            )
            for line in sorted(lines, key=lambda one: WORST_FIRST.index(one.status))
        ),
        signatures=_signatures(asked, contract, record, void=damage or moved, open_=on_the_way),
        waivers=record.waivers,
        waivable=tuple(
            one.clause
            for one in found.values()
            if one.blocks and one.status is not Status.BROKEN and one.owner in asked.visitor.roles(contract)
        )
        if on_the_way
        else (),
        passages=record.passages,
        steps=_steps(contract, record) if on_the_way else (),
        next_step=_next(record, step),
        bakes_until=until,
        baked=until is None or asked.now >= until,
        arms=_arms(arms),
        arms_told=str(arms["reason"]) if arms else "",
        arms_at=datetime.fromisoformat(str(arms["at"])) if arms else None,
        currency=currency_of(contract),
        variants=variants,
        front=front_of(variants, currency_of(contract)),
        documents=_DOCUMENTS,
        acts=bool(asked.visitor.roles(contract)) and on_the_way,
    )


def _arms(noted: Mapping[str, Any] | None) -> tuple[ArmLine, ...]:
    """The canary first; empty where one of the arms has no row whose truth is known."""
    if noted is None or noted["canary"] is None or noted["champion"] is None:
        return ()
    return tuple(
        ArmLine(name=name, value=one["value"], low=one["low"], high=one["high"], keys=one["rows"])
        for name, one in (("this release", noted["canary"]), ("what is live", noted["champion"]))
    )


def sign(asked: Asked) -> Outcome:
    """Give a role's yes to exactly these bytes; they are checked before."""
    contract, state = contract_of(asked), asked.workspace.releases(asked.product)
    record, told = _record(asked, state), asked.form.get("role", "")
    if told not in set(Role):
        return _no(record.id, asked, "there is no such role")
    if damage := _damage(asked, record):
        return _no(record.id, asked, f"nobody may sign this: {damage}", "restore the bundle from a copy")
    answer = releasing.sign(
        asked.workspace,
        contract,
        release=record.id,
        role=Role(told),
        person=asked.visitor.person,
        now=asked.now,
        reason=_reason(asked),
    )
    return _ended(asked, record.id, answer, f"signed for {told}")


def waive(asked: Asked) -> Outcome:
    """Let the release pass although a clause is not proven, for a reason and a time."""
    contract, state = contract_of(asked), asked.workspace.releases(asked.product)
    record, days = _record(asked, state), asked.form.get("days", "")
    clause = contract.clause(asked.form.get("clause", ""))
    if clause is None:
        return _no(record.id, asked, "there is no such clause")
    if not _reason(asked):
        return _no(record.id, asked, "a waiver needs its reason")
    if not days.isdigit() or not 1 <= int(days) <= _LONGEST_WAIVER_DAYS:
        return _no(record.id, asked, f"a waiver lasts 1 to {_LONGEST_WAIVER_DAYS} days")
    answer = releasing.waive(
        asked.workspace,
        contract,
        release=record.id,
        clause=clause.path,
        reason=_reason(asked),
        role=clause.owner,
        person=asked.visitor.person,
        expires_at=asked.now + timedelta(days=int(days)),
        now=asked.now,
    )
    return _ended(asked, record.id, answer, f"{clause.path} is waived for {days} days")


def go_on(asked: Asked) -> Outcome:
    """Take the next step: shadow, canary, or live."""
    contract, state = contract_of(asked), asked.workspace.releases(asked.product)
    record = _record(asked, state)
    if refusal := _outsider(asked, contract, record.id):
        return refusal
    if damage := _damage(asked, record):
        return _no(record.id, asked, f"this may not answer anybody: {damage}")
    step = conditions.next_step(contract, record)
    if step is None:
        answer = releasing.promote(
            asked.workspace,
            contract,
            release=record.id,
            now=asked.now,
            reason=_reason(asked),
            actor=asked.visitor.person,
        )
        return _ended(asked, record.id, answer, "the release is live")
    answer = releasing.enter(
        asked.workspace,
        contract,
        release=record.id,
        stage=conditions.stage_of(step.kind),
        share=step.share,
        now=asked.now,
        reason=_reason(asked),
        actor=asked.visitor.person,
    )
    return _ended(asked, record.id, answer, conditions.in_words(step))


def abort(asked: Asked) -> Outcome:
    """Take a candidate out."""
    contract, state = contract_of(asked), asked.workspace.releases(asked.product)
    record = _record(asked, state)
    if refusal := _outsider(asked, contract, record.id):
        return refusal
    answer = releasing.abort(
        asked.workspace,
        contract,
        release=record.id,
        reason=_reason(asked) or "taken out by hand",
        now=asked.now,
        actor=asked.visitor.person,
    )
    return _ended(asked, record.id, answer, "the release is taken out")


def document(asked: Asked) -> tuple[str, str, bytes]:
    """A document of the release, made anew from what the ledger and the bundle say."""
    from geartrain.documents.rendering import documents_of
    from geartrain.engine.documenting import document_facts

    contract_of(asked)
    record = _record(asked, asked.workspace.releases(asked.product))
    folder = known_folders(asked.workspace.root).get(asked.product)
    facts = document_facts(
        asked.workspace,
        asked.product,
        record.id,
        now=asked.now,
        folder=folder if folder and folder.is_dir() else None,
    )
    for one in documents_of(facts):
        if one.name == asked.names["document"]:
            return f"{asked.product}-{short(record.id)}-{one.name}", one.media_type, one.content
    raise PageMissing("there is no such document", found=asked.names["document"][:80])


def _figure(contract: Contract, plain: Plain, found: Mapping[str, Finding], line: ClauseLine) -> str:
    """What was measured of the live release; empty where a figure says less than its status."""
    clause, finding = contract.clause(line.path), found.get(line.path)
    if clause is None or finding is None or clause.section in {"plausibility", "integrity", "fairness"}:
        return ""
    return plain.figure(clause, finding)


def _named(record: ReleaseRecord, gate: GateResult | None) -> tuple[str, ...]:
    """The clauses that waivers and gates name, of which the contract in force may know nothing any more."""
    return (*(one.clause for one in record.waivers), *(one.clause for one in (gate.blocking if gate else ())))


def _sentence(contract: Contract, path: str) -> str:
    clause = contract.clause(path)
    return promise_in_words(clause) if clause else path


def _record(asked: Asked, state: ReleaseState) -> ReleaseRecord:
    record = state.record(state.resolve(asked.names["release"]))
    if record is None:
        raise PageMissing("there is no such release", found=asked.names["release"][:64])
    return record


def _damage(asked: Asked, record: ReleaseRecord) -> str:
    """What is wrong with the bundle's bytes on disk; empty where they are what the id names."""
    try:
        load_bundle(asked.workspace, record.id)
    except (BundleTampered, ReleaseUnknown) as error:
        return f"{error.message} ({error.found})" if error.found else error.message
    return ""


def _signatures(
    asked: Asked, contract: Contract, record: ReleaseRecord, *, void: str, open_: bool
) -> tuple[Signature, ...]:
    asked_for = conditions.signing(contract, record)
    given = {one.role: one for one in record.sign_offs if one.release == record.id}
    twice = bool(contract.release and contract.release.two_roles_one_person)
    taken = {one.person for role, one in given.items() if role not in asked_for.missing}
    lines = []
    for role in Role:
        signed = given.get(role)
        if role not in asked_for.needed and signed is None:
            continue
        holders = contract.holders(role)
        left = (
            "" if signed is None or signed.person in holders else f"{signed.person} holds this role no longer"
        )
        person = asked.visitor.person
        mine = (
            open_
            and not void
            and role in asked_for.missing
            and person in holders
            and (twice or person not in taken)
        )
        lines.append(
            Signature(
                role=role,
                needed=role in asked_for.needed,
                holders=holders,
                person=signed.person if signed else None,
                at=signed.signed_at if signed else None,
                reason=signed.reason if signed else "",
                void=(void or left) if signed else "",
                mine=mine,
            )
        )
    return tuple(lines)


def _steps(contract: Contract, record: ReleaseRecord) -> tuple[tuple[str, str], ...]:
    """The whole way to live, and where the release is on it."""
    done, on_it = conditions.steps_done(record), record.stage in {ReleaseStage.SHADOW, ReleaseStage.CANARY}
    asked_for = (contract.release or ReleaseTerms()).rollout
    return tuple(
        (conditions.in_words(one), "now" if on_it and place == done else "done" if place <= done else "ahead")
        for place, one in enumerate(asked_for, start=1)
    )


def _next(record: ReleaseRecord, step: object) -> str:
    if record.stage not in {ReleaseStage.PROPOSED, ReleaseStage.SHADOW, ReleaseStage.CANARY}:
        return ""
    from geartrain.domain.contract import RolloutStep

    return conditions.in_words(step) if isinstance(step, RolloutStep) else "live, for all of the traffic"


def _outsider(asked: Asked, contract: Contract, release: str) -> Outcome | None:
    if asked.visitor.roles(contract):
        return None
    return _no(release, asked, f"{asked.visitor.person} holds no role in this product", "ask one of the team")


def _reason(asked: Asked) -> str:
    return asked.form.get("reason", "").strip()[:_LONGEST_REASON]


def _no(release: str, asked: Asked, reason: str, do: str = "") -> Outcome:
    return Denied(to=f"/products/{asked.product}/releases/{release}", reason=reason, do=do)


def _ended(asked: Asked, release: str, answer: Answer, said: str) -> Outcome:
    if isinstance(answer, Refusal):
        return _no(release, asked, answer.reason, answer.do)
    words = "; ".join((said, *answer.notes))
    return Done(to=f"/products/{asked.product}/releases/{release}", said=words)


_DOCUMENTS = (
    ("one-page.html", "One page for everybody"),
    ("model-card.md", "Model card"),
    ("technical-file.html", "Technical file"),
    ("ml-test-score.html", "Test score"),
    ("ml-bom.cdx.json", "Bill of materials"),
)
_AT = "/products/{product}/releases"
PAGES = (Page(path=f"{_AT}/{{release}}", template="release.html", view=release_view),)
ACTIONS = (
    Action(path=f"{_AT}/{{release}}/sign", act=sign),
    Action(path=f"{_AT}/{{release}}/waive", act=waive),
    Action(path=f"{_AT}/{{release}}/go-on", act=go_on),
    Action(path=f"{_AT}/{{release}}/abort", act=abort),
)
DOWNLOADS: tuple[Download, ...] = (Download(path=f"{_AT}/{{release}}/documents/{{document}}", file=document),)
