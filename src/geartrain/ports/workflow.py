"""Durable workflows: steps that survive the death of the process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Steps(Protocol):
    """The steps of one run.

    A finished step is not run again after a crash: its result, any JSON value, is read
    back. A step that was cut off is run again, so a step must be idempotent: what it
    writes is named by content.
    """

    def step(self, name: str, work: Callable[[], T]) -> T:
        """Run *work* once, or return what it returned before the crash."""


#: A plan: what a run does, as a function of its steps and its JSON arguments.
Plan = Callable[[Steps, dict[str, object]], object]


class Workflows(Protocol):
    """Starts runs of plans by id and goes on with the unfinished ones."""

    def run(self, run_id: str, plan: str, arguments: dict[str, object]) -> object:
        """Run *plan* to its end; the same *run_id* again returns the same result."""

    def unfinished(self) -> tuple[str, ...]:
        """The ids of runs that were cut off."""

    def resume(self) -> tuple[str, ...]:
        """Go on with every unfinished run; returns the ids of those that ended."""

    def close(self) -> None:
        """Let go of the database; unfinished runs stay unfinished."""
