"""An answer: what a command found, said once to people or once to programs."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from geartrain.domain.digest import plain
from geartrain.errors import EXIT_NO, EXIT_YES

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command found.

    Attributes:
        schema: The document's kind and version, such as `contract-check/1`.
        ok: Whether the answer is yes; no is exit code 1, not an error.
        result: The facts, for `--json`.
        text: The same facts for people.
    """

    schema: str
    ok: bool
    result: Mapping[str, object]
    text: str


def answering(command: F) -> F:
    """Give *command* a `--json` flag, and print the `Answer` that it returns."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
    @functools.wraps(command)
    def wrapped(*args: Any, as_json: bool, **kwargs: Any) -> int:
        answer = command(*args, **kwargs)
        if as_json:
            write_document(
                {
                    "schema": f"geartrain.{answer.schema}",
                    "ok": answer.ok,
                    "result": plain(answer.result),
                    "error": None,
                }
            )
        elif answer.text:
            click.echo(answer.text)
        return EXIT_YES if answer.ok else EXIT_NO

    return wrapped  # type: ignore[return-value]  # a command with one flag more


def wants_json(given: list[str]) -> bool:
    """Whether `--json` stands among the arguments, even if they cannot be parsed."""
    return "--json" in given


def error_document(code: str, message: str, *, hint: str = "") -> dict[str, object]:
    """The document that stands for an error without a class of its own."""
    return {
        "schema": "geartrain.error/1",
        "ok": False,
        "result": None,
        "error": {"code": code, "message": message, "where": "", "found": "", "hint": hint},
    }


def write_document(document: Mapping[str, object]) -> None:
    """Print one JSON document; nothing else ever goes to standard output beside it."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, allow_nan=False, sort_keys=True) + "\n")
    sys.stdout.flush()
