"""How long each page of the room takes when a product has been tried and asked a great deal.

python benchmarks/room/run.py [--trials 10000] [--decisions 1000000] [--times 7]

The product is the small shop of the tests, with two real releases. Beside them stand trials in the
ledger (`TrialRecorded`, each with another score), and decisions of the live release with their
outcomes in the lake, as a server logs them: a batch a day over sixty days, two features, one
outcome for each decision older than a day, both drawn from a seed. Pages are asked for through the
whole application but without a network. The first answer of a page, where nobody has counted yet
what it shows and where it may say that it is being counted, stands in a column of its own; so does
the first answer of another room over the same workspace, which reads what was counted (in this
process: loading the program is not in it). The later ones are asked for when the count is there.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import secrets
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
from starlette.testclient import TestClient

from geartrain.domain.accounts import Account, Session
from geartrain.domain.events import TrialRecorded
from geartrain.domain.model import Pool, Trial
from geartrain.engine.logbook import DECISIONS
from geartrain.engine.products import load_product
from geartrain.engine.rows import OUTCOMES, table_of
from geartrain.engine.workspace import Workspace
from geartrain.testing.accounts import MemoryAccounts
from geartrain.web.app import create_room
from geartrain.web.contents import PAGES
from geartrain.web.room import Room
from geartrain.web.secrets import digest_of
from geartrain.wiring import Settings, open_workspace

NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)
DAYS = 60
PERSON = "Sam Cole"
#: So many events are appended at once.
AT_ONCE = 1000


def main() -> None:
    """Build the workspace, ask for every page, print a table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--trials", type=int, default=10_000)
    arguments.add_argument("--decisions", type=int, default=1_000_000)
    arguments.add_argument("--times", type=int, default=7)
    arguments.add_argument("--keep", type=Path, help="a folder in which the workspace is made once and kept")
    told = arguments.parse_args()
    with tempfile.TemporaryDirectory() as passing:
        base = told.keep or Path(passing)
        if not (base / "space").exists():
            built(base, trials=told.trials, decisions=told.decisions)
        rows = measured(base, times=told.times)
        restarted = measured(base, times=1)
    print(f"{told.trials:,} trials, {told.decisions:,} decisions; milliseconds")
    print(f"{'page':<52}{'first':>8}{'restart':>9}{'p50':>8}{'p95':>8}{'kB':>7}")
    for (name, first, rest, size), (_, again, _, _) in zip(rows, restarted, strict=True):
        print(
            f"{name:<52}{first:>8.0f}{again:>9.0f}{np.median(rest):>8.0f}{np.quantile(rest, 0.95):>8.0f}"
            f"{size / 1000:>7.0f}"
        )


def built(base: Path, *, trials: int, decisions: int) -> None:
    """A workspace with two releases, many trials and many decisions."""
    shop = _shop()
    shop.make_shop(base / "space", base / "shop")
    space = open_workspace(Settings(root=base / "space"))
    _try(space, trials)
    _decide(space, decisions)
    space.ledger.close()


def measured(base: Path, *, times: int) -> list[tuple[str, float, list[float], int]]:
    """Each page: its name, the first answer and the later ones in milliseconds, its size in bytes."""
    product = load_product(base / "shop")
    accounts = MemoryAccounts()
    accounts.add(Account(person=PERSON, password="", keeper=True, opened_at=NOW))
    accounts.add_session(
        Session(
            digest=digest_of("s"), person=PERSON, proof="p", began_at=NOW, expires_at=NOW + timedelta(days=1)
        )
    )
    space = open_workspace(Settings(root=base / "space"))
    room = Room(
        workspace=space,
        accounts=accounts,
        now=lambda: NOW,
        secret=lambda: secrets.token_urlsafe(32),
        first_code="",
    )
    client = TestClient(create_room(room), base_url="http://127.0.0.1", cookies={"geartrain-session": "s"})
    client.get("/people")
    rows = []
    for address in _addresses(space, product.contract.product.name):
        first, page = _timed(client, address)
        while "data-renew" in page:
            time.sleep(0.1)
            page = _timed(client, address)[1]
        rest = [_timed(client, address) for _ in range(times)]
        size = len(rest[-1][1].encode())
        shown = address if len(address) < 52 else f"{address[:48]}..."
        rows.append((shown, first, [took for took, _ in rest], size))
    return rows


