"""From the bus into online features, in micro-batches; nothing twice, nothing lost, nothing stuck.

The offset is kept with the state and committed with it, so a consumer that dies anywhere
goes on where its state stands: what was applied and not committed is read again from the
bus. A message that cannot be used goes to quarantine with the reason, and the next one
is read. When the store or the bus does not answer, the consumer leaves its group, waits
and joins again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from time import monotonic
from typing import Any

import msgspec

from geartrain.data.repeated import repeated_key
from geartrain.errors import BusUnavailable, GeartrainError, OnlineUnavailable, WorkspaceBusy
from geartrain.ports.bus import Bus, Message, Subscription
from geartrain.ports.online_store import Arrived, OnlineStore

#: An event may be this much ahead of the bus's clock; more is a clock that is wrong.
AHEAD_US = 300_000_000
#: 1971: an earlier time is a clock that was never set, here as at the door.
FIRST_US = 31_536_000_000_000
#: What a message that cannot be used may raise when it is applied.
_UNUSABLE = (TypeError, ValueError, ArithmeticError, LookupError)


class _Envelope(msgspec.Struct):
    """A message: a row of a source, when it happened, and when it became known if not just now."""

    source: str
    event_time_us: int
    row: dict[str, Any]
    arrival_time_us: int | None = None


_DECODER = msgspec.json.Decoder(_Envelope)
_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A message for the quarantine, and why it could not be used."""

    message: Message
    reason: str


#: Bytes to an event, or the reason why they are none.
Decode = Callable[[Message], Arrived | str]


def encode_event(
    source: str, row: Mapping[str, object], *, event_time_us: int, arrival_time_us: int | None = None
) -> bytes:
    """A row as the message that `decode_event` reads."""
    return _ENCODER.encode(
        _Envelope(source=source, event_time_us=event_time_us, row=dict(row), arrival_time_us=arrival_time_us)
    )


