"""The server as commands start it: what is live answers, and people are told how to ask."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geartrain.cli.options import settings
from geartrain.domain.digest import short
from geartrain.errors import ReleaseUnknown

if TYPE_CHECKING:
    from geartrain.engine.living import Living

LEVELS = ("error", "warning", "info", "debug")


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
    """Serve until SIGTERM or SIGINT; what was served, for the last word.

    Raises:
        ReleaseUnknown: No product has a live release that can be loaded.
        WorkspaceMissing: There is no workspace.
        SettingInvalid: The address cannot be listened on.
    """
    from geartrain.api.app import create_app
    from geartrain.api.logs import json_logger
    from geartrain.api.server import serve
    from geartrain.api.tracing import tracer_from
    from geartrain.wiring import build_host

    logger = json_logger(level=level)
    living = build_host(settings(workspace), tell=logger.error, products=products)
    try:
        living.begin()
        served = living.host.products
        if not served:
            raise nothing_is_live(dict(living.host.problems))
        urls: list[str] = []

        def ready(url: str) -> None:
            urls.append(url)
            _introduce(living, url)
            if on_ready is not None:
                on_ready(url)

        app = create_app(living.host, tracer=tracer_from(os.environ), logger=logger)
        serve(app, host=host, port=port, on_ready=ready, ready_file=ready_file, drain_s=drain_s)
        releases = {name: living.host.lane(name).champion.release for name in living.host.products}
        return {"url": urls[0] if urls else "", "products": releases}
    finally:
        living.end()


def nothing_is_live(problems: dict[str, str]) -> ReleaseUnknown:
    """Why there is nothing to serve, and how to get something."""
    return ReleaseUnknown(
        "no product has a live release here",
        found="; ".join(f"{name}: {problem}" for name, problem in sorted(problems.items())),
        hint="`make demo` makes two; or sign and `geartrain release promote` one of your own",
    )


def _introduce(living: Living, url: str) -> None:
    """One line with the address, one example for each product."""
    names = living.host.products
    click.echo(f"{', '.join(names)} at {url} (documentation: {url}/docs)", err=True)
    for name in names:
        row = json.dumps(living.example_row(name), ensure_ascii=False, default=str).replace("'", "'\\''")
        release = short(living.host.lane(name).champion.release)
        click.echo(
            f"\n  ask {name} (release {release}):\n"
            f"  curl -s {url}/v1/products/{name}/decisions -H 'content-type: application/json'"
            f' -d \'{{"row": {row}, "explain": true}}\'',
            err=True,
        )
