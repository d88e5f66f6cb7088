"""Several workers and one bus: each event once, whoever reads, also when the reader is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from geartrain.domain.events import BatchIngested
from geartrain.engine.bus_door import topic_of
from geartrain.engine.rows import frame_of, table_of
from geartrain.serving.lanes import Ask, answer
from geartrain.wiring import Settings, build_host, open_bus

NAME = "shop"


@contextmanager
def serving(root: Path, *more: str, bus: str = "") -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    ready = root.with_name(f"ready-{time.monotonic_ns()}")
    arguments = ["serve", "-w", str(root), "--port", "0", "--ready-file", str(ready), *more]
    process = subprocess.Popen(
        [sys.executable, "-m", "geartrain", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **({"GEARTRAIN_BUS_URL": bus} if bus else {})},
    )
    try:
        until(lambda: ready.exists() or process.poll() is not None)
        yield process, ready.read_text()
    finally:
        process.kill()
        process.wait()


def until(condition: Callable[[], object], *, within_s: float = 60.0) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


class Clicks:
    """Clicks on the workspace's bus, and what of them is in the lake."""

    def __init__(self, the_shop, bus: str = "") -> None:
        self.shop = the_shop
        self.bus = open_bus(Settings(root=the_shop.root, bus_url=bus), publish=True)
        self.sent = 0

    def publish(self, count: int) -> None:
        moment = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        rows = [
            {"click_id": f"b{number}", "visitor": f"w{number % 7}", "weight": 1.0, "at": moment}
            for number in range(self.sent, self.sent + count)
        ]
        self.sent += count
        self.bus.publish(
            topic_of(NAME),
            [(row["visitor"], json.dumps({"source": "clicks", "row": row}).encode()) for row in rows],
        )

    def arrived(self) -> Counter[str]:
        held = frame_of(self.shop.workspace().lake.scan(table_of(NAME, "clicks"), columns=("click_id",)))
        return Counter(one for one in held["click_id"].to_list() if one.startswith("b"))


def test_the_workers_of_one_server_share_its_bus_and_do_not_outlive_it(the_shop):
    """`serve --workers 2`: each event once in the lake; where the supervisor is killed the workers drain and leave the port."""
    clicks = Clicks(the_shop)
    with serving(the_shop.root, "--workers", "2") as (supervisor, url):
        clicks.publish(100)
        until(lambda: len(clicks.arrived()) == clicks.sent)
        supervisor.kill()
        supervisor.wait()
        until(lambda: not _answers(url))
        assert set(clicks.arrived().values()) == {1}


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/live", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def test_the_bus_of_two_servers_counts_each_event_once(the_shop):
    """Nothing is set or started: both read the workspace's own bus in turn, and the death of one loses and doubles nothing."""
    clicks = Clicks(the_shop)

    def taken() -> int:
        stored = the_shop.workspace().history(NAME)
        batches = [one.event.batch for one in stored if isinstance(one.event, BatchIngested)]
        return sum(one.rows for one in batches if one.source == "clicks")

    before = taken()
    with serving(the_shop.root) as (first, _), serving(the_shop.root) as (second, _):
        clicks.publish(40)
        until(lambda: len(clicks.arrived()) == clicks.sent)
        lock = next(the_shop.root.glob("bus.db.*.lock"))
        reader = int(lock.read_text())
        assert reader in {first.pid, second.pid}
        clicks.publish(400)
        until(lambda: len(clicks.arrived()) > 40)
        os.kill(reader, signal.SIGKILL)
        clicks.publish(40)
        until(lambda: len(clicks.arrived()) == clicks.sent)
        assert int(lock.read_text()) == ({first.pid, second.pid} - {reader}).pop()
        clicks.publish(7)
        until(lambda: len(clicks.arrived()) == clicks.sent)
        # A row lies in the lake before its delivery stands in the ledger, which is what a state is built from.
        until(lambda: taken() - before >= clicks.sent)

    assert set(clicks.arrived().values()) == {1}
    living = build_host(Settings(root=the_shop.root), tell=print)
    living.look()
    lane = living.host.lane(NAME)
    rows = tuple({"visit_id": f"x{n}", "visitor": f"w{n}", "pages": 3.0, "device": "phone"} for n in range(7))
    names = tuple(row["visit_id"] for row in rows)
    records = answer(lane, [Ask(rows=rows, ids=names, keys=names)], datetime.now(UTC))
    place = next(i for i, one in enumerate(lane.champion.columns) if "count_7d" in one)
    living.end()
    assert sum(one.inputs()[place] for given in records for one in given) == clicks.sent
    clicks.bus.close()


def test_two_servers_share_the_partitions_of_kafka(the_shop):
    """Both read one consumer group's share; one leaves, the other takes over: each event once in the lake."""
    kafka = pytest.importorskip("confluent_kafka", reason="needs the extra `kafka`")
    cluster = kafka.Producer({"test.mock.num.brokers": 1})
    brokers = cluster.list_topics(timeout=10).brokers.values()
    bus = f"kafka://{','.join(f'{one.host}:{one.port}' for one in brokers)}"
    clicks = Clicks(the_shop, bus)
    clicks.publish(20)
    with serving(the_shop.root, bus=bus) as (first, _), serving(the_shop.root, bus=bus):
        clicks.publish(200)
        until(lambda: len(clicks.arrived()) == clicks.sent)
        first.terminate()
        first.wait(60)
        clicks.publish(50)
        until(lambda: len(clicks.arrived()) == clicks.sent)
        assert set(clicks.arrived().values()) == {1}
    clicks.bus.close()


def test_an_idempotency_key_is_known_to_every_worker_and_after_a_restart(the_shop):
    """The key that one server took means the same to the other, and to the next one."""
    moment = datetime.now(UTC).isoformat()

    def body(name: str) -> dict[str, object]:
        return {"source": "clicks", "rows": [{"click_id": name, "visitor": "w", "weight": 1.0, "at": moment}]}

    said = {"headers": {"idempotency-key": "order-1"}}
    path = f"/v1/products/{NAME}/events"
    with serving(the_shop.root) as (_, one), serving(the_shop.root) as (_, two):
        codes = [
            httpx.post(one + path, json=body("k1"), **said).status_code,
            httpx.post(two + path, json=body("k1"), **said).status_code,
            httpx.post(two + path, json=body("k2"), **said).status_code,
        ]
    with serving(the_shop.root) as (_, one):
        codes += [httpx.post(one + path, json=body(name), **said).status_code for name in ("k1", "k2")]

    assert codes == [202, 202, 409, 202, 409]
    held = frame_of(the_shop.workspace().lake.scan(table_of(NAME, "clicks")))["click_id"].to_list()
    assert (held.count("k1"), held.count("k2")) == (1, 0)
