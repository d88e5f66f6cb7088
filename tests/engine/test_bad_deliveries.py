"""Whatever arrives is taken, quarantined with its reason or refused with its reason, and counted; nothing crashes."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from geartrain.contract.parsing import parse
from geartrain.data.snapshots import take_snapshot
from geartrain.domain.events import BatchIngested
from geartrain.engine.ingesting import QUARANTINE, Door
from geartrain.engine.rows import frame_of, read_sources, table_of
from geartrain.errors import DiskFull, GeartrainError
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
      event_time: at
      clock_ahead: 10 minutes
      rules: {fee-within: "fee <= amount"}
      fields:
        id: {type: string, required: true}
        at: {type: timestamp, required: true}
        customer: {type: string, refers_to: people.name}
        amount: {type: number, max: 1000}
        fee: {type: number}
        count: {type: integer}
        note: {type: text}
        back: {type: string, values: ["yes", "no"]}
    people:
      kind: events
      key: name
      fields: {name: {type: string}}
"""
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROW = {"id": "a", "at": "2026-03-01T11:00:00Z", "amount": 5, "fee": 1}


@pytest.fixture
def shop(tmp_path):
    """A workspace in which one person is known, and its door."""
    workspace, contract = open_workspace(Settings(root=tmp_path / "ws"), create=True), parse(CONTRACT)
    door = Door(workspace, contract)
    door.take("people", pl.DataFrame({"name": ["Bo"]}), content=b"people", now=NOW)
    return workspace, contract, door, tmp_path


def line(**values):
    return json.dumps(ROW | values)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (line(colour="red"), None),
        (line(amount="7.5"), None),
        (line(customer="Bo"), None),
        (line(note="x" * 1_000_000), None),
        (line(fee=None), None),
        (line(at="2026-03-01T12:09:00Z"), None),
        (line(amount="seven"), "amount: is not a number"),
        (line(amount={"value": 7}), "amount: is not a number"),
        (line(amount=True), "amount: is not a number"),
        (line(count=1.5), "count: is not a whole number"),
        (line(amount="NaN"), "amount: is not finite"),
        (line(amount="inf"), "amount: is not finite"),
        (line(amount=1e308), "amount: is above 1000"),
        (line(fee=6), "rule fee-within: not (fee <= amount)"),
        (line(at="1970-01-01T00:00:00Z"), "at: cannot be true, it lies outside 1971 to 2098"),
        (line(at="2099-01-01T00:00:00Z"), "at: cannot be true, it lies outside 1971 to 2098"),
        (line(at="2026-03-01T12:11:00Z"), "at: the clock runs ahead of the arrival by more than 10 minutes"),
        (line(customer="Nemo"), "customer: is not known in people.name"),
        (line(back="perhaps"), "back: is not one of yes, no"),
        (line()[:-1] + ', "amount": 6}', "a key stands twice in the row"),
        ("[1, 2]", "the line cannot be read as a row"),
        (line()[:-5], "the line cannot be read as a row"),
        (line().replace("5", "NaN"), "the line cannot be read as a row"),
        ("[" * 100_000, "the line cannot be read as a row"),
    ],
)
def test_each_bad_row_is_in_quarantine_with_its_reason(shop, text, reason):
    """Beside a good row, which passes whatever the other one is."""
    workspace, _, door, folder = shop
    (folder / "rows.ndjson").write_text(line(id="good") + "\n" + text + "\n", encoding="utf-8")

    taken = door.take_file("parcels", folder / "rows.ndjson", now=NOW)

    assert (taken.batch.accepted, taken.batch.quarantined) == ((2, 0) if reason is None else (1, 1))
    if reason is not None:
        assert (reason, 1) in taken.reasons
        assert reason in door.quarantined("parcels")["_reasons"][0]
    counted = [one.event.batch for one in workspace.history("shop") if isinstance(one.event, BatchIngested)]
    assert counted[-1] == taken.batch


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.ndjson", b'{"id":"\xff"}\n', "not UTF-8"),
        ("rows.csv", b"id,at\na,\xe9\n", "not UTF-8"),
        ("rows.ndjson", b'{"at":"2026-03-01"}\n', "lacks `id`"),
        ("rows.ndjson", b'{"id":"a","at":"2026-03-01","_batch":"x"}\n', "keeps for itself"),
        ("rows.parquet", b"PAR1half", "half-written"),
        ("rows.csv", b"id;at;amount\na;2026-03-01;1.234\n", "more than one way"),
        ("rows.csv", b"id;at\na;03/04/2026\n", "more than one way"),
    ],
)
def test_what_cannot_be_read_is_refused_and_nothing_is_taken(shop, name, content, said):
    """With the reason; the lake and the ledger stay as they were."""
    workspace, _, door, folder = shop
    (folder / name).write_bytes(content)
    before = len(workspace.history("shop"))

    with pytest.raises(GeartrainError) as told:
        door.take_file("parcels", folder / name, now=NOW)

    assert said in told.value.message
    assert len(workspace.history("shop")) == before
    assert not frame_of(workspace.lake.scan(table_of("shop", "parcels"))).height


def test_a_torn_last_record_costs_one_row(shop):
    """The sender was killed while it wrote: the whole rows pass, the torn one waits and comes again whole."""
    _, _, door, folder = shop
    text = "\n".join(line(id=str(number)) for number in range(5))
    for name, cut in (("torn.ndjson", 12), ("whole.ndjson", 0)):
        (folder / name).write_text(text[: len(text) - cut], encoding="utf-8")
    torn = door.take_file("parcels", folder / "torn.ndjson", now=NOW)
    whole = door.take_file("parcels", folder / "whole.ndjson", now=NOW)

    assert (torn.batch.accepted, torn.batch.quarantined) == (4, 1)
    assert (whole.batch.accepted, whole.batch.duplicates) == (1, 4)


