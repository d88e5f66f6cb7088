"""A whole server under a day's work: `python benchmarks/serving/lived.py WORKSPACE [--minutes 10]`.

A copy of the workspace (`geartrain demo` makes one, in `geartrain-demo/.geartrain`) is served by `geartrain serve`. Its card payments are decided about
at a steady rate; the truth about each comes back a few seconds later, one outcome a request, some of them twice and some corrected;
meanwhile payments arrive as events, one a request. Every line has what was answered, how long it took, what failed and the memory of
the server's processes. At the end what the server counted is compared with what was sent.
"""

from __future__ import annotations

import argparse
import collections
import http.client
import itertools
import json
import queue
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

from run import Contender, Running

PRODUCT = "card-fraud"
#: Seconds after which a decision's truth is sent.
KNOWN_AFTER_S = 3.0
EVERY_S = 20.0


class Seen:
    """What the clients have seen, from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.took_ms: dict[str, list[float]] = collections.defaultdict(list)
        self.answered: collections.Counter[str] = collections.Counter()
        self.failed: collections.Counter[str] = collections.Counter()

    def tell(self, kind: str, took_ms: float, problem: str) -> None:
        with self._lock:
            self.took_ms[kind].append(took_ms)
            if problem:
                self.failed[f"{kind}: {problem}"] += 1
            else:
                self.answered[kind] += 1

    def line(self, kinds: tuple[str, ...]) -> str:
        """Since the last line: how many a kind, and their times."""
        with self._lock:
            taken, self.took_ms = self.took_ms, collections.defaultdict(list)
        return "; ".join(
            f"{kind} {len(taken[kind])}: p50 {statistics.median(taken[kind]):.0f} ms, max {max(taken[kind]):.0f}"
            for kind in kinds
            if taken[kind]
        )


class Client:
    """One connection that asks and tells."""

    def __init__(self, url: str, seen: Seen) -> None:
        self._at = url.removeprefix("http://")
        self._seen = seen
        self._connection = http.client.HTTPConnection(self._at, timeout=30)

    def ask(self, kind: str, body: object) -> dict[str, object] | None:
        began = time.perf_counter()
        problem, content = "", b""
        try:
            path, headers = f"/v1/products/{PRODUCT}/{kind}", {"content-type": "application/json"}
            self._connection.request("POST", path, json.dumps(body), headers)
            answer = self._connection.getresponse()
            content = answer.read()
            if answer.status not in (200, 202):
                problem = f"{answer.status} {content[:120]!r}"
        except (OSError, http.client.HTTPException) as error:
            problem = type(error).__name__
            self._connection = http.client.HTTPConnection(self._at, timeout=30)
        self._seen.tell(kind, 1e3 * (time.perf_counter() - began), problem)
        return None if problem else json.loads(content)


def payment(name: str) -> dict[str, object]:
    """A payment of now, as the demo's cards make them."""
    now = datetime.now(UTC)
    return {
        "transaction_id": name,
        "card_id": f"c{random.randrange(500):05d}",
        "terminal_id": f"m{random.randrange(200):04d}",
        "channel": "shop",
        "amount": round(random.lognormvariate(3.5, 0.8), 2),
        "at": (now - timedelta(seconds=1)).isoformat(),
        "received_at": now.isoformat(),
    }


