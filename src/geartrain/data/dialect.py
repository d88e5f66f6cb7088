"""How a CSV file writes its numbers and days: found from its cells, or told as a doubt with the readings.

`1.234` may be a little more than one, or a thousand; `03/04/2026` is in March or in
April. Where other cells settle it (`0.5`, `1.234,50`, `31/12/2026`) there is no doubt.
Where nothing does, nobody guesses: the file is refused until somebody has said it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from geartrain.data.csv_columns import MISSING_WORDS
from geartrain.domain.contract import CsvTerms, FieldType, SourceTerms

_SIGN = r"^[+-]?"
_SPACES = " '\u00a0\u202f\u2019"
#: Cells that only one decimal sign explains.
_COMMA = (
    rf"{_SIGN}(\d*,\d{{1,2}}|\d*,\d{{4,}}|0?,\d+|0,\d+|\d{{4,}},\d+|\d{{1,3}}([.{_SPACES}]\d{{3}})+,\d+"
    r"|\d{1,3}(\.\d{3}){2,}|\d*,\d+[eE][+-]?\d+)$"
)
_POINT = (
    rf"{_SIGN}(\d*\.\d{{1,2}}|\d*\.\d{{4,}}|0?\.\d+|0\.\d+|\d{{4,}}\.\d+|\d{{1,3}}([,{_SPACES}]\d{{3}})+\.\d+"
    r"|\d{1,3}(,\d{3}){2,}|\d*\.?\d+[eE][+-]?\d+)$"
)
_EITHER = rf"{_SIGN}[1-9]\d{{0,2}}[.,]\d{{3}}$"
_WHOLE = rf"{_SIGN}(\d+|\d{{1,3}}([{_SPACES}]\d{{3}})+)$"
_DAY = r"^(\d{1,2})([./-])(\d{1,2})[./-](\d{2}|\d{4})([ T]\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?)?$"
_CLOCKS = ("", " %H:%M:%S", " %H:%M", "T%H:%M:%S", "T%H:%M", " %H:%M:%S%.f", "T%H:%M:%S%.f")
_NUMBERS = (FieldType.INTEGER, FieldType.NUMBER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Something that a file leaves open.

    Attributes:
        about: What is open, such as `the decimal sign in amount`.
        example: A cell of the file.
        readings: Each option that would settle it, with what the example then is.
        settles: Whether rows can be read before it is settled; the column then stays text.
    """

    about: str
    example: str
    readings: tuple[tuple[str, str], ...]
    settles: bool = True

    def __str__(self) -> str:
        told = " or ".join(f"`{option}` ({meaning})" for option, meaning in self.readings)
        return f"{self.about}: `{self.example}` may be read with {told}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conventions:
    """What was found about a file's cells.

    Attributes:
        decimal: The decimal sign, empty where no cell has one.
        thousands: What groups digits, empty where nothing does.
        dates: The columns of days, each with how they are written.
    """

    decimal: str = ""
    thousands: str = ""
    dates: tuple[tuple[str, str], ...] = ()


def conventions(
    texts: pl.DataFrame, said: CsvTerms, source: SourceTerms | None, *, separator: str
) -> tuple[pl.DataFrame, Conventions, tuple[Doubt, ...]]:
    """*texts*, all cells as they stand, with numbers written with a point and days as in ISO 8601.

    *said* is what people have told. With *source*, the columns that it calls numbers and
    times are looked at cell by cell; other columns only where every cell is of one kind.
    """
    numbers, decimal, thousands, doubts = _numbers(texts, said, source, separator)
    days, dates, more = _days(texts, said, source)
    found = Conventions(decimal=decimal, thousands=thousands, dates=dates)
    return texts.with_columns(*numbers, *days), found, (*doubts, *more)


