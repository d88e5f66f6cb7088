"""What people write for the documents: asked for by section, kept in files of its own, never generated.

A note is one Markdown file, `prose/<document>/<section>.md` in the product's folder. The
documents include it and say who wrote it and for what; nothing that makes documents ever
writes into it. That separation is the lesson of model cards that lost people's edits
whenever they were built again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from geartrain.documents.paper import Block, Items, Missing, Text, Written
from geartrain.domain.digest import short
from geartrain.domain.roles import Role

#: The folder in the product's own that holds the notes.
FOLDER = "prose"

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_HEADER = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_LINE = re.compile(r"\s*(\w+)\s*:\s*(.*?)\s*(?:#.*)?")
_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])\s+(.*)")
_HEADING = re.compile(r"\s*#{1,6}\s+(.*?)\s*#*\s*")
_ID = re.compile(r"\b[0-9a-f]{8,64}\b")


class Binds(StrEnum):
    """What a note speaks about, and so what makes it stale: one release, or the contract."""

    RELEASE = "release"
    CONTRACT = "contract"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A statement that only a person can make.

    Attributes:
        question: What it should say.
        missing: What is missing while nobody wrote it.
        owner: The role that answers for it.
    """

    document: str
    section: str
    missing: str
    question: str
    owner: Role
    binds: Binds = Binds.CONTRACT

    @property
    def path(self) -> str:
        """Where it is written, from the product's folder."""
        return f"{FOLDER}/{self.document}/{self.section}.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a person wrote for one section.

    Attributes:
        by: Who, as the file's header says it; empty where it does not.
        release: The release, or its beginning, that the writer had in mind; empty where not said.
        contract: The same for the contract.
    """

    document: str
    section: str
    text: str
    by: str = ""
    release: str = ""
    contract: str = ""

    @property
    def path(self) -> str:
        """Where it lies, from the product's folder."""
        return f"{FOLDER}/{self.document}/{self.section}.md"

    @property
    def empty(self) -> bool:
        """Whether nothing was written: a file with a header and a question only."""
        return not self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the documents are about: a note that names something else is flagged."""

    release: str
    contract: str
    others: tuple[str, ...] = field(default=())


def read_note(document: str, section: str, content: str) -> Note:
    r"""The note in a file's *content*: a header between two lines of `---`, comments, and words.

    The header may say `by`, `release` and `contract`. Its values are plain text, not YAML:
    an id such as `1e5` must not become a number.

    >>> note = read_note("model-card", "caveats", "---\nby: Bo\nrelease: ab12\n---\n<!-- ? -->\nRead twice.\n")
    >>> note.by, note.release, note.text
    ('Bo', 'ab12', 'Read twice.')
    """
    content = content.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}").replace("\r\n", "\n")
    told: dict[str, str] = {}
    if header := _HEADER.match(content):
        content = content[header.end() :]
        for line in header.group(1).splitlines():
            if said := _LINE.fullmatch(line):
                told[said.group(1)] = said.group(2).strip("\"'")
    return Note(
        document=document,
        section=section,
        text=_COMMENT.sub("", content).strip(),
        by=told.get("by", ""),
        release=told.get("release", ""),
        contract=told.get("contract", ""),
    )


def begun(ask: Ask, about: About) -> str:
    """The file to begin with: a header and the question, which count as nothing written."""
    bound = about.release if ask.binds is Binds.RELEASE else about.contract
    return (
        f"---\nby:\n{ask.binds}: {short(bound)}\n---\n"
        f"<!-- {ask.question}\n     Asked of: {ask.owner}. Paragraphs and lists are kept; other markup is shown as typed. -->\n"
    )


def flag(note: Note, about: About) -> str:
    """Why *note* may no longer hold, or an empty text where it names what the document is about.

    Ids of other releases in the text itself are found too.
    """
    said = []
    for what, named, now in (
        ("release", note.release, about.release),
        ("contract", note.contract, about.contract),
    ):
        if named and not (len(named) >= 4 and now.startswith(named)):
            said.append(f"written for {what} {short(named)}, now {short(now)}")
    if not note.release and not note.contract:
        said.append("it does not say for which release or contract it was written")
    told = {
        one
        for mention in _ID.findall(note.text)
        for one in about.others
        if one.startswith(mention) and not about.release.startswith(mention)
    }
    said += [f"it speaks of release {short(one)}, this is {short(about.release)}" for one in sorted(told)]
    return "; ".join(said)


def answer(ask: Ask, notes: Iterable[Note], about: About) -> Block:
    """What was written where *ask* asks, with its writer and flag; or that it is missing, and whose it is."""
    note = next((one for one in notes if (one.document, one.section) == (ask.document, ask.section)), None)
    if note is None or note.empty:
        return Missing(what=ask.missing, owner=ask.owner, where=ask.path)
    return written(note, about)


def written(note: Note, about: About) -> Written:
    """The note as a block of a document."""
    return Written(blocks=blocks_of(note.text), by=note.by, where=note.path, flag=flag(note, about))


def blocks_of(text: str) -> tuple[Text | Items, ...]:
    r"""Paragraphs, lists and headings of *text*; all other markup stays what was typed.

    >>> [type(one).__name__ for one in blocks_of("Read it.\n\n- once\n- twice\n\n# Then")]
    ['Text', 'Items', 'Text']
    """
    found: list[Text | Items] = []
    words: list[str] = []
    items: list[str] = []

    def end() -> None:
        if words:
            found.append(Text(words=" ".join(words)))
        if items:
            found.append(Items(items=tuple(items)))
        words.clear()
        items.clear()

    for line in text.splitlines():
        if not line.strip():
            end()
        elif heading := _HEADING.fullmatch(line):
            end()
            found.append(Text(words=heading.group(1), strong=True))
        elif item := _ITEM.fullmatch(line):
            if words:
                end()
            items.append(item.group(1))
        elif items:
            items[-1] += " " + line.strip()
        else:
            words.append(line.strip())
    end()
    return tuple(found)
