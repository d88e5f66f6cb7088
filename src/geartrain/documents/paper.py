"""A document before it has a form: sections of text, lists and tables, then as Markdown or HTML.

Escaping lives here once for each form. No name, number or note from outside can add a
heading, a link, a script or a table column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from geartrain.domain.roles import Role

if TYPE_CHECKING:
    from jinja2 import Environment

_MARKUP = re.compile(r"([\\`*_{}\[\]#|~$])")
_ENTITY = re.compile(r"&(?=#?\w+;)")
#: What would begin a list, a rule or a heading at the start of a line.
_BEGINS = re.compile(r"\A(?:([-+=>])(?!\d)|(\d{1,9})([.)])(?!\S))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A paragraph; `strong` makes it stand out."""

    words: str
    strong: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table; every row has as many cells as the head."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What is not there, the role that owns it, and where it would come from."""

    what: str
    owner: Role
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a person wrote: by whom, in which file, and why it may no longer hold."""

    blocks: tuple[Text | Items, ...]
    by: str = ""
    where: str = ""
    flag: str = ""


Block = Text | Items | Table | Missing | Written


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section of a paper.

    Attributes:
        level: 2 for a chapter, 3 for a part of one.
        source: Where its statements come from, in a few words.
    """

    heading: str
    blocks: tuple[Block, ...]
    level: int = 2
    source: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A document without its form.

    Attributes:
        lead: One or two sentences under the title.
        colophon: What it was made from, at the very end.
        kind: Its name among the documents, such as `technical-file`.
    """

    kind: str
    title: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...]
    colophon: str = ""

    @property
    def missing(self) -> tuple[Missing, ...]:
        """Everything that it says is missing, in order."""
        return tuple(one for section in self.sections for one in section.blocks if isinstance(one, Missing))


def part(heading: str, blocks: tuple[Block, ...], source: str) -> Section:
    """A part of a chapter, with where its statements come from."""
    return Section(heading=heading, blocks=blocks, level=3, source=source)


def to_markdown(paper: Paper) -> str:
    """The paper as GitHub-flavoured Markdown; everything from outside is escaped."""
    parts = [f"# {escaped(paper.title)}", *(escaped(one) for one in paper.lead)]
    for section in paper.sections:
        parts.append(f"{'#' * section.level} {escaped(section.heading)}")
        for block in section.blocks:
            parts.extend(_markdown(block))
        if section.source:
            parts.append(f"*Source: {escaped(section.source)}.*")
    if paper.colophon:
        parts += ["---", escaped(paper.colophon)]
    return "\n\n".join(parts) + "\n"


def to_html(paper: Paper) -> str:
    """The paper as one self-contained HTML page for screen and paper."""
    return _environment().get_template("paper.html").render(paper=paper)


def escaped(value: object) -> str:
    r"""*value* on one line of Markdown, as it is meant to be read.

    >>> print(escaped("<b>1_000</b>"), escaped("1. [x](y)"))
    &lt;b>1\_000&lt;/b> 1\. \[x\](y)
    """
    text = _MARKUP.sub(r"\\\1", " ".join(_readable(str(value)).split()))
    text = _ENTITY.sub("&amp;", text).replace("<", "&lt;")
    return _BEGINS.sub(lambda found: f"\\{found[1]}" if found[1] else f"{found[2]}\\{found[3]}", text)


def _markdown(block: Block) -> Iterator[str]:
    match block:
        case Text():
            yield f"**{escaped(block.words)}**" if block.strong else escaped(block.words)
        case Items():
            yield "\n".join(f"- {escaped(one)}" for one in block.items)
        case Table():
            yield _table(block.head, block.rows)
        case Missing():
            yield f"**Missing:** {escaped(missing_words(block))}"
        case Written():
            if block.flag:
                yield f"**Read again:** {escaped(block.flag)}."
            for one in block.blocks:
                yield from _markdown(one)
            yield f"*{escaped(signed_words(block))}*"


def missing_words(block: Missing) -> str:
    """What is missing, and who can change that."""
    where = f"; it belongs into {block.where}" if block.where else ""
    return f"{block.what}. That is the role {block.owner}'s{where}."


def signed_words(block: Written) -> str:
    """Who wrote a note, and where it lies."""
    return f"Written by {block.by or 'somebody who gave no name'}, in {block.where}."


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(escaped(one) for one in head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(escaped(one) for one in row) + " |" for row in rows]
    return "\n".join(lines)


def _readable(text: str) -> str:
    """*text* without characters that turn the reading direction or that no page can hold."""
    return "".join(one for one in text if one.isprintable() or one.isspace())


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("geartrain.documents", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        missing_words=missing_words,
        signed_words=signed_words,
        kind_of=lambda block: type(block).__name__,
        readable=_readable,
    )
    environment.filters["readable"] = _readable
    return environment
