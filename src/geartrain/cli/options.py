"""Options that many commands share, and what they open."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from geartrain.engine.products import Product
    from geartrain.engine.workspace import Workspace
    from geartrain.wiring import Settings

F = TypeVar("F", bound=Callable[..., Any])

workspace_option = click.option(
    "-w",
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False),
    help="The workspace folder; default: GEARTRAIN_WORKSPACE, or .geartrain here or above.",
)

product_option = click.option(
    "-p",
    "--product",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    show_default="this folder",
    help="The product's folder.",
)

history_option = click.option(
    "--source", "sources", multiple=True, metavar="NAME=FILE", help="The history of a source; once for each."
)

seed_option = click.option("--seed", type=int, default=0, show_default=True, help="Decides every chance.")


class Moment(click.ParamType[datetime]):
    """A time in ISO 8601; without a zone it is UTC."""

    name = "time"

    def convert(
        self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read the time, or say what would be right."""
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time; try 2026-03-01 or 2026-03-01T12:00:00+01:00", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


now_option = click.option(
    "--now",
    type=Moment(),
    default=None,
    help="The time to take for now; default: the clock.",
)


def moment_of(now: datetime | None) -> datetime:
    """The time that was given, or the clock's."""
    from geartrain.adapters.clock import SystemClock

    return now or SystemClock().now()


def settings(workspace: Path | None) -> Settings:
    """The settings from flag and environment."""
    from geartrain.wiring import settings_of

    return settings_of(os.environ, workspace=workspace)


def opened(workspace: Path | None, *, create: bool = False) -> Workspace:
    """The workspace; a command that only reads does not make one."""
    from geartrain.wiring import open_workspace

    return open_workspace(settings(workspace), create=create)


def loaded(folder: Path) -> Product:
    """The product in *folder*, checked."""
    from geartrain.engine.products import load_product

    return load_product(folder)
