"""What every store of online features must do, and snapshots in memory that do it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from geartrain.domain.features import Aggregation, FeatureSet, WindowFeature
from geartrain.ports.online_store import Arrived, OnlineStore, Snapshots, Stored

_HOUR_US = 3_600_000_000
_NOW_US = 1_800_000_000_000_000


class MemorySnapshots:
    """`Snapshots` that live as long as the process."""

    def __init__(self) -> None:
        self.held: dict[str, Stored] = {}

    def load(self, name: str) -> Stored | None:
        """What was saved last; see the port."""
        return self.held.get(name)

    def save(self, name: str, stored: Stored) -> None:
        """Replace state and offset; see the port."""
        before = self.held.get(name)
        if before is None or before.offset <= stored.offset:
            self.held[name] = stored

    def close(self) -> None:
        """Nothing to let go of."""


#: What the suite's stores have to compute, and the keys of its source.
FEATURES = FeatureSet(
    features=tuple(
        WindowFeature(
            name=f"{entity}_{aggregation}", source="paid", entity=entity, aggregation=aggregation,
            column=None if aggregation is Aggregation.COUNT else "amount", width_us=10 * _HOUR_US,
        )
        for entity in ("card", "shop")
        for aggregation in (Aggregation.COUNT, Aggregation.SUM, Aggregation.LAST)
    )
)  # fmt: skip
KEYS = {"paid": "id"}


def check_snapshots(make: Callable[[], Snapshots]) -> None:
    """Hold snapshots to their port; *make* opens an empty store each time.

    Raises:
        AssertionError: With the promise that was not kept.
    """
    held = make()
    try:
        assert held.load("a") is None, "nothing was saved under that name"
        first, second = Stored(offset=3, content=b"\x00three"), Stored(offset=5, content=b"five" * 10_000)
        held.save("a", first)
        assert held.load("a") == first, "what is loaded is what was saved"
        held.save("b", first)
        held.save("a", second)
        assert (held.load("a"), held.load("b")) == (second, first), "each name has its own, the last counts"
        held.save("a", first)
        assert held.load("a") == second, "an older state does not replace a newer one"
        held.save("a", Stored(offset=5, content=b""))
        assert held.load("a") == Stored(offset=5, content=b""), "at the same offset the last counts"
    finally:
        held.close()


def check_online_store(make: Callable[[], OnlineStore]) -> None:
    """Hold a store of `FEATURES` and `KEYS` to its port; stores of one *make* share what they committed.

    *make* opens the same store each time: it has to be empty when the suite begins.

    Raises:
        AssertionError: With the promise that was not kept.
    """
    with _opened(make) as store:
        _check_reading(store)
        _check_offsets(store)
    with _opened(make) as store:
        _check_again(store)


@contextmanager
def _opened(make: Callable[[], OnlineStore]) -> Iterator[OnlineStore]:
    store = make()
    try:
        yield store
    finally:
        store.close()


def event(
    name: int,
    card: str,
    amount: float,
    *,
    hours_ago: float,
    late_h: float = 0.0,
    shop: str = "s",
    offset: int = 0,
) -> Arrived:
    """A payment, some hours before the suite's now, that arrived late."""
    happened = _NOW_US - int(hours_ago * _HOUR_US)
    return Arrived(
        source="paid", event_time_us=happened, arrival_time_us=happened + int(late_h * _HOUR_US),
        row={"id": name, "card": card, "shop": shop, "amount": amount}, offset=offset,
    )  # fmt: skip


def card_of(store: OnlineStore, card: str, *, hours_ago: float = 0.0) -> tuple[object, ...]:
    """Count, sum and last of a card."""
    (found,) = store.read([{"card": card}], _NOW_US - int(hours_ago * _HOUR_US))
    return tuple(found[f"card_{word}"] for word in ("count", "sum", "last"))


def _check_reading(store: OnlineStore) -> None:
    assert store.read([{"card": "a"}, {}], _NOW_US)[0]["card_count"] == 0.0, "nothing is known of anybody"
    assert store.open(0) == 0, "a new partition begins at the first message"
    assert store.latest_arrival_us("paid") is None, "nothing has arrived"
    first = [
        event(1, "a", 0.1, hours_ago=9),
        event(2, "b", 7.0, hours_ago=8),
        event(3, "a", 0.2, hours_ago=5),
    ]
    assert store.apply(0, begin=0, end=3, events=first), "events at the offset are taken"
    assert card_of(store, "a") == (2.0, 0.1 + 0.2, 0.2), "the next read sees them"
    assert card_of(store, "a", hours_ago=6) == (1.0, 0.1, 0.1), (
        "a read at an earlier time sees what was known then"
    )
    assert card_of(store, "a", hours_ago=-3) == (1.0, 0.2, 0.2), "windows move on"
    late = [event(4, "a", 1e15, hours_ago=7, late_h=4), event(1, "a", 0.1, hours_ago=9)]
    assert store.apply(0, begin=3, end=5, events=late), "late and doubled events are taken"
    assert card_of(store, "a") == (3.0, 1e15 + 0.3, 0.2), (
        "a late event counts in its place, a doubled one once"
    )
    assert card_of(store, "a", hours_ago=4) == (2.0, 0.1 + 0.2, 0.2), "and not before it had arrived"
    moved = [event(3, "c", 5.0, hours_ago=5, late_h=4)]
    assert store.apply(0, begin=5, end=6, events=moved), "a correction is taken"
    assert card_of(store, "a") == (2.0, 1e15 + 0.1, 1e15), "a corrected event leaves whom it belonged to"
    assert card_of(store, "c") == (1.0, 5.0, 5.0), "and counts for whom it belongs to"
    assert card_of(store, "a", hours_ago=2) == (3.0, 1e15 + 0.3, 0.2), "from its own arrival on"
    (shop,) = store.read([{"shop": "s"}], _NOW_US)
    assert shop["shop_count"] == 4.0, "every entity of an event has its own history"
    assert store.latest_arrival_us("paid") == _NOW_US - _HOUR_US, "the last arrival is known"


def _check_offsets(store: OnlineStore) -> None:
    assert not store.apply(0, begin=5, end=7, events=[event(9, "x", 1.0, hours_ago=1)]), (
        "what was read is not taken"
    )
    assert not store.apply(0, begin=7, end=8, events=[event(9, "x", 1.0, hours_ago=1)]), "a gap is not taken"
    assert card_of(store, "x") == (0.0, None, None), "nothing of it was taken"
    store.commit(0)
    assert store.open(1) == 0, "each partition has its own offset"
    assert store.apply(1, begin=0, end=4, events=[event(20, "b", 1.0, hours_ago=1)]), (
        "offsets may leave some out"
    )
    assert card_of(store, "b") == (2.0, 8.0, 1.0), "partitions are read together"
    store.commit(1)


def _check_again(store: OnlineStore) -> None:
    assert store.open(0) == 6, "what was committed is there for the next process, with its offset"
    assert store.open(1) == 4, "of every partition"
    assert card_of(store, "b") == (2.0, 8.0, 1.0), "with its state"
    assert store.apply(0, begin=6, end=7, events=[event(4, "a", 1.0, hours_ago=7, late_h=4, offset=6)]), (
        "it goes on from there"
    )
    assert card_of(store, "a") == (2.0, 1.1, 1.0), "and knows which events it has seen"
    store.evict(_NOW_US + 4 * _HOUR_US)
    assert card_of(store, "a", hours_ago=-4) == (0.0, None, None), "what no window reaches may be forgotten"
    assert card_of(store, "b", hours_ago=-4) == (1.0, 1.0, 1.0), "and nothing else is"
    store.release(1)
