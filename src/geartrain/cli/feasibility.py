"""`geartrain feasibility`: whether the contract can be kept at all, before anything is trained."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

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


@click.command()
@workspace_option
@product_option
@seed_option
@now_option
@answering
def feasibility(workspace: Path | None, folder: Path, seed: int, now: datetime | None) -> Answer:
    """Say for every promise whether it can be kept and proven with the rows at hand.

    The sealed rows are not looked at. A promise that cannot be kept is exit code 1.
    """
    from geartrain.cli.working import begin
    from geartrain.engine.feasible import examine
    from geartrain.evaluation.feasibility import Verdict

    product, space, moment = loaded(folder), opened(workspace), moment_of(now)
    begin(space, product, now=moment)
    found = examine(space, product, now=moment, seed=seed, clock_ns=time.perf_counter_ns)
    lines = list(found.statements[:8])
    lines += ["", *(f"  {one.verdict:<8} {one.clause}: {one.reason}" for one in found.prospects)]
    cannot = [one.clause for one in found.prospects if one.verdict is Verdict.CANNOT]
    lines += [
        "",
        f"{len(cannot)} of {len(found.prospects)} promises cannot be kept as they stand: loosen them or bring rows"
        if cannot
        else "no promise is out of reach; next: `geartrain train`",
    ]
    return Answer(
        schema="feasibility/1",
        ok=not cannot,
        result={
            "product": product.name,
            "prospects": found.prospects,
            "findings": found.findings,
            "statements": found.statements,
        },
        text="\n".join(lines),
    )
