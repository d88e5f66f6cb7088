"""What was: `geartrain release history` and `geartrain release live-at`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geartrain.cli.answer import Answer, answering
from geartrain.cli.options import (
    Moment,
    loaded,
    moment_of,
    now_option,
    opened,
    product_option,
    workspace_option,
)

if TYPE_CHECKING:
    from geartrain.release.state import ReleaseState


@click.command()
@workspace_option
@product_option
@click.argument("release_name", metavar="[RELEASE]", default="")
@answering
def history(workspace: Path | None, folder: Path, release_name: str) -> Answer:
    """What happened to RELEASE, or to all: proposed, signed, waived, each step, rolled back; when and by whom."""
    from geartrain.engine.releasing import releases
    from geartrain.engine.telling import told_event
    from geartrain.release.past import steps_of

    product, space = loaded(folder), opened(workspace)
    state = releases(space, product.name)
    wanted = resolved(state, release_name) if release_name else None
    steps = steps_of(space.history(product.name), release=wanted)
    lines = [f"{one.at:%Y-%m-%d %H:%M}  {told_event(one.event)}  (by {one.actor})" for one in steps]
    return Answer(
        schema="release-history/1",
        ok=True,
        result={
            "release": wanted,
            "steps": [
                {"at": one.at, "actor": one.actor, "what": told_event(one.event), "event": one.event}
                for one in steps
            ],
        },
        text="\n".join(lines) or "no release was proposed yet: run `geartrain evaluate`",
    )


@click.command(name="live-at")
@workspace_option
@product_option
@click.argument("time", type=Moment())
@now_option
@answering
def live_at(workspace: Path | None, folder: Path, time: datetime, now: datetime | None) -> Answer:
    """What was live at TIME, since when, and who had approved it."""
    from geartrain.engine.releasing import releases
    from geartrain.release.state import live_at as asked

    product, moment = loaded(folder), moment_of(now)
    if time > moment:
        raise click.UsageError(
            f"{time:%Y-%m-%d %H:%M} UTC has not come yet: it is {moment:%Y-%m-%d %H:%M} UTC;"
            " what will be live then, nobody knows"
        )
    answer = asked(releases(opened(workspace), product.name), time)
    if answer.release is None or answer.since is None:
        text = f"nothing was live at {time:%Y-%m-%d %H:%M} UTC; the fallback rule decided"
    else:
        text = (
            f"{answer.release}\nlive since {answer.since:%Y-%m-%d %H:%M} UTC,"
            f" approved by {', '.join(answer.approved_by) or 'nobody'}"
        )
        text += "".join(
            f"\nwaived: {one.clause} until {one.expires_at:%Y-%m-%d}: {one.reason}" for one in answer.waivers
        )
    return Answer(
        schema="release-live-at/1", ok=answer.release is not None, result={"live": answer}, text=text
    )


def resolved(state: ReleaseState, name: str) -> str:
    """The id that *name* means; `latest` is what was proposed last.

    Raises:
        ReleaseUnknown: Nothing, or more than one release, has that name.
    """
    if name == "latest" and state.records:
        return state.records[-1].id
    return state.resolve(name)
