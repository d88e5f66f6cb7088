"""Where the state behind online features is kept, always with the offset up to which it has read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """State as bytes, and the offset of the first message that is not in it."""

    offset: int
    content: bytes


class Snapshots(Protocol):
    """State and offset, by name, replaced in one commit: neither is ever newer than the other."""

    def load(self, name: str) -> Stored | None:
        """What was saved last under *name*; None if nothing was.

        Raises:
            OnlineUnavailable: The store does not answer, or what it holds is damaged.
        """

    def save(self, name: str, stored: Stored) -> None:
        """Replace state and offset, both or neither; durable when it returns.

        An offset below the one that is kept is not saved: a member that lost its partition
        cannot undo what the next one did.

        Raises:
            OnlineUnavailable: The store does not answer; what was saved before is kept.
            DiskFull: The same.
        """

    def close(self) -> None:
        """Let go of the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """An event for online features: a row of a source, with both clocks.

    Attributes:
        offset: Where it stands in its partition: of equal arrivals the later one counts.
    """

    source: str
    event_time_us: int
    arrival_time_us: int
    row: Mapping[str, object]
    offset: int = 0


class OnlineStore(Protocol):
    """The state behind one product's features, in parts: one for each partition that feeds it."""

    def open(self, partition: int) -> int:
        """Take up a partition; the offset of the first message that its state has not seen.

        Raises:
            OnlineUnavailable: The store does not answer.
        """

    def apply(self, partition: int, *, begin: int, end: int, events: Sequence[Arrived]) -> bool:
        """Take the events of messages [*begin*, *end*): the next read sees them.

        Returns:
            False where the state does not stand at *begin*: somebody else moved it, and the
            partition has to be opened again. Nothing was taken then.

        Raises:
            OnlineUnavailable: The store does not answer; open again, and the bus replays.
        """

    def commit(self, partition: int) -> None:
        """Make what was applied durable, together with its offset.

        Raises:
            OnlineUnavailable: It is not durable; what was committed before is.
            DiskFull: The same.
        """

    def release(self, partition: int) -> None:
        """Forget a partition here; what was not committed will be replayed."""

    def read(
        self, rows: Sequence[Mapping[str, object]], at_us: int, *, known_us: int | None = None
    ) -> list[dict[str, float | str | None]]:
        """Every feature of each row at *at_us*, from what had arrived by *known_us* (None: by then).

        Raises:
            OnlineUnavailable: The store does not answer.
        """

    def evict(self, now_us: int) -> None:
        """Forget what no read from *now_us* on can reach."""

    def latest_arrival_us(self, source: str) -> int | None:
        """When the last event of *source* arrived; None before the first."""

    def close(self) -> None:
        """Let go of the store."""


class SharedStore(OnlineStore, Protocol):
    """A store that many processes read and write."""

    def erase(self) -> None:
        """Delete every event and every offset; whoever opens next begins at the first message.

        Raises:
            OnlineUnavailable: The store does not answer; some of it may still be there.
        """
