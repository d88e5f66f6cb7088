"""From the bus into online features: nothing twice, nothing lost, nothing stuck."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geartrain.adapters.bus_sqlite import SqliteBus
from geartrain.adapters.snapshots_sqlite import SqliteSnapshots
from geartrain.engine.consuming import AHEAD_US, Consumer, Pace, decode_event, encode_event
from geartrain.engine.held_features import HeldFeatures
from geartrain.errors import OnlineUnavailable, WorkspaceBusy
from geartrain.ports.bus import Message
from geartrain.testing.bus import MemoryBus
from geartrain.testing.online_store import FEATURES, KEYS, MemorySnapshots

NOW_US = 1_800_000_000_000_000
HOUR_US = 3_600_000_000


def paid(
    number: int, *, card: object = "a", amount: object = 1.0, at_us: int | None = None, arrival_us=None
) -> bytes:
    happened = NOW_US - 5 * HOUR_US + number if at_us is None else at_us
    row = {"id": number, "card": card, "shop": "s", "amount": amount}
    return encode_event("paid", row, event_time_us=happened, arrival_time_us=arrival_us)


def made(bus, snapshots, **more):
    store = HeldFeatures(FEATURES, keys=KEYS, snapshots=snapshots, name="p")
    refused, told = [], []
    consumer = Consumer(
        bus, more.pop("store", store), topic="t", group="g", refuse=refused.extend, tell=told.append,
        pace=Pace(**{"pause_s": 0.01, **more}),
    )  # fmt: skip
    return consumer, store, refused, told


def drained(consumer) -> None:
    while consumer.step(timeout_s=0.0):
        pass


def read(store, card="a"):
    (found,) = store.read([{"card": card, "shop": "s"}], NOW_US)
    return found


def bus_with(values, *, partitions=1) -> MemoryBus:
    bus = MemoryBus(partitions=partitions, clock=lambda: NOW_US)
    bus.publish("t", [(f"k{place}", value) for place, value in enumerate(values)])
    return bus


def test_events_reach_the_features_and_the_offset_stays_with_them():
    """What was committed is not read again; what was not is."""
    bus, snapshots = bus_with([paid(number) for number in range(10)]), MemorySnapshots()
    first, store, _, _ = made(bus, snapshots, most=4)
    first.step(timeout_s=0)
    first.commit()
    first.step(timeout_s=0)
    assert read(store)["card_count"] == 8.0
    first._leave(sound=False)  # as a killed process leaves: without a commit

    second, store, _, _ = made(bus, snapshots, most=4)
    drained(second)
    assert second.taken == 6
    assert read(store)["card_count"] == 10.0


_EVENTS = st.lists(
    st.tuples(
        st.integers(0, 12), st.sampled_from(["a", "b", 7, None]), st.floats(-1e9, 1e9) | st.none() | st.integers(-9, 9),
        st.integers(0, 100), st.integers(0, 60),
    ),
    max_size=40, unique_by=lambda one: one[0],
)  # fmt: skip


@given(events=_EVENTS, data=st.data())
def test_late_doubled_and_shuffled_streams_say_what_ordered_ones_say(events, data):
    """Order of delivery, repetition, partitions and micro-batches leave every feature as it is."""
    sent = [
        paid(
            number,
            card=card,
            amount=amount,
            at_us=NOW_US - HOUR_US + at,
            arrival_us=NOW_US - HOUR_US + at + late,
        )
        for number, card, amount, at, late in events
    ]
    shuffled = [
        *data.draw(st.permutations(sent)),
        *data.draw(st.lists(st.sampled_from(sent)) if sent else st.just([])),
    ]
    partitions, most = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 7))
    plain, plain_store, _, _ = made(bus_with(sent), MemorySnapshots())
    drained(plain)
    # A message's key is its event's id: deliveries of one event come by one partition.
    bus = MemoryBus(partitions=partitions, clock=lambda: NOW_US)
    bus.publish("t", [(str(json.loads(value)["row"]["id"]), value) for value in shuffled])
    other, other_store, _, _ = made(bus, MemorySnapshots(), most=most)
    drained(other)
    for at_us in (NOW_US - HOUR_US + 50, NOW_US):
        rows = [{"card": card, "shop": "s"} for card in ("a", "b", "7")]
        assert other_store.read(rows, at_us) == plain_store.read(rows, at_us)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b" ", "no event"),
        (b"{", "no event"),
        (b'{"source": "paid"}', "missing required"),
        (b'{"source": "paid", "event_time_us": "now", "row": {}}', "event_time_us"),
        (b'{"source": "paid", "event_time_us": 1.5, "row": {}}', "event_time_us"),
        (b'{"source": "paid", "event_time_us": 1, "row": {"amount": NaN}}', "no event"),
        (b'{"source": "paid", "event_time_us": 1, "row": {"card": "\xff"}}', "no event"),
        (b'{"source": "paid", "event_time_us": -1, "row": {}}', "before 1971"),
        (paid(1, at_us=0), "before 1971"),
        (
            b'{"source": "paid", "event_time_us": 1799999000000000, "row": {"id": 1, "amount": 5, "amount": 7}}',
            "a key stands twice in the message: amount",
        ),
        (paid(1, at_us=4_070_908_800_000_000), "ahead"),
        (paid(1, arrival_us=NOW_US + 2 * AHEAD_US), "ahead"),
        (b'{"source": "paid", "event_time_us": 99999999999999999999, "row": {}}', "event_time_us"),
    ],
)
def test_a_poisonous_message_goes_to_quarantine_and_the_next_is_read(value, reason):
    """Broken bytes, wrong types and clocks that run ahead are refused with the reason; nothing is stuck."""
    consumer, store, refused, _ = made(bus_with([paid(1), value, paid(2)]), MemorySnapshots())
    drained(consumer)

    assert [(one.message.offset, one.message.value) for one in refused] == [(1, value)]
    assert reason in refused[0].reason
    assert (consumer.taken, consumer.refused) == (2, 1)
    assert read(store)["card_count"] == 2.0


def test_rows_of_odd_values_are_taken_as_the_rule_says():
    """Numbers as text, huge and nested values: no crash, and missing where no number is."""
    odd = [
        paid(2, amount="12"), paid(3, amount={"eur": 5}), paid(4, amount=10**400), paid(5, amount=True),
        paid(6, card=["a"]), paid(7, card=None), paid(8, card="x" * 1_000_000),
        encode_event("nobody", {"id": 1}, event_time_us=NOW_US), encode_event("paid", {"card": "a"}, event_time_us=NOW_US),
    ]  # fmt: skip
    consumer, store, refused, _ = made(bus_with(odd * 10), MemorySnapshots())
    drained(consumer)

    assert not refused
    found = read(store)
    assert (found["card_count"], found["card_sum"]) == (4.0, 1.0)
    assert read(store, "x" * 1_000_000)["card_count"] == 1.0


def test_what_cannot_be_applied_is_refused_alone():
    """When a micro-batch fails as a whole, its messages are tried one by one."""

    class Picky(HeldFeatures):
        def apply(self, partition, *, begin, end, events):
            if any(event.row["id"] == 3 for event in events):
                raise ValueError("three is too much")
            return super().apply(partition, begin=begin, end=end, events=events)

    store = Picky(FEATURES, keys=KEYS, snapshots=MemorySnapshots(), name="p")
    consumer, _, refused, _ = made(
        bus_with([paid(number) for number in range(6)]), MemorySnapshots(), store=store
    )
    drained(consumer)

    assert [one.reason for one in refused] == ["cannot be applied: three is too much"]
    assert read(store)["card_count"] == 5.0


class _Away(HeldFeatures):
    """A store that does not answer while `away` is set."""

    away = False

    def apply(self, partition, *, begin, end, events):
        self._here()
        return super().apply(partition, begin=begin, end=end, events=events)

    def open(self, partition):
        self._here()
        return super().open(partition)

    def _here(self):
        if self.away:
            raise OnlineUnavailable("the store does not answer")


def test_a_store_that_goes_away_and_comes_back_loses_nothing():
    """The consumer says so once, waits, joins again and goes on; the bus has kept everything."""
    store = _Away(FEATURES, keys=KEYS, snapshots=MemorySnapshots(), name="p")
    bus = bus_with([paid(number) for number in range(5)])
    consumer, _, _, told = made(bus, MemorySnapshots(), store=store, commit_s=0.0)
    ending = threading.Event()
    running = threading.Thread(target=consumer.run, args=(ending,))
    running.start()

    def wait_for(condition):
        end = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.005)

    wait_for(lambda: read(store)["card_count"] == 5.0)
    store.away = True
    bus.publish("t", [("k", paid(number)) for number in range(5, 9)])
    wait_for(lambda: told)
    time.sleep(0.1)
    store.away = False
    wait_for(lambda: read(store)["card_count"] == 9.0)
    ending.set()
    running.join(10)

    assert ["wait" in line for line in told] == [True, False], told


def test_a_state_that_somebody_else_moved_is_opened_again():
    """Two consumers that both believe to have a partition cannot both apply its messages."""
    bus, snapshots = bus_with([paid(number) for number in range(6)]), MemorySnapshots()
    consumer, store, _, _ = made(bus, snapshots, most=2)
    consumer.step(timeout_s=0)
    store.apply(0, begin=2, end=5, events=[])
    with pytest.raises(OnlineUnavailable, match="another consumer"):
        consumer.step(timeout_s=0)
    drained(consumer)
    assert read(store)["card_count"] == 6.0


def test_two_consumers_of_one_group_are_refused(tmp_path):
    """On the embedded bus a group has one member, whatever process it is in."""
    bus = SqliteBus(tmp_path / "bus.db")
    first, _, _, _ = made(bus, MemorySnapshots())
    first.step(timeout_s=0)
    second, _, _, _ = made(SqliteBus(tmp_path / "bus.db"), MemorySnapshots())
    with pytest.raises(WorkspaceBusy):
        second.step(timeout_s=0)
    first.close()
    second.step(timeout_s=0)


_KILLED = """
import os, signal, sys
from pathlib import Path
from geartrain.adapters import snapshots_sqlite
from geartrain.adapters.bus_sqlite import SqliteBus
from geartrain.adapters.snapshots_sqlite import SqliteSnapshots
from geartrain.engine.consuming import Consumer, Pace
from geartrain.engine.held_features import HeldFeatures
from geartrain.testing.online_store import FEATURES, KEYS

