"""The teller: how long work says what it is doing, without knowing who listens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Teller(Protocol):
    """Hears the story of a run; it must not change it."""

    def stage(self, title: str) -> None:
        """A new stage begins."""

    def say(self, line: str) -> None:
        """One plain sentence about what came out."""

    def track(self, items: Iterable[T], *, label: str, total: int) -> Iterator[T]:
        """Go through *items*, showing how far it is where somebody watches."""


class Silence:
    """A teller that tells nobody."""

    def stage(self, title: str) -> None:
        """Say nothing."""

    def say(self, line: str) -> None:
        """Say nothing."""

    def track(self, items: Iterable[T], *, label: str, total: int) -> Iterator[T]:
        """Just go through *items*."""
        del label, total
        yield from items
