"""What a new schema asks of rows compared with the old one: tighter, looser or different, field by field.

A row that keeps the tighter schema keeps the looser one too. So a change that is only
looser breaks no delivery; a tighter one may send rows to quarantine; a different one may
change what values mean, and what was learned from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from geartrain.contract.diff import ChangeKind
from geartrain.domain.contract import FieldTerms, FieldType, SourceTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaChange:
    """One change of one source, such as `parcels.weight: required (tighter)`."""

    path: str
    what: str
    kind: ChangeKind

    def __str__(self) -> str:
        return f"{self.path}: {self.what} ({self.kind})"


def schema_changes(old: tuple[SourceTerms, ...], new: tuple[SourceTerms, ...]) -> tuple[SchemaChange, ...]:
    """Every change from *old* to *new*, by path.

    >>> one = SourceTerms(name="s", kind="events", key="id")
    >>> two = SourceTerms(name="s", kind="events", key="id", fields=(FieldTerms(name="n", type=FieldType.NUMBER),))
    >>> [str(change) for change in schema_changes((one,), (two,))]
    ['s.n: new, may be missing (looser)']
    """
    before, after = {one.name: one for one in old}, {one.name: one for one in new}
    found: list[SchemaChange] = []
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            found.append(SchemaChange(path=name, what="a new source", kind=ChangeKind.LOOSER))
        elif name not in after:
            found.append(SchemaChange(path=name, what="the source is gone", kind=ChangeKind.DIFFERENT))
        else:
            found += _of_source(before[name], after[name])
    return tuple(found)


def _of_source(was: SourceTerms, now: SourceTerms) -> Iterator[SchemaChange]:
    for part in ("kind", "key", "event_time", "arrival_time", "decision_key"):
        if getattr(was, part) != getattr(now, part):
            what = f"{getattr(was, part)} -> {getattr(now, part)}"
            yield SchemaChange(path=f"{now.name}.{part}", what=what, kind=ChangeKind.DIFFERENT)
    before, after = dict(was.rules), dict(now.rules)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            kind = (
                ChangeKind.TIGHTER
                if name not in before
                else ChangeKind.LOOSER
                if name not in after
                else ChangeKind.DIFFERENT
            )
            yield SchemaChange(
                path=f"{now.name}.rules.{name}", what=f"{before.get(name)} -> {after.get(name)}", kind=kind
            )
    held, given = {one.name: one for one in was.fields}, {one.name: one for one in now.fields}
    for name in sorted(held.keys() | given.keys()):
        path = f"{now.name}.{name}"
        if name not in held:
            asked = given[name].required
            yield SchemaChange(
                path=path,
                what="new, required" if asked else "new, may be missing",
                kind=ChangeKind.TIGHTER if asked else ChangeKind.LOOSER,
            )
        elif name not in given:
            yield SchemaChange(path=path, what="is not asked for any more", kind=ChangeKind.LOOSER)
        else:
            yield from _of_field(path, held[name], given[name])


def _of_field(path: str, was: FieldTerms, now: FieldTerms) -> Iterator[SchemaChange]:
    if was.type is not now.type:
        # Every whole number is a number and every name is a text; nothing else holds the other's values.
        wider = {(FieldType.INTEGER, FieldType.NUMBER), (FieldType.STRING, FieldType.TEXT)}
        kind = (
            ChangeKind.LOOSER
            if (was.type, now.type) in wider
            else ChangeKind.TIGHTER
            if (now.type, was.type) in wider
            else ChangeKind.DIFFERENT
        )
        yield SchemaChange(path=path, what=f"type {was.type} -> {now.type}", kind=kind)
    for part in ("required", "unique"):
        if getattr(was, part) != getattr(now, part):
            said = getattr(now, part)
            yield SchemaChange(
                path=path,
                what=part if said else f"no longer {part}",
                kind=ChangeKind.TIGHTER if said else ChangeKind.LOOSER,
            )
    for part, word, sign in (("minimum", "min", 1), ("maximum", "max", -1)):
        before, after = getattr(was, part), getattr(now, part)
        if before != after:
            tighter = before is None or (after is not None and (after - before) * sign > 0)
            yield SchemaChange(
                path=path,
                what=f"{word} {_said(before)} -> {_said(after)}",
                kind=ChangeKind.TIGHTER if tighter else ChangeKind.LOOSER,
            )
    if was.values != now.values:
        yield SchemaChange(path=path, what=_values_said(was, now), kind=_of_values(was, now))
    for part in ("pattern", "refers_to", "file_digest"):
        before, after = getattr(was, part), getattr(now, part)
        if before != after:
            kind = (
                ChangeKind.TIGHTER
                if before is None
                else ChangeKind.LOOSER
                if after is None
                else ChangeKind.DIFFERENT
            )
            yield SchemaChange(path=path, what=f"{part} {_said(before)} -> {_said(after)}", kind=kind)
    for part in ("unit", "path", "missing"):
        if getattr(was, part) != getattr(now, part):
            what = f"{part} {_said(getattr(was, part))} -> {_said(getattr(now, part))}"
            yield SchemaChange(path=path, what=what, kind=ChangeKind.DIFFERENT)


def _of_values(was: FieldTerms, now: FieldTerms) -> ChangeKind:
    before, after = set(was.values), set(now.values)
    if not before or (after and after < before):
        return ChangeKind.TIGHTER
    return ChangeKind.LOOSER if not after or before < after else ChangeKind.DIFFERENT


def _values_said(was: FieldTerms, now: FieldTerms) -> str:
    if not was.values or not now.values:
        return f"values {_said(', '.join(was.values))} -> {_said(', '.join(now.values))}"
    more, gone = sorted(set(now.values) - set(was.values)), sorted(set(was.values) - set(now.values))
    parts = [f"more values: {', '.join(more)}"] * bool(more) + [f"fewer values: {', '.join(gone)}"] * bool(
        gone
    )
    return "; ".join(parts) or "the values stand in another order"


def _said(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value or "nothing")
