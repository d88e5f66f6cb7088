"""The bare servers: the body comes back, nothing else happens. `python echo.py granian|uvicorn PORT`."""

from __future__ import annotations

import sys


async def echo(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind.endswith("shutdown"):
                return
    body = (await receive())["body"]
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Echo:
    """The same by RSGI, which is how our server speaks with Granian."""

    async def __rsgi__(self, scope, protocol):
        protocol.response_bytes(200, [("content-type", "application/json")], await protocol())


async def granian(port: int) -> None:
    """As `geartrain.api.server` sets it up."""
    from granian.constants import HTTPModes, Interfaces
    from granian.server.embed import Server

    await Server(
        Echo(),
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=2048,
        backpressure=8192,
        log_enabled=False,
        runtime_threads=1,
    ).serve()


if __name__ == "__main__":
    if sys.argv[1] == "granian":
        import uvloop

        uvloop.run(granian(int(sys.argv[2])))
    else:
        import uvicorn

        uvicorn.run(echo, port=int(sys.argv[2]), log_level="error", access_log=False)
