"""What programs ask all day is answered without the framework, which comes when somebody needs it."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from geartrain.api import direct
from geartrain.api.app import create_app
from geartrain.api.logs import json_logger

P = "/v1/products/p"
GETS = (direct.LIVE, direct.READY, direct.METRICS, direct.SERVER_LIVE, direct.SERVER_READY)

_PROGRAM = """
import asyncio, json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import httpx
from serving_world import World, served
from geartrain.api.app import create_app
from geartrain.api.logs import json_logger

def is_loaded():
    return "fastapi" in sys.modules

async def main():
    world = World(Path(sys.argv[2]) / "journal")
    world.host.swap("p", served())
    transport = httpx.ASGITransport(app=create_app(world.host))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        made = (await client.post("/v1/products/p/decisions", json={"row": {"x": 1}})).json()
        outcome = {"decision_id": made["decisions"][0]["id"], "label": "yes"}
        told = [
            (await client.post("/v1/products/p/outcomes", json={"outcomes": [outcome]})).status_code,
            (await client.post("/v1/products/p/events", json={"source": "events", "rows": [{"a": 1}]})).status_code,
            *[(await client.get(path)).status_code for path in sys.argv[3:]],
        ]
        before = is_loaded()
        both = await asyncio.gather(*(client.get("/v1/products") for _ in range(5)))
        told += [one.status_code for one in both]
    world.host.close()
    print(json.dumps({"told": told, "before": before, "after": is_loaded()}))

asyncio.run(main())
"""


def test_the_framework_is_loaded_when_it_is_first_needed(tmp_path):
    """Decisions, outcomes, events, health and metrics do without; whoever asks for products first, even five at once, waits and is answered."""
    words = [sys.executable, "-c", _PROGRAM, str(Path(__file__).parent), str(tmp_path), *GETS]
    done = subprocess.run(words, capture_output=True, text=True, check=True)

    said = json.loads(done.stdout)
    assert said["told"] == [200, 202, *[200] * len(GETS), *[200] * 5]
    assert (said["before"], said["after"]) == (False, True)


@pytest.mark.parametrize("path", [*GETS, f"{P}/outcomes", f"{P}/events"])
def test_another_method_is_refused_with_the_right_one(world, talk, path):
    """405 says what the route takes, in the words of its protocol, and is counted under the route's name."""

    async def conversation(client):
        return await client.delete(path), (await client.get("/metrics")).text

    answer, metrics = talk(world, conversation)

    right = "GET" if path in GETS else "POST"
    assert (answer.status_code, answer.headers["allow"]) == (405, right)
    told = answer.json()["error"]
    assert f"this route takes {right}" in (told if path.startswith("/v2") else told["message"])
    samples = [one for family in text_string_to_metric_families(metrics) for one in family.samples]
    refused = [one.labels["route"] for one in samples if one.name == "geartrain_requests_refused_total"]
    assert refused == [path.replace(P, "/v1/products/{product}")]


def test_the_end_of_an_asgi_server_closes_the_host(world, monkeypatch):
    """Lifespan: the start is confirmed at once, the end when the host has delivered what it had."""
    told: list[str] = []
    asked = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive():
        return next(asked)

    async def send(message):
        told.append(message["type"])

    monkeypatch.setattr(world.host, "close", lambda: told.append("closed"))
    asyncio.run(create_app(world.host)({"type": "lifespan"}, receive, send))

    assert told == ["lifespan.startup.complete", "closed", "lifespan.shutdown.complete"]


def test_a_bug_of_ours_costs_one_answer(world, talk):
    """A direct route that breaks answers 500 without telling anything, and the next request is answered.

    The log has the traceback without what variables held, which may be somebody's row.
    """
    log = io.StringIO()

    def breaks():
        row = {"name": "somebody"}
        return row["age"]

    world.host.not_ready_because = breaks
    app = create_app(world.host, logger=json_logger(level="error", stream=log))

    async def conversation(client):
        return await client.get("/health/ready"), await client.get("/health/live")

    broken, next_one = talk(app, conversation)

    assert "breaks" in log.getvalue()
    assert "KeyError" in log.getvalue()
    assert "somebody" not in log.getvalue()
    assert (broken.status_code, broken.json()["error"]["code"]) == (500, "internal")
    assert next_one.status_code == 200
