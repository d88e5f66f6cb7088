import json
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pytest

from geartrain.data.batches import batch_id, prepare_batch
from geartrain.data.documents import read_documents
from geartrain.data.quarantine import repair_rows, still_open
from geartrain.domain.contract import BadRow
from geartrain.errors import ColumnMissing, ExpressionInvalid
from geartrain.testing.lake import MemoryLake


def row(key, amount=1.0, at="2026-01-02T00:00:00Z"):
    return {"id": key, "at": at, "amount": amount}


def prepare(source, rows, now, **more):
    return prepare_batch(
        "p", source, read_documents(rows), content=json.dumps(rows).encode(), now=now, **more
    )


def among(*held):
    """A table that holds these keys."""
    return lambda keys: keys.filter(keys.is_in(held))


def test_the_same_bytes_are_the_same_batch(payments, now):
    """A delivery is named by what was delivered and for whom; that is what makes a re-send harmless."""
    one = prepare(payments, [row("a")], now)
    later = prepare(payments, [row("a")], datetime(2026, 1, 11, tzinfo=UTC))

    assert one.batch.id == later.batch.id == batch_id("p", "payments", json.dumps([row("a")]).encode())
    assert (
        len(
            {
                batch_id("p", "s", b"x"),
                batch_id("q", "s", b"x"),
                batch_id("p", "t", b"x"),
                batch_id("p", "s", b"y"),
            }
        )
        == 4
    )


def test_every_row_has_two_clocks_and_its_batch(payments, now):
    """Event time from the row, arrival from the door: good rows and bad ones."""
    prepared = prepare(payments, [row("a"), row("b", amount=-1)], now)

    assert prepared.good.select("_event_time", "_arrival_time", "_batch").row(0) == (
        datetime(2026, 1, 2, tzinfo=UTC), now, prepared.batch.id,
    )  # fmt: skip
    assert prepared.bad.select("_event_time", "_arrival_time", "_batch").row(0) == (
        now,
        now,
        prepared.batch.id,
    )


def test_a_source_without_times_uses_its_arrival(payments, now):
    """A source may know neither clock; one that tells its arrival is believed."""
    timeless = replace(payments, event_time=None)
    assert prepare(timeless, [row("a")], now).good["_event_time"].to_list() == [now]

    told = replace(payments, arrival_time="seen")
    seen = datetime(2026, 1, 3, tzinfo=UTC)
    good = prepare(told, [{**row("a"), "seen": seen.isoformat()}], now).good
    assert good["_arrival_time"].to_list() == [seen]


def test_known_and_doubled_rows_are_counted_not_taken(payments, now):
    """A key that is in the table already, or twice in the delivery, changes nothing and is told."""
    prepared = prepare(payments, [row("a"), row("b"), row("b"), row("c")], now, known=among("a", "z"))

    assert prepared.good["id"].to_list() == ["b", "c"]
    assert (prepared.batch.rows, prepared.batch.accepted, prepared.batch.duplicates) == (4, 2, 2)


def test_a_corrected_label_is_never_a_duplicate(labels, now):
    """A label that comes again under a known key is a correction; the very same row twice is not."""
    rows = [{"label_id": "l", "id": "a", "at": "2026-01-02", "fraud": value} for value in (0, 1, 1)]
    prepared = prepare(labels, rows, now, known=among("l"))

    assert prepared.good["fraud"].to_list() == [0, 1]
    assert prepared.batch.duplicates == 1


def test_a_batch_may_be_refused_as_a_whole(payments, now):
    """Where the contract says so one bad row keeps all out, and all are kept in quarantine."""
    strict = replace(payments, on_bad_row=BadRow.REFUSE_BATCH)
    prepared = prepare(strict, [row("a"), row("b", amount=-1), row("c")], now)

    assert prepared.refused
    assert prepared.good.height == 0
    assert (prepared.batch.accepted, prepared.batch.quarantined) == (0, 3)
    assert [json.loads(text)[0] for text in prepared.bad["_reasons"]] == [
        "batch: refused because of other rows", "amount: is below 0", "batch: refused because of other rows",
    ]  # fmt: skip
    assert not prepare(strict, [row("a")], now).refused


def test_rows_are_accepted_quarantined_or_duplicates(payments, now):
    """The three counts add up to what was delivered."""
    batch = prepare(payments, [row("a"), row("a"), row("b", amount=-1), row("c")], now).batch

    assert batch.rows == batch.accepted + batch.quarantined + batch.duplicates == 4


