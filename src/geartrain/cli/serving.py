"""The server as commands start it: what is live answers, and people are told how to ask."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import TYPE_CHECKING

import click

from geartrain.cli.options import settings
from geartrain.domain.digest import short
from geartrain.errors import GeartrainError, ReleaseUnknown, SettingInvalid

if TYPE_CHECKING:
    from geartrain.api.doors import Doors
    from geartrain.api.fleet import Worker
    from geartrain.engine.living import Living
    from geartrain.wiring import Settings

LEVELS = ("error", "warning", "info", "debug")


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How a workspace is served; every field can cross to another process.

    Attributes:
        products: The products to serve; empty serves all that have a live release.
        level: What is written to standard error.
        drain_s: How long to go on answering after SIGTERM while saying "not ready".
        workers: How many processes answer.
        tokens: Whether every request needs a token of the workspace's accounts.
        per_s: How often one token may ask, in requests a second; 0 is without limit.
        certificate: PEM file of the server's certificate chain; with *key*, TLS is spoken.
        log_window_s: Over 0: answers do not wait for the prediction log, within this window.
        log_behind: What happens where the lake does not keep up, a word of `Pressure`.
        log_backlog_mb: How many MB of decisions may wait for the lake.
        grpc_port: Where the Open Inference Protocol is spoken over gRPC too.
    """

    workspace: Path | None
    host: str
    port: int
    products: tuple[str, ...] = ()
    level: str = "warning"
    drain_s: float = 0.0
    workers: int = 1
    tokens: bool = False
    per_s: float = 0.0
    certificate: Path | None = None
    key: Path | None = None
    log_window_s: float = 0.0
    log_behind: str = "spill"
    log_backlog_mb: int = 1024
    grpc_port: int | None = None


