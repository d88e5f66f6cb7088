"""Options that say how a CSV file is written, where the file itself leaves a doubt."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from geartrain.domain.contract import CsvTerms

F = TypeVar("F", bound=Callable[..., Any])

_SEPARATORS = {
    "comma": ",",
    "semicolon": ";",
    "tab": "\t",
    "bar": "|",
    ",": ",",
    ";": ";",
    "\\t": "\t",
    "|": "|",
}


def csv_options(command: F) -> F:
    """Add the five options to *command*; it hands them to `csv_terms`."""
    for option in (
        click.option(
            "--dates", default=None, metavar="FORMAT", help="CSV: how days are written, such as %d.%m.%Y."
        ),
        click.option(
            "--encoding",
            type=click.Choice(["utf-8", "latin-1", "cp1252", "utf-16"]),
            default=None,
            help="CSV: how characters are written as bytes.",
        ),
        click.option(
            "--thousands",
            type=click.Choice([".", ",", " ", "'"]),
            default=None,
            help="CSV: what groups digits.",
        ),
        click.option("--decimal", type=click.Choice([".", ","]), default=None, help="CSV: the decimal sign."),
        click.option(
            "--separator",
            type=click.Choice(list(_SEPARATORS)),
            default=None,
            help="CSV: what stands between values.",
        ),
    ):
        command = option(command)
    return command


def csv_terms(
    separator: str | None,
    decimal: str | None,
    thousands: str | None,
    encoding: str | None,
    dates: str | None,
) -> CsvTerms:
    """What was said on the command line."""
    from geartrain.domain.contract import CsvTerms

    return CsvTerms(
        separator=_SEPARATORS[separator] if separator is not None else None,
        decimal=decimal,
        thousands=thousands,
        encoding=encoding,
        dates=dates,
    )
