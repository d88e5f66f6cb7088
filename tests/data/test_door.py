import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geartrain.data.documents import read_documents
from geartrain.data.door import check_rows
from geartrain.domain.contract import FieldTerms, FieldType, SourceKind
from geartrain.errors import ColumnMissing, SourceUnreadable


def reasons_of(checked):
    return [json.loads(text) for text in checked.bad["_reasons"]]


def with_field(source, **terms):
    kept = tuple(one for one in source.fields if one.name != terms["name"])
    return replace(source, fields=(*kept, FieldTerms(**terms)))


def row(**values):
    return {"id": "a", "at": "2026-01-02T03:04:05Z", **values}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"id": None}, "id: is missing"),
        ({"id": ""}, "id: is missing"),
        ({"at": None}, "at: is missing"),
        ({"at": "yesterday"}, "at: is not a time"),
        ({"at": "2026-02-30"}, "at: is not a time"),
        ({"at": "1970-01-01"}, "at: cannot be true, it lies outside 1971 to 2098"),
        ({"at": "2099-12-31"}, "at: cannot be true, it lies outside 1971 to 2098"),
        ({"at": "2026-01-11T00:00:01Z"}, "at: the clock runs ahead of the arrival by more than a day"),
        ({"amount": "12,5"}, "amount: is not a number"),
        ({"amount": "12 EUR"}, "amount: is not a number"),
        ({"amount": True}, "amount: is not a number"),
        ({"amount": [1]}, "amount: is not a number"),
        ({"amount": "NaN"}, "amount: is not finite"),
        ({"amount": float("nan")}, "amount: is not finite"),
        ({"amount": float("inf")}, "amount: is not finite"),
        ({"amount": "1e999"}, "amount: is not finite"),
        ({"amount": -0.01}, "amount: is below 0"),
        ({"amount": 1000.01}, "amount: is above 1000"),
        ({"site": "C"}, "site: is not one of A, B"),
    ],
)
def test_each_bad_value_is_told_by_its_reason(payments, now, values, reason):
    """A bad row says which column broke which promise, and stands in quarantine as it came."""
    checked = check_rows(payments, read_documents([row(**values), row(id="good", amount=1)]), now=now)

    assert checked.good["id"].to_list() == ["good"]
    assert reason in reasons_of(checked)[0]
    assert (reason, 1) in checked.reasons


