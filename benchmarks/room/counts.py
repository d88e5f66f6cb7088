"""How long the pages that are counted take to answer: over time and feeds, with many decisions in the store.

    python benchmarks/room/counts.py --decisions 1000000

A workspace with simulated payments, decisions and chargebacks over half a year is made in a
temporary folder. Each page is asked for the first time (nothing was ever counted: it may say that
it is being counted), until it is counted, again, and after another batch (the older count is shown).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from starlette.testclient import TestClient

from geartrain.domain.accounts import Account
from geartrain.domain.events import ContractAdopted
from geartrain.engine.adopted import read_contract_text
from geartrain.engine.workspace import Workspace
from geartrain.testing.accounts import MemoryAccounts
from geartrain.web.app import create_room
from geartrain.web.room import Room
from geartrain.web.secrets import hashed
from geartrain.wiring import Settings, open_workspace

PRODUCT = Path(__file__).parents[2] / "examples" / "card-fraud" / "product.yaml"
BEGINS = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 7, 20, tzinfo=UTC)
DAYS, PASSWORD, PEOPLE = 180, "a plain long sentence", "Priya Nair"
CLOCKS = ("_event_time", "_arrival_time")
#: Two more clauses, so that there are slices and groups to count.
MORE = """
fairness:
  channels:
    groups: channel
    definition: equal_opportunity
    at_most: 0.5
    because: where a card is used is no reason
"""


def main() -> None:
    """Make the workspace, ask the pages, print a table."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--decisions", type=int, default=1_000_000)
    count = asked.parse_args().decisions
    with tempfile.TemporaryDirectory() as folder:
        workspace = open_workspace(Settings(root=Path(folder)))
        text = PRODUCT.read_text() + MORE
        adopted = ContractAdopted(
            product="card-fraud",
            contract=read_contract_text(text).id,
            text=workspace.blobs.put(text.encode()),
        )
        workspace.record("card-fraud", [adopted], now=BEGINS)
        fill(workspace, count, batch="history")
        client = room_of(workspace)
        print(f"{count:,} decisions, milliseconds to the whole page")
        print(f"{'page':<12}{'first':>10}{'counted':>10}{'again':>10}{'new rows':>10}")
        for page in ("over-time", "feeds"):
            first, ready = look(client, page), counted(client, page)
            again = least(client, page)
            fill(workspace, 2000, batch=f"more-{page}")
            fresh = look(client, page)
            print(f"{page:<12}{first:>10.0f}{ready:>10.0f}{again:>10.0f}{fresh:>10.0f}")


def look(client: TestClient, page: str) -> float:
    """Ask for a page once."""
    begun = time.perf_counter()
    answer = client.get(f"/products/card-fraud/{page}")
    assert answer.status_code == 200, answer.text[:300]
    return 1000 * (time.perf_counter() - begun)


def counted(client: TestClient, page: str) -> float:
    """Milliseconds until the page no longer says that it is being counted."""
    begun = time.perf_counter()
    while client.get(f"/products/card-fraud/{page}.json").json()["being_counted"]:
        time.sleep(0.05)
    return 1000 * (time.perf_counter() - begun)


def least(client: TestClient, page: str) -> float:
    """The middle one of seven looks."""
    return sorted(look(client, page) for _ in range(7))[3]


def room_of(workspace: Workspace) -> TestClient:
    """A browser in which somebody is signed in."""
    accounts = MemoryAccounts()
    accounts.add(Account(person=PEOPLE, password=hashed(PASSWORD), keeper=True, opened_at=NOW))
    secrets = (f"secret-{number}-of-the-benchmark" for number in range(10_000))
    room = Room(
        workspace=workspace, accounts=accounts, now=lambda: NOW, secret=lambda: next(secrets), first_code="-"
    )
    client = TestClient(create_room(room), base_url="http://127.0.0.1", follow_redirects=False)
    proof = client.get("/enter").text.split('name="proof" value="')[1].split('"')[0]
    client.post("/enter", data={"proof": proof, "person": PEOPLE, "password": PASSWORD, "to": "/"})
    return client


def fill(workspace: Workspace, count: int, *, batch: str) -> None:
    """Append payments, the decisions about them and what turned out, a week later."""
    chance = np.random.default_rng(len(batch))
    at = (
        pl.Series(np.sort(chance.integers(0, DAYS * 86_400, count)) * 1_000_000).cast(pl.Duration("us"))
        + BEGINS
    )
    amount, fraud = chance.gamma(2.0, 40.0, count), chance.random(count) < 0.02
    base = pl.DataFrame(dict.fromkeys(CLOCKS, at)).with_columns(
        pl.Series("key", [f"{batch}-{place}" for place in range(count)]),
        pl.Series("amount", amount),
        pl.Series("channel", np.where(chance.random(count) < 0.3, "online", "shop")),
    )
    log = base.select(
        *CLOCKS, "key", pl.col("key").alias("decision_id"), pl.lit("r" * 64).alias("release"),
        pl.lit("champion").alias("arm"),
        pl.Series("action", np.where(chance.random(count) < np.where(fraud, 0.6, 0.03), "stop", "accept")),
        pl.lit(json.dumps({"false": 0.9, "true": 0.1})).alias("probabilities"),
        pl.lit(0.5).alias("expected_cost"), pl.lit(value=False).alias("abstained"),
        pl.lit(value=False).alias("fallback"), pl.lit("").alias("doubt"),
        pl.col("amount").alias("feature:amount"), pl.col("channel").alias("feature:channel"),
        *(pl.Series(f"feature:{place}", chance.random(count)) for place in range(14)),
    )  # fmt: skip
    payments = base.rename({"key": "transaction_id"}).with_columns(
        pl.lit("c00001").alias("card_id"), pl.lit("m0001").alias("terminal_id")
    )
    told = base.select(
        "_event_time",
        (pl.col("_arrival_time") + timedelta(days=7)).alias("_arrival_time"),
        pl.col("key").alias("transaction_id"),
        pl.Series("is_fraud", fraud),
    )
    for table, rows in (("transactions", payments), ("decisions__log", log), ("chargebacks", told)):
        workspace.lake.append(f"card-fraud/{table}", rows.to_arrow(), batch=batch)


if __name__ == "__main__":
    main()
