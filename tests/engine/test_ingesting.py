import itertools
import json
import os
import subprocess
import sys

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.contract.parsing import parse
from geartrain.domain.events import BatchIngested
from geartrain.engine.ingesting import QUARANTINE, Door
from geartrain.engine.rows import frame_of, table_of
from geartrain.engine.workspace import Workspace
from geartrain.errors import ProductUnknown
from geartrain.testing.blobs import MemoryBlobs
from geartrain.testing.lake import MemoryLake
from geartrain.testing.ledger import NOON, MemoryLedger
from geartrain.testing.notifier import MemoryNotifier

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
        weight: {type: number, required: true, min: 0}
        back: {type: string, values: ["yes", "no"]}
"""


def _workspace(root="nowhere"):
    return Workspace(
        root=root,
        ledger=MemoryLedger(),
        lake=MemoryLake(),
        blobs=MemoryBlobs(),
        notifier=MemoryNotifier(),
        signing_key=lambda: b"",
    )


def _frame(rows):
    return pl.DataFrame(
        {"id": [row[0] for row in rows], "weight": [row[1] for row in rows], "back": ["no"] * len(rows)},
        schema={"id": pl.String, "weight": pl.Float64, "back": pl.String},
    )


def _held(workspace, table="parcels"):
    return frame_of(workspace.lake.scan(table_of("shop", table)))


def test_the_same_delivery_twice_changes_nothing():
    """The second time the door says that it knows the batch; lake, quarantine and ledger stay as they were."""
    workspace, contract = _workspace(), parse(CONTRACT)
    frame = _frame([("a", 1.0), ("b", -1.0), ("a", 1.0)])

    first = Door(workspace, contract).take("parcels", frame, content=b"one", now=NOON)
    again = Door(workspace, contract).take("parcels", frame, content=b"one", now=NOON)

    assert (first.batch.rows, first.batch.accepted, first.batch.quarantined, first.batch.duplicates) == (
        3,
        1,
        1,
        1,
    )
    assert (first.known, again.known, again.batch) == (False, True, first.batch)
    assert _held(workspace)["id"].to_list() == ["a"]
    assert _held(workspace, "parcels" + QUARANTINE).height == 1
    assert [type(one.event) for one in workspace.history("shop")] == [BatchIngested]


def test_an_unknown_source_is_told_with_those_that_are_known():
    """A delivery for a source that the contract does not have is refused before anything is written."""
    workspace = _workspace()
    with pytest.raises(ProductUnknown, match="parcels"):
        Door(workspace, parse(CONTRACT)).take("letters", _frame([("a", 1.0)]), content=b"", now=NOON)
    assert list(workspace.lake.tables()) == []


ROWS = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from([1.0, 2.0, -1.0])), max_size=20)


@settings(max_examples=25)
@given(ROWS, st.lists(st.integers(0, 20), max_size=3), st.booleans())
def test_every_row_is_in_the_lake_in_quarantine_or_counted_as_a_double(rows, cuts, one_door):
    """However a delivery is cut into batches, no row is dropped and no key is held twice."""
    workspace, contract = _workspace(), parse(CONTRACT)
    places = sorted({0, len(rows), *(min(cut, len(rows)) for cut in cuts)})
    door = Door(workspace, contract)

    batches = []
    for number, (start, end) in enumerate(itertools.pairwise(places)):
        taker = door if one_door else Door(workspace, contract)
        taken = taker.take("parcels", _frame(rows[start:end]), content=bytes([number]), now=NOON)
        batches.append(taken.batch)

    held, asked = _held(workspace), _held(workspace, "parcels" + QUARANTINE)
    kept = held["id"].to_list() if held.width else []
    assert len(kept) == len(set(kept)) == sum(one.accepted for one in batches)
    assert asked.height == sum(one.quarantined for one in batches)
    assert sum(one.accepted + one.quarantined + one.duplicates for one in batches) == len(rows)
    # What is not held is in quarantine with its row: bad itself, or in contradiction to an earlier row.
    waiting = {json.loads(row)["id"] for row in asked["_row"]} if asked.width else set()
    assert {key for key, _ in rows} == set(kept) | waiting
    # A key is held as soon as one delivery says one thing about it and does not contradict itself.
    said = [
        {key: {weight for name, weight in rows[start:end] if name == key and weight >= 0} for key, _ in rows}
        for start, end in itertools.pairwise(places)
    ]
    assert set(kept) == {key for one in said for key, weights in one.items() if len(weights) == 1}


SCRIPT = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
import polars as pl
from geartrain.contract.parsing import parse
from geartrain.engine.ingesting import Door
from geartrain.wiring import Settings, open_workspace

root, contract, place = Path(sys.argv[1]), parse(Path(sys.argv[2]).read_text()), sys.argv[3]
workspace = open_workspace(Settings(root=root))
lake, ledger = workspace.lake, workspace.ledger
append, write = lake.append, ledger.append


def mortal(table, rows, *, batch):
    quarantine = table.endswith("__quarantine")
    if place == "before-lake" and not quarantine:
        os.kill(os.getpid(), signal.SIGKILL)
    answer = append(table, rows, batch=batch)
    if place == "after-quarantine" and quarantine:
        os.kill(os.getpid(), signal.SIGKILL)
    if place == "after-lake" and not quarantine:
        os.kill(os.getpid(), signal.SIGKILL)
    return answer


def mortal_write(*args, **kwargs):
    answer = write(*args, **kwargs)
    if place == "after-ledger":
        os.kill(os.getpid(), signal.SIGKILL)
    return answer


lake.append, ledger.append = mortal, mortal_write
frame = pl.DataFrame({"id": ["a", "b", "c"], "weight": [1.0, -1.0, 2.0], "back": ["no", "no", "yes"]})
taken = Door(workspace, contract).take("parcels", frame, content=b"it", now=datetime(2026, 3, 1, tzinfo=UTC))
print(taken.known, taken.batch.accepted, taken.batch.quarantined, taken.batch.duplicates)
"""


def test_a_kill_between_quarantine_and_lake_loses_nothing(tmp_path):
    """Killed between any two of the three writes, the batch taken again is whole: each row once, one event."""
    from geartrain.wiring import Settings, open_workspace

    contract = tmp_path / "product.yaml"
    contract.write_text(CONTRACT, encoding="utf-8")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "ws"), str(contract)]

    codes = [
        subprocess.run([*command, place], check=False, capture_output=True, env=dict(os.environ)).returncode
        for place in ("after-quarantine", "before-lake", "after-lake", "after-ledger")
    ]
    last = subprocess.run([*command, "nowhere"], check=True, capture_output=True, text=True)

    assert codes == [-9, -9, -9, -9]
    assert last.stdout.split() == ["True", "2", "1", "0"]
    workspace = open_workspace(Settings(root=tmp_path / "ws"), create=False)
    assert sorted(_held(workspace)["id"].to_list()) == ["a", "c"]
    assert _held(workspace, "parcels" + QUARANTINE).height == 1
    batches = [one.event.batch for one in workspace.history("shop")]
    assert [(one.accepted, one.quarantined) for one in batches] == [(2, 1)]
    assert workspace.ledger.verify() == 1
