"""`geartrain evaluate`: open the sealed rows once, judge every clause, propose a release."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geartrain.cli.answer import Answer, answering
from geartrain.cli.options import loaded, moment_of, now_option, opened, product_option, workspace_option
from geartrain.domain.digest import short

if TYPE_CHECKING:
    from geartrain.engine.products import Product
    from geartrain.engine.workspace import Workspace


@click.command()
@workspace_option
@product_option
@now_option
@answering
def evaluate(workspace: Path | None, folder: Path, now: datetime | None) -> Answer:
    """Judge the chosen model on the sealed rows and propose it for signatures; no is exit code 1."""
    from geartrain.cli.working import begin, work
    from geartrain.engine.plans import COMPRESS, PROPOSE
    from geartrain.engine.runs import latest_run

    product, space, moment = loaded(folder), opened(workspace), moment_of(now)
    begin(space, product, now=moment)
    compressed = latest_run(space.root, product.name, COMPRESS)
    document = work(workspace, space, product, PROPOSE, lambda: compressed)
    return told_release(space, product, str(document["release"]), now=moment)


def told_release(space: Workspace, product: Product, release: str, *, now: datetime) -> Answer:
    """What the sealed rows said about a proposed release, clause by clause."""
    from geartrain.engine.proposing import report_of_release
    from geartrain.engine.releasing import releases
    from geartrain.evaluation.explaining import in_words
    from geartrain.release.conditions import evidence, gates_of, signing

    state = releases(space, product.name)
    record = state.record(release)
    assert record is not None
    findings = evidence(state, record) or ()
    gate = gates_of(state, product.contract, record, now)
    missing = signing(product.contract, record).missing
    report = report_of_release(space, product.name, release)
    lift = report.lift if report else None
    lines = [f"  {one.status:<12} {one.clause}: {one.message}" for one in findings]
    if lift is not None:
        lines += ["", *lift.sentences]
    if report is not None and report.explanation is not None:
        lines += ["", "what the answers rest on:", *(f"  {one}" for one in in_words(report.explanation))]
    lines += [
        "",
        gate.sentence if gate else "no evidence is recorded",
        f"release {short(release)} is proposed; still to sign: {', '.join(missing) or 'nobody'}",
        "next: `geartrain release sign`" if gate and gate.passed else "next: `geartrain release show`",
    ]
    return Answer(
        schema="evaluate/1",
        ok=bool(gate and gate.passed),
        result={
            "product": product.name,
            "release": release,
            "findings": findings,
            "lift": lift,
            "explanation": report.explanation if report else None,
            "missing": missing,
        },
        text="\n".join(lines),
    )
