"""Write docs/cli.md from the help of every command, so that the page cannot say anything else.

python tools/cli_docs.py          # write the page
python tools/cli_docs.py --check  # say whether it is out of date
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from geartrain.cli.main import COMMANDS, cli

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"

HEAD = """\
# Commands

This page is written by `python tools/cli_docs.py` from the commands' own help; a test fails when it is out of date.

With `--json` a command prints exactly one JSON document on standard output; everything else goes to standard error. The
[exit codes](errors.md#exit-codes) are the same for all: 0 yes, 1 the answer is no, 2 could not run, 70 our bug, 75 try again.
"""


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with its words, groups before what is in them, in the order of the overview.

    A verb whose module is not part of this build is left out, as calling it would be.
    """
    yield (), cli
    for name, (target, _) in COMMANDS.items():
        module, attribute = target.split(":")
        if importlib.util.find_spec(module) is None:
            continue
        yield from _within((name,), getattr(importlib.import_module(module), attribute))


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for words, command in commands():
        title = " ".join(("geartrain", *words))
        parts.append(
            f"{'#' * min(len(words) + 1, 3) if words else '##'} {title}\n\n```\n{_help(words, command)}\n```\n"
        )
    return "\n".join(parts)


def _within(
    words: tuple[str, ...], command: click.Command
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _within((*words, name), inner)


def _help(words: tuple[str, ...], command: click.Command) -> str:
    name = " ".join(("geartrain", *words))
    context = click.Context(
        command, info_name=name, help_option_names=["-h", "--help"], terminal_width=100, max_content_width=100
    )
    lines = command.get_help(context).splitlines()
    return "\n".join(line.rstrip() for line in lines)


def main() -> int:
    """Write the page, or with `--check` compare it."""
    text = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == text:
        return 0
    print("docs/cli.md is out of date: run `python tools/cli_docs.py`")
    return 1


if __name__ == "__main__":
    sys.exit(main())
