"""`geartrain ledger`: read and verify the history of decisions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geartrain.cli.answer import Answer, answering
from geartrain.cli.options import opened, workspace_option

if TYPE_CHECKING:
    from geartrain.ports.ledger import Ledger


@click.group()
def ledger() -> None:
    """Read and verify the history of decisions."""


@ledger.command()
@workspace_option
@answering
def verify(workspace: Path | None) -> Answer:
    """Recompute the whole hash chain; a changed byte anywhere is found and named."""
    length = opened(workspace).ledger.verify()
    return Answer(
        schema="ledger-verify/1",
        ok=True,
        result={"events": length},
        text=f"the chain of {length} events holds: nothing was changed, left out or put in between",
    )


@ledger.command()
@workspace_option
@click.option("--product", "name", default=None, help="Only this product's history.")
@click.option("--type", "kind", default=None, help="Only events of this type, such as StageEntered.")
@click.option("--last", type=click.IntRange(min=1), default=50, show_default=True, help="How many.")
@answering
def show(workspace: Path | None, name: str | None, kind: str | None, last: int) -> Answer:
    """Show the latest events, oldest first."""
    from geartrain.engine.workspace import stream_of

    _known_type(kind)
    store = opened(workspace).ledger
    every = list(store.read(stream_of(name)) if name else store.read_all())
    wanted = [one for one in every if kind in (None, type(one.event).__name__)]
    counts = Counter(type(one.event).__name__ for one in wanted)
    lines = [
        f"{one.position:>6}  {one.at:%Y-%m-%d %H:%M}  {one.actor:<16.16}  {type(one.event).__name__}"
        for one in wanted[-last:]
    ]
    told = ", ".join(f"{number} {what}" for what, number in sorted(counts.items()))
    return Answer(
        schema="ledger-show/1",
        ok=True,
        result={
            "events": [
                {
                    "position": one.position,
                    "stream": one.stream,
                    "at": one.at,
                    "actor": one.actor,
                    "type": type(one.event).__name__,
                    "event": one.event,
                    "hash": one.hash,
                }
                for one in wanted[-last:]
            ],
            "total": len(wanted),
        },
        text="\n".join([*lines, "", f"{len(wanted)} events: {told}"])
        if wanted
        else _nothing(store, name, kind),
    )


def _known_type(kind: str | None) -> None:
    from typing import get_args

    from geartrain.domain.events import Event

    known = sorted(one.__name__ for one in get_args(Event))
    if kind is not None and kind not in known:
        raise click.UsageError(f"there are no events of a type {kind!r}; types: {', '.join(known)}")


def _nothing(store: Ledger, name: str | None, kind: str | None) -> str:
    """What of all that was asked for is not there; products that are there are named."""
    from geartrain.engine.workspace import stream_of

    of_type = f" of type {kind}" if kind is not None else ""
    if name is None or any(True for _ in store.read(stream_of(name))):
        of_product = f" of the product {name}" if name is not None else ""
        return f"no events{of_type}{of_product} yet"
    prefix = stream_of("")
    streams = {one.stream for one in store.read_all() if one.stream.startswith(prefix)}
    others = ", ".join(sorted(one.removeprefix(prefix) for one in streams))
    return f"no events of a product {name!r}" + (f"; products: {others}" if others else " yet")
