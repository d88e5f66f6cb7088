"""The bus: messages in partitions, each with an offset, kept for whoever reads later."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What was published, where it stands. One without a value is a tombstone: it says nothing, and is passed over.

    Attributes:
        offset: Its place in the partition; later messages have higher ones.
        key: What decides the partition: messages of one key are in one partition, in order.
        at_us: When the bus took it.
    """

    partition: int
    offset: int
    key: str
    value: bytes
    at_us: int


class Member(Protocol):
    """Who reads: is told which partitions it has, and says where each begins.

    Offsets are the reader's own, kept with what it made of the messages. The bus is never
    asked how far somebody has read, so reading and remembering cannot disagree.
    """

    def gained(self, partition: int) -> int:
        """The partition is ours from now on; the offset of the first message wanted, 0 for all of them."""

    def lost(self, partition: int) -> None:
        """Another member gets the partition after this returns: the last moment to commit."""


class Subscription(Protocol):
    """A member's place in a group; `poll` from one thread."""

    def poll(self, *, most: int, timeout_s: float) -> Sequence[Message]:
        """The next messages, at most so many, each partition's in order; none after *timeout_s* without any.

        Partitions are gained and lost in here.

        Raises:
            BusUnavailable: The bus does not answer, or the wanted messages are gone.
        """

    def partitions(self) -> frozenset[int]:
        """The partitions that are ours now."""

    def close(self) -> None:
        """Leave the group; what is ours is lost first."""


class Bus(Protocol):
    """Topics of partitions; a message that was acknowledged is kept and is never changed, but to forget somebody."""

    def publish(self, topic: str, messages: Sequence[tuple[str, bytes]]) -> tuple[tuple[int, int], ...]:
        """Append messages, each a key and a value; durable when it returns.

        Returns:
            The partition and the offset of each.

        Raises:
            BusUnavailable: Nothing is known to have been kept; publish again.
            DiskFull: Nothing was kept.
        """

    def subscribe(self, topic: str, *, group: str, member: Member) -> Subscription:
        """Join *group*: each partition of *topic* is read by one member of it.

        Raises:
            WorkspaceBusy: The bus allows one member a group, and another has the place.
            BusUnavailable: The bus does not answer.
        """

    def ends(self, topic: str) -> Mapping[int, int]:
        """For each partition the offset that the next message will get, at least."""

    def holding(self, topic: str, chosen: Callable[[Message], bool]) -> tuple[tuple[int, int], ...] | None:
        """Partition and offset of every message for which *chosen* says so.

        None where no message can be taken out of the middle of the log: whoever runs the bus
        has to say when old ones go.

        Raises:
            BusUnavailable: The bus does not answer.
        """

    def blank(self, topic: str, places: Sequence[tuple[int, int]]) -> None:
        """Make tombstones of the messages at *places*: key and value are gone, bytes and all; offsets stay.

        Raises:
            BusUnavailable: They may still be there; do it again.
        """

    def close(self) -> None:
        """Let go of the bus."""
