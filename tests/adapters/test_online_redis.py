"""Redis as the store of online features: the same values, and what happens when it goes away."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geartrain.adapters.online_redis import RedisFeatures
from geartrain.engine.consuming import Consumer, Pace, encode_event
from geartrain.engine.held_features import HeldFeatures
from geartrain.errors import OnlineUnavailable, SettingInvalid
from geartrain.features.declaring import feature_set, lookup, window
from geartrain.ports.online_store import Arrived
from geartrain.testing.bus import MemoryBus
from geartrain.testing.online_store import FEATURES, KEYS, MemorySnapshots, check_online_store
from geartrain.wiring import Settings, forget_online

redis = pytest.importorskip("redis", reason="needs the extra `redis`")

URL = "redis://127.0.0.1:6379/9"
NOW_US = 1_800_000_000_000_000

pytestmark = pytest.mark.service


@pytest.fixture
def name():
    """A name of our own in a database of our own; what was written under it is removed."""
    try:
        redis.Redis.from_url(URL, socket_connect_timeout=1).ping()
    except redis.exceptions.RedisError:
        pytest.skip("no Redis answers at 127.0.0.1:6379")
    made = f"test-{uuid.uuid4().hex[:12]}"
    yield made
    client = redis.Redis.from_url(URL)
    for key in client.scan_iter(f"geartrain:{made}*"):
        client.delete(key)
    client.close()


def store_of(name: str, features=FEATURES, keys=KEYS, **more) -> RedisFeatures:
    return RedisFeatures(features, keys=keys, url=more.pop("url", URL), name=name, **more)


def test_redis_keeps_the_promises_of_the_port(name):
    """The suite that every store of online features passes."""
    check_online_store(lambda: store_of(name))


RICH = feature_set(
    *window(
        "paid", entity="card", over=("20us", "80us"),
        count=True, sum="amount", mean="amount", min="amount", distinct="shop", time_since=True,
    ),
    *window("paid", entity="shop", over="40us", delay="5us", count=True, where="amount > 0", named="sold"),
    *window("paid", entity="card", over="60us", last="shop", type="category"),
    lookup("city", "shops", entity="shop", column="city", type="category"),
)  # fmt: skip

_EVENTS = st.lists(
    st.tuples(
        st.integers(0, 9), st.sampled_from(["a", "7", None]), st.sampled_from(["x", "y"]),
        st.floats(-1e9, 1e9) | st.none() | st.just(1e15), st.integers(0, 50), st.integers(0, 40),
    ),
    max_size=25,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(events=_EVENTS, data=st.data())
def test_redis_says_what_the_process_says(name, events, data):
    """Late, doubled, corrected and shuffled deliveries, in micro-batches and twice: every cell alike."""
    keys = {"paid": "id", "shops": "version"}
    arrived = [
        Arrived(
            source="paid", event_time_us=NOW_US + at, arrival_time_us=NOW_US + at + late, offset=place,
            row={"id": number, "card": card, "shop": shop, "amount": amount},
        )
        for place, (number, card, shop, amount, at, late) in enumerate(events)
    ]  # fmt: skip
    held = HeldFeatures(RICH, keys=keys, snapshots=MemorySnapshots(), name="p")
    held.open(0)
    held.apply(0, begin=0, end=len(arrived), events=arrived)
    shared = store_of(f"{name}-{uuid.uuid4().hex[:6]}", RICH, keys)
    shared.open(0)
    shuffled = data.draw(st.permutations(arrived))
    # Of equal arrivals the later offset counts, whatever was applied first.
    cut = data.draw(st.integers(0, len(shuffled)))
    for place, part in enumerate((shuffled[:cut], shuffled[cut:], shuffled[:cut])):
        assert shared.apply(0, begin=place, end=place + 1, events=part)
    rows = [{"card": card, "shop": shop} for card in ("a", 7) for shop in ("x", "y")]
    for at in (10, 60, 95):
        for known in (None, NOW_US + at - 20):
            assert shared.read(rows, NOW_US + at, known_us=known) == held.read(
                rows, NOW_US + at, known_us=known
            )
    shared.erase()
    shared.close()


def test_keys_expire_with_the_longest_window(name):
    """Nothing is kept for ever but what windows without a width read, and the offsets."""
    store = store_of(name, lateness_us=60_000_000)
    event = Arrived(
        source="paid", event_time_us=NOW_US, arrival_time_us=NOW_US, row={"id": 1, "card": "a", "shop": "s", "amount": 1.0}
    )  # fmt: skip
    assert store.apply(0, begin=0, end=1, events=[event])
    client = redis.Redis.from_url(URL)
    kept = {
        key.decode().removeprefix(store._prefix): client.pttl(key)
        for key in client.scan_iter(f"geartrain:{name}:*")
    }
    expiring = {key: left for key, left in kept.items() if key not in {":at", ":seen"}}

    assert set(expiring) == {":v:paid:1", ":e:0:a", ":e:1:s"}
    assert all(36_000_000 < left <= 36_061_000 for left in expiring.values())
    assert kept[":at"] == kept[":seen"] == -1

    store.evict(NOW_US + 11 * 3_600_000_000)
    later = Arrived(
        source="paid", event_time_us=NOW_US + 11 * 3_600_000_000, arrival_time_us=NOW_US + 11 * 3_600_000_000,
        row={"id": 2, "card": "a", "shop": "s", "amount": 1.0},
    )  # fmt: skip
    assert store.apply(0, begin=1, end=2, events=[later])
    assert client.zcard(f"{store._prefix}:e:0:a") == 1, "a write drops what no window of its entity reaches"
    client.close()
    store.close()


def test_replicas_share_one_state(name):
    """What one process applied another reads, and a consumer without the partition cannot write."""
    one, two = store_of(name), store_of(name)
    event = Arrived(
        source="paid", event_time_us=NOW_US, arrival_time_us=NOW_US, row={"id": 1, "card": "a", "shop": "s", "amount": 2.5}
    )  # fmt: skip
    assert one.apply(0, begin=0, end=1, events=[event])
    assert two.read([{"card": "a"}], NOW_US + 1)[0]["card_sum"] == 2.5
    assert not two.apply(0, begin=0, end=1, events=[event]), "a zombie's batch is refused"
    assert two.open(0) == 1
    one.close()
    two.close()


def test_redis_going_away_and_coming_back_loses_nothing(tmp_path):
    """Reads say at once that the store is away; when it is back, empty even, the bus replays everything."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server to start and to stop")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def start() -> subprocess.Popen[bytes]:
        made = subprocess.Popen(
            [program, "--port", str(port), "--save", "", "--dir", str(tmp_path)], stdout=subprocess.DEVNULL
        )
        for _ in range(200):
            try:
                redis.Redis(port=port).ping()
                break
            except redis.exceptions.ConnectionError:
                time.sleep(0.02)
        return made

    server = start()
    bus = MemoryBus(clock=lambda: NOW_US)
    store = store_of(
        "away", url=f"redis://:secret@127.0.0.1:{port}/0" if False else f"redis://127.0.0.1:{port}/0"
    )
    consumer = Consumer(
        bus, store, topic="t", group="g", refuse=lambda _: None, tell=lambda _: None, pace=Pace(most=3)
    )

    def publish(*numbers: int) -> None:
        rows = [{"id": number, "card": "a", "shop": "s", "amount": 1.0} for number in numbers]
        bus.publish(
            "t", [("a", encode_event("paid", row, event_time_us=NOW_US - 100 + row["id"])) for row in rows]
        )

    def count() -> float:
        return store.read([{"card": "a"}], NOW_US + 1)[0]["card_count"]

    def drain() -> None:
        while consumer.step(timeout_s=0):
            pass

    try:
        publish(*range(10))
        drain()
        assert count() == 10.0
        server.kill()
        server.wait(10)
        publish(*range(10, 15))
        with pytest.raises(OnlineUnavailable):
            consumer.step(timeout_s=0)
        began = time.monotonic()
        for _ in range(50):
            with pytest.raises(OnlineUnavailable) as told:
                count()
        assert time.monotonic() - began < 5, "fifty reads of a store that is away do not wait fifty times"
        assert "GEARTRAIN_ONLINE_URL" in told.value.hint
        server = start()
        time.sleep(0.3)
        drain()
        assert count() == 15.0
    finally:
        consumer.close()
        store.close()
        server.kill()
        server.wait(10)


