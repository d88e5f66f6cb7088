import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geartrain.adapters.lake import DeltaLake
from geartrain.data.labels import label_rows
from geartrain.data.snapshots import as_known, content_digest, take_snapshot
from geartrain.domain.task import Task
from geartrain.errors import SnapshotEmpty
from geartrain.testing.lake import MemoryLake

START = datetime(2026, 1, 1, tzinfo=UTC)


def hours(count):
    return START + timedelta(hours=count)


def table(rows):
    """Rows of (key, event hour, arrival hour, amount) as the lake holds them."""
    return pl.DataFrame(
        {
            "_event_time": [hours(one[1]) for one in rows],
            "_arrival_time": [hours(one[2]) for one in rows],
            "_batch": [f"b{one[2]}" for one in rows],
            "id": [one[0] for one in rows],
            "at": [hours(one[1]) for one in rows],
            "amount": [one[3] for one in rows],
        },
        schema_overrides={
            "_event_time": pl.Datetime("us", "UTC"),
            "_arrival_time": pl.Datetime("us", "UTC"),
            "at": pl.Datetime("us", "UTC"),
            "amount": pl.Float64,
            "id": pl.String,
            "_batch": pl.String,
        },
    )


_ROWS = st.lists(
    st.tuples(
        st.sampled_from("abcdef"),
        st.integers(0, 5),
        st.integers(0, 9),
        st.one_of(st.none(), st.floats(-5, 5)),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=_ROWS, seed=st.integers(0, 1000), cuts=st.integers(1, 5))
def test_a_snapshot_is_named_by_its_rows_alone(contract, rows, seed, cuts):
    """The order of rows, the batches that brought them and the files they lie in do not matter."""
    shuffled = random.Random(seed).sample(rows, len(rows))
    parts = [table(shuffled[place::cuts]) for place in range(cuts) if shuffled[place::cuts]]
    rebatched = pl.concat([part.with_columns(_batch=pl.lit(f"x{place}")) for place, part in enumerate(parts)])

    one, frames = take_snapshot({"payments": table(rows)}, contract(), known_at=hours(9))
    other, same = take_snapshot({"payments": rebatched.to_arrow()}, contract(), known_at=hours(99))

    assert one.id == other.id
    assert frames["payments"].equals(same["payments"])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=_ROWS, early=st.integers(0, 9), later=st.integers(0, 9))
def test_what_was_known_stays_known(payments, rows, early, later):
    """Time only adds keys; what was known at a time is the same whenever it is asked for."""
    early, later = sorted((early, later))
    then = as_known(table(rows), payments, known_at=hours(early))
    since = as_known(table(rows), payments, known_at=hours(later))
    seen_then = table([one for one in rows if one[2] <= early])

    assert set(then["id"]) <= set(since["id"])
    assert then["id"].is_unique().all()
    assert content_digest(as_known(seen_then, payments, known_at=hours(99))) == content_digest(then)


def test_the_last_arrival_of_a_key_counts(payments):
    """A row that was repaired or corrected replaces the earlier one, from its own arrival on."""
    rows = table([("a", 1, 2, 10.0), ("a", 1, 5, 20.0), ("b", 3, 3, 30.0)])

    assert as_known(rows, payments, known_at=hours(4))["amount"].to_list() == [10.0, 30.0]
    assert as_known(rows, payments, known_at=hours(5))["amount"].to_list() == [20.0, 30.0]
    assert as_known(rows, payments, known_at=hours(5), since=hours(2))["amount"].to_list() == [30.0]


@pytest.mark.parametrize("lake", ["memory", "delta"])
def test_the_lakes_layout_does_not_rename_a_snapshot(contract, tmp_path, lake):
    """New columns, wider types and compaction after the fact leave an old snapshot what it was."""
    lake = MemoryLake() if lake == "memory" else DeltaLake(tmp_path)
    rows = table([("a", 1, 1, 10.0), ("b", 2, 2, None)]).drop("_batch").with_columns(n=pl.Series([1, 2]))
    lake.append("p/payments", rows.to_arrow(), batch="b1")
    before, _ = take_snapshot({"payments": lake.scan("p/payments")}, contract(), known_at=hours(2))

    more = table([("c", 3, 3, 1.0)]).drop("_batch").with_columns(n=pl.Series([0.5]), new=pl.Series(["x"]))
    lake.append("p/payments", more.to_arrow(), batch="b2")
    lake.compact("p/payments")
    after, _ = take_snapshot({"payments": lake.scan("p/payments")}, contract(), known_at=hours(2))
    later, _ = take_snapshot({"payments": lake.scan("p/payments")}, contract(), known_at=hours(3))

    assert before.id == after.id
    assert later.id != before.id
    assert [one.rows for one in later.sources] == [3, 0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": ["x", "yz"]}, {"a": ["xy", "z"]}),
        ({"a": ["", "x"]}, {"a": [None, "x"]}),
        ({"a": [0.0, 1.0]}, {"a": [None, 1.0]}),
        ({"a": [True, False]}, {"a": [1, 0]}),
        ({"a": [1, 2]}, {"b": [1, 2]}),
        ({"a": ["1", "2"]}, {"a": [1, 2]}),
        ({"a": [2**60, 1]}, {"a": [2**60 + 1, 1]}),
        ({"a": [float("nan"), 1.0]}, {"a": [None, 1.0]}),
    ],
)
def test_different_content_has_different_names(one, other):
    """Values that only look alike are not the same."""
    assert content_digest(pl.DataFrame(one)) != content_digest(pl.DataFrame(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": [1, 2]}, {"a": [1.0, 2.0]}),
        ({"a": [0.0]}, {"a": [-0.0]}),
        ({"a": [float("nan")]}, {"a": [-float("nan")]}),
        ({"a": [1], "b": ["x"]}, {"b": ["x"], "a": [1]}),
    ],
)
def test_the_same_content_has_one_name(one, other):
    """What is equal is the same, whatever its bits or its place."""
    assert content_digest(pl.DataFrame(one)) == content_digest(pl.DataFrame(other))


