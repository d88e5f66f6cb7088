import itertools
from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.contract.parsing import parse
from geartrain.data.labels import LABEL
from geartrain.engine.ingesting import Door
from geartrain.engine.rows import OUTCOMES, classes_of, frame_bytes, frame_from, table_of, take_rows, truth_of
from geartrain.engine.workspace import Workspace
from geartrain.errors import SnapshotEmpty, TrainingImpossible
from geartrain.features.checking import default_features
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
      event_time: at
      arrival_time: at
      fields:
        id: {type: string, required: true}
        weight: {type: number, required: true}
        at: {type: timestamp, required: true}
        back: {type: string}
"""
LATER = NOON + timedelta(days=30)


def _workspace():
    return Workspace(
        root="nowhere",
        ledger=MemoryLedger(),
        lake=MemoryLake(),
        blobs=MemoryBlobs(),
        notifier=MemoryNotifier(),
        signing_key=lambda: b"",
    )


def _frame(count, labels=None):
    return pl.DataFrame(
        {
            "id": [f"p{number:02d}" for number in range(count)],
            "weight": [float(number) for number in range(count)],
            "at": [NOON + timedelta(hours=number) for number in range(count)],
            "back": labels or ["yes" if number % 3 == 0 else "no" for number in range(count)],
        },
        schema_overrides={"back": pl.String},
    )


def _ingested(frames):
    workspace, contract = _workspace(), parse(CONTRACT)
    door = Door(workspace, contract)
    for number, frame in enumerate(frames):
        door.take("parcels", frame, content=bytes([number, len(frames)]), now=NOON)
    return workspace, contract, default_features(contract)


def _outcome(workspace, key, label, at, batch):
    rows = pl.DataFrame(
        {
            "_event_time": [at],
            "_arrival_time": [at],
            "_batch": [batch],
            "key": [key],
            "label": [label],
            "decision": ["d"],
        },
        schema_overrides={"_event_time": pl.Datetime("us", "UTC"), "_arrival_time": pl.Datetime("us", "UTC")},
    )
    workspace.lake.append(table_of("shop", OUTCOMES), rows.to_arrow(), batch=batch)


def _label(rows, key):
    return rows.raw.filter(pl.col("id") == key)[LABEL].item()


def test_an_outcome_that_was_sent_in_overrides_the_label():
    """The last outcome known at the time counts; one that had not arrived by then is as if it were not there."""
    workspace, contract, features = _ingested([_frame(6)])
    plain, rows = take_rows(workspace, contract, features, known_at=LATER)
    assert _label(rows, "p01") == "no"

    _outcome(workspace, "p01", "yes", NOON + timedelta(days=2), "one")
    _outcome(workspace, "p01", "no", NOON + timedelta(days=5), "two")

    before, early = take_rows(workspace, contract, features, known_at=NOON + timedelta(days=1))
    between, middle = take_rows(workspace, contract, features, known_at=NOON + timedelta(days=3))
    after, late = take_rows(workspace, contract, features, known_at=LATER)
    assert [_label(one, "p01") for one in (early, middle, late)] == ["no", "yes", "no"]
    assert [_label(one, "p00") for one in (early, middle, late)] == ["yes"] * 3
    assert [one.source for one in before.sources] == ["parcels"]
    assert [one.source for one in between.sources] == ["parcels", OUTCOMES]
    # A snapshot is named by its rows: before the first outcome it is the one without any.
    assert before.id == plain.id
    assert len({plain.id, between.id, after.id}) == 3


def test_an_outcome_gives_a_label_to_a_row_that_had_none():
    """A row without a label gets the one that was sent in; the others stay unknown, never a no."""
    workspace, contract, features = _ingested([_frame(4, labels=["yes", "no", None, None])])
    _outcome(workspace, "p02", "yes", NOON + timedelta(days=1), "one")

    _, rows = take_rows(workspace, contract, features, known_at=LATER)

    assert truth_of(contract, rows, classes_of(contract, rows)).tolist() == [1, 0, 1, -1]


@settings(max_examples=25)
@given(st.permutations(range(12)), st.lists(st.integers(0, 12), max_size=4))
def test_a_snapshot_is_named_by_its_rows_not_by_their_batches(order, cuts):
    """The same rows in another order and in other batches are the same snapshot and the same features."""
    frame = _frame(12)
    shuffled = frame[list(order)]
    places = sorted({0, 12, *cuts})
    parts = [shuffled[start:end] for start, end in itertools.pairwise(places)]

    whole, rows = take_rows(*_ingested([frame]), known_at=LATER)
    cut, same = take_rows(*_ingested(parts), known_at=LATER)

    assert whole.id == cut.id
    assert rows.features.equals(same.features)
    assert rows.raw.drop("_batch", strict=False).equals(same.raw.drop("_batch", strict=False))


def test_another_row_is_another_snapshot():
    """One changed value changes the snapshot's name."""
    frame = _frame(5)
    changed = frame.with_columns(weight=pl.col("weight") + (pl.col("id") == "p03").cast(pl.Float64))
    ids = {take_rows(*_ingested([one]), known_at=LATER)[0].id for one in (frame, changed, frame[:4])}
    assert len(ids) == 3


def test_nothing_known_is_said_with_the_time():
    """Asked for a time before the first row, it says so instead of training on nothing."""
    with pytest.raises(SnapshotEmpty):
        take_rows(*_ingested([_frame(3)]), known_at=NOON - timedelta(days=1))
    with pytest.raises(SnapshotEmpty):
        take_rows(*_ingested([]), known_at=LATER)


def test_a_label_that_the_contract_does_not_know_is_named():
    """A strange class is no reason to guess: it is told by its name."""
    workspace, contract, features = _ingested([_frame(3, labels=["yes", "no", "lost"])])
    _, rows = take_rows(workspace, contract, features, known_at=LATER)
    with pytest.raises(TrainingImpossible, match="lost"):
        truth_of(contract, rows, classes_of(contract, rows))


def test_a_frame_comes_back_from_its_bytes():
    """What a step leaves in the blob store is what the next one reads, and the same frame has the same bytes."""
    frame = _frame(7)
    assert frame_from(frame_bytes(frame)).equals(frame)
    assert frame_bytes(frame) == frame_bytes(_frame(7))
