"""Files of rows: CSV, Parquet, NDJSON. What a file claims to be is checked, never guessed silently.

A text file's separator, decimal sign and days are found from its own cells and told by
`understand`; where they leave a doubt the file is refused with the readings, and
`CsvTerms` say which one is meant. A line that does not fit the header is kept whole in the column
`_unreadable`, and the door sends it to quarantine: nothing is dropped.
"""

from __future__ import annotations

import io
from csv import Error as CsvError
from csv import reader as csv_lines
from csv import writer as csv_writer
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import polars as pl

from geartrain.data.csv_columns import NUMBER, typed
from geartrain.data.dialect import Conventions, Doubt, conventions
from geartrain.data.documents import UNREADABLE, flat, read_lines
from geartrain.domain.contract import CsvTerms, SourceTerms
from geartrain.errors import SourceUnreadable

SEPARATORS = (",", ";", "\t", "|")
_MAGIC = b"PAR1"
_SAMPLE_CHARACTERS = 100_000
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


class Format(StrEnum):
    """The file formats that rows come in."""

    CSV = "csv"
    PARQUET = "parquet"
    NDJSON = "ndjson"


_ENDINGS = {
    ".csv": Format.CSV,
    ".tsv": Format.CSV,
    ".txt": Format.CSV,
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
    ".ndjson": Format.NDJSON,
    ".jsonl": Format.NDJSON,
}

