"""`POST /v1/products/{product}/events`: rows of an event source, each delivery once, never more than fit.

A delivery is named by its bytes, so that the same rows sent again change nothing, today
and after a restart. An `Idempotency-Key` says besides that two requests are meant to be one: the
same key with other rows is a mistake of the sender, and is refused instead of guessed about.
When more deliveries wait than the door takes in, the next is sent away with the time to come again.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

import msgspec

from geartrain.api.bodies import Asked, BodyLimits, require_json
from geartrain.api.errors import Refusal, Reply, json_reply
from geartrain.api.metrics import ServingMetrics
from geartrain.data.repeated import repeated_key
from geartrain.domain.data import Batch
from geartrain.errors import NotReady, RequestInvalid
from geartrain.serving.host import ServingHost
from geartrain.serving.requests import EventRequest, decode_body

MOST_ROWS: Final = 10_000
#: Deliveries that may wait for the door, which takes one at a time.
MOST_WAITING: Final = 16
_LONGEST_KEY: Final = 255

_EVENTS = msgspec.json.Decoder(EventRequest)


@dataclass(slots=True, eq=False)
class _Gate:
    """How many deliveries one server has under way."""

    waiting: int = 0


_gates: WeakKeyDictionary[ServingHost, _Gate] = WeakKeyDictionary()


async def take_events(
    host: ServingHost, metrics: ServingMetrics, limits: BodyLimits, product: str, asked: Asked
) -> Reply:
    """Hand rows of an event source to the data door; bad ones go to quarantine there.

    Raises:
        RequestInvalid: The request cannot be understood.
        NotReady: This server takes no events.
        Refusal: 429, too many deliveries wait; 409, its key came with other rows before.
    """
    host.lane(product)
    require_json(asked)
    key = asked.header("idempotency-key")
    if key is not None and not 0 < len(key) <= _LONGEST_KEY:
        raise RequestInvalid(
            f"an idempotency key has 1 to {_LONGEST_KEY} characters", where="idempotency-key"
        )
    gate = _gates.setdefault(host, _Gate())
    if gate.waiting >= MOST_WAITING:
        raise Refusal(
            429,
            "http.too-many-deliveries",
            "more deliveries wait than the door takes in",
            hint="send it again after the stated seconds; nothing of it was taken",
            headers=((b"retry-after", b"1"),),
        )
    gate.waiting += 1
    try:
        body = await asked.body(most=limits.control, within_s=limits.read_s)
        request = _understood(body)
        if host.take_events is None:
            raise NotReady("this server takes no events")
        if key is not None:
            await asyncio.to_thread(_claim, host, product, key, hashlib.sha256(body).hexdigest())
        batch = await asyncio.to_thread(host.take_events, product, request.source, request.rows, host.now())
    finally:
        gate.waiting -= 1
    _count(metrics, product, batch)
    return json_reply(batch, 202)


def _claim(host: ServingHost, product: str, key: str, digest: str) -> None:
    """Let *key* stand for these bytes, before they are taken: a kill in between costs nothing but a key.

    Raises:
        NotReady: This server keeps no keys.
        Refusal: 409, it stands for others, whichever process took them.
    """
    if host.claim_key is None:
        raise NotReady("this server keeps no idempotency keys")
    if not host.claim_key(product, key, digest):
        raise Refusal(
            409,
            "http.idempotency-key",
            "this idempotency key came with other rows before",
            hint="a key stands for one delivery; take a new one for new rows",
        )


def _understood(body: bytes) -> EventRequest:
    """The request, if every row of it can be read in one way only.

    Raises:
        RequestInvalid: It cannot.
    """
    request = decode_body(body, _EVENTS)
    if not 0 < len(request.rows) <= MOST_ROWS:
        raise RequestInvalid(f"a request holds 1 to {MOST_ROWS} rows", where="rows")
    twice = repeated_key(body, {"source": request.source, "rows": request.rows})
    if twice is not None:
        raise RequestInvalid(
            "a key stands twice in one object, and nobody knows which value was meant",
            where="rows",
            found=twice,
            hint="send each key once",
        )
    return request


def _count(metrics: ServingMetrics, product: str, batch: Batch) -> None:
    for status in ("accepted", "quarantined", "duplicates"):
        metrics.events.labels(product, status).inc(getattr(batch, status))
