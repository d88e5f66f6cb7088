"""A shop that is asked which visitors will buy: a small product with events, made from a seed."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from geartrain.adapters.workflows import MemoryWorkflows
from geartrain.engine.bench import Builder
from geartrain.engine.building import build, order, run_id
from geartrain.engine.folders import remember_folder
from geartrain.engine.ingesting import Door
from geartrain.engine.products import Product, load_product
from geartrain.engine.proposing import adopt
from geartrain.engine.signing import sign_all, sign_for_the_team, waive_unproven
from geartrain.engine.workspace import Workspace
from geartrain.wiring import Settings, open_workspace

NAME = "shop"
BEGINS = datetime(2026, 3, 1, tzinfo=UTC)
NOW = datetime(2026, 4, 1, tzinfo=UTC)

CONTRACT = """\
geartrain: 1
product:
  name: shop
  title: Who will buy
  problem: Which visitor is shown the offer?
  serves: the shop
decision:
  task: binary
  unit: one visit
  label: bought
  positive: "yes"
  actions: {"yes": show, "no": hide}
  label_delay: 1 day
  fallback: hide
costs: {currency: EUR, false_negative: 3, false_positive: 1}
success:
  expected_cost: {at_most: 5, relative_to: always-show, owner: product, because: it is a test}
integrity:
  target_proxy: {accept: [pages], because: the pages are seen before the offer is shown}
data:
  split: {by_time: true, shares: [0.5, 0.25, 0.25]}
  sources:
    visits:
      kind: decisions
      key: visit_id
      event_time: at
      fields:
        visit_id: {type: string, required: true}
        visitor: {type: string, required: true, feature: false}
        pages: {type: number, required: true, min: 0, max: 1000}
        device: {type: string, values: [phone, desk]}
        at: {type: timestamp}
        bought: {type: string, values: ["yes", "no"]}
    clicks:
      kind: events
      key: click_id
      event_time: at
      fields:
        click_id: {type: string, required: true}
        visitor: {type: string, required: true}
        weight: {type: number, required: true, min: 0}
        at: {type: timestamp, required: true}
release:
  sign: [science]
team:
  product: [Pia Roth]
  domain: [Dan Meyer]
  engineering: [Eva Lind]
  science: [Sam Cole]
"""

FEATURES = """\
from geartrain.features.declaring import feature_set, request, window

features = feature_set(
    request("pages", because="who looks around buys"),
    request("device", type="category", because="phones browse"),
    *window("clicks", entity="visitor", over=("7d", "3650d"), count=True, sum="weight", because="interest"),
)
"""

MODEL = """\
from geartrain.training.recipe import integer, recipe

model = recipe("lightgbm", search={"n_estimators": integer(10, 20)}, fixed={"num_leaves": 5})
"""


#: The same shop, which also says what stops a release.
GUARDED = CONTRACT.replace(
    "integrity:\n",
    """\
  recall: {at_least: 0.5, severity: warn, because: who would buy is to see the offer}
budget:
  fallback_rate: {at_most: 10 %, severity: warn, because: a fallback hides every offer}
  latency_p99: {at_most: 50 ms, severity: warn, stages: [live], because: the page waits}
fairness:
  phones_and_desks: {groups: device, definition: demographic_parity, at_most: 0.5, severity: warn, because: it is a test}
integrity:
""",
).replace(
    "  sign: [science]\n",
    """\
  sign: [science]
  abort_on: [budget.latency_p99, success.recall, fairness.phones_and_desks]
""",
)


def write_folder(folder: Path, contract: str | None = None) -> Product:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "product.yaml").write_text(contract or CONTRACT)
    (folder / "features.py").write_text(FEATURES)
    (folder / "model.py").write_text(MODEL)
    return load_product(folder)


def history(rows: int = 320) -> tuple[pl.DataFrame, pl.DataFrame]:
    chance = np.random.default_rng(7)
    at = [BEGINS + timedelta(minutes=int(m)) for m in np.sort(chance.integers(60, 60 * 24 * 28, rows))]
    visitors = [f"v{i}" for i in chance.integers(0, 60, rows)]
    pages = chance.integers(0, 30, rows)
    visits = pl.DataFrame(
        {
            "visit_id": [f"visit-{i}" for i in range(rows)],
            "visitor": visitors,
            "pages": pages.astype(float),
            "device": chance.choice(["phone", "desk"], rows),
            "at": [one.isoformat() for one in at],
            "bought": np.where(pages + chance.normal(0, 4, rows) > 15, "yes", "no"),
        }
    )
    clicks = pl.DataFrame(
        {
            "click_id": [f"click-{i}" for i in range(rows)],
            "visitor": visitors,
            "weight": chance.uniform(0, 5, rows),
            "at": [(one - timedelta(minutes=30)).isoformat() for one in at],
        }
    )
    return visits, clicks


def make_shop(root: Path, folder: Path, contract: str | None = None) -> tuple[str, str]:
    """A workspace with two signed releases, the first one live; returns their ids."""
    product = write_folder(folder, contract)
    space = open_workspace(Settings(root=root))
    remember_folder(root, NAME, folder)
    adopt(space, product, now=NOW, actor="test")
    door = Door(space, product.contract)
    for source, rows in zip(("visits", "clicks"), history(), strict=True):
        door.take(source, rows, content=rows.write_ndjson().encode(), now=NOW)
    first = candidate(space, product, seed=1)
    assert sign_for_the_team(space, product.contract, first, now=NOW)
    second = candidate(space, product, seed=2)
    waive_unproven(space, product.contract, second, now=NOW)
    assert sign_all(space, product.contract, second, now=NOW)
    space.ledger.close()
    return first, second


def candidate(space: Workspace, product: Product, *, seed: int) -> str:
    builder = Builder(workspace=space, product=product, clock_ns=time.perf_counter_ns, timings=50)
    flows = MemoryWorkflows({"build": lambda steps, arguments: build(builder, steps, arguments)})
    ordered = order(product, now=NOW + timedelta(minutes=seed), seed=seed, trials=1)
    document = flows.run(run_id("build", ordered), "build", ordered)
    assert isinstance(document, dict)
    return str(document["release"])
