"""Files of rows: CSV, Parquet, NDJSON. What a file claims to be is checked, never guessed silently.

A text file's separator and decimal sign are found from its own lines and told by
`detect_form`. A line that does not fit the header is kept whole in the column
`_unreadable`, and the door sends it to quarantine: nothing is dropped.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import polars as pl

from geartrain.data.csv_columns import DECIMAL_COMMA, DECIMAL_POINT, NUMBER, typed
from geartrain.data.documents import UNREADABLE, flat, read_lines
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a file is written.

    Attributes:
        separator: CSV: what stands between values, else empty.
        decimal_comma: CSV: whether `3,14` is a number.
    """

    format: Format
    separator: str = ""
    decimal_comma: bool = False

    def __str__(self) -> str:
        if self.format is not Format.CSV:
            return str(self.format)
        sign = "decimal comma" if self.decimal_comma else "decimal point"
        return f"csv, separated by {_NAMES[self.separator]}, {sign}"


def read_rows(path: str | Path, *, format: str | None = None) -> pl.DataFrame:  # noqa: A002 - the contract's word
    """The rows of the file at *path*, in its own columns.

    Whole columns of numbers and truths get their type; everything else stays text for
    the door, so that `007` and `2026-01-02` are not changed on the way in. Nested values are JSON text.

    Raises:
        SourceUnreadable: It is not there, empty, half-written, or not in its format.
    """
    path = Path(path)
    content = _content(path)
    return read_bytes(content, _claimed(path, content, format), where=str(path))


def detect_form(path: str | Path, *, format: str | None = None) -> Form:  # noqa: A002 - the contract's word
    """How the file at *path* is written, for telling the person what was found.

    Raises:
        SourceUnreadable: As `read_rows`.
    """
    path = Path(path)
    content = _content(path)
    claimed = _claimed(path, content, format)
    return _csv_form(_text(content, str(path)), str(path)) if claimed is Format.CSV else Form(format=claimed)


def read_bytes(content: bytes, format: Format, *, where: str) -> pl.DataFrame:  # noqa: A002 - the contract's word
    """The rows in *content*; *where* is its name in errors.

    Raises:
        SourceUnreadable: It is empty, half-written, or not in its format.
    """
    if not content.strip():
        raise SourceUnreadable("the file is empty", where=where, hint="ask its sender for the rows")
    match format:
        case Format.CSV:
            return _read_csv(_text(content, where), where)
        case Format.PARQUET:
            return _read_parquet(content, where)
        case Format.NDJSON:
            return _read_ndjson(content, where)


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
            hint=f"say which it is: {known}",
        )
    if claimed is not Format.PARQUET and content[:4] == _MAGIC:
        raise SourceUnreadable(
            f"this is not {claimed}", where=str(path), found="a Parquet file", hint="read it as parquet"
        )
    return claimed


def _text(content: bytes, where: str) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceUnreadable(
            "the file is not UTF-8 text",
            where=f"{where}, byte {error.start}",
            found=repr(content[max(0, error.start - 10) : error.start + 10]),
            hint="write it again as UTF-8, for example with `iconv -t UTF-8`",
        ) from error
    if "\x00" in text:
        raise SourceUnreadable(
            "the file is not text", where=where, found="zero bytes", hint="a CSV or NDJSON file has none"
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read_parquet(content: bytes, where: str) -> pl.DataFrame:
    if content[:4] != _MAGIC:
        raise SourceUnreadable(
            "this is not a Parquet file", where=where, found=repr(content[:16]), hint="say its true format"
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
    _text(content, where)
    body = content.removeprefix(b"\xef\xbb\xbf").lstrip()
    if body[:1] == b"[":
        raise SourceUnreadable(
            "this is one JSON array, not one object a line",
            where=where,
            found=repr(body[:20]),
            hint="write one object a line, for example with `jq -c '.[]'`",
        )
    frame = read_lines([line for line in body.splitlines() if line.strip()])
    if UNREADABLE in frame.columns and frame[UNREADABLE].null_count() == 0:
        raise SourceUnreadable(
            "no line is a JSON object", where=where, found=repr(body[:40]), hint="say its true format"
        )
    return frame


def _read_csv(text: str, where: str) -> pl.DataFrame:
    form = _csv_form(text, where)
    separator = form.separator
    lines = pl.Series("line", text.split("\n"), dtype=pl.String)
    lines = lines.filter(lines.str.strip_chars() != "")
    header = _header(next(csv.reader([lines[0]], delimiter=separator)), where)
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
    frame = typed(frame, decimal_comma=form.decimal_comma)
    if not torn:
        return frame
    unreadable = pl.DataFrame({UNREADABLE: pl.Series(torn, dtype=pl.String)})
    return pl.concat([frame, unreadable], how="diagonal_relaxed")


def _csv_form(text: str, where: str) -> Form:
    """Which separator makes the header and the lines agree, and which decimal sign the cells use."""
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
        widths = [len(row) for row in csv.reader(lines, delimiter=separator) if row]
        if widths[0] > 1:
            votes[separator] = (sum(width == widths[0] for width in widths) / len(widths), widths[0])
    best = max(votes.values(), default=(1.0, 1))
    winners = [separator for separator, vote in votes.items() if vote == best]
    if len(winners) > 1:
        raise SourceUnreadable(
            "two separators fit this file equally well",
            where=where,
            found=" and ".join(_NAMES[one] for one in winners),
            hint="write it with another separator, or as NDJSON",
        )
    separator = winners[0] if winners else ","
    cells = [cell.strip() for row in csv.reader(lines[1:], delimiter=separator) for cell in row]
    commas = separator != "," and any(DECIMAL_COMMA.match(cell) for cell in cells)
    points = any(DECIMAL_POINT.match(cell) for cell in cells)
    return Form(format=Format.CSV, separator=separator, decimal_comma=commas and not points)


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
    reader = csv.reader(io.StringIO(text), delimiter=separator, strict=True)
    torn: list[list[str]] = []
    fitting: list[list[str]] = []
    try:
        for row in reader:
            if row:
                (fitting if len(row) == width else torn).append(row)
    except csv.Error as error:
        raise SourceUnreadable(
            "a quoted value is broken or never ends",
            where=f"{where}:{reader.line_num}",
            found=str(error),
            hint="the file may be half-written; inside quotes a quote is written twice",
        ) from error
    if not torn:
        return text, []
    written = io.StringIO()
    csv.writer(written, delimiter=separator).writerows(fitting)
    return written.getvalue(), [separator.join(row) for row in torn]