def _numbers(
    texts: pl.DataFrame, said: CsvTerms, source: SourceTerms | None, separator: str
) -> tuple[list[pl.Series], str, str, tuple[Doubt, ...]]:
    columns = {
        series.name: cells
        for series in texts
        if (cells := _number_cells(series, source)) is not None and cells.len()
    }
    signs = {name: _signs(cells, separator) for name, cells in columns.items()}
    # In a column with both signs nobody knows what either means: it stays text, and the door tells it.
    mixed = {name for name, found in signs.items() if found >= {",", "."} and said.decimal is None}
    known = {sign for name, found in signs.items() if name not in mixed for sign in found if sign in ",."}
    doubts: list[Doubt] = []
    chosen: dict[str, str] = {}
    for name, found in signs.items():
        own = found & {",", "."}
        if name in mixed:
            continue
        if said.decimal is not None:
            chosen[name] = said.decimal
        elif own:
            chosen[name] = next(iter(own))
        elif "?" in found and len(known) == 1:
            chosen[name] = next(iter(known))
        elif "?" in found:
            cells = columns[name]
            doubts.append(_doubt_of_sign(name, str(cells.filter(cells.str.contains(_EITHER))[0])))
        else:
            chosen[name] = "."
    written: list[pl.Series] = []
    grouped = ""
    for name, sign in chosen.items():
        series, group = _with_point(texts[name], sign, said.thousands)
        grouped = grouped or group
        written.append(series)
    used = {chosen[name] for name, found in signs.items() if name in chosen and found & {",", ".", "?"}}
    decimal = said.decimal or ("," if used == {","} else "." if used == {"."} else "")
    return written, decimal, grouped, tuple(doubts)


def _number_cells(series: pl.Series, source: SourceTerms | None) -> pl.Series | None:
    """The column's cells that say something, if it is a column of numbers."""
    terms = source.field(series.name) if source is not None else None
    if terms is not None and terms.type not in _NUMBERS:
        return None
    cells = _said(series)
    if terms is None:
        pattern = f"({_COMMA})|({_POINT})|({_EITHER})|({_WHOLE})"
        if not cells.len() or not cells.str.contains(pattern).all():
            return None
    return cells


def _signs(cells: pl.Series, separator: str) -> set[str]:
    """Which decimal signs the cells prove: `,`, `.`, or `?` for cells that either explains."""
    found: set[str] = set()
    either = cells.filter(cells.str.contains(_EITHER))
    if cells.str.contains(_COMMA).any():
        found.add(",")
    if cells.str.contains(_POINT).any():
        found.add(".")
    if either.len():
        # Between commas a point is the decimal sign: whoever writes decimal commas separates otherwise.
        points = separator == "," and not either.str.contains(",", literal=True).any()
        found.add("." if points else "?")
    return found


def _with_point(series: pl.Series, sign: str, thousands: str | None) -> tuple[pl.Series, str]:
    """Every cell that is a number in this way of writing, with a decimal point and nothing else in it."""
    other = "." if sign == "," else ","
    groups = f"[{thousands}]" if thousands else f"[{other}{_SPACES}]"
    pattern = rf"{_SIGN}(\d*|\d{{1,3}}({groups}\d{{3}})+)([{sign}]\d+)?([eE][+-]?\d+)?$"
    cells = series.str.strip_chars()
    fits = cells.str.contains(pattern) & cells.str.contains(r"\d")
    plain = cells.str.replace_all(groups, "").str.replace(sign, ".", literal=True)
    grouped = cells.filter(fits.fill_null(value=False)).str.extract(rf"\d({groups})\d{{3}}", 1).drop_nulls()
    return plain.zip_with(fits.fill_null(value=False), series).alias(series.name), (
        str(grouped[0]) if grouped.len() else ""
    )


def _doubt_of_sign(name: str, example: str) -> Doubt:
    here = "," if "," in example else "."
    other = "." if here == "," else ","
    point, none = example.replace(",", "."), example.replace(here, "")
    return Doubt(
        about=f"the decimal sign in `{name}`",
        example=example,
        readings=((f"--decimal {here}", f"it is {point}"), (f"--decimal {other}", f"it is {none}")),
        settles=False,
    )


