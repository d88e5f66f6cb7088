"""Erasure: nothing of the person is left, everything else is, and the record names nobody."""

import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from geartrain.adapters.bus_sqlite import SqliteBus
from geartrain.contract.parsing import parse
from geartrain.data.snapshots import take_snapshot
from geartrain.domain.events import RowsErased, SnapshotTaken
from geartrain.domain.prediction import Decision
from geartrain.engine.bus_door import consumer_of, keep_refused
from geartrain.engine.consuming import Refused
from geartrain.engine.erasing import erase, lost_snapshots
from geartrain.engine.ingesting import QUARANTINE, Door
from geartrain.engine.logbook import DECISIONS, log_records
from geartrain.engine.rows import OUTCOMES, frame_bytes, frame_of, read_sources, table_of
from geartrain.errors import OnlineUnavailable, ProductUnknown, WorkspaceBusy
from geartrain.ports.bus import Message
from geartrain.ports.lake import ARRIVAL_TIME, EVENT_TIME
from geartrain.serving.columns import logged_row
from geartrain.serving.journal import LoggedDecision, Segment, framed
from geartrain.testing.bus import MemoryBus
from geartrain.testing.online_store import MemorySnapshots
from geartrain.wiring import Settings, open_workspace

CONTRACT = """\
product: {name: shop, title: Shop, problem: which parcel comes back}
team: {product: Ann}
decision: {task: binary, unit: a parcel, label: back, positive: "yes", negative: "no"}
data:
  sources:
    parcels:
      kind: decisions
      key: id
      fields:
        id: {type: string, required: true}
        customer: {type: string, refers_to: people.name}
        weight: {type: number, min: 0}
    people:
      kind: events
      key: name
      fields: {name: {type: string}, street: {type: string}}
    returns:
      kind: labels
      key: return_id
      decision_key: id
      fields: {return_id: {type: string}, id: {type: string}, back: {type: string}}
"""
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHE = "Zora-Q-81"


def filled(root):
    """A workspace in which two customers have left rows in every place where rows can lie."""
    workspace, contract = open_workspace(Settings(root=root), create=True), parse(CONTRACT)
    door = Door(workspace, contract)

    def take(source, rows, at=NOON):
        frame = pl.DataFrame(rows)
        door.take(source, frame, content=json.dumps(rows).encode(), now=at)

    take("people", [{"name": SHE, "street": "Elm"}, {"name": "Bo", "street": "Oak"}])
    take("parcels", [{"id": "p0", "customer": "Bo", "weight": 1.0}], NOON - timedelta(days=1))
    take(
        "parcels",
        [
            {"id": "p1", "customer": SHE, "weight": 1.0},
            {"id": "p2", "customer": "Bo", "weight": 2.0},
            {"id": "p3", "customer": SHE, "weight": -1.0},
            {"id": "p4", "customer": "Bo", "weight": -1.0},
        ],
    )
    take(
        "returns",
        [{"return_id": "r1", "id": "p1", "back": "yes"}, {"return_id": "r2", "id": "p2", "back": "no"}],
    )
    records = [logged("d1", "p1", SHE), logged("d2", "p2", "Bo"), logged("d3", "", SHE)]
    log_records(workspace, records, batch="log-1", encoding_of=lambda product, release: None)
    clocks = {EVENT_TIME: [NOON] * 2, ARRIVAL_TIME: [NOON] * 2}
    outcomes = pl.DataFrame({**clocks, "key": ["d3", "p2"], "label": ["yes", "no"], "decision": ["d3", "d2"]})
    workspace.lake.append(table_of("shop", OUTCOMES), outcomes.to_arrow(), batch="out-1")
    for known_at in (NOON - timedelta(hours=1), NOON):
        snapshot, _ = take_snapshot(
            read_sources(workspace, contract, known_at=known_at), contract, known_at=known_at
        )
        workspace.record("shop", [SnapshotTaken(snapshot=snapshot, id=snapshot.id)], now=NOON)
    workspace.blobs.put(frame_bytes(pl.DataFrame({"id": ["p1"], "customer": [SHE]})))
    workspace.blobs.put(frame_bytes(pl.DataFrame({"id": ["p2"], "customer": ["Bo"]})))
    segment = Segment(root / "journal", "left-1", fsync=False)
    segment.append(framed([logged("d4", "", SHE), logged("d5", "", "Bo")]))
    segment.close()
    return workspace, contract


def logged(name, key, customer):
    decision = Decision(
        id=name, product="shop", release="r", key=key, decided_at=NOON, action="keep",
        probabilities=(("yes", 0.5), ("no", 0.5)), expected_cost=1.0,
    )  # fmt: skip
    return LoggedDecision(
        decision=decision, at=NOON, row=logged_row({"customer": customer, "weight": 1.0}), features=b""
    )


def files_with(root, text):
    return sorted(
        str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and text in readable(path)
    )


