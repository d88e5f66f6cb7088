"""A consumer that does not stop: `python benchmarks/online/soak.py 300` for five minutes.

A process publishes at a steady rate to an embedded bus while the consumer applies, commits
its snapshot, forgets what no window reaches and lets the bus delete what is committed.
Cards come and go: each lives for a while, so a state that forgot nothing would grow.
Time runs five thousand times as fast as the clock, so that windows of a day fill and empty many
times. Every few seconds: memory of the consumer's process, lag in messages, size of
the bus's file. At the end the state is compared with what the windows must hold, and the second half's
memory and lag with the first's.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from geartrain.adapters.bus_sqlite import SqliteBus
from geartrain.adapters.snapshots_sqlite import SqliteSnapshots
from geartrain.engine.consuming import Consumer, Pace, Refused, encode_event
from geartrain.engine.held_features import HeldFeatures
from geartrain.features.declaring import feature_set, window

#: Seconds of event time that pass in a second.
FASTER = 5000
FIRST_US = 1_780_000_000_000_000
HOUR_US = 3_600_000_000
KEYS = {"paid": "id"}
FEATURES = feature_set(
    *window(
        "paid", entity="card", over=("1h", "6h", "1d"),
        count=True, sum="amount", mean="amount", min="amount", max="amount", distinct="shop",
    )
)  # fmt: skip


def event_us(since_s: float) -> int:
    """The event time at so many seconds after the beginning."""
    return FIRST_US + int(since_s * FASTER * 1e6)


def card_of(number: int) -> str:
    """Ten thousand cards at a time, a new generation every half million events."""
    return f"c{number // 500_000}-{number * 7919 % 10_000}"


def publish(path: Path, rate: int, seconds: float, began: float) -> None:
    """Send *rate* events a second, a hundred at a time, one of a hundred twice; say how many."""
    bus = SqliteBus(path, clock=lambda: event_us(time.time() - began))
    number = 0
    while (since := time.time() - began) < seconds:
        while number < rate * since:
            moment = event_us(number / rate)
            some = [
                (card_of(n), encode_event("paid", {"id": n, "card": card_of(n), "amount": n % 997 / 100, "shop": f"s{n % 50}"}, event_time_us=moment))
                for n in (*range(number, number + 99), number)
            ]  # fmt: skip
            bus.publish("t", some)
            number += 99
        time.sleep(0.01)
    bus.close()
    print(number)


def resident_mb() -> float:
    """The process's memory now, not its peak."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("seconds", type=float)
    asked.add_argument("--rate", type=int, default=1500, help="events a second")
    asked.add_argument("--publisher", nargs=2, metavar=("PATH", "BEGAN"), help=argparse.SUPPRESS)
    told = asked.parse_args()
    if told.publisher:
        publish(Path(told.publisher[0]), told.rate, told.seconds, float(told.publisher[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(soak(Path(folder), told.seconds, told.rate))


def soak(folder: Path, seconds: float, rate: int) -> int:
    """Run it, print a line every few seconds and the verdict; 1 where a bound was not kept."""
    began, path = time.time(), folder / "bus.db"
    bus = SqliteBus(path, clock=lambda: event_us(time.time() - began))
    snapshots = SqliteSnapshots(folder / "online.db")
    store = HeldFeatures(FEATURES, keys=KEYS, snapshots=snapshots, name="soak", lateness_us=HOUR_US)
    refused: list[Refused] = []
    consumer = Consumer(
        bus, store, topic="t", group="g", refuse=refused.extend, tell=print,
        pace=Pace(commit_s=10.0, commit_messages=10**9),
    )  # fmt: skip
    ending = threading.Event()
    reader = threading.Thread(target=consumer.run, args=(ending,))
    reader.start()
    publisher = subprocess.Popen(
        [sys.executable, __file__, str(seconds), "--rate", str(rate), "--publisher", str(path), str(began)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    seen: list[tuple[float, float, int]] = []
    print(f"{'s':>5} {'events':>10} {'memory MB':>10} {'lag':>8} {'bus MB':>7}")
    while publisher.poll() is None:
        time.sleep(min(5.0, seconds / 20))
        since = time.time() - began
        done = consumer.taken + consumer.refused
        lag = bus.ends("t")[0] - done
        # By the last arrival, as a server does it: what waits on the bus is not too old when it comes.
        store.evict(store.latest_arrival_us("paid") or 0)
        stored = snapshots.load(f"soak/{FEATURES.id}/0")
        if stored is not None:
            bus.forget("t", 0, before=stored.offset)
        seen.append((since, resident_mb(), lag))
        print(
            f"{since:5.0f} {done:10,} {seen[-1][1]:10.0f} {lag:8,} {path.stat().st_size / 1e6:7.0f}",
            flush=True,
        )
    sent = int((publisher.stdout.read() if publisher.stdout else "0").split()[-1])
    until = time.monotonic() + 60
    while consumer.taken + consumer.refused < bus.ends("t")[0] and time.monotonic() < until:
        time.sleep(0.05)
    ending.set()
    reader.join()
    return verdict(seen, sent, bus, snapshots, rate, refused)


def verdict(
    seen: list[tuple[float, float, int]], sent: int, bus: SqliteBus,
    snapshots: SqliteSnapshots, rate: int, refused: list[Refused],
) -> int:  # fmt: skip
    """Compare the halves, and the state with what it must hold."""
    half = len(seen) // 2
    # The first windows are still filling in the first quarter.
    early, late = seen[len(seen) // 4 : half + 1], seen[half + 1 :]
    memory = [statistics.median(one[1] for one in part) for part in (early, late)]
    lags = [max(one[2] for one in part) for part in (early, late)]
    store = HeldFeatures(FEATURES, keys=KEYS, snapshots=snapshots, name="soak")
    store.open(0)
    at_us = FIRST_US + int(sent / rate * FASTER * 1e6) + 1
    cards = sorted({card_of(n) for n in range(max(0, sent - 20_000), sent)})
    # A publisher that is behind has the bus take events later than they say: ask for all that has arrived.
    read = store.read([{"card": card} for card in cards], at_us, known_us=at_us + 10**15)
    counts = {card: one["card_count_1h"] for card, one in zip(cards, read, strict=True)}
    expected = dict.fromkeys(cards, 0.0)
    for start in range(0, sent, 99):
        moment = FIRST_US + int(start / rate * FASTER * 1e6)
        if at_us - HOUR_US <= moment < at_us:
            for n in range(start, start + 99):
                expected[card_of(n)] = expected.get(card_of(n), 0.0) + 1
    wrong = sum(counts[card] != expected[card] for card in cards)
    print(
        f"\n{sent:,} events and {bus.ends('t')[0] - sent:,} of them twice in {seen[-1][0]:.0f} s; refused {len(refused)};"
        f" {wrong} of {len(cards):,} counts wrong\n"
        f"memory {memory[0]:.0f} MB (median of the second quarter), {memory[1]:.0f} MB (of the second half)\n"
        f"largest lag {lags[0]:,} messages, then {lags[1]:,}: {lags[1] / rate:.2f} s of the stream"
    )
    kept = not wrong and not refused and memory[1] < 1.1 * memory[0] and lags[1] < 30 * rate
    print("kept" if kept else "NOT kept: memory within a tenth, lag below 30 s, every count right")
    return 0 if kept else 1


if __name__ == "__main__":
    main()