def serve_workspace(
    workspace: Path | None,
    *,
    host: str,
    port: int,
    products: Sequence[str] = (),
    level: str = "warning",
    drain_s: float = 0.0,
    ready_file: Path | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> dict[str, object]:
    """Serve in this process until SIGTERM or SIGINT; what was served, for the last word.

    Raises:
        ReleaseUnknown: No product has a live release that can be loaded.
        WorkspaceMissing: There is no workspace.
        SettingInvalid: The address cannot be listened on.
    """
    wanted = Serving(
        workspace=workspace, host=host, port=port, products=tuple(products), level=level, drain_s=drain_s
    )
    return serve_as(wanted, ready_file=ready_file, on_ready=on_ready)


def serve_as(
    wanted: Serving,
    *,
    ready_file: Path | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> dict[str, object]:
    """The same with every setting; several workers are processes of their own.

    Raises:
        ReleaseUnknown: No product has a live release that can be loaded.
        WorkspaceMissing: There is no workspace.
        SettingInvalid: The address cannot be listened on, or settings do not fit together.
    """
    if (wanted.certificate is None) is not (wanted.key is None):
        raise SettingInvalid(
            "TLS needs the certificate and its key", hint="give both `--certificate` and `--key`"
        )
    if wanted.workers > 1:
        return _serve_by_many(wanted, ready_file=ready_file, on_ready=on_ready)
    return _serve_alone(wanted, ready_file=ready_file, on_ready=on_ready)


def _serve_alone(
    wanted: Serving,
    *,
    ready_file: Path | None = None,
    on_ready: Callable[[str], None] | None = None,
    counts: Path | None = None,
    introduces: bool = True,
) -> dict[str, object]:
    """Serve in this process; with *counts*, as one of several."""
    from geartrain.api.app import create_app
    from geartrain.api.fleet import SharedCounts
    from geartrain.api.logs import json_logger
    from geartrain.api.server import Listening, serve
    from geartrain.api.tracing import tracer_from
    from geartrain.serving.log_terms import LogLimits, Pressure
    from geartrain.wiring import build_host

    logger = json_logger(level=wanted.level)
    given = settings(wanted.workspace)
    limits = LogLimits(
        window_s=wanted.log_window_s,
        pressure=Pressure(wanted.log_behind),
        most_backlog_bytes=wanted.log_backlog_mb * 2**20,
    )
    living = build_host(given, tell=logger.error, products=wanted.products, limits=limits)
    try:
        living.begin()
        served = living.host.products
        if not served:
            raise nothing_is_live(dict(living.host.problems))
        urls: list[str] = []

        def ready(url: str) -> None:
            urls.append(url)
            if introduces:
                _introduce(living, url, wanted)
            if on_ready is not None:
                on_ready(url)

        app = create_app(
            living.host,
            tracer=tracer_from(os.environ),
            logger=logger,
            doors=_doors(wanted, given, living.host.now) if wanted.tokens else None,
            others=None if counts is None else SharedCounts(counts),
        )
        where = Listening(
            host=wanted.host,
            port=wanted.port,
            certificate=wanted.certificate,
            key=wanted.key,
            grpc_port=wanted.grpc_port,
            shared=counts is not None,
        )
        serve(app, listening=where, on_ready=ready, ready_file=ready_file, drain_s=wanted.drain_s)
        releases = {name: living.host.lane(name).champion.release for name in living.host.products}
        return {"url": urls[0] if urls else "", "products": releases}
    finally:
        living.end()


def _doors(wanted: Serving, given: Settings, now: Callable[[], datetime]) -> Doors:
    from geartrain.api.doors import Doors, RateLimits
    from geartrain.wiring import open_accounts

    accounts = open_accounts(given)
    # The kernel spreads a token's connections over the workers, so each has its part.
    share = wanted.per_s / wanted.workers
    rate = RateLimits(per_s=share, burst=max(1.0, 2 * share)) if share > 0 else None
    return Doors(lambda digest, at: accounts.token(digest, now=at), now=now, rate=rate)


def _serve_by_many(
    wanted: Serving, *, ready_file: Path | None, on_ready: Callable[[str], None] | None
) -> dict[str, object]:
    """Start the workers, keep them alive, and end with them."""
    from geartrain.api.fleet import supervise
    from geartrain.api.server import Listening, reserved

    stopping = Event()
    before = {
        sign: signal.signal(sign, lambda *_: stopping.set()) for sign in (signal.SIGTERM, signal.SIGINT)
    }
    processes = get_context("spawn")
    try:
        with (
            reserved(Listening(host=wanted.host, port=wanted.port)) as place,
            _held_for_grpc(wanted),
            TemporaryDirectory(prefix="geartrain-serving-") as told,
        ):
            folder = Path(told)
            bound = replace(wanted, port=place.getsockname()[1])
            begun: set[int] = set()

            def start(number: int) -> Worker:
                introduces = number == 0 and not begun
                begun.add(number)
                return processes.Process(
                    target=_work,
                    args=(bound, folder / f"ready-{number}", folder / "counts"),
                    kwargs={"introduces": introduces},
                )

            def watch() -> None:
                while not stopping.wait(0.05):
                    if all((folder / f"ready-{number}").exists() for number in range(wanted.workers)):
                        url = (folder / "ready-0").read_text()
                        if ready_file is not None:
                            ready_file.write_text(url)
                        if on_ready is not None:
                            on_ready(url)
                        return

            watching = Thread(target=watch, daemon=True)
            watching.start()
            kept = supervise(start, wanted.workers, stopping=stopping)
            stopping.set()
            watching.join()
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
    if not kept:
        raise ReleaseUnknown(
            "the workers end right after their start",
            hint="`geartrain serve --workers 1` says why",
        )
    return {"url": "", "workers": wanted.workers}


def _held_for_grpc(wanted: Serving) -> AbstractContextManager[object]:
    """The port of gRPC, held for the workers as the other one is."""
    from geartrain.api.server import Listening, reserved

    if wanted.grpc_port is None:
        return nullcontext()
    return reserved(Listening(host=wanted.host, port=wanted.grpc_port))


def _work(wanted: Serving, ready_file: Path, counts: Path, *, introduces: bool) -> None:
    """One worker's life; it does not outlive the process that started it."""
    Thread(target=_end_with_parent, daemon=True).start()
    try:
        _serve_alone(wanted, ready_file=ready_file, counts=counts, introduces=introduces)
    except GeartrainError as error:
        click.echo(str(error), err=True)
        raise SystemExit(1) from None


def _end_with_parent() -> None:
    """Drain and end where the parent was killed: nobody would replace this worker, or end it."""
    parent = parent_process()
    assert parent is not None, "a worker is started by another process"
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def nothing_is_live(problems: dict[str, str]) -> ReleaseUnknown:
    """Why there is nothing to serve, and how to get something."""
    return ReleaseUnknown(
        "no product has a live release here",
        found="; ".join(f"{name}: {problem}" for name, problem in sorted(problems.items())),
        hint="`make demo` makes two; or sign and `geartrain release promote` one of your own",
    )


def _introduce(living: Living, url: str, wanted: Serving) -> None:
    """One line with the address, one example for each product."""
    names = living.host.products
    told = " -H 'authorization: Bearer TOKEN'" if wanted.tokens else ""
    # A certificate that only its owner signed is not among those that curl knows.
    trusted = "" if wanted.certificate is None else f" --cacert {wanted.certificate}"
    by_grpc = "" if wanted.grpc_port is None else f"; gRPC at {wanted.host}:{wanted.grpc_port}"
    click.echo(f"{', '.join(names)} at {url} (documentation: {url}/docs){by_grpc}", err=True)
    for name in names:
        row = json.dumps(living.example_row(name), ensure_ascii=False, default=str).replace("'", "'\\''")
        release = short(living.host.lane(name).champion.release)
        click.echo(
            f"\n  ask {name} (release {release}):\n"
            f"  curl -s{trusted} {url}/v1/products/{name}/decisions -H 'content-type: application/json'{told}"
            f' -d \'{{"row": {row}, "explain": true}}\'',
            err=True,
        )