def readable(path):
    content = path.read_bytes()
    if path.suffix == ".parquet" or content.startswith(b"ARROW1"):
        read = pl.read_parquet if path.suffix == ".parquet" else pl.read_ipc
        return str(read(io.BytesIO(content)).rows())
    return content.decode(errors="replace")


def test_nothing_of_her_is_left_and_everything_of_the_others_is(tmp_path):
    """Lake, quarantine, log, outcomes, labels, kept frames and the journal: no file holds her name any more."""
    workspace, contract = filled(tmp_path)
    assert len(files_with(tmp_path, SHE)) >= 6

    done = erase(
        workspace, contract, entity="customer", value=SHE, now=NOON, actor="Ann", wait=lambda _: None
    )

    assert dict(done.rows) == {
        "parcels": 1, "people": 1, "returns": 1, "outcomes": 1, "decisions__log": 2,
        "parcels" + QUARANTINE: 1, "kept frames": 1, "journal": 1,
    }  # fmt: skip
    assert files_with(tmp_path, SHE) == []
    left = {
        name: frame_of(workspace.lake.scan(table_of("shop", name)))
        for name in ("parcels", "people", DECISIONS)
    }
    assert left["parcels"]["id"].sort().to_list() == ["p0", "p2"]
    assert left["people"]["name"].to_list() == ["Bo"]
    assert left[DECISIONS]["decision_id"].to_list() == ["d2"]
    assert Door(workspace, contract).quarantined("parcels").height == 1
    assert len(list(workspace.blobs.digests())) == 1
    assert workspace.ledger.verify() > 0


def test_the_record_says_how_much_and_names_nobody(tmp_path):
    """Counts, the snapshots that are lost, and a digest that only this workspace can recognise."""
    workspace, contract = filled(tmp_path)
    early, late = [one.event.id for one in workspace.history("shop") if isinstance(one.event, SnapshotTaken)]

    done = erase(
        workspace, contract, entity="customer", value=SHE, now=NOON, actor="Ann", wait=lambda _: None
    )
    again = erase(
        workspace, contract, entity="customer", value=SHE, now=NOON, actor="Ann", wait=lambda _: None
    )

    (event,) = (one.event for one in workspace.history("shop") if isinstance(one.event, RowsErased))
    assert (event.snapshots, event.who, event.rows) == ((late,), done.who, done.rows)
    assert SHE not in repr(event)
    assert (again.known, again.total, again.who) == (True, 0, done.who)
    assert lost_snapshots(workspace, "shop") == {late} != {early}


def test_a_delivery_that_is_sent_again_does_not_bring_her_back(tmp_path):
    """The batch stays known by its digest."""
    workspace, contract = filled(tmp_path)
    erase(workspace, contract, entity="customer", value=SHE, now=NOON, actor="Ann", wait=lambda _: None)

    rows = [{"name": SHE, "street": "Elm"}, {"name": "Bo", "street": "Oak"}]
    taken = Door(workspace, contract).take(
        "people", pl.DataFrame(rows), content=json.dumps(rows).encode(), now=NOON
    )

    assert taken.known
    assert frame_of(workspace.lake.scan(table_of("shop", "people")))["name"].to_list() == ["Bo"]


def test_nobody_and_nothing(tmp_path):
    """A name that was never kept is no error; a column that nobody has is."""
    workspace, contract = filled(tmp_path)

    none = erase(
        workspace, contract, entity="customer", value="Nemo", now=NOON, actor="Ann", wait=lambda _: None
    )
    assert (none.total, none.known) == (0, False)
    with pytest.raises(ProductUnknown, match="no source has a column `shoe`"):
        erase(workspace, contract, entity="shoe", value="1", now=NOON, actor="Ann", wait=lambda _: None)


def message(source, row, **escaped):
    return json.dumps({"source": source, "row": row}, **escaped).encode()


def test_messages_about_her_are_tombstones_and_the_consumer_passes_over_them(tmp_path):
    """Read or not, keyed by her or not, nested or broken: gone from the bus's file and its quarantine; offsets stay."""
    workspace, contract = filled(tmp_path)
    bus = SqliteBus(tmp_path / "bus.db")
    odd = message("people", {"name": SHE, "street": "Elm"}).replace(b"Zora", b"Z\\u006fra")
    sent = [
        ("x", message("parcels", {"id": "p1", "customer": SHE, "weight": 1.0})),
        ("x", message("parcels", {"id": "p2", "customer": "Bo", "weight": 2.0})),
        ("x", odd),
        (SHE, message("parcels", {"id": "p7"})),
        ("x", message("returns", {"return_id": "r1", "id": "p1", "back": "yes"})),
        ("x", b'{"source": "parcels", "row": {"customer": "' + SHE.encode()),
        ("x", message("people", {"name": SHE + "2", "street": "Fir"})),
        ("x", message("people", {"name": "Bo", "street": "a street named " + SHE})),
    ]
    bus.publish("shop.events", sent)
    refused = [
        Refused(message=Message(partition=0, offset=5, key="x", value=sent[5][1], at_us=0), reason="no event")
    ]
    keep_refused(workspace, "shop", "shop.events", refused)

    done = erase(
        workspace, contract, entity="customer", value=SHE, now=NOON, actor="Ann", bus=bus, wait=lambda _: None
    )

    assert dict(done.rows)["messages"] == 5
    assert dict(done.rows)["bus" + QUARANTINE] == 1
    left = bus.after("shop.events", 0, begin=0, most=100)
    assert [one.value for one in left] == [b"", sent[1][1], b"", b"", b"", b"", sent[6][1], sent[7][1]]
    assert [one.offset for one in left] == list(range(8))
    bus.blank("shop.events", [(0, 6), (0, 7)])  # others' rows that hold her name as a part of theirs
    assert files_with(tmp_path, SHE) == []
    took, offsets = [], MemorySnapshots()
    consumer = consumer_of(
        bus, workspace, "shop", take=lambda source, rows: took.append((source, len(rows))), offsets=offsets, tell=print
    )  # fmt: skip
    while consumer.step(timeout_s=0):
        pass
    assert (took, consumer.refused) == ([("parcels", 1)], 0)
    assert offsets.load("bus/shop.events/0").offset == 8
    consumer.close()
    bus.close()


