"""The ledger: what was decided, by whom, in which order, provably unchanged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from geartrain.domain.events import Event, Recorded


class Ledger(Protocol):
    """An append-only, hash-chained history with optimistic concurrency.

    An append is all or nothing and durable when it returns. Two appends that expect
    the same version of a stream cannot both succeed.
    """

    def append(
        self,
        stream: str,
        events: Sequence[Event],
        *,
        at: datetime,
        actor: str,
        expected_version: int | None = None,
    ) -> tuple[Recorded, ...]:
        """Append *events* to *stream*; None as *expected_version* appends to whatever is there.

        Raises:
            LedgerConflict: The stream is not at *expected_version*.
            LedgerUnavailable: The database does not answer.
            WorkspaceBusy: Another process has been writing for too long.
            DiskFull: Nothing was appended.
            TypeError: An event cannot be told again from its bytes, or *at* has no zone.
        """

    def version(self, stream: str) -> int:
        """The number of events in *stream*."""

    def read(self, stream: str, *, after: int = 0) -> Iterator[Recorded]:
        """The events of *stream* with a version above *after*, in order."""

    def read_all(self, *, after: int = 0) -> Iterator[Recorded]:
        """Every event with a position above *after*, in order."""

    def verify(self) -> int:
        """Recompute the whole chain and return its length.

        Raises:
            LedgerTampered: With the first position that does not hold.
        """

    def close(self) -> None:
        """Let go of the database."""