#: What to do about content that is not what the file's name, or whoever sent it, says.
_MISNAMED = "rename a file, so that it ends as its content is: .csv, .parquet or .ndjson"
_AS_FOUND = CsvTerms()
_BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a file is written.

    Attributes:
        separator: CSV: what stands between values, else empty.
        decimal_comma: CSV: whether `3,14` is a number.
        thousands: CSV: what groups the digits of numbers, empty where nothing does.
        dates: CSV: the columns of days that are not written as in ISO 8601, each with its way.
    """

    format: Format
    separator: str = ""
    decimal_comma: bool = False
    thousands: str = ""
    encoding: str = "utf-8"
    dates: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        if self.format is not Format.CSV:
            return str(self.format)
        sign = "decimal comma" if self.decimal_comma else "decimal point"
        parts = ["csv", f"separated by {_NAMES[self.separator]}", sign]
        if self.thousands:
            parts.append(f"thousands set apart by `{self.thousands}`")
        if self.encoding != "utf-8":
            parts.append(f"encoded as {self.encoding}")
        parts += [f"days in `{name}` written as {shape}" for name, shape in self.dates]
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Understood:
    """A file as it was understood; with a doubt that must be settled first, its rows are only a preview."""

    form: Form
    rows: pl.DataFrame
    doubts: tuple[Doubt, ...] = ()


def read_rows(
    path: str | Path,
    *,
    format: str | None = None,  # noqa: A002 - the contract's word
    source: SourceTerms | None = None,
    csv: CsvTerms | None = None,
) -> pl.DataFrame:
    """The rows of the file at *path*, in its own columns.

    Whole columns of numbers and truths get their type; everything else stays text for
    the door, so that `007` and `2026-01-02` are not changed on the way in. Nested values are JSON text.
    *source* tells which columns are numbers and times; *csv*, before what *source* says of
    itself, how they are written.

    Raises:
        SourceUnreadable: It is not there, empty, half-written, not in its format, or may be read in several ways.
    """
    found = understand(path, format=format, source=source, csv=csv)
    return settled(found, where=str(path)).rows


def settled(found: Understood, *, where: str) -> Understood:
    """*found*, if it leaves nothing open that matters.

    Raises:
        SourceUnreadable: It may be read in several ways; each is told.
    """
    open_ = [doubt for doubt in found.doubts if not doubt.settles]
    if open_:
        raise SourceUnreadable(
            "the file can be read in more than one way, and nobody has said which is meant",
            where=where,
            found="; ".join(str(doubt) for doubt in open_),
            hint=f"say it with `{open_[0].readings[0][0]}` or another reading,"
            " or once for all under `csv:` of the source in product.yaml",
        )
    return found


def detect_form(path: str | Path, *, format: str | None = None) -> Form:  # noqa: A002 - the contract's word
    """How the file at *path* is written, for telling the person what was found.

    Raises:
        SourceUnreadable: It cannot be read at all.
    """
    return understand(path, format=format).form


def understand(
    path: str | Path,
    *,
    format: str | None = None,  # noqa: A002 - the contract's word
    source: SourceTerms | None = None,
    csv: CsvTerms | None = None,
) -> Understood:
    """The file at *path* as `read_rows` would read it, with what it leaves open.

    Raises:
        SourceUnreadable: It is not there, empty, half-written, or not in its format.
    """
    path = Path(path)
    content = _content(path)
    return understand_bytes(content, _claimed(path, content, format), where=str(path), source=source, csv=csv)


def read_bytes(
    content: bytes,
    format: Format,  # noqa: A002 - the contract's word
    *,
    where: str,
    source: SourceTerms | None = None,
    csv: CsvTerms | None = None,
) -> pl.DataFrame:
    """The rows in *content*; *where* is its name in errors.

    Raises:
        SourceUnreadable: It is empty, half-written, not in its format, or may be read in several ways.
    """
    found = understand_bytes(content, format, where=where, source=source, csv=csv)
    return settled(found, where=where).rows


def understand_bytes(
    content: bytes,
    format: Format,  # noqa: A002 - the contract's word
    *,
    where: str,
    source: SourceTerms | None = None,
    csv: CsvTerms | None = None,
) -> Understood:
    """The rows in *content* and what they leave open.

    Raises:
        SourceUnreadable: It is empty, half-written, or not in its format.
    """
    if not content.strip():
        raise SourceUnreadable("the file is empty", where=where, hint="ask its sender for the rows")
    match format:
        case Format.CSV:
            said = _together(csv, source.csv if source is not None else None)
            text, encoding = _text(content, where, said.encoding)
            return _read_csv(text, where, said, source, encoding)
        case Format.PARQUET:
            return Understood(form=Form(format=format), rows=_read_parquet(content, where))
        case Format.NDJSON:
            return Understood(form=Form(format=format), rows=_read_ndjson(content, where))


def _together(first: CsvTerms | None, then: CsvTerms | None) -> CsvTerms:
    """What either says; *first* wins."""
    one, other = first or _AS_FOUND, then or _AS_FOUND
    return CsvTerms(
        separator=one.separator or other.separator,
        decimal=one.decimal or other.decimal,
        thousands=one.thousands or other.thousands,
        encoding=one.encoding or other.encoding,
        dates=one.dates or other.dates,
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceUnreadable(
            "the file cannot be opened", where=str(path), found=error.strerror or str(error),
            hint="check the path and that this user may read it",
        ) from error  # fmt: skip


def _claimed(path: Path, content: bytes, format: str | None) -> Format:  # noqa: A002 - the contract's word
    known = ", ".join(Format)
    if format is not None and format not in Format.__members__.values():
        raise SourceUnreadable(
            "this format is not known", where=str(path), found=format, hint=f"known: {known}"
        )
    claimed = Format(format) if format is not None else _ENDINGS.get(path.suffix.lower())
    if claimed is None:
        raise SourceUnreadable(
            "the file's name does not tell its format",
            where=str(path),
            hint=f"rename it, so that its name ends as its content is: {', '.join(_ENDINGS)}",
        )
    if claimed is not Format.PARQUET and content[:4] == _MAGIC:
        raise SourceUnreadable(
            f"this is not {claimed}",
            where=str(path),
            found="a Parquet file",
            hint="rename it to end in .parquet",
        )
    return claimed


def _text(content: bytes, where: str, encoding: str | None = None) -> tuple[str, str]:
    """The text and how it was encoded: as told, as its first bytes say, or UTF-8. Nothing else is tried."""
    marked = next((name for mark, name in _BYTE_ORDER_MARKS if content.startswith(mark)), None)
    name = marked or encoding or "utf-8"
    try:
        text = content.decode(name)
    except UnicodeError as error:
        place = getattr(error, "start", 0)
        begin = max(0, place - 10)
        sample = content[begin : place + 10]
        readings = ", ".join(
            f"`--encoding {one}` reads {sample.decode(one, errors='replace')!r}"
            for one in ("cp1252", "latin-1")
        )
        raise SourceUnreadable(
            "the file is not UTF-8 text" if name == "utf-8" else f"the file is not {name} text",
            where=f"{where}, byte {place}",
            found=repr(sample),
            hint=f"say how it was written ({readings}), or write it again as UTF-8",
        ) from error
    if "\x00" in text:
        raise SourceUnreadable(
            "the file is not text",
            where=where,
            found="zero bytes",
            hint="a CSV or NDJSON file has none; if it was written as UTF-16, say `--encoding utf-16`",
        )
    return text.replace("\r\n", "\n").replace("\r", "\n"), "utf-8" if name == "utf-8-sig" else name


def _read_parquet(content: bytes, where: str) -> pl.DataFrame:
    if content[:4] != _MAGIC:
        raise SourceUnreadable(
            "this is not a Parquet file", where=where, found=repr(content[:16]), hint=_MISNAMED
        )
    if content[-4:] != _MAGIC or len(content) < 12:
        raise SourceUnreadable(
            "the Parquet file is half-written: its end is missing",
            where=where,
            found=f"{len(content)} bytes",
            hint="wait until its sender has finished, or ask for it again",
        )
    try:
        return flat(pl.read_parquet(io.BytesIO(content)))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceUnreadable(
            "the Parquet file is damaged", where=where, found=str(error), hint="ask its sender for it again"
        ) from error


def _read_ndjson(content: bytes, where: str) -> pl.DataFrame:
    text, _ = _text(content, where)
    body = text.removeprefix("\ufeff").lstrip().encode()
    if body[:1] == b"[":
        raise SourceUnreadable(
            "this is one JSON array, not one object a line",
            where=where,
            found=repr(body[:20]),
            hint="write one object a line, for example with `jq -c '.[]'`",
        )
    frame = read_lines([line for line in body.splitlines() if line.strip()])
    if UNREADABLE in frame.columns and frame[UNREADABLE].null_count() == 0:
        raise SourceUnreadable("no line is a JSON object", where=where, found=repr(body[:40]), hint=_MISNAMED)
    return frame


def _read_csv(text: str, where: str, said: CsvTerms, source: SourceTerms | None, encoding: str) -> Understood:
    separator = said.separator or _separator(text, where)
    lines = pl.Series("line", text.split("\n"), dtype=pl.String)
    lines = lines.filter(lines.str.strip_chars() != "")
    if lines.is_empty():
        raise SourceUnreadable("the file is empty", where=where, hint="ask its sender for the rows")
    header = _header(next(csv_lines([lines[0]], delimiter=separator)), where)
    if '"' in text:
        whole, torn = _quoted_rows(text, separator, len(header), where)
    else:
        fits = lines.str.count_matches(separator, literal=True) == len(header) - 1
        whole, torn = "\n".join(lines.filter(fits)), lines.filter(~fits).to_list()
    try:
        frame = pl.read_csv(io.StringIO(whole), separator=separator, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise SourceUnreadable("the file is not CSV", where=where, found=str(error)) from error
    frame.columns = header
    frame, found, doubts = conventions(frame, said, source, separator=separator)
    frame = typed(frame)
    if torn:
        unreadable = pl.DataFrame({UNREADABLE: pl.Series(torn, dtype=pl.String)})
        frame = pl.concat([frame, unreadable], how="diagonal_relaxed")
    return Understood(form=_form(separator, encoding, found), rows=frame, doubts=doubts)


def _form(separator: str, encoding: str, found: Conventions) -> Form:
    return Form(
        format=Format.CSV,
        separator=separator,
        decimal_comma=found.decimal == ",",
        thousands=found.thousands,
        encoding=encoding,
        dates=found.dates,
    )


def _separator(text: str, where: str) -> str:
    """Which separator makes the header and the lines agree."""
    sample = text[:_SAMPLE_CHARACTERS]
    lines = [line for line in sample.split("\n") if line.strip()]
    if not lines:
        raise SourceUnreadable("the file is empty", where=where, hint="ask its sender for the rows")
    if lines[0].lstrip()[:1] in {"{", "["}:
        raise SourceUnreadable(
            "this is not CSV", where=where, found=repr(lines[0][:40]), hint="it looks like JSON: say ndjson"
        )
    if len(sample) < len(text) and len(lines) > 1:
        lines.pop()
    votes: dict[str, tuple[float, int]] = {}
    for separator in SEPARATORS:
        widths = [len(row) for row in csv_lines(lines, delimiter=separator) if row]
        if widths[0] > 1:
            votes[separator] = (sum(width == widths[0] for width in widths) / len(widths), widths[0])
    best = max(votes.values(), default=(1.0, 1))
    winners = [separator for separator, vote in votes.items() if vote == best]
    if len(winners) > 1:
        raise SourceUnreadable(
            "two separators fit this file equally well",
            where=where,
            found=" and ".join(_NAMES[one] for one in winners),
            hint="say which with " + " or ".join(f"`--separator {_NAMES[one]}`" for one in winners),
        )
    return winners[0] if winners else ","


def _header(cells: list[str], where: str) -> list[str]:
    """The columns' names; one without a name, as index columns have, is called by its place."""
    names = [cell.strip() or f"column_{place}" for place, cell in enumerate(cells, start=1)]
    if all(NUMBER.match(name) for name in names):
        raise SourceUnreadable(
            "the first line holds numbers, not the columns' names",
            where=f"{where}:1",
            found=", ".join(names[:6]),
            hint="add a line with the names",
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SourceUnreadable(
            "two columns have the same name", where=f"{where}:1", found=", ".join(twice), hint="rename one"
        )
    return names


def _quoted_rows(text: str, separator: str, width: int, where: str) -> tuple[str, list[str]]:
    """The text of the rows that fit the header, and each other row's own text."""
    reader = csv_lines(io.StringIO(text), delimiter=separator, strict=True)
    torn: list[list[str]] = []
    fitting: list[list[str]] = []
    try:
        for row in reader:
            if row:
                (fitting if len(row) == width else torn).append(row)
    except CsvError as error:
        raise SourceUnreadable(
            "a quoted value is broken or never ends",
            where=f"{where}:{reader.line_num}",
            found=str(error),
            hint="the file may be half-written; inside quotes a quote is written twice",
        ) from error
    if not torn:
        return text, []
    written = io.StringIO()
    csv_writer(written, delimiter=separator).writerows(fitting)
    return written.getvalue(), [separator.join(row) for row in torn]