def test_a_bus_that_cannot_forget_is_named(tmp_path):
    """Where the log belongs to a broker, the answer says what was not reached instead of keeping silent."""
    workspace, contract = filled(tmp_path)
    bus = MemoryBus()
    bus.holding = lambda topic, chosen: None

    done = erase(
        workspace, contract, entity="customer", value=SHE, now=NOON, actor="Ann", bus=bus, wait=lambda _: None
    )

    assert done.beyond == ("messages of the topic shop.events: this bus forgets by its own retention only",)


def test_a_store_that_is_away_is_finished_later(tmp_path):
    """Rows are gone, the shared store was away: the command failed, and run again it goes on with the store."""
    workspace, contract = filled(tmp_path)
    answers = iter([OnlineUnavailable("away"), None])

    def forget(product):
        error = next(answers)
        if error is not None:
            raise error

    said = {"entity": "customer", "value": SHE, "now": NOON, "actor": "Ann", "wait": lambda _: None}
    with pytest.raises(OnlineUnavailable):
        erase(workspace, contract, forget=forget, **said)
    again = erase(workspace, contract, forget=forget, **said)

    assert again.total == 9
    assert next(answers, "asked twice") == "asked twice"
    assert len([1 for one in workspace.history("shop") if isinstance(one.event, RowsErased)]) == 1


def test_a_living_server_is_waited_for(tmp_path):
    """What it holds is not in the lake yet; the command says that it should be run again."""
    workspace, contract = filled(tmp_path)
    living = Segment(tmp_path / "journal", "living", fsync=False)
    living.append(framed([logged("d9", "", SHE)]))

    with pytest.raises(WorkspaceBusy) as told:
        erase(workspace, contract, entity="customer", value=SHE, now=NOON, actor="Ann", wait=lambda _: None)
    assert told.value.exit_code == 75
    living.close()


SCRIPT = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from geartrain.contract.parsing import parse
from geartrain.engine.erasing import erase
from geartrain.wiring import Settings, open_workspace

workspace, contract = open_workspace(Settings(root=Path(sys.argv[1]))), parse(Path(sys.argv[2]).read_text())
place, seen = int(sys.argv[3]), 0


def mortal(method):
    def call(*args, **kwargs):
        global seen
        seen += 1
        if seen == place:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = method(*args, **kwargs)
        seen += 1
        if seen == place:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
    return call


lake = workspace.lake
lake.erase, lake._leave_out = mortal(lake.erase), mortal(lake._leave_out)
workspace.ledger.append = mortal(workspace.ledger.append)
erase(workspace, contract, entity="customer", value=sys.argv[4], now=datetime(2026, 3, 1, 12, tzinfo=UTC),
      actor="Ann", wait=lambda _: None)
"""


def test_an_erasure_that_is_killed_is_finished_by_the_next(tmp_path):
    """Killed at one place after the other, each time further on; the record counts what was there at first."""
    workspace, _ = filled(tmp_path / "ws")
    contract = tmp_path / "product.yaml"
    contract.write_text(CONTRACT, encoding="utf-8")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "ws"), str(contract)]

    codes = [
        subprocess.run(
            [*command, str(place), SHE], check=False, capture_output=True, env=dict(os.environ)
        ).returncode
        for place in (3, 8)
    ]
    reopened, parsed = open_workspace(Settings(root=tmp_path / "ws")), parse(CONTRACT)
    erase(reopened, parsed, entity="customer", value=SHE, now=NOON, actor="Ann", wait=lambda _: None)

    assert codes == [-9, -9]
    assert files_with(tmp_path / "ws", SHE) == []
    (event,) = (one.event for one in workspace.history("shop") if isinstance(one.event, RowsErased))
    assert sum(count for _, count in event.rows) == 9
    assert not list((tmp_path / "ws" / "erasures").iterdir())
