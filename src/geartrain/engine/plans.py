"""The plans of durable runs: what each name means, for whoever starts a run or goes on with one.

A run may be gone on with by another process, long after: so a plan knows only its
arguments. It reads the product from the folder that they name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from geartrain.engine import building
from geartrain.engine.bench import Builder, Document
from geartrain.engine.products import Product, load_product
from geartrain.engine.workspace import Workspace
from geartrain.ports.teller import Silence, Teller
from geartrain.ports.workflow import Plan, Steps

#: The plans, in the order in which a candidate goes through them; `build` is all of them.
TRAIN, COMPRESS, PROPOSE, BUILD = "train", "compress", "propose", "build"

_WORK: Mapping[str, Callable[[Builder, Steps, Document], Document]] = {
    TRAIN: building.train,
    COMPRESS: building.compress,
    PROPOSE: building.propose,
    BUILD: building.build,
}


def plans(
    workspace: Workspace,
    *,
    clock_ns: Callable[[], int],
    teller: Teller | None = None,
    product: Product | None = None,
) -> dict[str, Plan]:
    """Every plan by name; *product* saves reading a folder that was read already.

    *clock_ns* says the time in nanoseconds, for measuring how fast a model answers.
    """
    told = teller or Silence()
    builders: dict[str, Builder] = {}

    def builder_of(folder: str) -> Builder:
        if folder not in builders:
            known = product is not None and str(product.folder.resolve()) == folder
            loaded = product if known and product is not None else load_product(Path(folder))
            builders[folder] = Builder(workspace=workspace, product=loaded, clock_ns=clock_ns, teller=told)
        return builders[folder]

    def plan_of(work: Callable[[Builder, Steps, Document], Document]) -> Plan:
        def plan(steps: Steps, arguments: dict[str, object]) -> object:
            return work(builder_of(str(arguments["folder"])), steps, arguments)

        return plan

    return {name: plan_of(work) for name, work in _WORK.items()}
