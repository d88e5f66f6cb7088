"""The entry point: finds the command without importing the others, and ends with the right code."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import MutableMapping, Sequence
from pathlib import Path

import click

from geartrain.cli.answer import error_document, wants_json, write_document
from geartrain.errors import (
    EXIT_COULD_NOT_RUN,
    EXIT_OUR_BUG,
    EXIT_YES,
    GeartrainError,
)

#: Every verb group: where it lives and its line in the overview. Help must not import them.
COMMANDS: dict[str, tuple[str, str]] = {
    "new": ("geartrain.cli.new:new", "Begin a product, from a file of rows or from an example."),
    "contract": ("geartrain.cli.contract:contract", "Check, show, compare or pull contracts."),
    "feasibility": ("geartrain.cli.feasibility:feasibility", "Ask whether the contract can be kept at all."),
    "ingest": ("geartrain.cli.ingest:ingest", "Take a batch of rows through the door into the lake."),
    "features": (
        "geartrain.cli.features:features",
        "List features; is the model served what it learned from?",
    ),
    "data": ("geartrain.cli.data:data", "Preview a file, exchange schemas, erase a person."),
    "train": ("geartrain.cli.train:train", "Search for a model; every trial is in the ledger."),
    "compress": ("geartrain.cli.compress:compress", "Shrink the model until it fits the budget."),
    "evaluate": ("geartrain.cli.evaluate:evaluate", "Open the sealed rows and judge every clause."),
    "release": ("geartrain.cli.release:release", "Sign, waive, promote, roll back, ask what was live."),
    "document": ("geartrain.cli.document:document", "Write model card, one page, technical file, ML-BOM."),
    "serve": ("geartrain.cli.serve:serve", "Answer decisions over HTTP."),
    "room": ("geartrain.cli.room:room", "Open the pages on which the team meets."),
    "replay": ("geartrain.cli.replay:replay", "Drive history through the whole loop on a virtual clock."),
    "drill": ("geartrain.cli.drill:drill", "Inject faults into a replay: is the right role called?"),
    "monitor": ("geartrain.cli.monitor:monitor", "Look at feeds, drift and cost; open incidents."),
    "labels": ("geartrain.cli.labels:labels", "Ask for the labels that would settle what is open."),
    "retrain": ("geartrain.cli.retrain:retrain", "Answer an alarm or the calendar, or refuse with a reason."),
    "ledger": ("geartrain.cli.ledger:ledger", "Read and verify the history of decisions."),
    "doctor": ("geartrain.cli.doctor:doctor", "Check this machine and this workspace."),
    "demo": ("geartrain.cli.demo:demo", "Take two products through the whole loop."),
    "up": ("geartrain.cli.up:up", "Keep everything running: API, room, workers, monitor."),
}


class LazyGroup(click.Group):
    """A group that imports a command when it is called, not when help is shown."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in the order of the loop."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module behind *cmd_name*."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name][0].split(":")
        command = getattr(importlib.import_module(module), name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs from the table above."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's callback
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(version("geartrain"))
        ctx.exit()


#: glibc's variable, and the parameter of its `mallopt`.
_ARENAS, _ARENA_MAX = "MALLOC_ARENA_MAX", -8
#: What a shell makes of SIGINT.
_INTERRUPTED = 130


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Say the version."
)
def cli() -> None:
    """Build and run an AI product together, from one executable contract.

    Begin with `geartrain demo`, or with `geartrain new NAME --data FILE`.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    keep_memory_flat(os.environ, serves=given[:1] == ["serve"])
    code = run(given)
    if code == _INTERRUPTED:
        # A step under way in another thread would be waited for. It is begun again by the next command, as after a kill.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def keep_memory_flat(environment: MutableMapping[str, str], *, serves: bool = False) -> None:
    """Let Arrow take its buffers from the system's allocator, unless somebody has chosen another; before Arrow is loaded.

    A server scans and writes the lake several times a second for weeks. With Arrow's own choice (mimalloc) it
    grew by five megabytes a minute; with the system's it does not. Its many threads would each keep what they once
    needed, so a process that *serves* has two arenas of memory for all of them (glibc makes up to eight for each core).
    """
    environment.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    if serves and _ARENAS not in environment:
        import ctypes  # which other commands need not load

        environment[_ARENAS] = "2"  # for workers; this process reads it no more
        choose = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
        if choose is not None:
            choose(_ARENA_MAX, 2)


def run(given: list[str]) -> int:
    """Run the command line and return its exit code: the outermost shell, where every error ends."""
    as_json = wants_json(given)
    try:
        code = cli.main(args=given, prog_name="geartrain", standalone_mode=False)
    except GeartrainError as error:
        return _tell(error, as_json=as_json)
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        if as_json:
            write_document(error_document("interrupted", "the command was interrupted before it had ended"))
        return _INTERRUPTED
    except click.ClickException as error:
        error.show()
        if as_json:
            write_document(error_document("usage", error.format_message()))
        return EXIT_COULD_NOT_RUN
    except BrokenPipeError:
        # Whoever read our output has seen enough; point stdout elsewhere so that exit stays quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_YES
    except Exception as error:  # noqa: BLE001 - the outermost shell: our own bug becomes a report and code 70
        return _our_bug(error, given, as_json=as_json)
    return code if isinstance(code, int) else EXIT_YES


def _tell(error: GeartrainError, *, as_json: bool) -> int:
    click.echo(str(error), err=True)
    if as_json:
        write_document(
            {"schema": "geartrain.error/1", "ok": False, "result": None, "error": error.to_document()}
        )
    return error.exit_code


def _our_bug(error: Exception, given: list[str], *, as_json: bool) -> int:
    """Write what a developer needs into a file, and say where it is."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="geartrain-bug-", suffix=".txt", delete=False, encoding="utf-8"
    ) as report:
        report.write(f"geartrain {' '.join(given)}\n\n{traceback.format_exc()}")
    path = Path(report.name)
    message = f"geartrain met a bug of its own: {type(error).__name__}: {error}"
    click.echo(f"error[internal]: {message}\n\nhint: the report is in {path}; please send it to us", err=True)
    if as_json:
        write_document(error_document("internal", message, hint=f"the report is in {path}"))
    return EXIT_OUR_BUG