def test_no_password_reaches_a_message():
    """An address is told without user and password."""
    store = RedisFeatures(FEATURES, keys=KEYS, url="redis://me:secret@127.0.0.1:1/0", name="p", timeout_s=0.2)
    with pytest.raises(OnlineUnavailable) as told:
        store.open(0)
    assert "secret" not in str(told.value.to_document())
    with pytest.raises(SettingInvalid):
        RedisFeatures(FEATURES, keys=KEYS, url="http://127.0.0.1", name="p")


def test_a_product_is_forgotten_and_no_other(name, tmp_path):
    """Erasure empties Redis of one product's features, whatever the definitions; the state begins anew."""
    mine, other = store_of(name), store_of(name + "-2")
    event = Arrived(
        source="paid", event_time_us=NOW_US, arrival_time_us=NOW_US, row={"id": 1, "card": "Zora"}
    )
    for store in (mine, other):
        assert store.apply(0, begin=0, end=1, events=[event])

    gone = forget_online(Settings(root=tmp_path, online_url=URL), name)

    client = redis.Redis.from_url(URL)
    assert gone > 0
    assert list(client.scan_iter(f"geartrain:{name}:*")) == []
    assert any(b"Zora" in key for key in client.scan_iter(f"geartrain:{name}-2:*"))
    assert (mine.open(0), other.open(0)) == (0, 1)
    client.close()
    with pytest.raises(OnlineUnavailable) as told:
        forget_online(Settings(root=tmp_path, online_url="redis://127.0.0.1:1/0"), name)
    assert "run the same command again" in told.value.hint