def _timed(client: TestClient, address: str) -> tuple[float, str]:
    """Milliseconds to the whole page, and the page."""
    began = time.perf_counter()
    answer = client.get(address)
    took = (time.perf_counter() - began) * 1000
    assert answer.status_code == 200, (address, answer.status_code, answer.text[:300])
    return took, answer.text


def _addresses(space: Workspace, product: str) -> list[str]:
    """Every page but those of a single proposal and a single incident, of which there is none here."""
    champion = space.releases(product).champion or ""
    known = {
        "product": product,
        "release": champion,
        "name": "pages",
        "source": "visits",
        "dimension": "device",
    }
    found = []
    for page in PAGES:
        try:
            found.append(page.path.format(**known))
        except KeyError:
            continue
    return found


def _try(space: Workspace, count: int) -> None:
    for begin in range(0, count, AT_ONCE):
        events = []
        for number in range(begin, min(begin + AT_ONCE, count)):
            trial = Trial(
                contract="c", snapshot="s", features="f", code="x", algorithm="lightgbm",
                params=(("n_estimators", 10 + number),), seed=number, pool=Pool.SEARCH, metric="cost",
                score=1 + number / count, rows=320,
            )  # fmt: skip
            events.append(TrialRecorded(product="shop", id=trial.id, trial=trial))
        space.record("shop", events, now=NOW - timedelta(days=DAYS))


def _decide(space: Workspace, count: int) -> None:
    chance = np.random.default_rng(11)
    champion = space.releases("shop").champion
    product_features = _features(space)
    each = count // DAYS
    for day in range(DAYS):
        begin = NOW - timedelta(days=DAYS - day)
        seconds = np.sort(chance.uniform(0, 86_000, each))
        at = pl.Series(
            [begin + timedelta(seconds=float(one)) for one in seconds], dtype=pl.Datetime("us", "UTC")
        )
        pages = chance.integers(0, 30, each).astype(float)
        p = 1 / (1 + np.exp(-(pages - 15) / 3))
        device = chance.choice(["phone", "desk"], each)
        keys = [f"d{day:02d}-{number:06d}" for number in range(each)]
        rows = pl.DataFrame(
            {
                "_event_time": at,
                "_arrival_time": at,
                "_batch": [f"day-{day}"] * each,
                "key": keys,
                "decision_id": keys,
                "release": [champion] * each,
                "arm": ["champion"] * each,
                "action": np.where(p > 0.25, "show", "hide"),
                "probabilities": [json.dumps({"no": round(1 - one, 6), "yes": round(one, 6)}) for one in p],
                "expected_cost": np.minimum(3 * p, 1 - p),
                "abstained": [False] * each,
                "fallback": [False] * each,
                "doubt": [""] * each,
                "row": [
                    f'{{"visit_id": "{key}", "visitor": "v1", "pages": {page}, "device": "{kind}"}}'
                    for key, page, kind in zip(keys, pages, device, strict=True)
                ],
                "feature:pages": pages,
                "feature:device": device,
                **{f"feature:{name}": chance.integers(0, 5, each).astype(float) for name in product_features},
            }
        )
        space.lake.append(table_of("shop", DECISIONS), rows.to_arrow(), batch=f"day-{day}")
        outcomes = rows.select(
            (pl.col("_event_time") + timedelta(days=1)).alias("_event_time"),
            (pl.col("_arrival_time") + timedelta(days=1)).alias("_arrival_time"),
            pl.lit(f"outcomes-{day}").alias("_batch"),
            pl.col("key"),
            pl.Series("label", np.where(chance.uniform(size=each) < p, "yes", "no")),
            pl.col("decision_id").alias("decision"),
            pl.lit("feed").alias("by"),
        )
        if day < DAYS - 1:
            space.lake.append(table_of("shop", OUTCOMES), outcomes.to_arrow(), batch=f"outcomes-{day}")


def _features(space: Workspace) -> list[str]:
    named = load_product(space.root.parent / "shop").features
    assert named is not None
    return [one.name for one in named.features if one.name not in {"pages", "device"}]


def _shop() -> ModuleType:
    place = Path(__file__).resolve().parents[2] / "tests" / "living" / "shop.py"
    spec = importlib.util.spec_from_file_location("shop", place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