def _days(
    texts: pl.DataFrame, said: CsvTerms, source: SourceTerms | None
) -> tuple[list[pl.Series], tuple[tuple[str, str], ...], tuple[Doubt, ...]]:
    written: list[pl.Series] = []
    dates: list[tuple[str, str]] = []
    doubts: list[Doubt] = []
    for series in texts:
        declared = _is_time(series.name, source)
        if source is not None and source.field(series.name) is not None and not declared:
            continue
        cells = _said(series)
        days = cells.filter(cells.str.contains(_DAY))
        if said.dates is not None and (declared or days.len() == cells.len() > 0):
            shape = said.dates
        elif not days.len() or (not declared and days.len() < cells.len()):
            continue
        else:
            found = _shapes(days)
            if len(found) != 1:
                doubts.append(_doubt_of_day(series.name, str(days[0]), found, settles=not declared))
                continue
            shape = found[0]
        written.append(_in_iso(series, shape))
        dates.append((series.name, shape))
    return written, tuple(dates), tuple(doubts)


def _is_time(name: str, source: SourceTerms | None) -> bool:
    if source is None:
        return False
    terms = source.field(name)
    stated = terms is not None and terms.type is FieldType.TIMESTAMP
    return stated or (terms is None and name in {source.event_time, source.arrival_time})


def _shapes(days: pl.Series) -> tuple[str, ...]:
    """The ways of writing that explain every one of *days*.

    With points the day comes first, everywhere. With slashes and dashes a number above 12
    settles it. A year of two digits never tells its century, nor that it is the year.
    """
    parts = days.str.extract_groups(_DAY).struct.unnest()
    marks, years = parts["2"].unique().to_list(), parts["4"].str.len_chars()
    if len(marks) > 1 or years.n_unique() > 1:
        return ()
    mark = marks[0]
    if years[0] == 2:
        return tuple(
            mark.join(order) for order in (("%d", "%m", "%y"), ("%m", "%d", "%y"), ("%y", "%m", "%d"))
        )
    first = parts["1"].cast(pl.Int64) > 12
    second = parts["3"].cast(pl.Int64) > 12
    day_first, month_first = mark.join(("%d", "%m", "%Y")), mark.join(("%m", "%d", "%Y"))
    if first.any() and second.any():
        return ()
    if first.any() or mark == ".":
        return (day_first,)
    return (month_first,) if second.any() else (day_first, month_first)


def _doubt_of_day(name: str, example: str, found: tuple[str, ...], *, settles: bool) -> Doubt:
    shapes = found or ("%d/%m/%Y", "%m/%d/%Y")
    day = example.replace("T", " ").split(" ")[0]
    return Doubt(
        about=f"the days in `{name}`" + ("" if found else ", which are written in more than one way"),
        example=example,
        readings=tuple((f"--dates {shape}", _day_said(day, shape)) for shape in shapes),
        settles=settles,
    )


def _day_said(day: str, shape: str) -> str:
    try:
        return datetime.strptime(day, shape).strftime("%-d %B %Y")  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return "no such day"


def _in_iso(series: pl.Series, shape: str) -> pl.Series:
    """Every cell that is written so, as ISO 8601; the others as they stand, for the door to tell."""
    cells = series.str.strip_chars()
    tries = (
        cells.str.to_datetime(shape + clock, strict=False, time_unit="us")
        for clock in (_CLOCKS if "%H" not in shape else ("",))
    )
    found: pl.Series | None = None
    for one in tries:
        found = one if found is None else found.fill_null(one)
    assert found is not None
    return found.dt.to_string("%Y-%m-%dT%H:%M:%S%.6f").fill_null(series).alias(series.name)


def _said(series: pl.Series) -> pl.Series:
    cells = series.str.strip_chars().drop_nulls()
    return cells.filter(~cells.is_in(MISSING_WORDS))