@pytest.mark.parametrize(
    ("kind", "sent", "kept"),
    [
        (FieldType.NUMBER, "12.5", 12.5),
        (FieldType.NUMBER, " -1e3 ", -1000.0),
        (FieldType.NUMBER, 7, 7.0),
        (FieldType.NUMBER, "NA", None),
        (FieldType.INTEGER, "5", 5),
        (FieldType.INTEGER, "5.0", 5),
        (FieldType.INTEGER, 5.0, 5),
        (FieldType.INTEGER, "9007199254740993", 9007199254740993),
        (FieldType.STRING, 123, "123"),
        (FieldType.STRING, 123.0, "123"),
        (FieldType.STRING, True, "true"),
        (FieldType.STRING, "NA", "NA"),
        (FieldType.TEXT, "", ""),
        (FieldType.BOOLEAN, "TRUE", True),
        (FieldType.BOOLEAN, 0, False),
        (FieldType.OBJECT, {"a": 1}, '{"a":1}'),
        (FieldType.TIMESTAMP, "2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        (FieldType.TIMESTAMP, "2026-01-02 03:04", datetime(2026, 1, 2, 3, 4, tzinfo=UTC)),
        (
            FieldType.TIMESTAMP,
            "2026-01-02T03:04:05.123456+02:00",
            datetime(2026, 1, 2, 1, 4, 5, 123456, tzinfo=UTC),
        ),
        (FieldType.TIMESTAMP, "2026-01-02T03:04:05-0130", datetime(2026, 1, 2, 4, 34, 5, tzinfo=UTC)),
        (FieldType.TIMESTAMP, 1767225600, datetime(2026, 1, 1, tzinfo=UTC)),
        (FieldType.TIMESTAMP, 1767225600.5, datetime(2026, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)),
        (FieldType.TIMESTAMP, 1767225600_000, datetime(2026, 1, 1, tzinfo=UTC)),
        (FieldType.TIMESTAMP, 1767225600_000_001, datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)),
        (FieldType.TIMESTAMP, "1767225600000", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_what_parses_exactly_is_taken_in_the_contracts_type(payments, now, kind, sent, kept):
    """Feeds send numbers as text and times as numbers; what leaves no doubt is accepted."""
    source = with_field(payments, name="x", type=kind)
    checked = check_rows(source, read_documents([row(x=sent)]), now=now)

    assert checked.good["x"].to_list() == [kept], reasons_of(checked)


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        (FieldType.INTEGER, 5.5),
        (FieldType.INTEGER, "5.5"),
        (FieldType.INTEGER, "9" * 25),
        (FieldType.INTEGER, float("nan")),
        (FieldType.BOOLEAN, "perhaps"),
        (FieldType.BOOLEAN, 2),
        (FieldType.OBJECT, "{half"),
        (FieldType.TIMESTAMP, True),
    ],
)
def test_what_does_not_parse_exactly_is_not_rounded(payments, now, kind, sent):
    """Nothing is truncated into its type."""
    checked = check_rows(with_field(payments, name="x", type=kind), read_documents([row(x=sent)]), now=now)

    assert checked.good.height == 0
    assert len(reasons_of(checked)[0]) == 1


def test_a_required_column_that_no_row_has_stops_the_batch(payments, now):
    """A renamed column is not a batch full of missing values; the error guesses its new name aloud."""
    with pytest.raises(ColumnMissing) as told:
        check_rows(payments, read_documents([{"id": "a", "att": "2026-01-02"}]), now=now)

    assert "`at`" in told.value.message
    assert "`at` called `att`" in told.value.hint


def test_an_optional_column_that_no_row_has_is_missing_values(payments, now):
    """The frame always has the contract's columns in the contract's types."""
    checked = check_rows(payments, read_documents([row()]), now=now)

    assert checked.good.schema["amount"] == pl.Float64
    assert checked.good["amount"].to_list() == [None]


def test_other_columns_come_along(payments, now):
    """A column that the contract does not know yet is kept: tomorrow's contract may want it."""
    checked = check_rows(payments, read_documents([row(extra={"k": [1]}, note="hi")]), now=now)

    assert checked.good["extra"].to_list() == ['{"k":[1]}']
    assert checked.good["note"].to_list() == ["hi"]


def test_a_value_is_taken_out_of_a_nested_row(payments, now):
    """A field with a path reads nested JSON, and a bad row keeps its nesting for the repair."""
    source = with_field(payments, name="card", type=FieldType.INTEGER, path="$.card.id", minimum=0)
    source = with_field(source, name="city", type=FieldType.STRING, path="$.shops[1].city")
    checked = check_rows(
        source,
        read_documents(
            [row(card={"id": 7}, shops=[{}, {"city": "Rome"}]), row(id="b", card={"id": -1}), row(id="c")]
        ),
        now=now,
    )

    assert checked.good.select("card", "city").rows() == [(7, "Rome"), (None, None)]
    assert json.loads(json.loads(checked.bad["_row"][0])["card"]) == {"id": -1}


def test_a_pattern_holds_for_the_whole_text(payments, now):
    """A match in the middle is no match; patterns with look-ahead work too."""
    for pattern in ("[A-Z]{2}", "(?=[A-Z])[A-Z]{2}"):
        source = with_field(payments, name="code", type=FieldType.STRING, pattern=pattern)
        rows = [row(code="AB"), row(id="b", code="ABC"), row(id="c", code="xAB"), row(id="d")]
        checked = check_rows(source, read_documents(rows), now=now)
        assert checked.good["id"].to_list() == ["a", "d"]


def test_a_set_of_numbers_is_compared_as_numbers(payments, now):
    """Values are text in the contract; 1 and 1.0 are one number."""
    source = with_field(payments, name="grade", type=FieldType.NUMBER, values=("1", "2.5"))
    checked = check_rows(
        source, read_documents([row(grade=1.0), row(id="b", grade="2.50"), row(id="c", grade=3)]), now=now
    )

    assert checked.good["id"].to_list() == ["a", "b"]


def test_rows_that_disagree_under_one_key_are_all_bad(payments, labels, now):
    """Nobody can tell which of them is right; the same row again is a duplicate; a label may be corrected."""
    checked = check_rows(payments, read_documents([row(amount=1), row(amount=1), row(amount=2)]), now=now)
    assert checked.good.height == 0
    assert reasons_of(checked) == [["id: is repeated with other values"]] * 3

    same = check_rows(payments, read_documents([row(amount=1), row(amount=1.0)]), now=now)
    assert same.good["amount"].to_list() == [1.0, 1.0]

    corrected = [{"label_id": "l", "id": "a", "at": "2026-01-02", "fraud": value} for value in (0, 1)]
    assert check_rows(labels, read_documents(corrected), now=now).good.height == 2


@pytest.mark.parametrize("amounts", [(5, -1), (-1, 5), (-1, 5, 5)])
def test_a_bad_row_does_not_take_the_good_one_of_its_key_with_it(payments, now, amounts):
    """A feed that sends a wrong row and then the right one has sent the right one."""
    checked = check_rows(payments, read_documents([row(amount=one) for one in amounts]), now=now)

    assert checked.good["amount"].unique().to_list() == [5.0]
    assert reasons_of(checked) == [["amount: is below 0"]]


def test_a_feed_that_changed_its_unit_goes_to_quarantine(payments, now):
    """Cents instead of euros are out of range: visible at the door, before any model sees them."""
    rows = [row(id=str(number), amount=1000 + 100 * number) for number in range(1, 51)]
    checked = check_rows(payments, read_documents(rows), now=now)

    assert checked.good.height == 0
    assert checked.reasons == (("amount: is above 1000", 50),)


def test_a_torn_line_is_in_quarantine_with_one_reason(payments, now):
    """Not a list of everything that it lacks."""
    checked = check_rows(payments, read_documents([row(), 17]), now=now)

    assert reasons_of(checked) == [["the line cannot be read as a row"]]
    assert json.loads(checked.bad["_row"][0]) == {"_unreadable": "17"}


def test_an_arrival_that_the_feed_tells_is_the_measure_of_its_events(payments, now):
    """A backfill is judged by its own arrival, and an arrival in the future is not believed."""
    source = replace(payments, arrival_time="seen")
    day = timedelta(days=1)
    rows = [
        row(seen="2026-01-02T04:00:00Z"),
        row(id="b", at="2026-01-05", seen="2026-01-02"),
        row(id="c", seen=(now + 2 * day).isoformat()),
    ]
    checked = check_rows(source, read_documents(rows), now=now)

    assert checked.good["id"].to_list() == ["a"]
    assert reasons_of(checked) == [
        ["at: the clock runs ahead of the arrival by more than a day"],
        ["seen: the clock runs ahead by more than a day"],
    ]


def test_a_time_that_the_contract_calls_a_number_is_still_a_time(payments, now):
    """Epoch seconds may be declared as an integer; the event time is read from them."""
    source = with_field(payments, name="at", type=FieldType.INTEGER)
    checked = check_rows(source, read_documents([row(at=1767225600), row(id="b", at=0)]), now=now)

    assert checked.good["at"].to_list() == [1767225600]
    assert reasons_of(checked) == [["at: cannot be true, it lies outside 1971 to 2098"]]


def test_names_that_geartrain_keeps_are_refused(payments, now):
    """A feed cannot overwrite the lake's own clocks."""
    with pytest.raises(SourceUnreadable, match="keeps for itself"):
        check_rows(payments, read_documents([row(_arrival_time="2020-01-01")]), now=now)
    assert check_rows(payments, read_documents([row(_id="mongo")]), now=now).good["_id"].to_list() == [
        "mongo"
    ]


def test_no_rows_are_no_error(payments, now):
    """An empty delivery has nothing good and nothing bad in it."""
    checked = check_rows(payments, pl.DataFrame(), now=now)

    assert (checked.rows, checked.reasons) == (0, ())


def test_a_label_source_needs_the_decision_it_speaks_of(labels, now):
    """The decision key is required even where the contract does not list it as a field."""
    rows = [
        {"label_id": "l", "at": "2026-01-02", "fraud": 1, "id": None},
        {"label_id": "m", "at": "2026-01-02", "id": 3},
    ]
    checked = check_rows(labels, read_documents(rows), now=now)

    assert checked.good["id"].to_list() == ["3"]
    assert reasons_of(checked) == [["id: is missing"]]
    assert labels.kind is SourceKind.LABELS


_ANYTHING = st.one_of(
    st.none(), st.integers(-(10**20), 10**20), st.floats(), st.booleans(), st.text(max_size=5),
    st.sampled_from(["a", "b", "2026-01-02", "12.5", "A"]), st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)  # fmt: skip


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"id": _ANYTHING, "at": _ANYTHING},
            optional={"amount": _ANYTHING, "site": _ANYTHING, "x": _ANYTHING},
        ),
        max_size=12,
    )
)
def test_good_and_bad_rows_are_all_rows(payments, now, rows):
    """Whatever is sent, nothing is dropped, no good row breaks the contract, every bad row has a reason."""
    frame = read_documents(rows)
    checked = check_rows(payments, frame, now=now)

    assert checked.rows == len(rows)
    assert all(reasons_of(checked))
    assert checked.is_bad.sum() == checked.bad.height
    if checked.good.height:
        good = checked.good
        assert good["id"].null_count() == good["at"].null_count() == 0
        assert good["amount"].drop_nulls().is_between(0, 1000).all()
        assert set(good["site"].drop_nulls()) <= {"A", "B"}
        again = check_rows(payments, good, now=now)
        assert again.good.equals(good)
