"""Several processes: their counts add up, counters never fall, and the dead are replaced."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from geartrain.api.app import create_app
from geartrain.api.fleet import SharedCounts, supervise


def _samples(text):
    found = [one for family in text_string_to_metric_families(text) for one in family.samples]
    return {(one.name, *sorted(one.labels.values())): one.value for one in found}


def test_whoever_is_asked_answers_for_all(world, talk, tmp_path):
    """A living sibling's counters and gauges are added; of one that has ended only the counters."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    told = {
        "decisions": [[["p", "champion", "yes", "model"], [5]]],
        "request_seconds": [[["r"], [1] * 17 + [2.5]]],
        "workers": [[[], [1]]],
        "in_flight": [[[], [3]]],
    }
    for pid in (os.getppid(), ended.pid):
        (tmp_path / f"{pid}.json").write_bytes(msgspec.json.encode(told))
    (tmp_path / "1234567.json").write_bytes(b"{half a fi")
    app = create_app(world.host, others=SharedCounts(tmp_path))

    async def conversation(client):
        await client.post("/v1/products/p/decisions", json={"row": {"x": 1}})
        return (await client.get("/metrics")).text

    found = _samples(talk(app, conversation))
    assert found["geartrain_decisions_total", "champion", "model", "p", "yes"] == 11
    assert found["geartrain_workers",] == 2
    assert found["geartrain_in_flight",] == 3
    assert found["geartrain_request_seconds_count", "r"] == 34
    assert found["geartrain_request_seconds_sum", "r"] == 5


def test_what_is_published_is_what_others_read(world, tmp_path):
    """A worker's own file is not read back by itself, and holds what it has counted."""
    app = create_app(world.host, others=SharedCounts(tmp_path))
    app.metrics.refused.labels("r", "c").inc(7)
    app.publish()

    assert app.metrics.others.counted() == []
    (path,) = tmp_path.glob("*.json")
    path.rename(tmp_path / f"{os.getppid()}.json")
    ((counted,),) = (app.metrics.others.counted(),)
    assert counted["requests_refused"] == [(("r", "c"), [7.0])]


class _Process:
    """What `multiprocessing` gives, over a plain child."""

    def __init__(self, program):
        self._program = program
        self._child = None

    def start(self):
        self._child = subprocess.Popen([sys.executable, "-c", self._program])

    @property
    def pid(self):
        return self._child.pid

    @property
    def exitcode(self):
        return self._child.poll()

    def join(self, timeout=None):
        self._child.wait(timeout)


def test_a_worker_that_dies_is_replaced_and_all_end_together(tmp_path: Path):
    """One of two workers is killed: another takes its place; stopping ends every one by SIGTERM."""
    started: list[_Process] = []
    stopping = threading.Event()

    def start(_place):
        started.append(_Process("import time; time.sleep(60)"))
        return started[-1]

    def trouble():
        while len(started) < 2 or started[1]._child is None:
            stopping.wait(0.02)
        started[0]._child.kill()
        while len(started) < 3 or started[2]._child is None:
            stopping.wait(0.02)
        stopping.set()

    thread = threading.Thread(target=trouble)
    thread.start()
    assert supervise(start, 2, stopping=stopping)
    thread.join()

    assert len(started) == 3
    assert [one.exitcode for one in started] == [-9, -15, -15]


def test_workers_that_cannot_start_are_given_up():
    """Five ends right after a start are enough: nobody is served by trying for ever."""
    started: list[_Process] = []

    def start(_place):
        started.append(_Process("raise SystemExit(1)"))
        return started[-1]

    assert not supervise(start, 1, stopping=threading.Event())
    assert 5 <= len(started) <= 6
