"""News: a stream of server-sent events that says when a product's history has grown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from geartrain.domain.accounts import Scope
from geartrain.engine.workspace import stream_of
from geartrain.web.asking import asked_of
from geartrain.web.room import Room

#: How often the ledger is asked, and how long one stream lasts before the browser asks again.
_EVERY_S, _LASTS_S = 1.0, 300.0
#: So many streams at once for one person; a forgotten browser must not hold the room up.
_MOST = 12


def changes_route(room: Room) -> Route:
    """`GET /products/{product}/changes`: one message for each time the history grew."""
    open_streams: dict[str, int] = {}

    async def changes(request: Request) -> Response:
        asked = await asked_of(room, request, scope=Scope.READ)
        person, product = asked.visitor.person, asked.product
        if open_streams.get(person, 0) >= _MOST:
            return Response(status_code=429, headers={"retry-after": "60"})

        async def told() -> AsyncIterator[str]:
            open_streams[person] = open_streams.get(person, 0) + 1
            try:
                seen = await run_in_threadpool(room.workspace.ledger.version, stream_of(product))
                yield f"retry: 3000\nid: {seen}\n\n"
                for _ in range(int(_LASTS_S / _EVERY_S)):
                    await asyncio.sleep(_EVERY_S)
                    if await request.is_disconnected():
                        return
                    version = await run_in_threadpool(room.workspace.ledger.version, stream_of(product))
                    if version != seen:
                        seen = version
                        yield f"event: grown\nid: {version}\ndata: {version}\n\n"
            finally:
                open_streams[person] -= 1

        return StreamingResponse(told(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    return Route("/products/{product}/changes", changes, methods=["GET"])
