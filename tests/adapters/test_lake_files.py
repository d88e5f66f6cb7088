"""Files of the lake are opened once, and a look by name reads whole rows only where there are some."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from pyarrow import dataset

from geartrain.adapters.lake import DeltaLake
from geartrain.adapters.lake_files import TableFiles, files_with
from geartrain.ports.lake import ARRIVAL_TIME, EVENT_TIME

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def batch(hour: int, *names: str, **columns: list[object]) -> pa.Table:
    clock = pa.array([NOON + timedelta(hours=hour)] * len(names), pa.timestamp("us", "UTC"))
    return pa.table({EVENT_TIME: clock, ARRIVAL_TIME: clock, "name": list(names), **columns})


@pytest.fixture
def lake(tmp_path) -> DeltaLake:
    """Three files, each with two names of an hour."""
    lake = DeltaLake(tmp_path)
    for hour, names in enumerate((("a", "b"), ("c", "d"), ("b", "e"))):
        lake.append("p/s", batch(hour, *names), batch=str(hour))
    return lake


def seen(lake: DeltaLake) -> TableFiles:
    lake.scan("p/s")
    return lake._files["p/s"]


def test_a_file_that_was_seen_is_the_same_fragment_after_an_append(lake):
    """What is known of a file is kept; a new one comes beside it, and those that were joined are forgotten."""
    before = dict(seen(lake)._fragments)
    lake.append("p/s", batch(3, "f"), batch="3")
    after = dict(seen(lake)._fragments)
    lake.compact("p/s")
    joined = dict(seen(lake)._fragments)

    assert len(before) == 3
    assert all(after[path] is fragment for path, fragment in before.items())
    assert len(after) == 4
    assert len(joined) == 1
    assert not joined.keys() & after.keys()


def test_a_look_by_name_leaves_out_files_without_it(lake):
    """Of three files the two that have the name are read whole; of a name that nobody has, none."""
    rows = lake._rows("p/s")

    found = files_with(rows, dataset.field("name").isin(["b"]))
    assert sorted(found.to_table()["name"].to_pylist()) == ["a", "b", "b", "e"]
    assert len(list(files_with(rows, dataset.field("name").isin(["z"])).get_fragments())) == 0
    assert lake.scan("p/s", among=("name", ["b"]))["name"].to_pylist() == ["b", "b"]


def test_the_bounds_of_a_file_s_times_keep_it_closed(lake, tmp_path):
    """A look at one hour opens one file: the others may be gone and nobody notices."""
    hour = lake.scan("p/s", since=NOON + timedelta(hours=1), until=NOON + timedelta(hours=2))
    (_, kept, _) = sorted(
        seen(lake)._fragments.values(),
        key=lambda one: one.to_table(columns=[EVENT_TIME])[EVENT_TIME][0].as_py(),
    )
    for path in (tmp_path / "p" / "s").glob("*.parquet"):
        if path.name != kept.path:
            path.unlink()
    again = DeltaLake(tmp_path).scan("p/s", since=NOON + timedelta(hours=1), until=NOON + timedelta(hours=2))

    assert hour["name"].to_pylist() == again["name"].to_pylist() == ["c", "d"]


def test_a_column_that_came_later_is_null_in_older_files(lake):
    """Kept fragments know their own columns; the table's are those of its newest version."""
    lake.append("p/s", batch(3, "b", amount=[2.5]), batch="3")

    found = lake.scan("p/s", columns=("amount", EVENT_TIME), among=("name", ["b"])).sort_by(EVENT_TIME)
    assert found["amount"].to_pylist() == [None, None, 2.5]