def test_a_column_whose_type_the_contract_changed_is_read_as_it_says_now(payments):
    """Old rows hold text where the contract now wants a number."""
    rows = table([("a", 1, 1, None)]).with_columns(amount=pl.Series(["12.5"]))

    assert as_known(rows, payments, known_at=hours(9))["amount"].to_list() == [12.5]


def test_nothing_known_is_an_error_that_counts_each_source(contract):
    """No row to decide about: the person sees which sources are empty."""
    with pytest.raises(SnapshotEmpty) as told:
        take_snapshot({"payments": table([("a", 1, 5, 1.0)])}, contract(), known_at=hours(4))

    assert told.value.found == "payments: 0 rows, labels: 0 rows"


def labels_table(rows):
    """Rows of (label id, decision, arrival hour, fraud) as the lake holds them."""
    return table([(one[0], one[2], one[2], None) for one in rows]).with_columns(
        label_id=pl.col("id"),
        id=pl.Series([one[1] for one in rows]),
        fraud=pl.Series([one[3] for one in rows]),
    )


def test_labels_join_late_and_corrections_win(contract):
    """A label counts from its own arrival; a correction replaces it; silence is not a "no"."""
    made = contract(delay_days=1.0)
    decisions = table([("a", 0, 0, 1.0), ("b", 0, 0, 2.0), ("c", 0, 0, 3.0), ("d", 20, 20, 4.0)])
    arrived = labels_table([("l1", "a", 5, 1), ("l2", "b", 6, 0), ("l1", "a", 30, 0), ("l3", "nobody", 3, 1)])

    def known(hour):
        rows = label_rows(decisions, arrived, made, known_at=hours(hour))
        return rows.select("id", "_label", "_mature").rows()

    assert known(4) == [("a", None, False), ("b", None, False), ("c", None, False), ("d", None, False)]
    assert known(5)[0] == ("a", "1", True)
    assert known(30) == [("a", "0", True), ("b", "0", True), ("c", None, True), ("d", None, False)]
    times = label_rows(decisions, arrived, made, known_at=hours(30))["_label_time"].to_list()
    assert times == [hours(30), hours(6), None, None]


def test_a_correction_under_another_label_id_wins_too(contract):
    """What counts is which label of a decision arrived last, not what the label is called."""
    arrived = labels_table([("l1", "a", 5, 1), ("l2", "a", 7, 0)])
    rows = label_rows(table([("a", 0, 0, 1.0)]), arrived, contract(), known_at=hours(9))

    assert rows["_label"].to_list() == ["0"]


def test_a_label_in_the_decision_row_is_known_with_it(contract, payments):
    """A table of the past carries its labels; a row without one that is old enough stays unknown."""
    decisions = table([("a", 0, 0, 1.0), ("b", 1, 1, 2.0)]).with_columns(fraud=pl.Series([True, None]))
    rows = label_rows(decisions, None, contract(payments), known_at=hours(1000))

    assert rows["_label"].to_list() == ["true", None]
    assert rows["_label_time"].to_list() == [hours(0), None]
    assert rows["_mature"].to_list() == [True, True]


def test_a_regression_has_numbers_for_labels(contract, payments):
    """No noun assumes classes: a regression's label stays a number."""
    made = contract(payments, task=Task.REGRESSION, label="amount")
    rows = label_rows(table([("a", 0, 0, 1.5), ("b", 0, 0, None)]), None, made, known_at=hours(9))

    assert rows.schema["_label"] == pl.Float64
    assert rows["_label"].to_list() == [1.5, None]


def test_no_label_has_ever_arrived(contract):
    """A label source without a table: every row is unlabelled, and the columns are there."""
    made = contract()
    _, frames = take_snapshot({"payments": table([("a", 0, 0, 1.0)])}, made, known_at=hours(9))
    rows = label_rows(frames["payments"], frames["labels"], made, known_at=hours(9))

    assert rows.select("_label", "_label_time", "_mature").rows() == [(None, None, False)]


def test_keys_of_different_types_still_join(contract, payments, labels):
    """A key that is a number here and text there names the same decision."""
    numeric = replace(payments, fields=(replace(payments.fields[0], type="integer"), *payments.fields[1:]))
    decisions = table([("7", 0, 0, 1.0)]).with_columns(id=pl.Series([7]))
    rows = label_rows(
        decisions, labels_table([("l", "7", 1, 1)]), contract(numeric, labels), known_at=hours(9)
    )

    assert rows["_label"].to_list() == ["1"]
