"""The HTTP server: Granian in this process, loopback by default, drained on SIGTERM.

Granian speaks HTTP in Rust and calls the application on this process's event loop. At
1000 connections no connection starves, which a server that shares the loop with its
sockets cannot say (docs/serving.md has the measurement).
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from geartrain.api.app import Application
from geartrain.api.fleet import PUBLISH_S
from geartrain.errors import SettingInvalid

if TYPE_CHECKING:
    from granian.server.embed import Server

    from geartrain.api.grpc_service import GrpcServer

LOOPBACK: Final = "127.0.0.1"
#: Connections that may wait to be taken, and requests that may be in the event loop, at once.
_BACKLOG: Final = 2048
_MOST_IN_LOOP: Final = 8192
_LOOK_S: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where and how to listen.

    Attributes:
        port: 0 takes a free one.
        certificate: A PEM file with the server's certificate chain; with *key*, TLS is spoken.
        key: The PEM file of its private key.
        header_s: How long a request's head may take to arrive.
        grpc_port: Where the Open Inference Protocol is spoken over gRPC too; with the same
            certificate.
        shared: Whether other processes of this user listen on the same port (SO_REUSEPORT);
            the kernel then spreads new connections over them.
    """

    host: str = LOOPBACK
    port: int = 8000
    certificate: Path | None = None
    key: Path | None = None
    header_s: float = 10.0
    grpc_port: int | None = None
    shared: bool = False


def serve(
    app: Application,
    *,
    host: str = LOOPBACK,
    port: int = 8000,
    listening: Listening | None = None,
    on_ready: Callable[[str], None] | None = None,
    ready_file: Path | None = None,
    drain_s: float = 0.0,
    graceful_s: float = 30.0,
) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are finished and the log is delivered.

    When connections are taken *on_ready* gets the URL and *ready_file* is written with it.
    After SIGTERM the server says "not ready" and goes on answering for *drain_s* seconds,
    then finishes what it has within *graceful_s*. A second signal ends the waiting.

    Raises:
        SettingInvalid: The address cannot be listened on.
    """
    where = listening or Listening(host=host, port=port)

    def ready(url: str) -> None:
        if ready_file is not None:
            part = ready_file.with_name(f"{ready_file.name}.{os.getpid()}")
            part.write_text(url)
            part.replace(ready_file)
        if on_ready is not None:
            on_ready(url)

    with reserved(where) as place, _reserved_for_grpc(where), _rare_collections():
        address, port = place.getsockname()[:2]
        _run(_serve(app, where, address, port, ready=ready, drain_s=drain_s, graceful_s=graceful_s))


def reserved(where: Listening) -> socket.socket:
    """A socket that holds the address without listening on it, so that workers can share it.

    Raises:
        SettingInvalid: Somebody else has it, or it is no address of this machine.
    """
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    try:
        if not where.shared and where.port:
            # Without SO_REUSEPORT a bind fails where anybody listens, this user's processes too.
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((where.host, where.port))
        held = socket.socket(family, socket.SOCK_STREAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((where.host, where.port))
    except OSError as error:
        raise SettingInvalid(
            "this address cannot be listened on",
            where=f"{where.host}:{where.port}",
            found=error.strerror or type(error).__name__,
            hint="another process may have the port; `--port 0` takes a free one",
        ) from error
    return held


def _reserved_for_grpc(where: Listening) -> AbstractContextManager[object]:
    """The same for the port of gRPC, so that a port that is taken is said before anything begins."""
    return nullcontext() if where.grpc_port is None else reserved(replace(where, port=where.grpc_port))


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for unreachable cycles less often, and never among what is there for good.

    A server makes and drops records by the ten thousand, hardly any of them in a cycle;
    with the usual settings a quarter of its time went into looking for them.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(300_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _run(main: Coroutine[Any, Any, None]) -> None:
    """Run *main* on the fastest loop that there is."""
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        asyncio.run(main)
    else:
        uvloop.run(main)


async def _serve(
    app: Application,
    where: Listening,
    address: str,
    port: int,
    *,
    ready: Callable[[str], None],
    drain_s: float,
    graceful_s: float,
) -> None:
    server = _granian(app, where, address, port)
    loop = asyncio.get_running_loop()
    stopping, hurry = asyncio.Event(), asyncio.Event()

    def stop() -> None:
        app.host.drain()
        if stopping.is_set():
            hurry.set()
        stopping.set()

    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop)
    by_grpc = await _by_grpc(app, where, address)
    serving = asyncio.ensure_future(server.serve())
    publishing = asyncio.ensure_future(_publish(app))
    try:
        await _until_taken(address, port, serving)
        ready(f"{'https' if where.certificate else 'http'}://{address}:{port}")
        await _first(stopping.wait(), serving)
        if drain_s > 0 and not serving.done():
            await _first(asyncio.wait_for(hurry.wait(), drain_s), serving)
        await _until_idle(app, hurry, graceful_s)
        server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait_for(serving, graceful_s)
        if by_grpc is not None:
            await by_grpc.stop(0.0 if hurry.is_set() else graceful_s)
        await asyncio.to_thread(app.host.close)
    finally:
        publishing.cancel()
        app.publish()
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(sign)


async def _by_grpc(app: Application, where: Listening, address: str) -> GrpcServer | None:
    if where.grpc_port is None:
        return None
    from geartrain.api.grpc_service import listen_grpc

    host = f"[{address}]" if ":" in address else address
    return await listen_grpc(app, f"{host}:{where.grpc_port}", certificate=where.certificate, key=where.key)


async def _publish(app: Application) -> None:
    """Tell the other workers now and then what this one has counted."""
    while app.metrics.others is not None:
        app.publish()
        await asyncio.sleep(PUBLISH_S)


def _granian(app: Application, where: Listening, address: str, port: int) -> Server:
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.server.embed import Server

    # A body may be as large as the application says; the head is what is bounded here.
    heads = HTTP1Settings(header_read_timeout=int(where.header_s * 1000))
    return Server(
        app,
        address=address,
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        http1_settings=heads,
        websockets=False,
        backlog=_BACKLOG,
        backpressure=_MOST_IN_LOOP,
        log_enabled=False,
        runtime_threads=1,
        ssl_cert=where.certificate,
        ssl_key=where.key,
    )


async def _until_taken(address: str, port: int, serving: asyncio.Future[None]) -> None:
    """Return when connections are taken.

    Raises:
        SettingInvalid: The server ended instead.
    """
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(address, port)
        except OSError:
            await asyncio.sleep(_LOOK_S)
            continue
        writer.close()
        return
    raise SettingInvalid(
        "the HTTP server could not start", where=f"{address}:{port}", found=str(serving.exception())
    )


async def _first(waiting: Coroutine[Any, Any, Any], serving: asyncio.Future[None]) -> None:
    """Wait for *waiting*, for its time to be over, or for the server to end by itself."""
    task: asyncio.Future[Any] = asyncio.ensure_future(waiting)
    await asyncio.wait({task, serving}, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
    with suppress(TimeoutError, asyncio.CancelledError):
        await task


async def _until_idle(app: Application, hurry: asyncio.Event, graceful_s: float) -> None:
    """Return when nobody waits for an answer, or nobody has the patience any more."""
    loop = asyncio.get_running_loop()
    end = loop.time() + graceful_s
    while app.in_flight and not hurry.is_set() and loop.time() < end:  # noqa: ASYNC110 - an event would cost every request something
        await asyncio.sleep(_LOOK_S)
