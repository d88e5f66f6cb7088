"""Kafka: against librdkafka's own mock cluster, and a real one where `KAFKA_BOOTSTRAP` names it."""

from __future__ import annotations

import ctypes
import os
import time
import uuid
from pathlib import Path

import pytest

from geartrain.adapters.bus_kafka import KafkaBus
from geartrain.adapters.snapshots_sqlite import SqliteSnapshots
from geartrain.engine.consuming import Consumer, Pace, encode_event
from geartrain.engine.held_features import HeldFeatures
from geartrain.errors import BusUnavailable
from geartrain.testing.bus import Reader, check_bus
from geartrain.testing.online_store import FEATURES, KEYS, MemorySnapshots

kafka = pytest.importorskip("confluent_kafka", reason="needs the extra `kafka`")


class Mock:
    """A mock cluster in this process. Its controls are symbols of the wheel's own library: for tests only."""

    def __init__(self) -> None:
        folder = Path(kafka.__file__).parent.parent
        found = [
            *folder.glob("confluent_kafka.libs/librdkafka*"), *folder.glob("confluent_kafka/.dylibs/librdkafka*"),
        ]  # fmt: skip
        if not found:
            pytest.skip("this wheel of confluent-kafka does not bring librdkafka as a file of its own")
        self._lib = lib = ctypes.CDLL(str(found[0]))
        for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
            getattr(lib, name).restype = ctypes.c_void_p
        lib.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        told = ctypes.create_string_buffer(512)
        conf = ctypes.c_void_p(lib.rd_kafka_conf_new())
        self._client = ctypes.c_void_p(lib.rd_kafka_new(0, conf, told, ctypes.c_size_t(512)))
        self._cluster = ctypes.c_void_p(lib.rd_kafka_mock_cluster_new(self._client, 3))
        lib.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        self.servers = lib.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def topic(self, name: str, partitions: int) -> None:
        self._lib.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)

    def brokers(self, *, up: bool) -> None:
        change = self._lib.rd_kafka_mock_broker_set_up if up else self._lib.rd_kafka_mock_broker_set_down
        for broker in (1, 2, 3):
            change(self._cluster, broker)

    def close(self) -> None:
        self._lib.rd_kafka_mock_cluster_destroy(self._cluster)
        self._lib.rd_kafka_destroy(self._client)


@pytest.fixture
def cluster():
    mock = Mock()
    yield mock
    mock.close()


def bus_of(cluster: Mock, **more: str) -> KafkaBus:
    quick = {"session.timeout.ms": "6000", "heartbeat.interval.ms": "200", "reconnect.backoff.max.ms": "500"}
    return KafkaBus(cluster.servers, settings={**quick, **more}, timeout_s=10)


def published(bus: KafkaBus, topic: str, count: int, *, begin: int = 0) -> None:
    now_us = time.time_ns() // 1000
    bus.publish(
        topic,
        [
            (
                f"c{number % 20}",
                encode_event(
                    "paid",
                    {"id": number, "card": f"c{number % 20}", "shop": "s", "amount": 1.0},
                    event_time_us=now_us - 1000 + number,
                    arrival_time_us=now_us - 1000 + number,
                ),
            )
            for number in range(begin, begin + count)
        ],
    )


def consumer_of(bus: KafkaBus, snapshots, *, topic: str) -> tuple[Consumer, HeldFeatures]:
    store = HeldFeatures(FEATURES, keys=KEYS, snapshots=snapshots, name=topic)
    made = Consumer(
        bus, store, topic=topic, group=topic, refuse=lambda _: None, tell=lambda _: None, pace=Pace(pause_s=0.1)
    )  # fmt: skip
    return made, store


def counts(*stores: HeldFeatures) -> float:
    now_us = time.time_ns() // 1000 + 10_000_000
    return sum(
        found["card_count"]
        for store in stores
        for found in store.read([{"card": f"c{number}"} for number in range(20)], now_us)
    )


def until(condition, *steps: Consumer, patience_s: float = 60.0) -> None:
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        for one in steps:
            one.step(timeout_s=0.05)


