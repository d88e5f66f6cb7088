"""`geartrain replay`: history through the whole loop on a virtual clock."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geartrain.cli.answer import Answer, answering
from geartrain.cli.options import (
    history_option,
    loaded,
    moment_of,
    product_option,
    seed_option,
    settings,
    workspace_option,
)
from geartrain.cli.telling import quieten, teller

if TYPE_CHECKING:
    from geartrain.adapters.workflows import MemoryWorkflows
    from geartrain.documents.report_nouns import ProductSection
    from geartrain.engine.products import Product
    from geartrain.engine.replaying import Replayed, ReplayTerms
    from geartrain.engine.workspace import Workspace
    from geartrain.ports.teller import Teller

DAY_S = 86_400.0


@click.command()
@workspace_option
@product_option
@history_option
@click.option(
    "--live-after",
    "live_after",
    type=float,
    default=45.0,
    show_default=True,
    metavar="DAYS",
    help="How much history is only taken in before the first model.",
)
@click.option("--days", type=click.IntRange(min=1), default=None, help="Stop after so many days of history.")
@click.option("--trials", type=click.IntRange(min=1), default=None, help="Settings that each search tries.")
@click.option(
    "--schedule",
    type=float,
    default=30.0,
    show_default=True,
    metavar="DAYS",
    help="How often the policy `retrain on schedule` refits.",
)
@click.option(
    "--report",
    "report_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Write the story as one HTML page.",
)
@seed_option
@answering
def replay(
    workspace: Path | None,
    folder: Path,
    sources: tuple[str, ...],
    live_after: float,
    days: int | None,
    trials: int | None,
    schedule: float,
    report_file: Path | None,
    seed: int,
) -> Answer:
    """Drive history through ingest, features, decisions, labels, monitors, retraining and rollout.

    The replay has a workspace of its own below this one; your product's history is not touched.
    The answer is yes when the product cost no more than never retraining.
    """
    from geartrain.engine.replaying import ReplayTerms

    product, began = loaded(folder), time.perf_counter()
    where = settings(workspace)
    root = where.root / "replays" / product.name
    terms = ReplayTerms(
        live_after_s=live_after * DAY_S, seed=seed, days=days, trials=trials, schedule_s=schedule * DAY_S
    )
    space, done = run_replay(root, product, history_files(product, sources), terms, told=teller())
    totals = totals_of(done)
    written = None
    if report_file is not None and done.documents:
        section = replay_chapter(space, product, done, schedule_days=schedule)
        written = write_report(
            report_file,
            title=f"{product.contract.product.title}: a replay",
            lead=verdict_in_words(product, totals),
            sections=(section,),
            seed=seed,
            seconds=time.perf_counter() - began,
        )
    ours, frozen = totals.get("geartrain"), totals.get("never retrain")
    return Answer(
        schema="replay/1",
        ok=ours is not None and frozen is not None and ours <= frozen * (1 + 1e-9),
        result={
            "product": product.name,
            "began": done.began,
            "ended": done.ended,
            "went_live": done.went_live,
            "cost_per_1000": totals,
            "accuracy": accuracies_of(done),
            "events": len(done.history),
            "report": str(written) if written else None,
        },
        text=table_in_words(product, done, totals) + (f"\n\nthe report: {written}" if written else ""),
    )


def history_files(product: Product, sources: tuple[str, ...]) -> dict[str, Path]:
    """The files of history: as given, else where the contract says they lie."""
    from geartrain.engine.rows import data_of

    given = dict(one.split("=", maxsplit=1) for one in sources if "=" in one)
    wrong = [one for one in sources if "=" not in one]
    if wrong:
        raise click.UsageError(f"--source takes NAME=FILE, not {wrong[0]!r}")
    files = {name: Path(path) for name, path in given.items()}
    for source in data_of(product.contract).sources:
        if source.name not in files and source.location:
            files[source.name] = product.folder / source.location
    return files


def run_replay(
    root: Path,
    product: Product,
    files: dict[str, Path],
    terms: ReplayTerms,
    *,
    told: Teller,
    beside: bool = False,
) -> tuple[Workspace, Replayed]:
    """Replay in a fresh workspace at *root*; what an earlier replay left there goes.

    With *beside*, the workspace is kept as it is and the product must be new to it.
    """
    from geartrain.engine.replaying import replay as lived
    from geartrain.wiring import Settings, open_workspace

    if root.exists() and not beside:
        shutil.rmtree(root)
    space = open_workspace(Settings(root=root))
    with quieten():
        done = lived(
            space,
            product,
            files,
            terms,
            workflows=builds_in_memory(space, product, timings=400),
            clock_ns=time.perf_counter_ns,
            teller=told,
        )
    return space, done


def builds_in_memory(space: Workspace, product: Product, *, timings: int) -> MemoryWorkflows:
    """The workflow that builds a release, run at once and kept nowhere, as a replay runs it."""
    from geartrain.adapters.workflows import MemoryWorkflows
    from geartrain.engine.bench import Builder
    from geartrain.engine.building import build
    from geartrain.engine.replaying import BUILD
    from geartrain.ports.workflow import Steps

    builder = Builder(workspace=space, product=product, clock_ns=time.perf_counter_ns, timings=timings)

    def plan(steps: Steps, arguments: dict[str, object]) -> object:
        return build(builder, steps, arguments)

    return MemoryWorkflows({BUILD: plan})


def totals_of(done: Replayed) -> dict[str, float]:
    """Cost per 1000 decisions of each policy over the whole time, the cheapest first."""
    import polars as pl

    if done.costs.height == 0:
        return {}
    sums = (
        done.costs.group_by("policy")
        .agg((1000 * pl.col("cost").sum() / pl.col("decisions").sum()).alias("per_1000"))
        .sort("per_1000", "policy")
    )
    return dict(zip(sums["policy"].to_list(), sums["per_1000"].to_list(), strict=True))


def accuracies_of(done: Replayed) -> dict[str, float]:
    """The share of right decisions, where every error costs one and a right decision nothing."""
    return {name: 1 - cost / 1000 for name, cost in totals_of(done).items()} if done.plain_errors else {}


def table_in_words(product: Product, done: Replayed, totals: dict[str, float]) -> str:
    """The policies side by side, and what happened on the way."""
    from geartrain.documents.chart_nouns import EventKind
    from geartrain.engine.bench import currency_of
    from geartrain.engine.timeline import timeline_of

    if not totals:
        return "no model ever went live: the gates stayed closed; `geartrain ledger show` tells why"
    currency = currency_of(product.contract)
    lines = [f"cost per 1000 decisions, in {currency} ({done.began:%Y-%m-%d} to {done.ended:%Y-%m-%d}):", ""]
    accuracy = accuracies_of(done)
    for name, cost in totals.items():
        mark = "->" if name == "geartrain" else "  "
        right = f"   {accuracy[name]:.2%} right" if accuracy else ""
        lines.append(f"{mark} {name:<22} {cost:>12,.1f}{right}")
    lines += ["", "what happened:"]
    for event in timeline_of(done.history, since=done.began):
        if event.kind is not EventKind.NOTE:
            lines.append(f"   {event.at:%Y-%m-%d}  {event.title}")
    return "\n".join(lines)


def verdict_in_words(product: Product, totals: dict[str, float]) -> str:
    """How the product did against never retraining and the cheapest trivial policy, in one sentence."""
    from geartrain.engine.bench import currency_of

    if "geartrain" not in totals:
        return "No release could go live: the gates stayed closed."
    ours, frozen = totals["geartrain"], totals["never retrain"]
    trivial = {
        name: cost
        for name, cost in totals.items()
        if name not in {"geartrain", "never retrain", "retrain on schedule"}
    }
    best = min(trivial, key=lambda name: trivial[name]) if trivial else ""
    change = (frozen - ours) / frozen if frozen else 0.0
    against = f"{abs(change):.0%} {'less' if change >= 0 else 'more'} than never retraining"
    beside = f", the cheapest trivial policy is {best} with {trivial[best]:,.0f}" if best else ""
    schedule = totals.get("retrain on schedule")
    routine = f"; refitting on schedule without asking would have cost {schedule:,.0f}" if schedule else ""
    return f"1000 decisions cost {ours:,.0f} {currency_of(product.contract)}, {against}{beside}{routine}."


def replay_chapter(
    space: Workspace, product: Product, done: Replayed, *, schedule_days: float
) -> ProductSection:
    """The report's chapter about a replayed product: the release that is live at the end."""
    from geartrain.engine.releasing import releases
    from geartrain.engine.reporting import monitor_lines, product_section, replay_section

    live = releases(space, product.name).champion
    document = done.document_of(live) or done.documents[0]
    totals = totals_of(done)
    section = product_section(
        space,
        product.contract,
        document,
        lead=verdict_in_words(product, totals),
        outcome="live" if live else "never live",
        monitors=monitor_lines(product.contract, done),
    )
    return replace(section, replay=replay_section(product.contract, done, schedule_days=schedule_days))


def write_report(
    path: Path,
    *,
    title: str,
    lead: str,
    sections: tuple[ProductSection, ...],
    seed: int,
    seconds: float,
    now: datetime | None = None,
    next_steps: tuple[tuple[str, str], ...] = (),
) -> Path:
    """One self-contained HTML page."""
    from geartrain.documents.report import render_report
    from geartrain.documents.report_nouns import Fact, RunReport
    from geartrain.engine.reporting import colophon

    report = RunReport(
        title=title,
        lead=lead,
        made_at=moment_of(now),
        products=sections,
        next_steps=tuple(Fact(name=command, value=words) for command, words in next_steps),
        colophon=colophon(seed=seed, seconds=seconds),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_report(report), encoding="utf-8")
    return path
