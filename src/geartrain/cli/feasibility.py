"""`geartrain feasibility`: whether the contract can be kept at all, before anything is trained."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geartrain.cli.answer import Answer, answering
from geartrain.cli.options import (
    loaded,
    moment_of,
    now_option,
    opened,
    product_option,
    seed_option,
    workspace_option,
)

if TYPE_CHECKING:
    from geartrain.evaluation.prospect import Feasibility, Prospect

WIDTH = 80


@click.command()
@workspace_option
@product_option
@seed_option
@now_option
@click.option(
    "--second-labels",
    default=None,
    metavar="COLUMN",
    help="The column with a second person's label, where there is one: the human ceiling.",
)
@click.option(
    "--shuffles",
    default=19,
    show_default=True,
    type=click.IntRange(0, 9999),
    help="How often the test for any signal shuffles the labels; 0 leaves it out.",
)
@answering
def feasibility(
    workspace: Path | None,
    folder: Path,
    seed: int,
    now: datetime | None,
    second_labels: str | None,
    shuffles: int,
) -> Answer:
    """Say for every promise whether it can be kept and proven with the rows at hand.

    Quick models are tried on the rows that are free to learn from; the sealed rows are only
    counted. A promise that cannot be kept, or rows that train no model, are exit code 1.
    """
    from geartrain.cli.working import begin
    from geartrain.engine.feasible import examine
    from geartrain.evaluation.prospect import Verdict

    product, space, moment = loaded(folder), opened(workspace), moment_of(now)
    begin(space, product, now=moment)
    found = examine(
        space,
        product,
        now=moment,
        seed=seed,
        clock_ns=time.perf_counter_ns,
        shuffles=shuffles,
        second_labels=second_labels,
    )
    return Answer(
        schema="feasibility/2",
        ok=not found.why_not and not any(one.verdict is Verdict.CANNOT for one in found.prospects),
        result={
            "product": product.name,
            "prospects": found.prospects,
            "margins": found.margins,
            "findings": found.findings,
            "statements": found.statements,
            "why_not": found.why_not,
        },
        text="\n".join(told(found)),
    )


def told(found: Feasibility) -> Iterator[str]:
    """The answer for people, in lines of at most 80 characters: what holds for all, then promise by promise."""
    from geartrain.evaluation.prospect import Topic, Verdict

    for topic in Topic:
        texts = [one.text for one in found.statements if one.topic is topic]
        if texts:
            yield _heading(topic.value)
            for text in texts:
                yield from _wrapped(text, first="  ", rest="    ")
            yield ""
    counts = {verdict: sum(one.verdict is verdict for one in found.prospects) for verdict in Verdict}
    counted = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    yield _heading(f"{len(found.prospects)} promises" + (f": {counted}" if counted else ""))
    # What stands in the way first.
    for verdict in (Verdict.CANNOT, Verdict.UNKNOWN, Verdict.CAN):
        for one in found.prospects:
            if one.verdict is verdict:
                yield from _prospect(one)
    if found.margins:
        yield ""
        yield _heading("rows that later comparisons take")
        for one in found.margins:
            yield from _prospect(one)
    yield ""
    yield from _wrapped(
        _next_step(counts[Verdict.CANNOT], len(found.prospects), found.why_not), first="", rest=""
    )


def _heading(text: str) -> str:
    return text[:1].upper() + text[1:]


def _prospect(one: Prospect) -> Iterator[str]:
    yield f"  {one.verdict:<8} {one.clause}"
    yield from _wrapped(one.reason, first=" " * 11, rest=" " * 11)
    if one.outlook:
        yield from _wrapped(one.outlook, first=" " * 11, rest=" " * 11)


def _wrapped(text: str, *, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _next_step(cannot: int, promises: int, why_not: str) -> str:
    if why_not:
        return f"no model can be trained on these rows: {why_not}"
    if cannot:
        return (
            f"{cannot} of {promises} promises cannot be kept as they stand: bring rows, mend what is named"
            " above, or loosen them together with their owners"
        )
    return "no promise is out of reach; next: `geartrain train`"
