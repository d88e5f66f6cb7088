"""Changing the promise: edit a clause or the text, see what it means, propose, discuss, sign, adopt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from geartrain.contract.diff import ChangeKind, diff
from geartrain.contract.editing import Leaf, changed, leaves_of, spelled_out
from geartrain.contract.wording import promise_in_words
from geartrain.domain.contract import Contract
from geartrain.domain.roles import Role
from geartrain.engine import contract_changes as changes
from geartrain.engine.adopted import contract_once_in_force, read_contract_text, text_in_force
from geartrain.engine.contract_changes import Consequence, Proposal, Remark
from geartrain.engine.incident_drafts import incident_drafts
from geartrain.errors import ContractInvalid, ContractUnreadable, PageMissing, Problem
from geartrain.release.answers import Refusal
from geartrain.web.addresses import address
from geartrain.web.pages.standing import contract_of, words_of
from geartrain.web.paging import Action, Again, Denied, Done, Download, Outcome, Page
from geartrain.web.room import Asked

_LONGEST_WORDS = 4000
#: What a suggestion from another page may fill in.
_SUGGESTED = (
    "rises_with", "falls_with", "forbidden", "invariant_to", "largest_share", "cases", "at_most", "because",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class EditView:
    """What a person may change.

    Attributes:
        clause: The clause to edit, or empty where the whole text is edited.
        path: Where it stands in the text.
        sentence: The clause as it is in force, in the contract's own names; `words` in those that people use.
        leaves: Its values as the text spells them; None where the text does not spell it.
        promises: Each promise that has a form of its own, by its path; empty where one was chosen.
        text: The whole text.
        problems: What is wrong with what was written.
    """

    clause: str
    path: str
    sentence: str
    words: str
    leaves: tuple[Leaf, ...] | None
    text: str
    reason: str = ""
    problems: tuple[Problem, ...] = ()
    promises: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeLine:
    """One change of meaning."""

    path: str
    words: str
    before: str | None
    after: str | None
    kind: ChangeKind
    owner: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a changed text means: for the promise, for what is live, for who signs.

    Attributes:
        words: The promises of both contracts by their paths, in the names that people use.
    """

    changes: tuple[ChangeLine, ...]
    must_sign: tuple[Role, ...]
    consequences: tuple[Consequence, ...]
    live: str | None
    words: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewView:
    """A change before anybody else has seen it."""

    text: str
    reason: str
    meaning: Meaning


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleYes:
    """A role that must say yes to a proposal.

    Attributes:
        person: Who said it, or None.
        holders: Who may.
        mine: Whether the visitor may now.
    """

    role: Role
    person: str | None
    holders: tuple[str, ...]
    mine: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalView:
    """A proposal, what it means and how far it has come."""

    id: str
    by: str
    at: datetime
    reason: str
    closed: str | None
    stale: bool
    text: str
    meaning: Meaning
    remarks: tuple[Remark, ...]
    yeses: tuple[RoleYes, ...]
    ready: bool
    may_adopt: bool
    may_withdraw: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalLine:
    """A proposal among others."""

    id: str
    by: str
    at: datetime
    reason: str
    closed: str | None
    signed: tuple[Role, ...]
    remarks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalsView:
    """Every proposal, the latest first."""

    proposals: tuple[ProposalLine, ...]


def edit_view(asked: Asked) -> EditView:
    """The form for a clause (`?clause=`), a new one (`?add=`), an incident's draft (`?incident=`), or the text."""
    contract, text = contract_of(asked), _text(asked)
    if "incident" in asked.query:
        return _drafted(asked, text)
    named, added = asked.query.get("clause", ""), asked.query.get("add", "")
    if added:
        leaves = tuple(
            Leaf(name=one, value=asked.query.get(one, "")) for one in _SUGGESTED if one in asked.query
        )
        named_because = (
            leaves
            if any(one.name == "because" for one in leaves)
            else (*leaves, Leaf(name="because", value=""))
        )
        path = f"plausibility.{added}"
        return EditView(clause=path, path=path, sentence="", words="", leaves=named_because, text=text)
    clause = contract.clause(named)
    if named and clause is None:
        raise PageMissing("the contract in force has no such clause", found=named)
    path = _path_in_text(named)
    return EditView(
        clause=named,
        path=path,
        sentence=promise_in_words(clause) if clause else "",
        words=words_of(asked).promise(clause) if clause else "",
        leaves=leaves_of(text, path) if named else None,
        text=text,
        promises=() if named else _promises(asked, contract, text),
    )


def _promises(asked: Asked, contract: Contract, text: str) -> tuple[tuple[str, str], ...]:
    """What can be changed in a form: the promises that the text spells out, in the names that people use."""
    plain, places = words_of(asked), {one.path: _path_in_text(one.path) for one in contract.clauses}
    spelled = spelled_out(text, tuple(places.values()))
    return tuple((one.path, plain.promise(one)) for one in contract.clauses if places[one.path] in spelled)


