"""`geartrain labels`: which labels would settle what is open, and what the answers say."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geartrain.cli.answer import Answer, answering
from geartrain.cli.options import loaded, moment_of, now_option, opened, product_option, workspace_option

if TYPE_CHECKING:
    from geartrain.engine.labels_live import Budget


@click.group()
def labels() -> None:
    """Spend a small labelling budget where it settles most."""


@labels.command()
@workspace_option
@product_option
@now_option
@answering
def show(workspace: Path | None, folder: Path, now: datetime | None) -> Answer:
    """Say how many labels would settle what is open, and what those that were asked for say."""
    from geartrain.engine.labels_live import label_budget

    product = loaded(folder)
    found = label_budget(opened(workspace), product, now=moment_of(now))
    return _answer(product.name, found, [], ok=found.release is not None)


@labels.command()
@workspace_option
@product_option
@click.option(
    "--labels",
    "count",
    type=click.IntRange(min=1),
    default=None,
    help="About how many; default: as many as would settle it.",
)
@click.option("--as", "person", default="a person", help="Who asks.")
@now_option
@answering
def ask(workspace: Path | None, folder: Path, count: int | None, person: str, now: datetime | None) -> Answer:
    """Draw decisions whose truth would settle what is open; the review queue asks for them.

    Each is drawn with a known probability, higher where the model is unsure and the error dear, so
    that the answers speak for all decisions whatever the model thinks. Exit code 1 where nothing was drawn.
    """
    from geartrain.engine.labels_live import ask_for_labels

    product = loaded(folder)
    found = ask_for_labels(opened(workspace), product, labels=count, now=moment_of(now), actor=person)
    if found.refused or found.request is None:
        return _answer(product.name, found, [f"nothing was drawn: {found.refused}"], ok=False)
    told = (
        f"{len(found.request.asked):,} of {len(found.request.expected):,} decisions were drawn;"
        " the review queue asks for them"
    )
    return _answer(product.name, found, [told, *([found.instead] if found.instead else [])], ok=True)


def _answer(product: str, found: Budget, first: list[str], *, ok: bool) -> Answer:
    seen = found.foreseen
    lines = [*first, seen.settling.message]
    if seen.asked is not None:
        lines.append(seen.asked.message)
    elif found.release is not None and not first:
        lines.append("nobody has asked for labels yet")
    request = found.request
    return Answer(
        schema="labels/1",
        ok=ok,
        result={
            "product": product,
            "release": found.release,
            "settling": seen.settling,
            "from_asked_labels": seen.asked,
            "request": None
            if request is None
            else {
                "asked_at": request.asked_at,
                "about": request.about,
                "of": len(request.expected),
                "asked": request.asked,
            },
            "refused": found.refused,
            "answers_count": found.answers_count,
        },
        text="\n".join(lines),
    )