def decode_event(message: Message) -> Arrived | str:
    """The event of a message, which arrived when the bus took it if it does not say otherwise.

    Returns:
        A text, the reason, where the bytes are no event or its clock cannot be right.
    """
    try:
        told = _DECODER.decode(message.value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return f"no event: {error}"
    envelope: dict[str, object] = {
        "source": told.source,
        "event_time_us": told.event_time_us,
        "row": told.row,
    }
    if told.arrival_time_us is not None:
        envelope["arrival_time_us"] = told.arrival_time_us
    twice = repeated_key(message.value, envelope)
    if twice is not None:
        return f"a key stands twice in the message: {twice}"
    arrival_us = message.at_us if told.arrival_time_us is None else told.arrival_time_us
    for name, time_us in (("event_time_us", told.event_time_us), ("arrival_time_us", arrival_us)):
        if time_us < FIRST_US:
            return f"{name} cannot be true, it lies before 1971"
        if time_us > message.at_us + AHEAD_US:
            ahead_s = (time_us - message.at_us) / 1e6
            return f"{name} is {ahead_s:.0f} s ahead of the bus's clock: a clock is wrong"
    return Arrived(
        source=told.source,
        event_time_us=told.event_time_us,
        arrival_time_us=arrival_us,
        row=told.row,
        offset=message.offset,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a consumer goes about it.

    Attributes:
        most: Messages of one micro-batch, at most.
        commit_messages: A partition is committed after so many messages,
        commit_s: or after so long, whichever comes first.
        pause_s: How long to wait before joining again.
    """

    most: int = 10_000
    commit_messages: int = 500_000
    commit_s: float = 30.0
    pause_s: float = 1.0


class Consumer:
    """One member of a group that feeds *store* from *topic*; a `Member` of the bus.

    Args:
        refuse: Puts messages into quarantine; durable when it returns, and the same message
            may come again after a crash.
        tell: Gets a line when something is wrong, and when it is right again.

    Attributes:
        taken: How many messages were applied by this consumer.
        refused: How many went to quarantine.
    """

    def __init__(
        self,
        bus: Bus,
        store: OnlineStore,
        *,
        topic: str,
        group: str,
        refuse: Callable[[Sequence[Refused]], None],
        tell: Callable[[str], None],
        decode: Decode = decode_event,
        pace: Pace | None = None,
    ) -> None:
        self._bus, self._store, self._topic, self._group = bus, store, topic, group
        self._refuse, self._tell, self._decode = refuse, tell, decode
        self._pace = pace or Pace()
        self._subscription: Subscription | None = None
        self._next: dict[int, int] = {}
        self._loose: dict[int, int] = {}
        self._committed_at = monotonic()
        self._sound = True
        self.taken = 0
        self.refused = 0

    # What the bus asks of a member.

    def gained(self, partition: int) -> int:
        """Take up a partition where its state stands."""
        self._next[partition] = self._store.open(partition)
        self._loose[partition] = 0
        return self._next[partition]

    def lost(self, partition: int) -> None:
        """Commit what was applied, so that the next member need not do it again, and forget it."""
        try:
            if self._sound and self._loose.get(partition):
                self._store.commit(partition)
        except GeartrainError as error:
            self._tell(
                f"partition {partition} of {self._topic} goes without a commit; it is replayed: {error}"
            )
        finally:
            self._next.pop(partition, None)
            self._loose.pop(partition, None)
            self._store.release(partition)

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that this consumer feeds now."""
        return frozenset(self._next)

    # The work.

    def step(self, *, timeout_s: float) -> int:
        """Take the next micro-batch; how many messages it had.

        Raises:
            BusUnavailable: The bus does not answer. The group was left; the next step joins again.
            OnlineUnavailable: The store does not, likewise; what it has not is replayed.
        """
        try:
            if self._subscription is None:
                self._sound = True
                self._subscription = self._bus.subscribe(self._topic, group=self._group, member=self)
            messages = self._subscription.poll(most=self._pace.most, timeout_s=timeout_s)
            by_partition: dict[int, list[Message]] = {}
            for message in messages:
                by_partition.setdefault(message.partition, []).append(message)
            for partition, some in by_partition.items():
                self._take(partition, some)
            self._commit_when_due()
        except (BusUnavailable, OnlineUnavailable):
            self._leave(sound=False)
            raise
        return len(messages)

    def commit(self) -> None:
        """Make everything that was applied durable."""
        for partition, loose in self._loose.items():
            if loose:
                self._store.commit(partition)
                self._loose[partition] = 0
        self._committed_at = monotonic()

    def run(self, ending: Event) -> None:
        """Go on until *ending* is set, then commit and leave; outages are waited out.

        Where a group has room for one member only, the others stand by, and one of them takes
        over when that one has gone.
        """
        away = ""
        while not ending.is_set():
            try:
                self.step(timeout_s=0.2)
            except WorkspaceBusy:
                ending.wait(self._pace.pause_s)
            except GeartrainError as error:
                self._leave(sound=False)
                if away != error.message:
                    away = error.message
                    self._tell(f"events of {self._topic} wait: {error}")
                ending.wait(self._pace.pause_s)
            else:
                if away:
                    self._tell(f"events of {self._topic} are taken again")
                away = ""
        self.close()

    def close(self) -> None:
        """Commit, and leave the group."""
        self._leave(sound=True)

    def _leave(self, *, sound: bool) -> None:
        subscription, self._subscription = self._subscription, None
        self._sound = sound and self._sound
        if subscription is not None:
            subscription.close()

    def _take(self, partition: int, messages: Sequence[Message]) -> None:
        begin = self._next.get(partition)
        # What the state has seen already, and what another member got meanwhile, is none of ours.
        messages = [] if begin is None else [one for one in messages if one.offset >= begin]
        if not messages or begin is None:
            return
        events, refused = self._decoded(messages)
        end = messages[-1].offset + 1
        try:
            taken = self._store.apply(partition, begin=begin, end=end, events=[event for _, event in events])
        except (BusUnavailable, OnlineUnavailable):
            raise
        except (GeartrainError, *_UNUSABLE):
            self._take_each(partition, messages)
            return
        if not taken:
            raise OnlineUnavailable(
                "the state of a partition was moved by another consumer",
                where=f"{self._topic}, partition {partition}", found=f"it does not stand at {begin}",
                hint="nothing is lost: this consumer joins again and goes on from where the state is",
            )  # fmt: skip
        self._took(partition, end, len(events), refused)

    def _take_each(self, partition: int, messages: Sequence[Message]) -> None:
        """One message at a time, after a micro-batch failed as a whole: only the guilty go to quarantine."""
        for message in messages:
            events, refused = self._decoded([message])
            begin, end = self._next[partition], message.offset + 1
            try:
                self._store.apply(partition, begin=begin, end=end, events=[event for _, event in events])
            except (BusUnavailable, OnlineUnavailable):
                raise
            except (GeartrainError, *_UNUSABLE) as error:
                reason = error.message if isinstance(error, GeartrainError) else str(error)
                refused = [Refused(message=message, reason=f"cannot be applied: {reason}")]
                events = []
                self._store.apply(partition, begin=begin, end=end, events=())
            self._took(partition, end, len(events), refused)

    def _decoded(self, messages: Sequence[Message]) -> tuple[list[tuple[Message, Arrived]], list[Refused]]:
        events: list[tuple[Message, Arrived]] = []
        refused: list[Refused] = []
        for message in messages:
            if not message.value:
                continue  # a tombstone: somebody was forgotten here
            found = self._decode(message)
            if isinstance(found, str):
                refused.append(Refused(message=message, reason=found))
            else:
                events.append((message, found))
        return events, refused

    def _took(self, partition: int, end: int, events: int, refused: Sequence[Refused]) -> None:
        if refused:
            # Before the offset is committed: a crash in between brings the message again.
            self._refuse(refused)
        self.taken += events
        self.refused += len(refused)
        self._loose[partition] += end - self._next[partition]
        self._next[partition] = end

    def _commit_when_due(self) -> None:
        due = monotonic() - self._committed_at >= self._pace.commit_s
        if due or max(self._loose.values(), default=0) >= self._pace.commit_messages:
            self.commit()