def test_a_row_of_an_unknown_person_passes_when_the_person_is_known(shop):
    """The feeds were out of step: repaired by sending the rows through the door again, without a change."""
    _, _, door, folder = shop
    (folder / "rows.ndjson").write_text(line(customer="Nemo"), encoding="utf-8")
    assert door.take_file("parcels", folder / "rows.ndjson", now=NOW).batch.quarantined == 1

    door.take("people", pl.DataFrame({"name": ["Nemo"]}), content=b"later", now=NOW)
    again = door.repair("parcels", {}, now=NOW + timedelta(hours=1))

    assert (again.batch.accepted, again.batch.quarantined) == (1, 0)


def test_a_backfill_does_not_change_what_was_known_then(shop):
    """Rows of last year that arrive today are not in the snapshot of yesterday, nor do they rename it."""
    workspace, contract, door, _ = shop
    old = pl.DataFrame([ROW])
    door.take("parcels", old, content=b"old", now=NOW)
    before, _ = take_snapshot(read_sources(workspace, contract, known_at=NOW), contract, known_at=NOW)

    later = NOW + timedelta(days=3)
    backfill = pl.DataFrame([ROW | {"id": f"b{n}", "at": f"2025-01-{n:02}T00:00:00Z"} for n in range(1, 10)])
    door.take("parcels", backfill, content=b"backfill", now=later)

    then, frames = take_snapshot(read_sources(workspace, contract, known_at=NOW), contract, known_at=NOW)
    now, _ = take_snapshot(read_sources(workspace, contract, known_at=later), contract, known_at=later)
    assert (then.id, frames["parcels"]["id"].to_list()) == (before.id, ["a"])
    assert (now.id == before.id, now.rows) == (False, 11)


INGESTER = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
import polars as pl
from geartrain.contract.parsing import parse
from geartrain.engine.ingesting import Door
from geartrain.wiring import Settings, open_workspace

root, contract, who = Path(sys.argv[1]), parse(Path(sys.argv[2]).read_text()), sys.argv[3]
workspace = open_workspace(Settings(root=root), create=True)
print("ready", flush=True)
sys.stdin.readline()
for number in range(5):
    rows = [{"id": f"{who}-{number}-{n}", "at": "2026-03-01", "amount": 1.0} for n in range(4)]
    rows.append({"id": f"both-{number}", "at": "2026-03-01", "amount": 1.0})
    content = f"{who}-{number}".encode()
    Door(workspace, contract).take("parcels", pl.DataFrame(rows), content=content, now=datetime(2026, 3, 1, 12, tzinfo=UTC))
"""


def test_two_ingesters_at_once_lose_nothing_and_count_nothing_twice(tmp_path):
    """Two processes bring different deliveries with some rows in common; each key is known once."""
    contract = tmp_path / "product.yaml"
    contract.write_text(CONTRACT, encoding="utf-8")
    open_workspace(Settings(root=tmp_path / "ws"), create=True).ledger.version("product/shop")
    command = [sys.executable, "-c", INGESTER, str(tmp_path / "ws"), str(contract)]
    both = [
        subprocess.Popen([*command, who], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ))
        for who in "xy"
    ]
    for one in both:
        assert one.stdout.readline() == b"ready\n"
    for one in both:
        one.stdin.write(b"go\n")
        one.stdin.close()
    assert [one.wait(60) for one in both] == [0, 0]

    workspace, agreed = open_workspace(Settings(root=tmp_path / "ws")), parse(CONTRACT)
    _, frames = take_snapshot(read_sources(workspace, agreed, known_at=NOW), agreed, known_at=NOW)
    assert sorted(frames["parcels"]["id"]) == sorted(
        [f"{who}-{number}-{n}" for who in "xy" for number in range(5) for n in range(4)]
        + [f"both-{number}" for number in range(5)]
    )
    assert len({one.event.batch.id for one in workspace.history("shop")}) == 10
    assert workspace.ledger.verify() == 10
    assert not frame_of(workspace.lake.scan(table_of("shop", "parcels") + QUARANTINE)).height


def test_a_full_disk_takes_nothing_and_the_delivery_comes_again(shop, monkeypatch):
    """Full between quarantine and lake: the error says so, nothing is recorded, and the next try is whole."""
    workspace, _, door, folder = shop
    (folder / "rows.ndjson").write_text(
        line(id="good") + "\n" + line(id="bad", fee=9) + "\n", encoding="utf-8"
    )
    append, before = workspace.lake.append, len(workspace.history("shop"))

    def full(table, rows, *, batch):
        if not table.endswith(QUARANTINE):
            raise DiskFull("no room is left", where=table)
        return append(table, rows, batch=batch)

    monkeypatch.setattr(workspace.lake, "append", full)
    with pytest.raises(DiskFull):
        door.take_file("parcels", folder / "rows.ndjson", now=NOW)
    assert len(workspace.history("shop")) == before
    monkeypatch.setattr(workspace.lake, "append", append)

    taken = door.take_file("parcels", folder / "rows.ndjson", now=NOW)
    assert (taken.batch.accepted, taken.batch.quarantined, taken.known) == (1, 1, False)
    assert door.quarantined("parcels").height == 1
