"""What a server's features rest on: snapshots, replay, eviction, the bus, and a store that is away."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from geartrain.domain.columns import microseconds
from geartrain.engine.bus_door import topic_of
from geartrain.engine.live_state import KeptState, SharedState
from geartrain.engine.rows import table_of
from geartrain.errors import OnlineUnavailable
from geartrain.features.declaring import feature_set, window
from geartrain.testing.online_store import MemorySnapshots
from geartrain.wiring import Settings, build_host, open_bus, open_snapshots, open_workspace, settings_of

FEATURES = feature_set(*window("paid", entity="card", over="1d", count=True))
KEYS = {"paid": "id"}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def rows(*hours: float, begin: int = 0) -> pl.DataFrame:
    times = [NOON + timedelta(hours=hour) for hour in hours]
    ids = range(begin, begin + len(times))
    return pl.DataFrame({"id": ids, "card": "a", "_event_time": times, "_arrival_time": times}).with_columns(
        pl.col("_event_time", "_arrival_time").cast(pl.Datetime("us", "UTC"))
    )


def kept(snapshots, told=None) -> KeptState:
    from threading import RLock

    return KeptState(
        FEATURES,
        keys=KEYS,
        name="shop",
        reading=RLock(),
        snapshots=snapshots,
        tell=print if told is None else told.append,
    )


def count(state, at: datetime) -> float:
    return state.read({"card": "a"}, microseconds(at))["card_count_1d"]


def test_a_saved_state_is_loaded_and_old_events_are_gone():
    """What no window reaches, measured by the last arrival, is neither in memory nor in the snapshot."""
    snapshots = MemorySnapshots()
    state = kept(snapshots)
    state.apply("paid", rows(*range(-50, 0)))
    state.keep(7, now_us=microseconds(NOON) + 10**15, at_once=True)
    again = kept(snapshots)

    assert count(again, NOON) == count(state, NOON) == 24.0
    held = again._online.sources["paid"]
    assert len(held.versions) == 26, (
        "a window of a day and an hour for late clocks, back from the last arrival"
    )
    assert again._position == 7


def test_nothing_new_is_not_saved_again():
    """A quiet server does not write."""
    snapshots = MemorySnapshots()
    state = kept(snapshots)
    state.apply("paid", rows(-1))
    state.keep(1, now_us=0, at_once=False)
    assert not snapshots.held, "not yet: snapshots cost decisions a moment"
    state.keep(1, now_us=0, at_once=True)
    state.keep(2, now_us=0, at_once=True)
    assert [stored.offset for stored in snapshots.held.values()] == [1]


def test_a_snapshot_that_cannot_be_used_is_told_and_made_anew():
    """Damage costs time, not correctness."""

    class Broken(MemorySnapshots):
        def load(self, name):
            raise OnlineUnavailable("damaged")

    told: list[str] = []
    assert count(kept(Broken(), told), NOON) == 0.0
    snapshots = MemorySnapshots()
    state = kept(snapshots)
    state.apply("paid", rows(-1))
    state.keep(1, now_us=0, at_once=True)
    (name,) = snapshots.held
    snapshots.held[name] = type(snapshots.held[name])(offset=9, content=b"other bytes")
    assert count(kept(snapshots, told), NOON) == 0.0
    assert len(told) == 2


def test_a_server_loads_its_snapshot_and_replays_only_what_came_after(the_shop):
    """A restart reads the deliveries after the snapshot, and decides as before."""
    living = build_host(Settings(root=the_shop.root), tell=print)
    living.begin()
    living.end()
    workspace = open_workspace(Settings(root=the_shop.root))
    head = max(one.position for one in workspace.ledger.read_all())
    held = open_snapshots(Settings(root=the_shop.root))
    again = build_host(Settings(root=the_shop.root), tell=print)
    again.look()
    (features,) = [one.features for one in again._products.values()]
    (state,) = features._states.values()

    assert held.load(state._name).offset == head
    assert state.replayed == 0
    assert state._online.latest_arrival_us(state.feeds[0]) is not None if state.feeds else True
    again.end()


class _Away:
    """A shared store that does not answer while `away` is set; else it remembers what it was given."""

    def __init__(self) -> None:
        self.away, self.at, self.ids = False, 0, set()

    def _here(self) -> None:
        if self.away:
            raise OnlineUnavailable("away")

    def open(self, partition):
        self._here()
        return self.at

    def apply(self, partition, *, begin, end, events):
        self._here()
        if begin != self.at:
            return False
        self.at = end
        self.ids |= {event.row["id"] for event in events}
        return True

    def read(self, asked, at_us, *, known_us=None):
        self._here()
        return [{"card_count_1d": float(len(self.ids))} for _ in asked]

    def latest_arrival_us(self, source):
        self._here()
        return 1

    def evict(self, now_us):
        pass

    def erase(self):
        self.at, self.ids = 0, set()

    def commit(self, partition):
        pass

    def release(self, partition):
        pass

    def close(self):
        pass


def test_a_shared_store_that_is_away_gets_everything_when_it_is_back():
    """Rows wait in the lake; reads raise, which a decision answers with its fallback."""
    store, told = _Away(), []
    state = SharedState(FEATURES, store, keys=KEYS, tell=told.append)
    state.apply("paid", rows(-3))
    store.away = True
    state.apply("paid", rows(-2, begin=1))
    state.follow([], lambda *_: rows())
    with pytest.raises(OnlineUnavailable):
        state.read({"card": "a"}, 0)
    assert state.latest_arrival_us("paid") is None
    assert len(told) == 1
    store.away = False
    state.follow(
        _history(("paid", "one"), ("paid", "two")),
        lambda _, batch: rows(-3) if batch == "one" else rows(-2, begin=1),
    )
    assert (store.ids, store.at) == ({0, 1}, 2)
    assert "again" in told[-1]


def _history(*deliveries):
    from geartrain.domain.events import Recorded, RowsRepaired

    return [
        Recorded(
            position=place, stream="s", version=place, at=NOON, actor="Ada", previous="", hash="",
            event=RowsRepaired(product="shop", source=source, batch=batch, repaired=1, still_bad=0),
        )
        for place, (source, batch) in enumerate(deliveries, start=1)
    ]  # fmt: skip


def test_erased_rows_leave_every_state():
    """After an erasure the state is made anew from what the lake still has, snapshot or not."""
    from geartrain.domain.events import Recorded, RowsErased

    snapshots = MemorySnapshots()
    state = kept(snapshots)
    state.apply("paid", rows(-3, -2))
    state.keep(2, now_us=0, at_once=True)
    history = _history(("paid", "one"))
    erased = RowsErased(product="shop", entity="card", who="x", rows=(), snapshots=(), erasure=1)
    history.append(
        Recorded(position=3, stream="s", version=3, at=NOON, actor="Ada", previous="", hash="", event=erased)
    )
    for one in (state, kept(snapshots)):
        one.follow(history, lambda *_: rows(-2, begin=1))
        assert count(one, NOON) == 1.0
    shared = SharedState(FEATURES, (store := _Away()), keys=KEYS, tell=print)
    store.at, store.ids = 2, {0, 1}
    shared.follow(history, lambda *_: rows(-2, begin=1))
    assert (store.ids, store.at) == ({1}, 3)


def test_events_by_the_bus_pass_the_door(the_shop, tmp_path):
    """A row from the bus is in the lake and in the features; what is no event is in quarantine with its place."""
    url = f"sqlite:///{tmp_path / 'bus.db'}"
    settings = settings_of({"GEARTRAIN_BUS_URL": url}, workspace=the_shop.root)
    bus = open_bus(settings, publish=True)
    product = the_shop.product.contract.product.name
    source = the_shop.product.contract.data.decisions
    workspace = open_workspace(settings)
    frame = pl.from_arrow(workspace.lake.scan(table_of(product, source.name)))
    names = [one.name for one in source.fields]
    row = {
        name: value for name, value in frame.row(0, named=True).items() if name in names and value is not None
    }
    row = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
    row[source.key] = 987654321 if isinstance(row[source.key], int) else "from-the-bus"
    good = json.dumps({"source": source.name, "row": row}).encode()
    bus.publish(
        topic_of(product), [("a", b"{broken"), ("a", b'{"source": "nobody", "row": {}}'), ("a", good)]
    )

    living = build_host(settings, tell=print)
    living.begin()
    table = table_of(product, source.name)
    key = str(row[source.key])

    def arrived() -> bool:
        held = pl.from_arrow(workspace.lake.scan(table, columns=(source.key,)))
        return key in held.get_column(source.key).cast(pl.String).to_list()

    end = time.monotonic() + 20
    while not arrived():
        assert time.monotonic() < end
        time.sleep(0.05)
    living.end()
    refused = pl.from_arrow(workspace.lake.scan(f"{product}/bus__quarantine")).sort("offset")
    assert refused.get_column("offset").to_list() == [0, 1]
    assert "no event" in refused.get_column("reason")[0]
    assert "nobody" in refused.get_column("reason")[1] or "no source" in refused.get_column("reason")[1]
    offsets = open_snapshots(settings).load(f"bus/{topic_of(product)}/0")
    assert offsets.offset == 3


def test_decisions_fall_back_while_the_shared_store_is_away(the_shop, tmp_path):
    """Redis goes: the contract's fallback answers, and says why. It comes back empty: nothing is lost."""
    import shutil
    import socket
    import subprocess

    from geartrain.serving.lanes import Ask, answer

    redis = pytest.importorskip("redis", reason="needs the extra `redis`")
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server to start and to stop")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def start():
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

    def ask(living):
        product = the_shop.product.contract.product.name
        row = {"visit_id": "v-1", "visitor": "fresh"} | dict(living.example_row(product), visitor="fresh")
        given = Ask(rows=(row,), ids=(living.host.new_id(),), keys=("v-1",))
        (records,) = answer(living.host.lane(product), [given], datetime.now(UTC))
        place = next(
            i for i, one in enumerate(living.host.lane(product).champion.columns) if "count_7d" in one
        )
        return records[0].decision, records[0].inputs()[place]

    server = start()
    told: list[str] = []
    settings = settings_of({"GEARTRAIN_ONLINE_URL": f"redis://127.0.0.1:{port}/0"}, workspace=the_shop.root)
    living = build_host(settings, tell=told.append)
    product = the_shop.product.contract.product.name
    try:
        living.look()

        def click(name):
            moment = datetime.now(UTC)
            row = {"click_id": name, "visitor": "fresh", "weight": 2.5, "at": moment.isoformat()}
            living.host.take_events(product, "clicks", [row], moment)

        click("c-1")
        decision, count_7d = ask(living)
        assert (decision.fallback, count_7d) == (False, 1.0)
        server.kill()
        server.wait(10)
        click("c-2")
        decision, _ = ask(living)
        assert decision.fallback
        assert "online.unavailable" in decision.doubt
        living.look()
        assert any("wait in the lake" in line for line in told)
        server = start()
        time.sleep(0.3)
        living.look()
        decision, count_7d = ask(living)
        assert (decision.fallback, count_7d) == (False, 2.0)
    finally:
        living.end()
        server.kill()
        server.wait(10)