def test_a_changed_unit_is_repaired_and_sent_again(payments, now):
    """Rows in cents wait in quarantine, are divided by 100, and enter with the repair's arrival."""
    lake = MemoryLake()
    first = prepare(
        payments, [row("a", 12_000), row("b", 5_000), row("c", 10), {**row("d", 2_000), "site": "X"}], now
    )
    lake.append("p/payments", first.good.to_arrow(), batch=first.batch.id)
    lake.append("p/payments__quarantine", first.bad.to_arrow(), batch=first.batch.id)
    later = datetime(2026, 1, 12, tzinfo=UTC)

    waiting = still_open(
        pl.DataFrame(pl.from_arrow(lake.scan("p/payments__quarantine"))), reason="amount: is above"
    )
    repaired = repair_rows("p", payments, waiting, {"amount": "amount / 100"}, now=later)
    again = repair_rows("p", payments, waiting, {"amount": "amount / 100"}, now=later)
    lake.append("p/payments", repaired.good.to_arrow(), batch=repaired.batch.id)
    lake.append("p/payments__quarantine", repaired.marks.to_arrow(), batch=repaired.batch.id)

    assert repaired.batch.id == again.batch.id
    assert repaired.good.select("id", "amount", "_event_time", "_arrival_time").rows() == [
        ("a", 120.0, datetime(2026, 1, 2, tzinfo=UTC), later),
        ("b", 50.0, datetime(2026, 1, 2, tzinfo=UTC), later),
    ]
    assert (repaired.batch.accepted, repaired.batch.quarantined) == (2, 1)
    assert repaired.reasons == (("site: is not one of A, B", 1),)
    still = still_open(pl.DataFrame(pl.from_arrow(lake.scan("p/payments__quarantine"))))
    assert [json.loads(text)["id"] for text in still["_row"]] == ["d"]
    assert lake.scan("p/payments").num_rows == 3


def test_a_repair_never_turns_a_wrong_value_into_a_missing_one(payments, now):
    """Where the repair has no value, the row stays bad and keeps what it said."""
    first = prepare(payments, [row("a", "twelve"), row("b", 5_000)], now)
    repaired = repair_rows("p", payments, still_open(first.bad), {"amount": "amount / 100"}, now=now)

    assert repaired.good["id"].to_list() == ["b"]
    assert repaired.reasons == (("amount: is not a number", 1),)


def test_a_wrong_clock_is_repaired(payments, now):
    """Times are microseconds in an expression: a year that is a century off comes back."""
    first = prepare(payments, [row("a", at="1926-01-02T00:00:00Z")], now)
    days = (datetime(2026, 1, 2, tzinfo=UTC) - datetime(1926, 1, 2, tzinfo=UTC)).days
    repaired = repair_rows("p", payments, first.bad, {"at": f"at + {days} * 86400000000"}, now=now)

    assert repaired.good["at"].to_list() == [datetime(2026, 1, 2, tzinfo=UTC)]


def test_rows_pass_unrepaired_when_the_contract_was_loosened(payments, now):
    """A re-send without a repair asks the door again; what is known meanwhile is a duplicate, and no longer open."""
    first = prepare(payments, [row("a", 5_000), row("b", 6_000)], now)
    looser = replace(payments, fields=payments.fields[:2])
    repaired = repair_rows("p", looser, first.bad, {}, now=now, known=among("b"))

    assert repaired.good["id"].to_list() == ["a"]
    assert repaired.batch.duplicates == 1
    assert still_open(pl.concat([first.bad, repaired.marks])).height == 0


def test_a_renamed_column_is_repaired(payments, now):
    """A repair may bring back a column under its old name; text stays text."""
    strict = replace(
        payments,
        fields=tuple(replace(one, required=True) if one.name == "site" else one for one in payments.fields),
    )
    bad = prepare(
        strict, [{**row("a"), "site": None, "place": "B"}, {**row("b"), "site": None, "place": "C"}], now
    ).bad

    repaired = repair_rows("p", strict, bad, {"site": "place"}, now=now)
    assert repaired.good["site"].to_list() == ["B"]
    with pytest.raises(ExpressionInvalid):
        repair_rows("p", strict, bad, {"site": "nowhere"}, now=now)


def test_a_missing_column_takes_nothing(payments, now):
    """The batch stays with its sender; nothing is half taken."""
    with pytest.raises(ColumnMissing):
        prepare(payments, [{"id": "a"}], now)


def test_an_empty_delivery_is_a_batch_of_nothing(payments, now):
    """An hour without traffic is recorded as such."""
    prepared = prepare(payments, [], now)

    assert (prepared.batch.rows, prepared.good.height, prepared.bad.height) == (0, 0, 0)
