"""Durable work from a command: one worker a workspace, cut-off runs first, then what was asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geartrain.cli.options import settings
from geartrain.cli.telling import teller
from geartrain.errors import GeartrainError

if TYPE_CHECKING:
    from geartrain.engine.products import Product
    from geartrain.engine.workspace import Workspace
    from geartrain.ports.workflow import Workflows

#: Makes what is ordered, after cut-off runs have ended.
Ordering = Callable[[], dict[str, Any]]
#: Told what was ordered before the first step, and what came of it before the run is forgotten as begun.
Hook = Callable[[dict[str, Any]], None]


def work(
    workspace: Path | None,
    space: Workspace,
    product: Product,
    stage: str,
    ordering: Ordering,
    *,
    begun: Hook | None = None,
    ended: Hook | None = None,
    failed: Callable[[GeartrainError], None] | None = None,
) -> dict[str, Any]:
    """Run *stage*, or go on with the run of the same order that was cut off; returns its document.

    *begun*, *ended* and *failed* are called after the order was noted and before the note goes away: a
    process that is killed in or around them calls them again, so what they write they must write once.

    Raises:
        WorkspaceBusy: Another process is working here.
    """
    from geartrain.engine.building import run_id
    from geartrain.engine.plans import plans
    from geartrain.engine.runs import begin_run, begun_run, end_run, remember_run
    from geartrain.wiring import only_worker, open_workflows

    told = teller()
    named = plans(space, clock_ns=time.perf_counter_ns, teller=told, product=product)
    with only_worker(space.root):
        flows = open_workflows(settings(workspace), named)
        try:
            resumed = _resumed(flows)
            for one in resumed:
                told.say(f"went on with {one}, which had been cut off")
            before, ordered = begun_run(space.root, product.name, stage), ordering()
            run = run_id(stage, ordered)
            if before is not None and before[0] in resumed and _same(before[1], ordered):
                run, ordered = before
            begin_run(space.root, product.name, stage, run, ordered)
            if begun is not None:
                begun(ordered)
            document = flows.run(run, stage, ordered)
        except GeartrainError as error:
            if failed is not None:
                failed(error)
            end_run(space.root, product.name, stage)
            raise
        finally:
            flows.close()
        assert isinstance(document, dict)
        if ended is not None:
            ended(document)
        remember_run(space.root, product.name, stage, document)
    return document


def _resumed(flows: Workflows) -> frozenset[str]:
    """The runs that were gone on with, by the ids of their first attempts."""
    return frozenset(one.split(".", maxsplit=1)[0] for one in flows.resume())


def _same(cut_off: dict[str, Any], ordered: dict[str, Any]) -> bool:
    """Whether two orders differ in nothing but the time at which they were given."""
    timed = {"now", "since"}
    return {key: value for key, value in cut_off.items() if key not in timed} == {
        key: value for key, value in ordered.items() if key not in timed
    }


def begin(space: Workspace, product: Product, *, now: datetime) -> None:
    """Make the folder known to the workspace, and its contract the product's."""
    from geartrain.engine.folders import remember_folder
    from geartrain.engine.proposing import adopt
    from geartrain.engine.workspace import MACHINE

    remember_folder(space.root, product.name, product.folder)
    adopt(space, product, now=now, actor=MACHINE)
