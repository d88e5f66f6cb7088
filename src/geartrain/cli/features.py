"""`geartrain features`: what the model looks at, and whether it is served what it learned from."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geartrain.cli.answer import Answer, answering
from geartrain.cli.options import loaded, moment_of, now_option, opened, product_option, workspace_option
from geartrain.domain.digest import short

if TYPE_CHECKING:
    from geartrain.domain.features import Feature
    from geartrain.engine.consistency import Consistency
    from geartrain.engine.workspace import Workspace


@click.group()
def features() -> None:
    """What the model looks at, and whether it is served what it learned from."""


@features.command("list")
@product_option
@answering
def list_(folder: Path) -> Answer:
    """List every feature: what it is, its unit, who answers for it and why it should matter."""
    product = loaded(folder)
    found = [
        {
            "name": one.name,
            "is": in_words(one),
            "type": one.type,
            "unit": one.unit,
            "owner": one.owner,
            "because": one.because,
            "description": one.description,
        }
        for one in product.features.features
    ]
    lines = [f"{len(found)} features, {short(product.features.id)}"]
    for one in product.features.features:
        unit = f", in {one.unit}" if one.unit else ""
        why = f"; {one.because}" if one.because else ""
        owner = f" ({one.owner})" if one.owner else ""
        lines += [f"  {one.name}{owner}", f"      {in_words(one)}{unit}{why}"]
    silent = [one.name for one in product.features.features if not one.because]
    if silent:
        lines += ["", f"nobody said why these should matter: {', '.join(silent)}"]
    return Answer(
        schema="features-list/1",
        ok=True,
        result={"product": product.name, "features_id": product.features.id, "features": found},
        text="\n".join(lines),
    )


@features.command()
@workspace_option
@product_option
@click.option(
    "--release", default=None, help="Only decisions of this release; default: each that is in the log."
)
@click.option(
    "--latest", type=click.IntRange(min=1), default=None, help="Only so many of its latest decisions."
)
@now_option
@answering
def consistency(
    workspace: Path | None, folder: Path, release: str | None, latest: int | None, now: datetime | None
) -> Answer:
    """Compare served features with recomputed ones, cell by cell.

    A difference that nothing explains is exit code 1. docs/consistency.md says what the
    causes mean.
    """
    from geartrain.engine.consistency import check_consistency, note_consistency
    from geartrain.engine.releasing import releases
    from geartrain.errors import BundleTampered, ReleaseUnknown

    product, space, moment = loaded(folder), opened(workspace), moment_of(now)
    wanted = _logged(space, product.name, release, now=moment)
    found: list[Consistency] = []
    missing: list[str] = []
    for one in wanted:
        try:
            found.append(check_consistency(space, product.contract, one, now=moment, latest=latest))
        except (ReleaseUnknown, BundleTampered) as error:
            missing.append(f"decisions of release {short(one)} were not compared: {error.message}")
    live = releases(space, product.name).champion
    for checked in found:
        if checked.release == live and latest is None:
            note_consistency(space, checked)
    lines = [line for one in found for line in (*told(one), "")]
    if not wanted:
        lines = ["no decision is in the log: `geartrain serve` writes it"]
    return Answer(
        schema="features-consistency/1",
        ok=all(one.kept for one in found) and not missing,
        result={
            "product": product.name,
            "unexplained": sum(one.explanation.unexplained for one in found),
            "differing": sum(one.report.differing for one in found),
            "cells": sum(one.report.cells for one in found),
            "releases": found,
            "missing": missing,
        },
        text="\n".join([*lines, *missing]).rstrip(),
    )


@features.command()
@workspace_option
@product_option
@now_option
@answering
def cost(workspace: Path | None, folder: Path, now: datetime | None) -> Answer:
    """Say what each feature costs in time, and what it brings to the answers.

    Measured on the rows of the latest training. A feature that costs much and brings
    nothing that chance would not is a candidate for removal.
    """
    import time

    from geartrain.engine.bench import Builder
    from geartrain.engine.feature_costs import SHUFFLES, feature_worths
    from geartrain.engine.plans import TRAIN
    from geartrain.engine.releasing import releases
    from geartrain.engine.runs import latest_run

    product, space, moment = loaded(folder), opened(workspace), moment_of(now)
    state = releases(space, product.name)
    proposed = [one.id for one in state.records]
    release = state.champion or (proposed[-1] if proposed else None)
    builder = Builder(workspace=space, product=product, clock_ns=time.perf_counter_ns)
    document = latest_run(space.root, product.name, TRAIN)
    found = feature_worths(builder, document, release=release, now=moment)
    lines = [
        f"{'feature':<44}{'offline us':>11}{'online us':>11}{'of answers':>12}{'by luck':>9}",
        *(
            f"{one.name:<44}{one.offline_us:>11.2f}{one.online_us:>11.1f}"
            f"{'-' if one.share is None else f'{one.share:.1%}':>12}"
            f"{'-' if one.luck is None else f'{one.luck:.0%}':>9}"
            for one in found
        ),
        "",
        f"by luck: in how many of {SHUFFLES} shuffles of the labels the feature looks as useful as it does",
    ]
    idle = [one.name for one in found if one.idle]
    if idle:
        lines.append(f"nothing shows that these bring anything: {', '.join(idle)}")
    return Answer(
        schema="features-cost/1",
        ok=True,
        result={
            "product": product.name,
            "release": release,
            "shuffles": SHUFFLES,
            "features": found,
            "idle": idle,
        },
        text="\n".join(lines),
    )


def told(found: Consistency) -> list[str]:
    """One release's check in lines."""
    from geartrain.engine.consistency import in_one_line
    from geartrain.features.consistency import MEANS

    lines = [f"release {short(found.release)}: {in_one_line(found)}"]
    if found.since and found.until:
        lines.append(f"  decided from {found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC")
    lines += [f"  not compared: {_counted(count)}, {why}" for why, count in found.left_out]
    for one in found.explanation.explained:
        about = " ".join(part for part in (one.detail, f"({one.source})" if one.source else "") if part)
        lines.append(f"  {one.cells:>8,} {one.cause}{' ' + about if about else ''}: {MEANS[one.cause]}")
    if found.explanation.unexplained:
        rows = found.explanation.rows_unexplained
        lines.append(f"  {found.explanation.unexplained:>8,} unexplained, in {_counted(rows)}:")
        lines += [f"           {name}: {count:,}" for name, count in found.explanation.features]
        lines += [
            f"           for example {name} of {one.row}: served {one.served}, recomputed {one.recomputed}"
            for name, one in found.explanation.examples
        ]
    return lines