def _drafted(asked: Asked, text: str) -> EditView:
    """The form with what an incident suggests filled in; the visitor may change it before the team sees it."""
    drafts = incident_drafts(asked.workspace, asked.product, asked.query["incident"])
    told = asked.query.get("draft", "1")
    place = int(told) if told.isascii() and told.isdigit() and len(told) < 4 else 0
    if not 1 <= place <= len(drafts):
        raise PageMissing("this incident suggests no such change", found=told[:64])
    draft = drafts[place - 1]
    standing = {one.name: one.value for one in leaves_of(text, draft.path) or ()}
    leaves = {**standing, **dict(draft.values)}
    return EditView(
        clause="",
        path=draft.path,
        sentence="",
        words="",
        leaves=tuple(Leaf(name=name, value=value) for name, value in leaves.items()),
        text=text,
        reason=draft.reason[:_LONGEST_WORDS],
    )


def preview(asked: Asked) -> Outcome:
    """Show what the change would mean; nothing is written down yet."""
    contract = contract_of(asked)
    text, reason = asked.form.get("text", ""), asked.form.get("reason", "").strip()[:_LONGEST_WORDS]
    path = asked.form.get("path", "")
    try:
        if path:
            values = {
                name.removeprefix("leaf-"): value
                for name, value in asked.form.items()
                if name.startswith("leaf-")
            }
            text = changed(_text(asked), path, values)
        wanted = read_contract_text(text.replace("\r\n", "\n"))
    except ContractInvalid as error:
        return _again(asked, path, text, reason, error.problems)
    except ContractUnreadable as error:
        problem = Problem(path="", line=0, column=0, message=error.message, found=error.found)
        return _again(asked, path, text, reason, (problem,))
    if wanted.id == contract.id:
        return _again(
            asked,
            path,
            text,
            reason,
            (Problem(path=path, line=0, column=0, message="it means the same as the contract in force"),),
        )
    view = PreviewView(text=text, reason=reason, meaning=_meaning(asked, contract, wanted))
    return Again(template="preview.html", view=view, status=200)


def propose(asked: Asked) -> Outcome:
    """Ask the team for the change."""
    reason = asked.form.get("reason", "").strip()[:_LONGEST_WORDS]
    if not reason:
        return Denied(
            to=_here(asked, "promise/propose"),
            reason="a proposal needs its reason",
            do="Say why, in a sentence",
        )
    made = changes.propose(
        asked.workspace,
        asked.product,
        text=asked.form.get("text", "").replace("\r\n", "\n"),
        reason=reason,
        person=asked.visitor.person,
        now=asked.now,
    )
    if isinstance(made, Refusal):
        return Denied(to=_here(asked, "promise/propose"), reason=made.reason, do=made.do)
    return Done(to=_proposal(asked, made.id), said="the team can see it, discuss it and sign it")


def proposals_view(asked: Asked) -> ProposalsView:
    """Every proposal, the latest first."""
    contract_of(asked)
    return ProposalsView(
        proposals=tuple(
            ProposalLine(
                id=one.id,
                by=one.by,
                at=one.at,
                reason=one.reason,
                closed=one.closed,
                signed=tuple(role for role, _ in one.signed),
                remarks=len(one.remarks),
            )
            for one in changes.proposals(asked.workspace, asked.product)
        )
    )


def proposal_view(asked: Asked) -> ProposalView:
    """One proposal: what it means, who said what, whose yes is missing."""
    contract, said = contract_of(asked), _asked_for(asked)
    text = asked.workspace.blobs.get(said.text).decode()
    stale = said.base != contract.id and said.closed is None
    base = contract if not stale and said.closed is None else _base_of(asked, said)
    meaning = _meaning(asked, base, read_contract_text(text))
    signed = dict(said.signed)
    is_holder = bool(asked.visitor.roles(contract))
    twice = bool(contract.release and contract.release.two_roles_one_person)
    free = twice or asked.visitor.person not in signed.values()
    yeses = tuple(
        RoleYes(
            role=role,
            person=signed.get(role),
            holders=base.holders(role),
            mine=role not in signed
            and free
            and not stale
            and said.closed is None
            and asked.visitor.person in contract.holders(role),
        )
        for role in meaning.must_sign
    )
    return ProposalView(
        id=said.id,
        by=said.by,
        at=said.at,
        reason=said.reason,
        closed=said.closed,
        stale=stale,
        text=text,
        meaning=meaning,
        remarks=said.remarks,
        yeses=yeses,
        ready=all(one.person for one in yeses) and said.closed is None and not stale,
        may_adopt=is_holder,
        may_withdraw=is_holder or asked.visitor.person == said.by,
    )


def discuss(asked: Asked) -> Outcome:
    """Say something about a proposal."""
    words, id_ = asked.form.get("words", "").strip()[:_LONGEST_WORDS], asked.names["proposal"]
    if not words:
        return Denied(to=_proposal(asked, id_), reason="nothing was said")
    refused = changes.discuss(
        asked.workspace, asked.product, id_, words=words, person=asked.visitor.person, now=asked.now
    )
    return _ended(asked, id_, refused, "said")


