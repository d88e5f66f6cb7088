"""What a schema of another tool says, in this contract's words, with everything that it says besides named.

A schema that is taken over becomes the text of the `data` section, for people to read,
change and sign. Nothing is dropped in silence: what has no place here stands in `notes`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_DEFAULTS: dict[str, object] = {"required": False, "unique": False, "missing": "unknown", "sensitive": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A foreign schema as it was taken over.

    Attributes:
        sources: For each source what stands under `data.sources`.
        notes: What was said and has no place in the contract, each with where it stood.
    """

    sources: Mapping[str, Mapping[str, Any]]
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """The `data` section as YAML, the notes as comments in front."""
        import yaml

        lines = [f"# not taken over: {note}" for note in self.notes]
        body = yaml.safe_dump(
            {"data": {"sources": {name: dict(source) for name, source in self.sources.items()}}},
            sort_keys=False,
            allow_unicode=True,
            width=110,
        )
        return "\n".join([*lines, body])


@dataclass(slots=True, kw_only=True)
class Draft:
    """A source while it is being taken over; *name* stands before every note.

    Attributes:
        from_elsewhere: Whether somebody else wrote it, whose keys are never missing.
    """

    name: str
    terms: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    from_elsewhere: bool = True

    def note(self, where: str, what: str) -> None:
        """Name something that has no place here."""
        self.notes.append(f"{self.name}.{where}: {what}" if where else f"{self.name}: {what}")

    def finished(self) -> dict[str, Any]:
        """The source as the contract writes it; what is usual is left out."""
        fields = {
            name: {
                key: value
                for key, value in terms.items()
                if value is not None and value != _DEFAULTS.get(key)
            }
            for name, terms in self.fields.items()
        }
        if "kind" not in self.terms:
            self.note("", "which rows are decided about is not said; `kind: events` was written, look at it")
            self.terms = {"kind": "events", **self.terms}
        if "key" not in self.terms:
            self.note("", "no single column names a row; `key: row_id` was written, look at it")
            self.terms["key"] = "row_id"
        return {**self.terms, "fields": fields}


def taken_over(drafts: list[Draft], notes: tuple[str, ...] = ()) -> Taken:
    """The finished drafts together."""
    sources = {draft.name: draft.finished() for draft in drafts}
    return Taken(sources=sources, notes=(*notes, *(note for draft in drafts for note in draft.notes)))


def slug(name: str) -> str:
    """A source's name as the contract allows it.

    >>> slug("Tx Table")
    'tx-table'
    """
    return re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-_").lstrip("-_0123456789") or "source"


def anchored(pattern: str) -> str:
    """A pattern for the whole text as tools want it that search anywhere in the text.

    >>> anchored("[A-Z]+"), anchored("a|b")
    ('^[A-Z]+$', '^(?:a|b)$')
    """
    return f"^(?:{pattern})$" if "|" in pattern else f"^{pattern}$"


def whole_pattern(pattern: str, *, start: bool = False) -> str:
    """A pattern that may stand anywhere in the text (or at its *start*) as one for the whole text.

    >>> whole_pattern("^[A-Z]+$"), whole_pattern("^DE"), whole_pattern("x")
    ('[A-Z]+', 'DE.*', '.*x.*')
    """
    inner = pattern[4:-2] if pattern.startswith("^(?:") and pattern.endswith(")$") else ""
    if inner and anchored(inner) == pattern and _is_pattern(inner):
        return inner
    begins = pattern.startswith("^") or start
    ends = pattern.endswith("$") and not pattern.endswith("\\$")
    core = pattern.removeprefix("^")
    core = core[:-1] if ends else core
    if "|" in core and not (core.startswith("(?:") and core.endswith(")")):
        core = f"(?:{core})"
    return ("" if begins else ".*") + core + ("" if ends else ".*")


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def length_pattern(least: int | None, most: int | None) -> str:
    """A pattern for text of a length.

    >>> length_pattern(2, None)
    '(?s).{2,}'
    """
    return f"(?s).{{{least or 0},{'' if most is None else most}}}"
