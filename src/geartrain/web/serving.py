"""The room's HTTP server: uvicorn in this process, loopback by default."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from geartrain.web.guard import Guard

#: Streams of news stay open for minutes; nobody waits for them when the room closes.
_GRACEFUL_S = 2


class _Server(uvicorn.Server):
    """Says where it listens."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and not self.should_exit:
            bound, port = self.servers[0].sockets[0].getsockname()[:2]
            self._on_ready(f"http://{bound}:{port}")


def serve(
    app: Guard, *, host: str, port: int, on_ready: Callable[[str], None], ready_file: Path | None = None
) -> None:
    """Serve until SIGTERM or Ctrl-C. *port* 0 takes a free one; *ready_file* gets the URL."""

    def ready(url: str) -> None:
        if ready_file is not None:
            part = ready_file.with_name(f"{ready_file.name}.{os.getpid()}")
            part.write_text(url, encoding="utf-8")
            part.replace(ready_file)
        on_ready(url)

    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACEFUL_S,
        lifespan="off",
    )
    _Server(config, ready).run()
