"""`geartrain room`: the pages on which product, domain, engineering and science meet."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geartrain.cli.answer import Answer, answering
from geartrain.cli.options import opened, settings, workspace_option
from geartrain.errors import SettingInvalid

if TYPE_CHECKING:
    from geartrain.web.room import Room, RoomSettings

PORT = 8800


@click.command()
@workspace_option
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0: a free one.")
@click.option("--ready-file", type=click.Path(path_type=Path, dir_okay=False), hidden=True)
@click.option("--with-parent", is_flag=True, hidden=True, help="End when standard input ends.")
@answering
def room(
    workspace: Path | None,
    host: str,
    port: int,
    ready_file: Path | None,
    with_parent: bool,  # noqa: FBT001 - click's way to give a flag
) -> Answer:
    """Open the pages on which the team meets: promises, releases, reviews, incidents.

    The first account is opened with the code that is told here. To be reached under
    another name than this machine's own, set GEARTRAIN_ROOM_HOSTS (names, with commas);
    behind TLS set GEARTRAIN_ROOM_SECURE=1. To let people sign in with an OpenID Connect
    provider, set GEARTRAIN_OPENID_ISSUER, GEARTRAIN_OPENID_CLIENT_ID and
    GEARTRAIN_OPENID_CLIENT_SECRET, and GEARTRAIN_OPENID_CLAIM where the name by which
    contracts know a person does not stand in the claim `name`.
    """
    if with_parent:
        threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    made = room_of(workspace, os.environ)
    serve_room(
        made, host=host, port=port, ready_file=ready_file, tell=lambda line: click.echo(line, err=True)
    )
    return Answer(schema="room/1", ok=True, result={"stopped": True}, text="stopped")


def room_of(workspace: Path | None, environ: Mapping[str, str]) -> Room:
    """The room over a workspace, as the environment sets it."""
    import secrets

    from geartrain.adapters.clock import SystemClock
    from geartrain.web.room import Room
    from geartrain.wiring import open_accounts

    return Room(
        workspace=opened(workspace),
        accounts=open_accounts(settings(workspace)),
        now=SystemClock().now,
        secret=lambda: secrets.token_urlsafe(32),
        first_code=secrets.token_urlsafe(9),
        settings=room_settings(environ),
    )


def room_settings(environ: Mapping[str, str]) -> RoomSettings:
    """How the room may be reached, from the environment.

    Raises:
        SettingInvalid: A provider is named without what is needed to ask it.
    """
    from geartrain.web.room import LOOPBACK_HOSTS, OpenId, RoomSettings

    hosts = tuple(one.strip() for one in environ.get("GEARTRAIN_ROOM_HOSTS", "").split(",") if one.strip())
    openid = None
    if issuer := environ.get("GEARTRAIN_OPENID_ISSUER"):
        missing = [
            name for name in ("CLIENT_ID", "CLIENT_SECRET") if not environ.get(f"GEARTRAIN_OPENID_{name}")
        ]
        if missing:
            raise SettingInvalid(
                "an OpenID provider is set, but not how to ask it",
                found=f"no GEARTRAIN_OPENID_{missing[0]}",
                hint="the provider gives out a client id and a client secret for this room",
            )
        openid = OpenId(
            issuer=issuer,
            client_id=environ["GEARTRAIN_OPENID_CLIENT_ID"],
            client_secret=environ["GEARTRAIN_OPENID_CLIENT_SECRET"],
            claim=environ.get("GEARTRAIN_OPENID_CLAIM", "name"),
        )
    secure = environ.get("GEARTRAIN_ROOM_SECURE", "") not in {"", "0"}
    return RoomSettings(hosts=(*LOOPBACK_HOSTS, *hosts), secure=secure, openid=openid)


def serve_room(
    made: Room, *, host: str, port: int, ready_file: Path | None, tell: Callable[[str], None]
) -> None:
    """Serve the room until it is stopped, and say where it is."""
    from geartrain.web.app import create_room
    from geartrain.web.serving import serve

    def ready(url: str) -> None:
        tell(f"the room: {url}")
        if not made.accounts.people():
            tell(f"the first account: {url}/first?code={made.first_code}")

    try:
        serve(create_room(made), host=host, port=port, on_ready=ready, ready_file=ready_file)
    except SystemExit as gave_up:
        # The HTTP server's own way to say that it could not start.
        raise SettingInvalid(
            "the room cannot listen on this address",
            where=f"{host}:{port}",
            hint="another process may have the port; `--port 0` takes a free one",
        ) from gave_up


def _end_with_parent() -> None:
    """Wait for the end of standard input: whoever began this process holds the other end."""
    while sys.stdin.buffer.read(1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