def test_kafka_keeps_the_promises_of_the_port(cluster):
    """The mock cluster, through the real client, passes the suite that every bus passes."""
    for topic in ("order", "begin", "groups", "threads", "leaving"):
        cluster.topic(topic, 3)
    check_bus(lambda: bus_of(cluster), one_member=False)


@pytest.mark.service
def test_a_real_broker_keeps_the_promises_of_the_port():
    """The same suite on a broker of one's own."""
    servers = os.environ.get("KAFKA_BOOTSTRAP")
    if not servers:
        pytest.skip("set KAFKA_BOOTSTRAP to a broker that may be written to and creates topics")
    suffix = f"-{uuid.uuid4().hex[:8]}"

    class Apart(KafkaBus):
        def publish(self, topic, messages):
            return super().publish(topic + suffix, messages)

        def subscribe(self, topic, *, group, member):
            return super().subscribe(topic + suffix, group=group + suffix, member=member)

        def ends(self, topic):
            return super().ends(topic + suffix)

    check_bus(lambda: Apart(servers), one_member=False)


def test_partitions_move_with_their_state(cluster, tmp_path):
    """A second member gets some partitions and fetches their state; when the first goes it gets the rest."""
    cluster.topic("moves", 4)
    bus = bus_of(cluster)
    published(bus, "moves", 200)
    one, one_store = consumer_of(bus, SqliteSnapshots(tmp_path / "s.db"), topic="moves")
    until(lambda: counts(one_store) == 200, one)

    two, two_store = consumer_of(bus, SqliteSnapshots(tmp_path / "s.db"), topic="moves")
    until(lambda: one.partitions and two.partitions and len(one.partitions | two.partitions) == 4
          and not one.partitions & two.partitions, one, two)  # fmt: skip
    assert counts(one_store, two_store) == 200, "what moved came with its state and was not counted twice"
    assert two.taken == 0, "it was fetched, not replayed"

    published(bus, "moves", 100, begin=200)
    until(lambda: counts(one_store, two_store) == 300, one, two)
    one.close()
    until(lambda: len(two.partitions) == 4 and counts(two_store) == 300, two)
    two.close()


def test_a_member_that_dies_is_replayed_by_the_others(cluster):
    """What a dead member had applied and not committed is read again by who gets its partitions."""
    cluster.topic("dies", 4)
    bus = bus_of(cluster)
    snapshots = MemorySnapshots()
    dead, dead_store = consumer_of(bus, snapshots, topic="dies")
    published(bus, "dies", 100)
    until(lambda: counts(dead_store) == 100, dead)
    assert not snapshots.held, "nothing was committed yet"
    dead._sound = False  # as a killed process: it leaves without a commit
    dead._subscription.close()

    other, other_store = consumer_of(bus, snapshots, topic="dies")
    until(lambda: counts(other_store) == 100, other)
    assert other.taken == 100
    other.close()
    assert {stored.offset for stored in snapshots.held.values()} != {0}


def test_a_broker_that_goes_and_comes_back_loses_nothing(cluster):
    """While no broker answers a publish is refused; afterwards everything acknowledged is read."""
    cluster.topic("away", 1)
    bus = KafkaBus(cluster.servers, settings={"reconnect.backoff.max.ms": "300"}, timeout_s=2)
    published(bus, "away", 10)
    made, store = consumer_of(bus, MemorySnapshots(), topic="away")
    until(lambda: counts(store) == 10, made)
    cluster.brokers(up=False)
    with pytest.raises(BusUnavailable):
        published(bus, "away", 5, begin=10)
    cluster.brokers(up=True)
    published(bus, "away", 5, begin=20)

    def back() -> bool:
        try:
            made.step(timeout_s=0.1)
        except BusUnavailable:
            time.sleep(0.1)
        return counts(store) >= 15

    until(back)
    made.close()


def test_messages_that_are_gone_are_said_not_skipped(cluster):
    """An offset that Kafka does not hold is an error with what to do, never a silent gap."""
    cluster.topic("gone", 1)
    bus = bus_of(cluster)
    bus.publish("gone", [("k", b"1")])
    subscription = bus.subscribe("gone", group="gone", member=Reader({0: 999}))
    with pytest.raises(BusUnavailable, match="does not hold"):
        until(lambda: bool(subscription.poll(most=10, timeout_s=0.1)))
    subscription.close()
