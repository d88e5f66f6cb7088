"""The real server over a real workspace, in a process of its own."""

from __future__ import annotations

import itertools
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from geartrain.cli.main import run
from geartrain.engine import releasing
from geartrain.engine.logbook import DECISIONS
from geartrain.engine.rows import frame_of, table_of
from geartrain.wiring import Settings, build_host, open_workspace

NAME = "shop"
PATH = f"/v1/products/{NAME}/decisions"
ROW = {"visit_id": "new-1", "visitor": "v1", "pages": 21.0, "device": "phone"}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "geartrain", *arguments]


@contextmanager
def serving(root: Path, *more: str, verb: str = "serve") -> Iterator[tuple[subprocess.Popen[str], str]]:
    ready = root / "ready"
    ready.unlink(missing_ok=True)
    arguments = command(verb, "-w", str(root), "--port", "0", "--ready-file", str(ready), "--json", *more)
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 30
        while not ready.exists():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield process, ready.read_text()
    finally:
        process.kill()
        process.wait()


class Traffic:
    """Clients that never stop asking; what they were answered, and what failed."""

    def __init__(self, url: str, *, clients: int = 4) -> None:
        self.answers: list[tuple[float, str, str]] = []
        self.failures: list[str] = []
        self.lost = 0
        self._url = url
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=10) as client:
            while not self._over.is_set():
                try:
                    answer = client.post(PATH, json={"rows": [ROW, ROW]})
                except httpx.TransportError:
                    self.lost += 1
                    return
                if answer.status_code != 200:
                    self.failures.append(f"{answer.status_code} {answer.text}")
                    continue
                for one in answer.json()["decisions"]:
                    self.answers.append((time.monotonic(), one["id"], one["release"]))

    def wait_for(self, condition, *, within_s: float) -> float:
        began = time.monotonic()
        while not condition(self):
            assert time.monotonic() - began < within_s, (len(self.answers), self.failures[:3])
            time.sleep(0.01)
        return time.monotonic() - began

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


def answers_with(release: str):
    return lambda traffic: traffic.answers[-1:] and traffic.answers[-1][2] == release


def logged_ids(the_shop) -> list[str]:
    held = frame_of(the_shop.workspace().lake.scan(table_of(NAME, DECISIONS)))
    return held["decision_id"].to_list() if held.width else []


def release_command(the_shop, *arguments: str) -> None:
    base = ("-w", str(the_shop.root), "-p", str(the_shop.folder))
    done = subprocess.run(
        command("release", arguments[0], *base, *arguments[1:]), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_promotion_and_rollback_under_traffic_fail_nobody(the_shop):
    """Other processes promote and roll back while requests flow: none fails, and answers change within 2 s."""
    with serving(the_shop.root) as (process, url):
        traffic = Traffic(url)
        traffic.wait_for(lambda told: len(told.answers) > 500, within_s=20)
        release_command(the_shop, "promote", the_shop.second, "--reason", "better")
        promoted_s = traffic.wait_for(answers_with(the_shop.second), within_s=2)
        traffic.wait_for(lambda told: len(told.answers) > 2000, within_s=20)
        release_command(the_shop, "rollback", "--reason", "worse")
        rolled_s = traffic.wait_for(answers_with(the_shop.first), within_s=2)
        traffic.end()
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=20)

    assert traffic.failures == []
    assert traffic.lost == 0
    assert max(promoted_s, rolled_s) < 2
    document = json.loads(said)
    assert document["schema"] == "geartrain.serve/1"
    assert document["result"]["products"] == {NAME: the_shop.first}
    kept = logged_ids(the_shop)
    assert sorted(kept) == sorted(one for _, one, _ in traffic.answers)


def test_a_killed_server_loses_no_answer(the_shop, complaints):
    """SIGKILL in mid-traffic: after the next start each answered decision is in the lake, none twice."""
    with serving(the_shop.root) as (process, url):
        traffic = Traffic(url)
        traffic.wait_for(lambda told: len(told.answers) > 600, within_s=20)
        process.send_signal(signal.SIGKILL)
        traffic.end()
    before = len(logged_ids(the_shop))
    after = build_host(Settings(root=the_shop.root), tell=complaints.append)
    after.begin()
    after.end()

    kept = logged_ids(the_shop)
    answered = {one for _, one, _ in traffic.answers}
    assert traffic.lost > 0
    assert before < len(kept)
    assert answered <= set(kept)
    assert len(kept) == len(set(kept))