def sign(asked: Asked) -> Outcome:
    """Give a role's yes to a proposal."""
    id_, told = asked.names["proposal"], asked.form.get("role", "")
    if told not in set(Role):
        return Denied(to=_proposal(asked, id_), reason="there is no such role")
    refused = changes.sign(
        asked.workspace, asked.product, id_, role=Role(told), person=asked.visitor.person, now=asked.now
    )
    return _ended(asked, id_, refused, f"signed for {told}")


def withdraw(asked: Asked) -> Outcome:
    """Take a proposal back."""
    id_ = asked.names["proposal"]
    refused = changes.withdraw(
        asked.workspace,
        asked.product,
        id_,
        reason=asked.form.get("reason", "").strip()[:_LONGEST_WORDS] or "taken back",
        person=asked.visitor.person,
        now=asked.now,
    )
    return _ended(asked, id_, refused, "it was taken back")


def adopt(asked: Asked) -> Outcome:
    """Put the proposed contract into force."""
    id_ = asked.names["proposal"]
    refused = changes.adopt_proposal(
        asked.workspace, asked.product, id_, person=asked.visitor.person, now=asked.now
    )
    return _ended(asked, id_, refused, "the contract is in force; the live release was judged again by it")


def _meaning(asked: Asked, base: Contract, wanted: Contract) -> Meaning:
    difference, plain = diff(base, wanted), words_of(asked)
    words = {one.path: plain.promise(one) for contract in (base, wanted) for one in contract.clauses}
    return Meaning(
        words=tuple(words.items()),
        changes=tuple(
            ChangeLine(
                path=one.path,
                words=_about(one.path, words),
                before=one.before,
                after=one.after,
                kind=one.kind,
                owner=one.owner,
            )
            for one in difference.changes
        ),
        must_sign=difference.must_sign,
        consequences=changes.consequences(asked.workspace, asked.product, base, wanted, now=asked.now),
        live=asked.workspace.releases(asked.product).champion,
    )


def _about(path: str, words: Mapping[str, str]) -> str:
    """What a change is about: the promise that it touches, or a readable place in the contract."""
    clause = next((one for one in words if path == one or path.startswith(f"{one}.")), None)
    part = path.removeprefix(clause or "").strip(".").replace("_", " ")
    if clause is None:
        return part.replace(".", ", ")
    part = {"because": "reason"}.get(part, part)
    return f"{words[clause]}; its {part}" if part and part not in {"at most", "at least"} else words[clause]


def _again(asked: Asked, path: str, text: str, reason: str, problems: tuple[Problem, ...]) -> Again:
    leaves = None
    if path:
        leaves = tuple(
            Leaf(name=name.removeprefix("leaf-"), value=value)
            for name, value in asked.form.items()
            if name.startswith("leaf-")
        )
    view = EditView(
        clause=asked.form.get("clause", ""),
        path=path,
        sentence="",
        words="",
        leaves=leaves,
        text=text,
        reason=reason,
        problems=problems,
    )
    return Again(template="edit.html", view=view)


def _asked_for(asked: Asked) -> Proposal:
    said = changes.proposal(asked.workspace, asked.product, asked.names["proposal"])
    if said is None:
        raise PageMissing("there is no such proposal", found=asked.names["proposal"][:64])
    return said


def _base_of(asked: Asked, said: Proposal) -> Contract:
    """The contract that a proposal was made against, found among those that were ever in force."""
    base = contract_once_in_force(asked.workspace, asked.product, said.base)
    if base is not None:
        return base
    raise PageMissing("the contract that this was proposed against is not known here", found=said.base[:12])


def _text(asked: Asked) -> str:
    text = text_in_force(asked.workspace, asked.product)
    assert text is not None, "contract_of was asked before"
    return text


def _path_in_text(clause: str) -> str:
    """Where the text spells a clause: those of a source stand below `data.sources`."""
    section, _, rest = clause.partition(".")
    return f"data.sources.{rest}" if section == "data" else clause


def _here(asked: Asked, page: str) -> str:
    return address(f"/products/{asked.product}/{page}")


def _proposal(asked: Asked, id_: str) -> str:
    return _here(asked, f"promise/proposals/{id_}")


def _ended(asked: Asked, id_: str, refused: Refusal | None, said: str) -> Outcome:
    if refused is not None:
        return Denied(to=_proposal(asked, id_), reason=refused.reason, do=refused.do)
    return Done(to=_proposal(asked, id_), said=said)


_AT = "/products/{product}/promise"
PAGES = (
    Page(path=f"{_AT}/propose", template="edit.html", view=edit_view),
    Page(path=f"{_AT}/proposals", template="proposals.html", view=proposals_view),
    Page(path=f"{_AT}/proposals/{{proposal}}", template="proposal.html", view=proposal_view),
)
ACTIONS = (
    Action(path=f"{_AT}/preview", act=preview),
    Action(path=f"{_AT}/propose", act=propose),
    Action(path=f"{_AT}/proposals/{{proposal}}/discuss", act=discuss),
    Action(path=f"{_AT}/proposals/{{proposal}}/sign", act=sign),
    Action(path=f"{_AT}/proposals/{{proposal}}/withdraw", act=withdraw),
    Action(path=f"{_AT}/proposals/{{proposal}}/adopt", act=adopt),
)
DOWNLOADS: tuple[Download, ...] = ()
