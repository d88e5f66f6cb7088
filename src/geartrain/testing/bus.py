"""What every bus must do, and a bus in memory that does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from threading import Condition
from zlib import crc32

from geartrain.errors import WorkspaceBusy
from geartrain.ports.bus import Bus, Member, Message

#: How long the suite waits for a message: a group of a distributed bus takes seconds to form.
PATIENCE_S = 20.0


class MemoryBus:
    """A `Bus` that lives as long as the process; one member a group. *clock* is in microseconds."""

    def __init__(self, *, partitions: int = 1, clock: Callable[[], int] = lambda: 0) -> None:
        self.topics: dict[str, list[list[Message]]] = {}
        self.groups: set[tuple[str, str]] = set()
        self.news = Condition()
        self._partitions, self._clock = partitions, clock

    def publish(self, topic: str, messages: Sequence[tuple[str, bytes]]) -> tuple[tuple[int, int], ...]:
        """Append messages; see the port."""
        with self.news:
            held, places = self.held(topic), []
            for key, value in messages:
                part = crc32(key.encode()) % self._partitions
                place = len(held[part])
                held[part].append(
                    Message(partition=part, offset=place, key=key, value=value, at_us=self._clock())
                )
                places.append((part, place))
            self.news.notify_all()
        return tuple(places)

    def subscribe(self, topic: str, *, group: str, member: Member) -> MemorySubscription:
        """Join *group* as its only member; see the port."""
        return MemorySubscription(self, topic, group, member)

    def ends(self, topic: str) -> Mapping[int, int]:
        """For each partition the offset that the next message gets."""
        return {place: len(part) for place, part in enumerate(self.held(topic))}

    def held(self, topic: str) -> list[list[Message]]:
        """The messages of each partition."""
        return self.topics.setdefault(topic, [[] for _ in range(self._partitions)])

    def holding(self, topic: str, chosen: Callable[[Message], bool]) -> tuple[tuple[int, int], ...]:
        """Where messages stand that *chosen* says."""
        with self.news:
            return tuple(
                (one.partition, one.offset)
                for part in self.held(topic)
                for one in part
                if one.value and chosen(one)
            )

    def blank(self, topic: str, places: Sequence[tuple[int, int]]) -> None:
        """Make tombstones of messages."""
        with self.news:
            for part, place in places:
                held = self.held(topic)[part]
                held[place] = replace(held[place], key="", value=b"")

    def close(self) -> None:
        """Nothing to let go of."""


class MemorySubscription:
    """The one member of a group."""

    def __init__(self, bus: MemoryBus, topic: str, group: str, member: Member) -> None:
        self._bus, self._topic, self._place, self._member = bus, topic, (topic, group), member
        if self._place in bus.groups:
            raise WorkspaceBusy("another reader has this group", where="memory")
        self._next = {part: member.gained(part) for part in bus.ends(topic)}
        bus.groups.add(self._place)

    def poll(self, *, most: int, timeout_s: float) -> Sequence[Message]:
        """The next messages; see the port."""
        with self._bus.news:
            found = self._take(most)
            if not found and self._bus.news.wait(timeout_s):
                found = self._take(most)
        return found

    def partitions(self) -> frozenset[int]:
        """All of them."""
        return frozenset(self._next)

    def close(self) -> None:
        """Leave the group; see the port."""
        for partition in sorted(self._next):
            self._member.lost(partition)
        self._next = {}
        self._bus.groups.discard(self._place)

    def _take(self, most: int) -> list[Message]:
        found: list[Message] = []
        for part, begin in sorted(self._next.items()):
            more = self._bus.held(self._topic)[part][begin : begin + most - len(found)]
            self._next[part] += len(more)
            found.extend(more)
        return found


class Reader:
    """A `Member` that remembers, for tests: where partitions begin, and what was gained and lost."""

    def __init__(self, begins: Mapping[int, int] | None = None) -> None:
        self.begins = dict(begins or {})
        self.gains: list[int] = []
        self.losses: list[int] = []

    def gained(self, partition: int) -> int:
        """Begin where the test said, else at 0."""
        self.gains.append(partition)
        return self.begins.get(partition, 0)

    def lost(self, partition: int) -> None:
        """Remember that it is gone."""
        self.losses.append(partition)


def check_bus(make: Callable[[], Bus], *, one_member: bool = True) -> None:
    """Hold a bus to its port; *make* opens an empty one each time. *one_member*: a group has room for one only.

    Raises:
        AssertionError: With the promise that was not kept.
    """
    checks: list[Callable[[Bus], None]] = [
        _check_order,
        _check_begin,
        _check_groups,
        _check_threads,
        _check_leaving,
        _check_forgetting,
    ]
    for check in (*checks, *([_check_alone] if one_member else [])):
        bus = make()
        try:
            check(bus)
        finally:
            bus.close()


def read_messages(
    bus: Bus, topic: str, *, wanted: int, group: str = "", begins: Mapping[int, int] | None = None
) -> list[Message]:
    """The first *wanted* messages that a new member gets."""
    subscription = bus.subscribe(topic, group=group or topic, member=Reader(begins))
    found: list[Message] = []
    try:
        for _ in range(int(PATIENCE_S / 0.1)):
            found.extend(subscription.poll(most=1000, timeout_s=0.1))
            if len(found) >= wanted:
                break
    finally:
        subscription.close()
    return found


def _check_order(bus: Bus) -> None:
    sent = [(f"k{number % 7}", f"é{number}".encode()) for number in range(40)]
    places = [*bus.publish("order", sent[:25]), *bus.publish("order", sent[25:])]
    assert len(places) == len(set(places)) == 40, "each message has a place of its own"
    found = read_messages(bus, "order", wanted=40)
    assert {(one.partition, one.offset): (one.key, one.value) for one in found} == dict(
        zip(places, sent, strict=True)
    ), "what is read is what was published, where the publisher was told"
    for key in {key for key, _ in sent}:
        mine = [one for one in found if one.key == key]
        assert len({one.partition for one in mine}) == 1, "messages of one key are in one partition"
        assert [one.value for one in mine] == [value for name, value in sent if name == key], (
            "messages of one key are read in the order in which they were published"
        )
    ends = bus.ends("order")
    assert all(ends[part] > place for part, place in places), "an end lies behind every message"


def _check_begin(bus: Bus) -> None:
    places = bus.publish("begin", [("k", str(number).encode()) for number in range(10)])
    part, begin = places[6]
    found = read_messages(bus, "begin", wanted=4, begins={part: begin})
    assert [one.value for one in found] == [b"6", b"7", b"8", b"9"], "a member begins where it says"


def _check_groups(bus: Bus) -> None:
    bus.publish("groups", [("k", b"1"), ("k", b"2")])
    for group in ("one", "two"):
        found = read_messages(bus, "groups", wanted=2, group=group)
        assert [one.value for one in found] == [b"1", b"2"], "each group reads everything"


def _check_threads(bus: Bus) -> None:
    def send(name: int) -> list[tuple[int, int]]:
        return [
            bus.publish("threads", [(f"k{name}", f"{name}:{number}".encode())])[0] for number in range(20)
        ]

    with ThreadPoolExecutor(4) as pool:
        places = [place for sent in pool.map(send, range(4)) for place in sent]
    assert len(set(places)) == 80, "publishers at the same time get places of their own"
    found = read_messages(bus, "threads", wanted=80)
    assert len(found) == 80, "nothing is lost between publishers at the same time"
    for part in {one.partition for one in found}:
        offsets = [one.offset for one in found if one.partition == part]
        assert all(one < two for one, two in pairwise(offsets)), "offsets of a partition go up"


def _check_leaving(bus: Bus) -> None:
    bus.publish("leaving", [("k", b"1")])
    reader = Reader()
    subscription = bus.subscribe("leaving", group="leaving", member=reader)
    for _ in range(int(PATIENCE_S / 0.1)):
        if subscription.poll(most=10, timeout_s=0.1):
            break
    assert reader.gains, "a member is told what it gained before it reads"
    assert subscription.partitions() == frozenset(reader.gains), "it can be asked what is ours"
    subscription.close()
    assert sorted(reader.losses) == sorted(reader.gains), "who leaves loses everything, and is told so"


def _check_forgetting(bus: Bus) -> None:
    bus.publish("forget", [("her", b"one"), ("him", b"two"), ("her", b"three")])
    places = bus.holding("forget", lambda message: message.key == "her")
    if places is None:  # such a bus forgets by its own rules only
        return
    assert len(places) == 2, "every message that is meant is found"
    bus.blank("forget", places)
    assert bus.holding("forget", lambda message: message.key == "her") == (), "and is found no more"
    found = read_messages(bus, "forget", wanted=3)
    assert sorted((one.key, one.value) for one in found) == [("", b""), ("", b""), ("him", b"two")], (
        "a tombstone keeps its place and says nothing; the others are as they were"
    )


def _check_alone(bus: Bus) -> None:
    first = bus.subscribe("alone", group="g", member=Reader())
    try:
        bus.subscribe("alone", group="g", member=Reader())
    except WorkspaceBusy:
        first.close()
        bus.subscribe("alone", group="g", member=Reader()).close()
        return
    raise AssertionError("two members of one group at once are refused where a group has one place")
