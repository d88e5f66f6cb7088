"""The HTTP server: uvicorn in this process, loopback by default, drained on SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn

from geartrain.api.app import Application

LOOPBACK = "127.0.0.1"


class _DrainingServer(uvicorn.Server):
    """Says "not ready" as soon as it is asked to stop, and stops when load balancers have seen it."""

    def __init__(
        self, config: uvicorn.Config, app: Application, *, drain_s: float, on_ready: Callable[[str], None]
    ) -> None:
        super().__init__(config)
        self._application = app
        self._drain_s = drain_s
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and not self.should_exit:
            bound, port = self.servers[0].sockets[0].getsockname()[:2]
            self._on_ready(f"http://{bound}:{port}")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        # uvicorn would raise the signal again after its shutdown; here a drained server
        # returns to its caller, who decides what the process's exit code is.
        self._application.host.drain()
        if self.should_exit:
            self.force_exit = sig == signal.SIGINT
        elif sig == signal.SIGTERM and self._drain_s > 0:
            loop = asyncio.get_running_loop()
            loop.call_soon_threadsafe(loop.call_later, self._drain_s, self._stop)
        else:
            self._stop()

    def _stop(self) -> None:
        self.should_exit = True


def serve(
    app: Application,
    *,
    host: str = LOOPBACK,
    port: int = 8000,
    on_ready: Callable[[str], None] | None = None,
    ready_file: Path | None = None,
    drain_s: float = 0.0,
    graceful_s: int = 30,
) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are finished and the log is delivered.

    *port* 0 takes a free one. When connections are taken *on_ready* gets the URL and
    *ready_file* is written with it. After SIGTERM the server says "not ready" and goes on
    answering for *drain_s* seconds, then finishes what it has within *graceful_s*.
    """

    def ready(url: str) -> None:
        if ready_file is not None:
            part = ready_file.with_name(f"{ready_file.name}.{os.getpid()}")
            part.write_text(url)
            part.replace(ready_file)
        if on_ready is not None:
            on_ready(url)

    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=graceful_s,
        timeout_keep_alive=30,
        lifespan="on",
    )
    _DrainingServer(config, app, drain_s=drain_s, on_ready=ready).run()