folder, where, after = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def die(): os.kill(os.getpid(), signal.SIGKILL)
store = HeldFeatures(FEATURES, keys=KEYS, snapshots=SqliteSnapshots(folder / "s.db"), name="p")
save, apply, calls = store._snapshots.save, store.apply, [0]
def counted(kind):
    calls[0] += kind == where.split(":")[0]
    return calls[0] > after
def killing_apply(partition, **more):
    if where == "apply:before" and counted("apply"): die()
    done = apply(partition, **more)
    if where == "apply:after" and counted("apply"): die()
    return done
def killing_save(name, stored):
    if where == "save:before" and counted("save"): die()
    if where == "save:inside" and counted("save"):
        held = store._snapshots._connection
        held.execute("BEGIN IMMEDIATE")
        held.execute("UPDATE states SET place = ?", (stored.offset,))
        die()
    save(name, stored)
    if where == "save:after" and counted("save"): die()
store.apply, store._snapshots.save = killing_apply, killing_save
consumer = Consumer(SqliteBus(folder / "bus.db"), store, topic="t", group="g", refuse=print, tell=print,
                    pace=Pace(most=5, commit_messages=10))
while consumer.step(timeout_s=0): pass
"""


@pytest.mark.parametrize("where", ["apply:before", "apply:after", "save:before", "save:inside", "save:after"])
def test_a_kill_between_state_and_offset_changes_no_feature(tmp_path, where):
    """SIGKILL at each place: who comes next says what a consumer says that was never killed."""
    bus = SqliteBus(tmp_path / "bus.db", clock=lambda: NOW_US)
    bus.publish(
        "t", [(f"k{number}", paid(number, card="ab"[number % 2], amount=number / 7)) for number in range(50)]
    )
    for after in (1, 2):
        killed = subprocess.run(
            [sys.executable, "-c", _KILLED, str(tmp_path), where, str(after)], capture_output=True, text=True, timeout=60
        )  # fmt: skip
        assert killed.returncode == -9, killed.stderr
    again, store, _, _ = made(bus, SqliteSnapshots(tmp_path / "s.db"))
    drained(again)
    whole, whole_store, _, _ = made(
        bus_with([m.value for m in bus.after("t", 0, begin=0, most=50)]), MemorySnapshots()
    )
    drained(whole)

    assert again.taken < 50, "some of it had been committed"
    assert [read(store, card) for card in "ab"] == [read(whole_store, card) for card in "ab"]


def test_an_event_arrived_when_the_bus_took_it():
    """Replayed a day later it has the same arrival, and so the same features."""
    message = Message(partition=0, offset=0, key="k", value=paid(1), at_us=NOW_US)
    found = decode_event(message)
    assert not isinstance(found, str)
    assert found.arrival_time_us == NOW_US
