"""`geartrain up`: API, room, worker and monitor, until somebody stops them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import click

from geartrain.cli.answer import Answer, answering
from geartrain.cli.options import opened, settings, workspace_option
from geartrain.cli.room import PORT as ROOM_PORT
from geartrain.cli.serving import LEVELS, serve_workspace
from geartrain.cli.telling import PlainTeller
from geartrain.domain.finding import Status
from geartrain.errors import EXIT_NO, EXIT_YES

#: How long a child may take to end before it is ended; its durable steps are gone on with later.
_LEAVE_S = 5.0


@click.command()
@workspace_option
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: a free one.")
@click.option(
    "--room-port",
    type=click.IntRange(0, 65535),
    default=ROOM_PORT,
    show_default=True,
    help="Where the team's pages are; 0: a free one.",
)
@click.option("--no-room", is_flag=True, help="Without the team's pages.")
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(1),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How often the monitor looks.",
)
@click.option("--log", "level", type=click.Choice(LEVELS), default="warning", show_default=True)
@click.option("--ready-file", type=click.Path(path_type=Path, dir_okay=False), hidden=True)
@click.option("--resume-only", is_flag=True, hidden=True, help="Go on with cut-off runs, then end.")
@answering
def up(
    workspace: Path | None,
    host: str,
    port: int,
    room_port: int,
    no_room: bool,  # noqa: FBT001 - click's way to give a flag
    every_s: float,
    level: str,
    ready_file: Path | None,
    resume_only: bool,  # noqa: FBT001 - click's way to give a flag
) -> Answer:
    """Keep everything running: the API, the team's room, a worker that goes on with cut-off runs, the monitor.

    Room, monitoring and retraining run in processes of their own, so they cost decisions no time.
    """
    if resume_only:
        return _resumed(workspace)
    root = settings(workspace).root
    rounds = _Rounds(root, every_s=every_s)
    room = None if no_room else _RoomBeside(root, host=host, port=room_port)

    def begin(_url: str) -> None:
        if room is not None:
            room.begin()
        rounds.begin()

    try:
        served = serve_workspace(
            workspace,
            host=host,
            port=port,
            level=level,
            ready_file=ready_file,
            on_ready=begin,
        )
    finally:
        if room is not None:
            room.end()
        rounds.end()
    result = {**served, "rounds": rounds.made}
    return Answer(schema="up/1", ok=True, result=result, text="stopped; every answered decision is kept")


def _resumed(workspace: Path | None) -> Answer:
    """Go on with every run that was cut off, and wait for its end."""
    from geartrain.engine.plans import plans
    from geartrain.wiring import only_worker, open_workflows

    space = opened(workspace)
    with only_worker(space.root):
        named = plans(space, clock_ns=time.perf_counter_ns, teller=PlainTeller())
        flows = open_workflows(settings(workspace), named)
        try:
            done = flows.resume()
        finally:
            flows.close()
    return Answer(schema="resumed/1", ok=True, result={"runs": done}, text="\n".join(done))


class _RoomBeside:
    """The room in a process of its own; where it cannot begin it says why, and decisions are answered all the same.

    It holds the other end of a pipe and ends with this process, however that ends.
    """

    def __init__(self, root: Path, *, host: str, port: int) -> None:
        self._arguments = ("room", "-w", str(root), "--host", host, "--port", str(port), "--with-parent")
        self._child: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Begin; it tells its address, and the way to the first account, on standard error itself."""
        self._child = subprocess.Popen(  # noqa: S603 - our own command line, without a shell
            [sys.executable, "-m", "geartrain", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def end(self) -> None:
        """End it, and wait a little."""
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(_LEAVE_S)
        except subprocess.TimeoutExpired:
            self._child.kill()


class _Rounds:
    """Rounds of monitor and retrain, each command in a process of its own; news is told, the rest is not.

    Attributes:
        made: How many rounds were made.
    """

    def __init__(self, root: Path, *, every_s: float) -> None:
        self.made = 0
        self._root = root
        self._every_s = every_s
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._told: dict[tuple[str, ...], frozenset[str]] = {}
        self._child: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._work, name="rounds", daemon=True)

    def begin(self) -> None:
        """Begin in the background."""
        self._thread.start()

    def end(self) -> None:
        """Begin nothing more, and let what runs end soon; a cut-off run is gone on with next time."""
        self._ending.set()
        with self._lock:
            if self._child is not None:
                self._child.terminate()
        if self._thread.is_alive():
            self._thread.join(_LEAVE_S)
        with self._lock:
            if self._child is not None:
                self._child.kill()

    def _work(self) -> None:
        if (self._root / "workflows.db").exists():
            self._command("up", "--resume-only", "-w", str(self._root))
        while not self._ending.wait(self._every_s):
            self._round()

    def _round(self) -> None:
        from geartrain.engine.folders import known_folders

        for folder in known_folders(self._root).values():
            for verb in ("monitor", "retrain"):
                if folder.is_dir() and not self._ending.is_set():
                    self._command(verb, "-p", str(folder), "-w", str(self._root))
        self.made += 1

    def _command(self, *arguments: str) -> None:
        """Run one command of our own; "no" is an answer, an error is told."""
        with self._lock:
            if self._ending.is_set():
                return
            self._child = subprocess.Popen(  # noqa: S603 - our own command line, without a shell
                [sys.executable, "-m", "geartrain", *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        said, complaint = self._child.communicate()
        code = self._child.returncode
        with self._lock:
            self._child = None
        if self._ending.is_set():
            return
        is_answer = code in (EXIT_YES, EXIT_NO)
        told = said.strip() if is_answer else f"ended with {code}: {complaint.strip()}"
        lines = [line.strip() for line in told.splitlines() if line.strip()]
        before = self._told.get(arguments, frozenset())
        self._told[arguments] = frozenset(lines)
        for line in lines:
            # A clause that nothing measures is no news, and neither is what the last round said.
            if line not in before and not line.startswith(Status.NOT_MEASURED.value):
                click.echo(f"  {arguments[0]}: {line}", err=True)
