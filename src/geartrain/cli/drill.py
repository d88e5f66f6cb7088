"""`geartrain drill`: inject faults into a replay, and see who is called, how soon, and how often."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geartrain.cli.answer import Answer, answering
from geartrain.cli.options import history_option, loaded, product_option, seed_option
from geartrain.cli.replay import DAY_S, builds_in_memory, history_files
from geartrain.cli.telling import quieten, teller

if TYPE_CHECKING:
    from geartrain.engine.drilling import Drilled, DrillTerms, Exercise
    from geartrain.engine.products import Product
    from geartrain.engine.workspace import Workspace
    from geartrain.ports.teller import Teller


@click.command()
@product_option
@history_option
@click.option(
    "--live-after",
    "live_after",
    type=click.FloatRange(min=1),
    default=45.0,
    show_default=True,
    metavar="DAYS",
    help="How much history is only taken in before the release is built.",
)
@click.option(
    "--settle",
    type=click.FloatRange(min=1),
    default=14.0,
    show_default=True,
    metavar="DAYS",
    help="How long the release is live before the fault begins.",
)
@click.option(
    "--watch",
    type=click.FloatRange(min=1),
    default=21.0,
    show_default=True,
    metavar="DAYS",
    help="How long an incident is waited for.",
)
@click.option("--only", multiple=True, metavar="FAULT", help="Inject this fault only, such as `unit change`.")
@click.option("--trials", type=click.IntRange(min=1), default=None, help="Settings that the search tries.")
@seed_option
@answering
def drill(
    folder: Path,
    sources: tuple[str, ...],
    live_after: float,
    settle: float,
    watch: float,
    only: tuple[str, ...],
    trials: int | None,
    seed: int,
) -> Answer:
    """Inject nine faults into a replay, each from the same moment, beside a control without any.

    The answer is yes when all but one name the right cause first, with one incident each, and the
    control has none. Everything happens in memory: nothing of your workspace is touched.
    """
    from geartrain.engine.drilling import DrillTerms
    from geartrain.engine.faults import FaultKind

    names = {one.value: one for one in FaultKind}
    wrong = [one for one in only if one not in names]
    if wrong:
        raise click.UsageError(f"there is no fault {wrong[0]!r}; there are {', '.join(names)}")
    product = loaded(folder)
    terms = DrillTerms(
        live_after_s=live_after * DAY_S,
        settle_s=settle * DAY_S,
        watch_s=watch * DAY_S,
        seed=seed,
        trials=trials,
        kinds=tuple(names[one] for one in only) or tuple(FaultKind),
    )
    done = run_drill(product, history_files(product, sources), terms, told=teller())
    return Answer(
        schema="drill/1",
        ok=done.passed,
        result={
            "product": product.name,
            "began": done.began,
            "passed": done.passed,
            "drills": [_fact(one) for one in done.drills],
            "control": _fact(done.control),
            "left_out": [{"fault": kind, "reason": reason} for kind, reason in done.left_out],
        },
        text=in_words(done),
    )


def run_drill(product: Product, files: dict[str, Path], terms: DrillTerms, *, told: Teller) -> Exercise:
    """Drill in stores that live in memory."""
    from geartrain.engine.drilling import drill as drilled
    from geartrain.engine.workspace import Workspace
    from geartrain.release.keys import new_key
    from geartrain.testing.blobs import MemoryBlobs
    from geartrain.testing.lake import MemoryLake
    from geartrain.testing.ledger import MemoryLedger
    from geartrain.testing.notifier import MemoryNotifier

    key = new_key()
    with tempfile.TemporaryDirectory(prefix="geartrain-drill-") as root, quieten():

        def opened(ledger: MemoryLedger, lake: MemoryLake, blobs: MemoryBlobs) -> Workspace:
            return Workspace(
                root=Path(root),
                ledger=ledger,
                lake=lake,
                blobs=blobs,
                notifier=MemoryNotifier(),
                signing_key=lambda: key,
            )

        ledger, lake, blobs = MemoryLedger(), MemoryLake(), MemoryBlobs()
        space = opened(ledger, lake, blobs)
        calm = replace(product, contract=replace(product.contract, retraining=None))
        return drilled(
            space,
            calm,
            files,
            terms,
            # Blobs are named by their content: what one drill adds does not change another.
            copied=lambda _: opened(ledger.copy(), lake.copy(), blobs),
            workflows=builds_in_memory(space, calm, timings=100),
            clock_ns=time.perf_counter_ns,
            teller=told,
        )


def in_words(done: Exercise) -> str:
    """One line a fault, and the verdict."""
    lines = [f"faults begin {done.began:%Y-%m-%d}; right is what the contract's owners make of each:", ""]
    for one in (*done.drills, done.control):
        name = one.fault.kind.value if one.fault is not None else "control"
        what = one.fault.words if one.fault is not None else "nothing is done"
        mark = "right" if one.right and one.once else "WRONG"
        lines.append(f"{mark:<6} {name:<17} {what}: {_called(one)}")
    lines += [f"{'':<6} {kind:<17} left out: {reason}" for kind, reason in done.left_out]
    right = sum(one.right for one in done.drills)
    once = sum(one.once for one in done.drills)
    lines += [
        "",
        f"{right} of {len(done.drills)} right causes first, {once} with one incident, {len(done.control.incidents)} in the control",
    ]
    return "\n".join(lines)


def _called(one: Drilled) -> str:
    if one.called is None or one.after is None:
        return "nobody was called"
    first, (cause, owner) = one.incidents[0], one.called
    days = one.after.total_seconds() / DAY_S
    more = f", and {len(one.incidents) - 1} more" if len(one.incidents) > 1 else ""
    return f"{cause} after {days:.3g} days, {owner} was called{more}; {first.message}"


def _fact(one: Drilled) -> dict[str, object]:
    return {
        "fault": one.fault.kind if one.fault is not None else None,
        "words": one.fault.words if one.fault is not None else "control",
        "expected": one.expected,
        "right": one.right,
        "once": one.once,
        "days_to_detection": None if one.after is None else one.after.total_seconds() / DAY_S,
        "incidents": one.incidents,
    }
