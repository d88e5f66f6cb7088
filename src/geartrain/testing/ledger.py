"""What every ledger must do, and a ledger in memory that does it.

A third party's adapter is right when `check_ledger` passes on it; the fake is held
to the same suite, so it cannot drift from the truth.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

from geartrain.domain.chain import GENESIS, encode_event, link, told_again
from geartrain.domain.digest import plain
from geartrain.domain.events import ChallengeDecided, ContractAdopted, Event, Recorded
from geartrain.errors import LedgerConflict, LedgerTampered
from geartrain.ports.ledger import Ledger

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class MemoryLedger:
    """A `Ledger` that lives as long as the process: for tests and for replays."""

    def __init__(self) -> None:
        self.events: list[Recorded] = []
        self._versions: dict[str, int] = {}
        self._one_at_a_time = threading.Lock()

    def copy(self) -> MemoryLedger:
        """A ledger with the same history so far; what is appended to one is not in the other."""
        with self._one_at_a_time:
            other = MemoryLedger()
            other.events, other._versions = list(self.events), dict(self._versions)
            return other

    def append(
        self,
        stream: str,
        events: Sequence[Event],
        *,
        at: datetime,
        actor: str,
        expected_version: int | None = None,
    ) -> tuple[Recorded, ...]:
        """Append *events*; see the port."""
        with self._one_at_a_time:
            return self._appended(stream, events, at=at, actor=actor, expected_version=expected_version)

    def _appended(
        self,
        stream: str,
        events: Sequence[Event],
        *,
        at: datetime,
        actor: str,
        expected_version: int | None,
    ) -> tuple[Recorded, ...]:
        version = self.version(stream)
        if expected_version is not None and version != expected_version:
            raise LedgerConflict(
                f"somebody else appended to `{stream}` first",
                where="memory",
                found=f"version {version}, expected {expected_version}",
            )
        made: list[Recorded] = []
        previous = self.events[-1].hash if self.events else GENESIS
        for offset, event in enumerate(events, start=1):
            told_again(event)
            recorded = Recorded(
                position=len(self.events) + offset,
                stream=stream,
                version=version + offset,
                at=datetime.fromisoformat(str(plain(at))),
                actor=actor,
                event=event,
                previous=previous,
                hash="",
            )
            previous = _hash(recorded)
            made.append(_with_hash(recorded, previous))
        self.events.extend(made)
        self._versions[stream] = version + len(made)
        return tuple(made)

    def version(self, stream: str) -> int:
        """The number of events in *stream*."""
        return self._versions.get(stream, 0)

    def read(self, stream: str, *, after: int = 0) -> Iterator[Recorded]:
        """The events of *stream* with a version above *after*, in order."""
        return iter([one for one in self.events if one.stream == stream and one.version > after])

    def read_all(self, *, after: int = 0) -> Iterator[Recorded]:
        """Every event with a position above *after*, in order."""
        return iter(self.events[after:])

    def verify(self) -> int:
        """Recompute the whole chain and return its length; see the port."""
        previous = GENESIS
        for place, one in enumerate(self.events, start=1):
            if one.position != place or one.previous != previous or one.hash != _hash(one):
                raise LedgerTampered(f"the ledger does not hold at position {place}", where="memory")
            previous = one.hash
        return len(self.events)

    def close(self) -> None:
        """Nothing to let go of."""


def _hash(one: Recorded) -> str:
    kind, body = encode_event(one.event)
    return link(
        position=one.position,
        stream=one.stream,
        version=one.version,
        at=str(plain(one.at)),
        actor=one.actor,
        kind=kind,
        body=body.decode(),
        previous=one.previous,
    )


def _with_hash(one: Recorded, value: str) -> Recorded:
    return Recorded(
        position=one.position,
        stream=one.stream,
        version=one.version,
        at=one.at,
        actor=one.actor,
        event=one.event,
        previous=one.previous,
        hash=value,
    )


def check_ledger(make: Callable[[], Ledger]) -> None:
    """Hold a ledger to its port; *make* opens an empty one each time.

    Raises:
        AssertionError: With the promise that was not kept.
    """
    for check in (
        _check_empty, _check_order, _check_versions, _check_whole, _check_chain, _check_times, _check_threads,
    ):  # fmt: skip
        ledger = make()
        try:
            check(ledger)
        finally:
            ledger.close()


def _adopted(number: int) -> ContractAdopted:
    return ContractAdopted(product="p", contract=f"{number:064x}", text="é — ünï")


def _check_empty(ledger: Ledger) -> None:
    assert ledger.version("nobody") == 0, "a stream that nobody wrote is at version 0"
    assert list(ledger.read("nobody")) == [], "a stream that nobody wrote has no events"
    assert ledger.verify() == 0, "an empty ledger holds, with length 0"
    assert ledger.append("s", (), at=NOON, actor="Ada") == (), "no events append nothing"
    assert ledger.version("s") == 0, "no events append nothing"


def _check_order(ledger: Ledger) -> None:
    first = ledger.append("a", [_adopted(1), _adopted(2)], at=NOON, actor="Ada")
    second = ledger.append("b", [_adopted(3)], at=NOON, actor="Bo")
    third = ledger.append("a", [_adopted(4)], at=NOON, actor="Ada")
    everything = (*first, *second, *third)
    assert [one.position for one in everything] == [1, 2, 3, 4], "positions count on from 1 without gaps"
    assert [one.version for one in everything] == [1, 2, 1, 3], "versions count on in each stream"
    assert tuple(ledger.read_all()) == everything, "what is read is what the append returned"
    assert tuple(ledger.read_all(after=3)) == third, "`after` leaves out what came before"
    assert tuple(ledger.read("a")) == (*first, *third), "a stream holds its own events in order"
    assert tuple(ledger.read("a", after=2)) == third, "`after` is a version within a stream"


def _check_versions(ledger: Ledger) -> None:
    ledger.append("a", [_adopted(1)], at=NOON, actor="Ada", expected_version=0)
    for wrong in (0, 2):
        try:
            ledger.append("a", [_adopted(2)], at=NOON, actor="Bo", expected_version=wrong)
        except LedgerConflict:
            continue
        raise AssertionError("an append that expects another version is refused")
    assert ledger.version("a") == 1, "a refused append leaves nothing behind"
    ledger.append("a", [_adopted(2)], at=NOON, actor="Bo", expected_version=1)
    assert ledger.version("a") == 2, "an append that expects the right version goes through"


def _check_whole(ledger: Ledger) -> None:
    untellable = ChallengeDecided(
        product="p", champion="a", challenger="b", promoted=True, evidence=math.nan, rows=1,
        cost_per_1000_champion=1.0, cost_per_1000_challenger=1.0, reason="",
    )  # fmt: skip
    try:
        ledger.append("a", [_adopted(1), untellable], at=NOON, actor="Ada")
    except TypeError:
        assert ledger.version("a") == 0, "an append is all or nothing"
        assert ledger.verify() == 0, "an append is all or nothing"
        return
    raise AssertionError("an event that cannot be told again from its bytes is refused")


def _check_chain(ledger: Ledger) -> None:
    many = [_adopted(number) for number in range(300)]
    made = ledger.append("a", many, at=NOON, actor="Ada")
    assert made[0].previous == GENESIS, "the first event follows 64 zeros"
    assert all(b.previous == a.hash for a, b in itertools.pairwise(made)), "each follows the one before"
    assert [_hash(one) for one in made] == [one.hash for one in made], "the hash covers everything"
    assert ledger.verify() == len(many), "the chain holds"


def _check_times(ledger: Ledger) -> None:
    late = datetime(2026, 3, 1, 14, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    ledger.append("a", [_adopted(1)], at=late, actor="Ada")
    (read,) = ledger.read("a")
    assert read.at == late, "a time comes back to the microsecond"
    assert read.at.utcoffset() == timedelta(0), "times are told in UTC"
    try:
        ledger.append("a", [_adopted(2)], at=late.replace(tzinfo=None), actor="Ada")
    except TypeError:
        return
    raise AssertionError("a time without a zone is refused")


def _check_threads(ledger: Ledger) -> None:
    def write(number: int) -> int:
        try:
            ledger.append("a", [_adopted(number)], at=NOON, actor="Ada", expected_version=0)
        except LedgerConflict:
            return 0
        return 1

    with ThreadPoolExecutor(4) as pool:
        winners = sum(pool.map(write, range(8)))
    assert winners == 1, "of appends that expect the same version exactly one succeeds"
    assert ledger.verify() == 1, "and the chain holds"
