"""What a change of the contract means: which promises became tighter or looser, and who signs again.

A diff compares meanings, not lines: another order, another spelling of a duration or a
new comment changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from geartrain.contract.units import number
from geartrain.contract.wording import bound_in_words
from geartrain.domain.clause import Clause, Comparison, Severity
from geartrain.domain.contract import Contract, Term
from geartrain.domain.roles import Role


class ChangeKind(StrEnum):
    """What a change asks of the product: more, less, something else, something new or nothing any more."""

    TIGHTER = "tighter"
    LOOSER = "looser"
    DIFFERENT = "different"
    ADDED = "added"
    REMOVED = "removed"


_OPPOSITE = {ChangeKind.TIGHTER: ChangeKind.LOOSER, ChangeKind.LOOSER: ChangeKind.TIGHTER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that the new contract says differently.

    Attributes:
        path: The clause or term, and for a clause which part of it.
        before: What the old contract said, None where it said nothing.
        after: What the new one says, None where it says nothing.
        owner: Who answers for it now (or did, where it was removed).
    """

    path: str
    before: str | None
    after: str | None
    kind: ChangeKind
    owner: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractDiff:
    """What changed from one contract to another.

    Attributes:
        old: The old contract's id.
        new: The new contract's id.
        changes: By path; empty where the two mean the same.
        must_sign: The roles that must sign again.
    """

    old: str
    new: str
    changes: tuple[Change, ...]
    must_sign: tuple[Role, ...]


def diff(old: Contract, new: Contract) -> ContractDiff:
    """Say what *new* promises differently from *old*.

    The owners of what changed sign again; where costs or success changed, product does too.
    """
    changes = sorted((*_clause_changes(old, new), *_term_changes(old, new)), key=lambda one: one.path)
    called = {change.owner for change in changes} | _former_owners(old, new)
    if any(change.path.startswith(("costs.", "success.")) for change in changes):
        called.add(Role.PRODUCT)
    return ContractDiff(
        old=old.id,
        new=new.id,
        changes=tuple(changes),
        must_sign=tuple(role for role in Role if role in called),
    )


def describe(changed: ContractDiff) -> str:
    """The diff in words, one change a line and who signs again at the end."""
    if not changed.changes:
        return "the two contracts mean the same"
    lines = [_line(change) for change in changed.changes]
    roles = ", ".join(changed.must_sign)
    return "\n".join([*lines, f"must sign again: {roles}"])


def _line(change: Change) -> str:
    match change.kind:
        case ChangeKind.ADDED:
            return f"{change.path}: {change.after} (added), owner {change.owner}"
        case ChangeKind.REMOVED:
            return f"{change.path}: was {change.before} (removed), owner {change.owner}"
        case _:
            return f"{change.path}: {change.before} -> {change.after} ({change.kind}), owner {change.owner}"


def _former_owners(old: Contract, new: Contract) -> set[Role]:
    """Who gave a clause away agrees to it as well as who takes it."""
    now = {clause.path: clause.owner for clause in new.clauses}
    return {clause.owner for clause in old.clauses if now.get(clause.path, clause.owner) is not clause.owner}


def _clause_changes(old: Contract, new: Contract) -> Iterator[Change]:
    before = {clause.path: clause for clause in old.clauses}
    after = {clause.path: clause for clause in new.clauses}
    for path in before.keys() | after.keys():
        was, now = before.get(path), after.get(path)
        if was is not None and now is not None:
            yield from _differences(was, now)
        elif now is not None:
            yield Change(
                path=path, before=None, after=bound_in_words(now), kind=ChangeKind.ADDED, owner=now.owner
            )
        elif was is not None:
            yield Change(
                path=path, before=bound_in_words(was), after=None, kind=ChangeKind.REMOVED, owner=was.owner
            )