def test_a_conversation_over_the_wire(the_shop):
    """Decide, send an event and an outcome, ask for the decision; what a client gets wrong is 4xx."""
    with serving(the_shop.root) as (process, url), httpx.Client(base_url=url, timeout=10) as client:
        decided = client.post(PATH, json={"row": ROW, "explain": True}).json()["decisions"][0]
        click = {"click_id": "w", "visitor": "v1", "weight": 1, "at": "2026-04-02T00:00:00Z"}
        event = client.post(f"/v1/products/{NAME}/events", json={"source": "clicks", "rows": [click]})
        outcome = {"outcomes": [{"decision_id": decided["id"], "label": "yes"}]}
        first = client.post(f"/v1/products/{NAME}/outcomes", json=outcome)
        again = client.post(f"/v1/products/{NAME}/outcomes", json=outcome)
        found = client.get(f"{PATH}/{decided['id']}")
        product = client.get(f"/v1/products/{NAME}").json()
        wrong = [
            client.post("/v1/products/nobody/decisions", json={"row": ROW}).status_code,
            client.post(
                PATH, content=b'{"row": {"pages": NaN}}', headers={"content-type": "application/json"}
            ).status_code,
            client.post(
                PATH, content=b"a" * 10_000_000, headers={"content-type": "application/json"}
            ).status_code,
            client.post(
                f"/v1/products/{NAME}/outcomes",
                json={"outcomes": [{"decision_id": "no", "label": "yes"}]},
            ).status_code,
            client.post(f"/v1/products/{NAME}/events", json={"source": "x", "rows": [{}]}).status_code,
        ]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)

    assert decided["reasons"]
    assert event.status_code == 202
    assert [one.json()["outcomes"][0]["status"] for one in (first, again)] == ["recorded", "duplicate"]
    assert found.json()["action"] == decided["action"]
    assert product["problem"] == ""
    assert {one["clause"]["path"] for one in product["clauses"]} >= {"success.expected_cost"}
    assert wrong == [404, 400, 413, 404, 404]
    assert process.returncode == 0


def test_sigterm_drains(the_shop):
    """After SIGTERM the server says "not ready" and goes on answering, then leaves with everything delivered."""
    with serving(the_shop.root, "--drain", "1.5") as (process, url):
        traffic = Traffic(url, clients=2)
        traffic.wait_for(lambda told: len(told.answers) > 50, within_s=20)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        ready = httpx.get(f"{url}/health/ready")
        decided = httpx.post(url + PATH, json={"row": ROW})
        traffic.end()
        process.communicate(timeout=20)

    assert (ready.status_code, decided.status_code) == (503, 200)
    assert traffic.failures == []
    assert process.returncode == 0
    assert list((the_shop.root / "journal").iterdir()) == []
    assert {one for _, one, _ in traffic.answers} <= set(logged_ids(the_shop))


def test_a_tampered_bundle_over_the_wire(the_shop):
    """A promoted bundle with a changed byte is not served; the product page and health say why."""
    with serving(the_shop.root) as (_process, url):
        threshold = next((the_shop.root / "bundles" / the_shop.second).rglob("*.onnx"))
        threshold.chmod(0o644)
        threshold.write_bytes(threshold.read_bytes() + b" ")
        space = the_shop.workspace()
        releasing.promote(
            space, the_shop.product.contract, release=the_shop.second, now=datetime.now(UTC), reason="x"
        )
        deadline = time.monotonic() + 5
        while not httpx.get(f"{url}/v1/products/{NAME}").json()["problem"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        decided = httpx.post(url + PATH, json={"row": ROW}).json()["decisions"][0]
        ready = httpx.get(f"{url}/health/ready")

    assert decided["release"] == the_shop.first
    assert ready.status_code == 200
    assert the_shop.second[:12] in ready.json()["problems"][NAME]


@pytest.mark.parametrize("verb", ["serve", "up"])
def test_nothing_live_is_told(tmp_path, verb, capsys):
    """A workspace without a live release cannot be served: exit code 2 and how to get one."""
    open_workspace(Settings(root=tmp_path / "space")).ledger.close()
    code = run([verb, "-w", str(tmp_path / "space"), "--port", "0", "--json"])

    said = capsys.readouterr()
    assert code == 2
    assert "make demo" in said.err
    assert json.loads(said.out)["error"]["code"] == "release.unknown"


def test_a_taken_port_is_told(the_shop, capsys):
    """A port that another process listens on ends with exit code 2, not with a traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code = run(["serve", "-w", str(the_shop.root), "--port", str(port), "--json"])

    assert code == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "settings.invalid"


def test_up_serves_and_stops_cleanly(the_shop):
    """`geartrain up` answers, opens the room and makes rounds beside; SIGTERM ends it and its children within seconds."""
    with serving(the_shop.root, "--every", "1", "--room-port", "0", verb="up") as (process, url):
        decided = httpx.post(url + PATH, json={"row": ROW})
        assert process.stderr is not None
        overdue = threading.Timer(30, process.kill)
        overdue.start()
        lines = list(itertools.takewhile(lambda line: "first account" not in line, process.stderr))
        overdue.cancel()
        assert process.poll() is None, lines
        first = (
            next(line for line in lines if line.startswith("the room")).split(": ", 1)[1].strip() + "/first"
        )
        assert "The first account" in httpx.get(first).text
        time.sleep(1.5)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=20)
        took_s = time.monotonic() - began

    assert decided.status_code == 200
    assert process.returncode == 0
    assert took_s < 12
    assert json.loads(said)["schema"] == "geartrain.up/1"
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(the_shop.root) in _content(path)]
    assert left == []


def _content(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
