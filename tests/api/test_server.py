"""The real server: swapped under load, drained on SIGTERM, killed without losing an answer."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from geartrain.api.app import create_app
from geartrain.api.server import serve

PATH = "/v1/products/p/decisions"


@contextmanager
def _process(
    script: Path, folder: Path, *, pause_s: float = 0.0
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    ready = folder / "ready"
    ready.unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder), str(ready), str(pause_s)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 30
        while not ready.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield process, ready.read_text()
    finally:
        process.kill()
        process.wait()


def _ids_in(lake: Path) -> list[str]:
    return [one for path in lake.iterdir() if path.suffix != ".part" for one in path.read_text().split("\n")]


def test_swaps_under_load_fail_no_request(world, talk, make_served):
    """20 swaps during 2000 concurrent requests: every request gets 200, and both releases have answered."""
    releases = [make_served(release=f"r{i}") for i in range(20)]

    async def swapping():
        for one in releases:
            world.host.swap("p", one)
            await asyncio.sleep(0.02)

    async def conversation(client):
        limit = asyncio.Semaphore(40)

        async def post():
            async with limit:
                answer = await client.post(PATH, json={"row": {"x": 1}})
                return answer.status_code, answer.json()["decisions"][0]["release"]

        swaps = asyncio.create_task(swapping())
        answers = await asyncio.gather(*(post() for _ in range(2000)))
        await swaps
        return answers

    answers = talk(world, conversation)

    assert [status for status, _ in answers if status != 200] == []
    assert len({release for _, release in answers}) > 3
    assert len(world.logged()) == 2000


def test_sigterm_finishes_what_was_begun(tmp_path, world_script):
    """A request that is in the server when SIGTERM comes is answered, then the process ends by itself."""
    with _process(world_script, tmp_path, pause_s=3.0) as (process, url):
        answers: list[httpx.Response] = []
        client = threading.Thread(
            target=lambda: answers.append(httpx.post(url + PATH, json={"row": {"x": 1}}, timeout=10))
        )
        client.start()
        time.sleep(1.5)
        process.send_signal(signal.SIGTERM)
        client.join()
        said, _ = process.communicate(timeout=15)

    assert answers[0].status_code == 200
    assert process.returncode == 0
    assert said.strip() == "left in peace"
    assert _ids_in(tmp_path / "lake") == [answers[0].json()["decisions"][0]["id"]]
    assert list((tmp_path / "journal").iterdir()) == []


def test_sigkill_loses_no_answered_decision(tmp_path, world_script):
    """The server is killed in mid-traffic twice; every id that a client has seen is in the lake, once."""
    answered: list[str] = []

    def traffic(url: str) -> None:
        with httpx.Client(base_url=url, timeout=5) as client:
            while True:
                try:
                    answer = client.post(PATH, json={"rows": [{"x": 1}, {"x": 2}]})
                except httpx.TransportError:
                    return
                answered.extend(one["id"] for one in answer.json()["decisions"])

    for killed in (1, 2):
        with _process(world_script, tmp_path) as (process, url):
            threads = [threading.Thread(target=traffic, args=(url,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            until = time.monotonic() + 30
            while len(answered) <= killed * 50 and time.monotonic() < until:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            for thread in threads:
                thread.join()
    with _process(world_script, tmp_path) as (process, _url):
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)

    kept = _ids_in(tmp_path / "lake")
    assert len(answered) > 100
    assert set(answered) <= set(kept)
    assert len(kept) == len(set(kept))


def test_a_bad_client_over_the_wire(tmp_path, world_script):
    """A 10 MB body, a broken request line and a client that leaves cost the server nothing."""
    with _process(world_script, tmp_path) as (process, url):
        large = httpx.post(
            url + PATH, content=b"a" * 10_000_000, headers={"content-type": "application/json"}
        )
        host, port = url.removeprefix("http://").split(":")

        async def rude(content: bytes) -> bytes:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(content)
            await writer.drain()
            answer = await asyncio.wait_for(reader.read(100), 5) if b"GARBAGE" in content else b""
            writer.close()
            return answer

        garbage = asyncio.run(rude(b"GARBAGE\r\n\r\n"))
        head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{".encode()
        asyncio.run(rude(head))
        good = httpx.post(url + PATH, json={"row": {"x": 1}})
        metrics = httpx.get(url + "/metrics").text

    assert large.status_code == 413
    assert b" 400 " in garbage
    assert good.status_code == 200
    assert 'route="/v1/products/{product}/decisions",status="gone"} 1.0' in metrics
    assert process.returncode is not None


def test_serve_says_where_it_listens(world):
    """A free port is taken on the loopback interface and told to the caller; stopping returns to it."""
    told: list[str] = []
    app = create_app(world.host)

    def probe_and_stop() -> None:
        deadline = time.monotonic() + 10
        while not told and time.monotonic() < deadline:
            time.sleep(0.02)
        answers.append(httpx.get(told[0] + "/health/ready").status_code)
        signal.raise_signal(signal.SIGTERM)

    answers: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals reach the main thread only")
    thread = threading.Thread(target=probe_and_stop)
    thread.start()
    serve(app, port=0, on_ready=told.append)
    thread.join()

    assert told[0].startswith("http://127.0.0.1:")
    assert answers == [200]
    assert world.host.not_ready_because() != ()