def _differences(was: Clause, now: Clause) -> Iterator[Change]:
    def change(part: str, before: object, after: object, kind: ChangeKind = ChangeKind.DIFFERENT) -> Change:
        return Change(
            path=f"{now.path}.{part}", before=_said(before), after=_said(after), kind=kind, owner=now.owner
        )

    for part in ("metric", "comparison", "unit", "relative_to", "where", "owner", "because"):
        if getattr(was, part) != getattr(now, part):
            yield change(part, getattr(was, part), getattr(now, part))
    parameters = {**dict.fromkeys(dict(was.parameters)), **dict.fromkeys(dict(now.parameters))}
    for name in parameters:
        if was.parameter(name) != now.parameter(name):
            kind = _of_group_size(was, now) if name == "smallest_group" else ChangeKind.DIFFERENT
            yield change(name, was.parameter(name), now.parameter(name), kind)
    if was.bound != now.bound:
        comparable = question(was) == question(now)
        kind = _of_bound(was, now) if comparable else ChangeKind.DIFFERENT
        yield change(now.comparison.value, number(was.bound), number(now.bound), kind)
    if was.severity is not now.severity:
        stricter = now.severity is Severity.BLOCK
        yield change(
            "severity", was.severity, now.severity, ChangeKind.TIGHTER if stricter else ChangeKind.LOOSER
        )
    if was.stages != now.stages:
        yield change("stages", was.stages, now.stages, _of_stages(was, now))


def question(clause: Clause) -> tuple[object, ...]:
    """What the clause asks of evidence: two clauses with one question differ at most in how much is enough."""
    return (
        clause.metric,
        clause.comparison,
        clause.unit,
        clause.relative_to,
        clause.where,
        tuple((name, value) for name, value in clause.parameters if name != "smallest_group"),
    )


def _of_bound(was: Clause, now: Clause) -> ChangeKind:
    more = now.bound > was.bound
    return ChangeKind.TIGHTER if more is (now.comparison is Comparison.AT_LEAST) else ChangeKind.LOOSER


def _of_group_size(was: Clause, now: Clause) -> ChangeKind:
    """Judging smaller groups too asks more."""
    before, after = was.parameter("smallest_group"), now.parameter("smallest_group")
    if not isinstance(before, int) or not isinstance(after, int):
        return ChangeKind.DIFFERENT
    return ChangeKind.TIGHTER if after < before else ChangeKind.LOOSER


def _of_stages(was: Clause, now: Clause) -> ChangeKind:
    before, after = set(was.stages), set(now.stages)
    if before < after:
        return ChangeKind.TIGHTER
    return ChangeKind.LOOSER if after < before else ChangeKind.DIFFERENT


def _term_changes(old: Contract, new: Contract) -> Iterator[Change]:
    before = {term.path: term for term in old.terms}
    after = {term.path: term for term in new.terms}
    for path in before.keys() | after.keys():
        was, now = before.get(path), after.get(path)
        if was is not None and now is not None:
            if was.value != now.value:
                yield Change(
                    path=path, before=was.value, after=now.value, kind=_of_terms(was, now), owner=now.owner
                )
        elif now is not None:
            yield Change(path=path, before=None, after=now.value, kind=ChangeKind.ADDED, owner=now.owner)
        elif was is not None:
            yield Change(path=path, before=was.value, after=None, kind=ChangeKind.REMOVED, owner=was.owner)


def _of_terms(was: Term, now: Term) -> ChangeKind:
    before, after = _amount(was.value), _amount(now.value)
    if now.tighter_when is None or before is None or after is None or before == after:
        return ChangeKind.DIFFERENT
    kind = ChangeKind.TIGHTER if after > before else ChangeKind.LOOSER
    return kind if now.tighter_when == "higher" else _OPPOSITE[kind]


def _amount(value: str) -> float | None:
    """The number that *value* is, its unit left aside (a term's unit is always the same); None for expressions."""
    try:
        return float(value.removesuffix(" per second"))
    except ValueError:
        return None


def _said(value: object) -> str:
    match value:
        case None | "":
            return "nothing"
        case tuple():
            return ", ".join(_said(item) for item in value)
        case StrEnum():
            return value.value.replace("_", " ")
        case bool():
            return "true" if value else "false"
        case int() | float():
            return number(value)
        case _:
            return str(value)
