"""How fast online features take events and answer: `python benchmarks/online/run.py`.

Rates are events per second of processor time of one core, so that other work on the machine
does not count; latencies are wall clock, with the processor's time beside them. Redis is
measured where one answers at 127.0.0.1:6379, Feast where its SDK is installed (in this
interpreter, or in the one that FEAST_PYTHON names).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from geartrain.adapters.bus_sqlite import SqliteBus
from geartrain.engine.consuming import Consumer, Pace, decode_event, encode_event
from geartrain.engine.held_features import HeldFeatures
from geartrain.features.declaring import feature_set, window
from geartrain.features.online import OnlineFeatures
from geartrain.ports.bus import Message
from geartrain.ports.online_store import Arrived
from geartrain.testing.online_store import MemorySnapshots

DAY_US = 86_400_000_000
FIRST_US = 1_780_000_000_000_000
KEYS = {"paid": "id"}
FEATURES = feature_set(
    *window(
        "paid", entity="card", over=("1h", "1d", "7d", "30d"),
        count=True, sum="amount", mean="amount", min="amount", max="amount",
    )
)  # fmt: skip


def drawn(events: int, keys: int, *, begin: int = 0, days: float = 30.0) -> pl.DataFrame:
    """Payments in order of time, of cards that are drawn log-normally."""
    rng = np.random.default_rng(begin)
    times = FIRST_US + begin // 1000 + np.sort(rng.integers(0, int(days * DAY_US), events))
    cards = (rng.lognormal(0.0, 1.0, events) * keys / 20).astype(np.int64) % keys
    frame = pl.DataFrame(
        {
            "id": np.arange(begin, begin + events),
            "card": cards,
            "amount": np.round(rng.gamma(2.0, 50.0, events), 2),
            "_event_time": times,
            "_arrival_time": times + 1000,
        }
    )
    return frame.with_columns(pl.col("_event_time", "_arrival_time").cast(pl.Datetime("us", "UTC")))


def said(name: str, figure: str, more: str = "") -> None:
    print(f"{name:<62} {figure:>14}  {more}", flush=True)


def rate(count: int, work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return count / (time.process_time() - began)


def spread(times: list[float]) -> tuple[float, float]:
    ordered = sorted(times)
    return statistics.median(ordered), ordered[int(len(ordered) * 0.99)]


def taken(events: int, keys: int) -> OnlineFeatures:
    warm, fresh = drawn(events, keys), drawn(events, keys, begin=events)
    held = None
    for size in (1_000, 10_000, 100_000):
        held = OnlineFeatures(FEATURES, keys=KEYS)
        held.apply_rows("paid", warm)

        def apply(size: int = size, held: OnlineFeatures = held) -> None:
            for start in range(0, fresh.height, size):
                held.apply_rows("paid", fresh[start : start + size])

        said(f"micro-batches of {size:,}, integer keys", f"{rate(events, apply):,.0f}/s", "into a warm state")
    assert held is not None
    some = fresh[: events // 10]
    single = OnlineFeatures(FEATURES, keys=KEYS)
    rows, moments = some.to_dicts(), some.get_column("_event_time").to_physical().to_list()

    def one_by_one() -> None:
        for row, moment in zip(rows, moments, strict=True):
            single.apply("paid", row, event_time_us=moment, arrival_us=moment + 1000)

    said("event by event", f"{rate(some.height, one_by_one):,.0f}/s")
    return held


def kept(held: OnlineFeatures, events: int) -> None:
    began = time.process_time()
    held.sources["paid"].absorb()
    said(f"sorting in everything that waits ({2 * events:,} events)", f"{time.process_time() - began:.2f} s")
    began = time.process_time()
    content = held.snapshot()
    said("snapshot", f"{time.process_time() - began:.2f} s", f"{len(content) / 1e6:.0f} MB")
    began = time.process_time()
    OnlineFeatures.restore(FEATURES, content)
    said("restore", f"{time.process_time() - began:.2f} s")


def read(
    reader: Callable[[list[dict[str, object]], int], object], keys: int, name: str, *, times: int = 2000
) -> None:
    at_us = FIRST_US + int(30.5 * DAY_US)
    rng, cards = np.random.default_rng(7), drawn(50_000, keys).get_column("card").unique().to_numpy()
    for count, repeats in ((1, times), (100, max(20, times // 20))):
        wall, own = [], []
        for _ in range(repeats):
            rows: list[dict[str, object]] = [{"card": int(card)} for card in rng.choice(cards, count)]
            began, began_own = time.perf_counter(), time.thread_time()
            reader(rows, at_us)
            own.append(time.thread_time() - began_own)
            wall.append(time.perf_counter() - began)
        middle, far = spread(wall)
        said(
            f"{name}: 20 features of {count} key{'s' if count > 1 else ''}",
            f"{middle * 1e6:,.0f} us p50", f"{far * 1e6:,.0f} us p99, processor {spread(own)[0] * 1e6:,.0f} us p50",
        )  # fmt: skip


def consumed(events: int, keys: int, folder: Path) -> None:
    rows = drawn(events, keys)
    moments = rows.get_column("_event_time").to_physical().to_list()
    sent = [
        (str(row["card"]), encode_event("paid", row, event_time_us=moment, arrival_time_us=moment + 1000))
        for row, moment in zip(rows.select("id", "card", "amount").to_dicts(), moments, strict=True)
    ]
    messages = [
        Message(partition=0, offset=place, key=key, value=value, at_us=FIRST_US + 40 * DAY_US)
        for place, (key, value) in enumerate(sent)
    ]
    said(
        "decoding JSON messages (msgspec)",
        f"{rate(events, lambda: list(map(decode_event, messages))):,.0f}/s",
    )
    bus = SqliteBus(folder / "bus.db")
    began = time.perf_counter()
    for start in range(0, events, 1000):
        bus.publish("t", sent[start : start + 1000])
    took = time.perf_counter() - began
    said("publishing 1,000 at a time to the embedded bus, durable", f"{events / took:,.0f}/s", "wall clock")
    store = HeldFeatures(FEATURES, keys=KEYS, snapshots=MemorySnapshots(), name="b")
    consumer = Consumer(
        bus, store, topic="t", group="g", refuse=lambda _: None, tell=print, pace=Pace(commit_s=1e9, commit_messages=10**9)
    )  # fmt: skip

    def drain() -> None:
        while consumer.step(timeout_s=0):
            pass

    said("embedded bus, JSON, micro-batches, into features: all of it", f"{rate(events, drain):,.0f}/s")
    consumer.close()
    bus.close()


def visible(events: int, folder: Path) -> None:
    bus = SqliteBus(folder / "visible.db")
    store = HeldFeatures(FEATURES, keys=KEYS, snapshots=MemorySnapshots(), name="v")
    consumer = Consumer(
        bus, store, topic="t", group="g", refuse=lambda _: None, tell=print, pace=Pace(commit_s=1e9)
    )
    ending = threading.Event()
    thread = threading.Thread(target=consumer.run, args=(ending,))
    thread.start()
    waits = []
    for number in range(events):
        happened = time.time_ns() // 1000
        row = {"id": number, "card": number, "amount": 1.0}
        bus.publish("t", [(str(number), encode_event("paid", row, event_time_us=happened))])
        acknowledged = time.perf_counter()
        while store.read([{"card": number}], happened + DAY_US // 48)[0]["card_count_1h"] != 1.0:
            time.sleep(0.0002)
        waits.append(time.perf_counter() - acknowledged)
        time.sleep(0.002)
    ending.set()
    thread.join()
    middle, far = spread(waits)
    said("acknowledged until visible, embedded bus", f"{middle * 1e3:.1f} ms p50", f"{far * 1e3:.1f} ms p99")


def shared(keys: int, url: str) -> None:
    try:
        import redis

        redis.Redis.from_url(url, socket_connect_timeout=1).ping()
    except Exception as error:  # noqa: BLE001 - whatever is missing is the reason to skip
        said("Redis", "not measured", str(error)[:80])
        return
    from geartrain.adapters.online_redis import RedisFeatures

    store = RedisFeatures(FEATURES, keys=KEYS, url=url, name=f"benchmark-{os.getpid()}")
    rows = drawn(50_000, keys)
    events = [
        Arrived(source="paid", event_time_us=moment, arrival_time_us=moment + 1000, row=row, offset=place)
        for place, (row, moment) in enumerate(
            zip(rows.to_dicts(), rows.get_column("_event_time").to_physical().to_list(), strict=True)
        )
    ]
    try:
        began = time.perf_counter()
        for start in range(0, len(events), 5000):
            store.apply(0, begin=start, end=start + 5000, events=events[start : start + 5000])
        took = time.perf_counter() - began
        said(
            "Redis: micro-batches with their offset",
            f"{len(events) / took:,.0f}/s",
            "wall clock, server included",
        )
        read(store.read, keys, "Redis", times=1000)
    finally:
        store.erase()
        store.close()


def feast(keys: int) -> None:
    program = os.environ.get("FEAST_PYTHON", sys.executable)
    script = Path(__file__).with_name("feast_reads.py")
    done = subprocess.run([program, str(script), str(keys)], capture_output=True, text=True, check=False)
    if done.returncode:
        said("Feast SDK, SQLite", "not measured", (done.stderr.strip().splitlines() or ["?"])[-1][:80])
        return
    print(done.stdout, end="")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--events", type=int, default=1_000_000)
    asked.add_argument("--keys", type=int, default=100_000)
    asked.add_argument("--redis", default="redis://127.0.0.1:6379/9")
    told = asked.parse_args()
    print(
        f"{told.events:,} events of {told.keys:,} keys; Python {sys.version.split()[0]}, NumPy {np.__version__}, Polars {pl.__version__}"
    )
    held = taken(told.events, told.keys)
    kept(held, told.events)
    read(held.read_all, told.keys, "in process")
    read(lambda rows, at_us: [held.read(row, at_us) for row in rows], told.keys, "in process, row by row")
    with tempfile.TemporaryDirectory() as folder:
        consumed(min(told.events, 200_000), told.keys, Path(folder))
        visible(500, Path(folder))
    shared(told.keys, told.redis)
    feast(told.keys)


if __name__ == "__main__":
    main()