class Day:
    """The traffic of one product: who decides, who brings the truth, who sends events."""

    def __init__(self, url: str, seen: Seen, *, rate: float, event_rate: float) -> None:
        self._url, self._seen = url, seen
        self._rate, self._event_rate = rate, event_rate
        self._known: queue.Queue[tuple[float, str]] = queue.Queue()
        self._numbers = itertools.count()
        self.ending = threading.Event()

    def begin(self, *, deciders: int, tellers: int) -> list[threading.Thread]:
        work = [
            *[lambda: self._decide(self._rate / deciders)] * deciders,
            *[self._tell] * tellers,
            lambda: self._send(self._event_rate),
        ]
        threads = [threading.Thread(target=one, daemon=True) for one in work]
        for one in threads:
            one.start()
        return threads

    @property
    def untold(self) -> int:
        """Decisions whose truth nobody has sent yet."""
        return self._known.qsize()

    def _fresh(self, prefix: str) -> dict[str, object]:
        return payment(f"{prefix}{next(self._numbers)}")

    def _decide(self, rate: float) -> None:
        client, began, done = Client(self._url, self._seen), time.monotonic(), 0
        while not self.ending.is_set():
            answer = client.ask("decisions", {"row": self._fresh("soak-")})
            if answer is not None:
                made = answer["decisions"][0]["id"]  # type: ignore[index]
                self._known.put((time.monotonic() + KNOWN_AFTER_S, made))
            done += 1
            self.ending.wait(max(0.0, began + done / rate - time.monotonic()))

    def _tell(self) -> None:
        client = Client(self._url, self._seen)
        while not self.ending.is_set():
            try:
                due, made = self._known.get(timeout=0.2)
            except queue.Empty:
                continue
            self.ending.wait(max(0.0, due - time.monotonic()))
            label = random.random() < 0.02
            client.ask("outcomes", {"outcomes": [{"decision_id": made, "label": label}]})
            if random.random() < 0.02:
                client.ask("outcomes", {"outcomes": [{"decision_id": made, "label": random.random() < 0.5}]})

    def _send(self, rate: float) -> None:
        client = Client(self._url, self._seen)
        while not self.ending.is_set():
            client.ask("events", {"source": "transactions", "rows": [self._fresh("event-")]})
            self.ending.wait(1 / rate)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=50, help="decisions a second")
    parser.add_argument("--event-rate", type=float, default=1, help="events a second")
    parser.add_argument("--deciders", type=int, default=8)
    parser.add_argument("--tellers", type=int, default=16)
    parser.add_argument("--workers", type=int, default=1, help="processes that answer")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "workspace"
        shutil.copytree(chosen.workspace, copy)
        lived(copy, Path(folder), chosen)


def lived(workspace: Path, folder: Path, chosen: argparse.Namespace) -> None:
    command = [sys.executable, "-m", "geartrain", "serve", "--workspace", str(workspace), "--port", "0", "--ready-file", "{ready}", "--workers", str(chosen.workers)]  # fmt: skip
    running = Running(Contender("lived", command, f"/v1/products/{PRODUCT}/decisions", ""), folder)
    seen = Seen()
    try:
        running.wait(json.dumps({"row": payment("first")}).encode())
        day = Day(running.url, seen, rate=chosen.rate, event_rate=chosen.event_rate)
        threads = day.begin(deciders=chosen.deciders, tellers=chosen.tellers)
        began, memory = time.monotonic(), [running.rss_mb()]
        print(f"at the start {memory[0]:.0f} MB")
        while time.monotonic() - began < chosen.minutes * 60:
            before, spent = time.monotonic(), running.cpu_s()
            time.sleep(EVERY_S)
            memory.append(running.rss_mb())
            busy = (running.cpu_s() - spent) / (time.monotonic() - before)
            told = seen.line(("decisions", "outcomes", "events"))
            print(
                f"{told}; {day.untold} wait for their truth; {busy:.0%} of a core, {memory[-1]:.0f} MB",
                flush=True,
            )
        day.ending.set()
        for one in threads:
            one.join()
        metrics = urllib.request.urlopen(f"{running.url}/metrics", timeout=10).read().decode()
    finally:
        running.stop()
    quarter = max(1, len(memory) // 4)
    print(
        f"memory: {statistics.median(memory[quarter : 2 * quarter]):.0f} MB in the second quarter, "
        f"{statistics.median(memory[-quarter:]):.0f} MB in the last"
    )
    print(f"answered {dict(seen.answered)}; failed {dict(seen.failed)}")
    sent = {**seen.answered, "decisions": seen.answered["decisions"] + 1}  # the first, which was waited for
    counted = {kind: counted_in(metrics, kind) for kind in sent}
    print(f"the server counted {counted}")
    if seen.failed or counted != sent:
        raise SystemExit("something failed, or was counted otherwise than it was sent")


def counted_in(metrics: str, kind: str) -> int:
    """How many decisions, outcomes or events the server says it took."""
    lines = (line for line in metrics.split("\n") if line.startswith(f"geartrain_{kind}_total{{"))
    return round(sum(float(line.rsplit(" ", 1)[1]) for line in lines))


if __name__ == "__main__":
    main()
