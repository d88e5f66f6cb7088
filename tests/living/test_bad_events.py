"""Bad events by HTTP and by the bus: refused or in quarantine with the reason, counted, and never a crash."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import httpx
import pytest

from geartrain.adapters.bus_sqlite import SqliteBus
from geartrain.api.app import create_app
from geartrain.engine.bus_door import consumer_of, topic_of
from geartrain.engine.ingesting import QUARANTINE
from geartrain.engine.rows import frame_of, table_of
from geartrain.testing.online_store import MemorySnapshots

NAME = "shop"
CLICKS = table_of(NAME, "clicks")


def row(**values: object) -> dict[str, object]:
    return {"click_id": "odd", "visitor": "v1", "weight": 1.0, "at": datetime.now(UTC).isoformat(), **values}


def body(**values: object) -> str:
    """A row as it stands within a request or message."""
    return json.dumps(row(**values))


#: A row's text, where it ends up by HTTP, and the reason that quarantine or the answer says.
ODD = {
    "unknown field": (body(colour="red"), 202, None),
    "number as text": (body(weight="2.5"), 202, None),
    "a megabyte": (body(note="x" * 1_000_000), 202, None),
    "changed type": (body(weight={"kg": 1}), 202, "weight: is not a number"),
    "text for a number": (body(weight="heavy"), 202, "weight: is not a number"),
    "NaN as text": (body(weight="NaN"), 202, "weight: is not finite"),
    "inf as text": (body(weight="inf"), 202, "weight: is not finite"),
    "1970": (body(at="1970-01-01T00:00:00Z"), 202, "at: cannot be true"),
    "2099": (body(at="2099-01-01T00:00:00Z"), 202, "at: cannot be true"),
    "bare NaN": (body(weight=7.25).replace("7.25", "NaN"), 400, "no event"),
    "invalid UTF-8": (body(visitor="\udcff"), 400, "no event"),
    "key twice": (body()[:-1] + ', "weight": 3}', 400, "a key stands twice"),
    "torn": (body()[:-3], 400, "no event"),
    "no object": ("[1, 2]", 400, "no event"),
}


def sent(text: str) -> bytes:
    """The bytes on the wire; a lone surrogate becomes a byte that is no UTF-8."""
    return text.replace("\\udcff", "\udcff").encode(errors="surrogateescape")


def refused(the_shop) -> list[str]:
    held = frame_of(the_shop.workspace().lake.scan(CLICKS + QUARANTINE))
    return [] if not held.height else [str(one) for one in held["_reasons"].to_list()]


def taken(the_shop) -> list[str]:
    held = frame_of(the_shop.workspace().lake.scan(CLICKS, columns=("click_id",)))
    return [one for one in held["click_id"].to_list() if one in {"odd", "good"}]


@pytest.mark.parametrize(("text", "status", "reason"), ODD.values(), ids=ODD.keys())
def test_a_bad_event_by_http(living, the_shop, text, status, reason):
    """Beside a good row: 202 with one row in quarantine and why, or 400 and nothing taken; the next request is answered."""
    path = f"/v1/products/{NAME}/events"
    headers = {"content-type": "application/json"}

    async def talk() -> tuple[httpx.Response, httpx.Response]:
        transport = httpx.ASGITransport(app=create_app(living.host), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            rows = (
                b'{"source": "clicks", "rows": ['
                + body(click_id="good").encode()
                + b", "
                + sent(text)
                + b"]}"
            )
            bad = await client.post(path, content=rows, headers=headers)
            good = await client.post(path, json={"source": "clicks", "rows": [row(click_id="next")]})
            return bad, good

    bad, good = asyncio.run(talk())

    assert (bad.status_code, good.status_code) == (status, 202)
    if status == 400:
        assert bad.json()["error"]["message"]
        assert taken(the_shop) == refused(the_shop) == []
        return
    counts = bad.json()
    assert (counts["accepted"], counts["quarantined"]) == ((2, 0) if reason is None else (1, 1))
    assert reason is None or reason in refused(the_shop)[0]


@pytest.mark.parametrize(("text", "status", "reason"), ODD.values(), ids=ODD.keys())
def test_a_bad_event_by_the_bus(living, the_shop, tmp_path, text, status, reason):
    """In the source's quarantine or in the bus's with its place; the good messages around it are taken."""
    bus, workspace = SqliteBus(tmp_path / "bus.db"), the_shop.workspace()
    messages = [
        b'{"source": "clicks", "row": ' + one + b"}"
        for one in (body(click_id="good").encode(), sent(text), body(click_id="next").encode())
    ]
    bus.publish(topic_of(NAME), [("k", one) for one in messages])
    consumer = consumer_of(
        bus, workspace, NAME,
        take=lambda source, rows: living.host.take_events(NAME, source, rows, datetime.now(UTC)),
        offsets=MemorySnapshots(), tell=pytest.fail,
    )  # fmt: skip
    while consumer.step(timeout_s=0):
        pass
    consumer.close()
    bus.close()

    assert "good" in taken(the_shop)
    kept = frame_of(workspace.lake.scan(table_of(NAME, "bus") + QUARANTINE))
    said = refused(the_shop) + (kept["reason"].to_list() if kept.height else [])
    assert len(said) == (0 if reason is None else 1)
    assert reason is None or reason in said[0]
    assert consumer.taken + consumer.refused == 3
