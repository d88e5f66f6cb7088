"""How a run's story reaches a terminal: bars where somebody watches, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

from geartrain.ports.teller import Teller

T = TypeVar("T")


class PlainTeller:
    """Lines on standard error, for pipes, logs and CI."""

    def stage(self, title: str) -> None:
        """A heading."""
        click.echo(f"\n{title}", err=True)

    def say(self, line: str) -> None:
        """An indented line."""
        click.echo(f"  {line}", err=True)

    def track(self, items: Iterable[T], *, label: str, total: int) -> Iterator[T]:
        """Say where it begins; no bar."""
        click.echo(f"  {label} ({total})", err=True)
        yield from items


class TerminalTeller:
    """Headings, lines and progress bars on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)

    def stage(self, title: str) -> None:
        """A bold heading."""
        self._console.print(f"\n[bold]{_escaped(title)}[/bold]")

    def say(self, line: str) -> None:
        """An indented line."""
        self._console.print(f"  {_escaped(line)}")

    def track(self, items: Iterable[T], *, label: str, total: int) -> Iterator[T]:
        """A bar that goes away when it is full."""
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("  {task.description}"), BarColumn(bar_width=32), TimeElapsedColumn())
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(_escaped(label), total=total)
            for item in items:
                yield item
                progress.advance(task)


def teller() -> Teller:
    """The teller that fits where standard error goes."""
    return TerminalTeller() if sys.stderr.isatty() else PlainTeller()


@contextmanager
def quieten() -> Iterator[None]:
    """Let structured logs of notified incidents stay in their file while a story is told."""
    import logging

    import structlog

    was_configured, before = structlog.is_configured(), structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        yield
    finally:
        # Configured with what stood there by itself, the log would write among a command's answers.
        structlog.configure(**before) if was_configured else structlog.reset_defaults()


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