def _counted(decisions: int) -> str:
    return f"{decisions:,} decision{'' if decisions == 1 else 's'}"


def in_words(one: Feature) -> str:
    """What a feature is, in words."""
    from geartrain.domain.features import FunctionFeature, LookupFeature, RequestFeature
    from geartrain.features.spans import span_name

    if isinstance(one, RequestFeature):
        return f"of the request: {one.expression}"
    if isinstance(one, FunctionFeature):
        return f"the function {one.function} of {', '.join(name for name, _ in one.reads)}"
    where = f" where {one.where}" if one.where else ""
    if isinstance(one, LookupFeature):
        return f"{one.column} of {one.source} in force for {one.entity}{where}"
    of = f" of {one.column}" if one.column else ""
    width = f"the last {span_name(one.width_us)}" if one.width_us else "all the past"
    delay = f" that ended {span_name(one.delay_us)} before" if one.delay_us else ""
    kind = one.aggregation.value.replace("_", " ")
    return f"{kind}{of} over the {one.source} of {one.entity}, {width}{delay}{where}"


def _logged(space: Workspace, product: str, release: str | None, *, now: datetime) -> list[str]:
    """The releases whose decisions are in the log, in the order in which they began to decide."""
    from geartrain.engine.decided import decisions_of
    from geartrain.errors import ReleaseUnknown

    log = decisions_of(space, product, now=now, columns=())
    known = log["release"].unique(maintain_order=True).to_list() if log.height else []
    if release is None:
        return known
    named = [one for one in known if one.startswith(release)]
    if len(named) != 1:
        raise ReleaseUnknown(
            "the log holds no decision of this release" if not named else "more than one release begins so",
            where=release,
            found="in the log: " + (", ".join(short(one) for one in known) or "none"),
        )
    return named
