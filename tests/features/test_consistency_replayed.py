"""A stream replayed in any order is served as it is recomputed; what came later than it says is explained."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.domain.columns import microseconds_of
from geartrain.features.consistency import Cause, Guess, compare, explain
from geartrain.features.declaring import feature_set, request, window
from geartrain.features.offline import point_in_time
from geartrain.features.online import OnlineFeatures

START = datetime(2026, 3, 1, tzinfo=UTC)
CLOCK = pl.Datetime("us", "UTC")
FEATURES = feature_set(
    *window(
        "paid", entity="card", over=("5us", "20us"), count=True, sum="amount", mean="amount", max="amount",
        distinct="shop", last="amount", time_since=True,
    ),
    *window("paid", entity="shop", over="10us", delay="3us", count=True, ratio="amount > 1"),
    request("to_usual", "amount / card_mean_amount_20us"),
)  # fmt: skip
EVENTS = {
    "id": pl.String, "card": pl.String, "shop": pl.String, "amount": pl.Float64,
    "_event_time": CLOCK, "_arrival_time": CLOCK, "taken": CLOCK,
}  # fmt: skip


def at(microsecond: int) -> datetime:
    return START + timedelta(microseconds=microsecond)


@st.composite
def streams(draw: st.DrawFn) -> pl.DataFrame:
    """Deliveries in any order: some late, some twice, some taken in later than they say that they arrived."""
    rows = []
    for place in range(draw(st.integers(1, 20))):
        happened = draw(st.integers(0, 30))
        late, hidden = draw(st.sampled_from([0, 0, 1, 6])), draw(st.sampled_from([0, 0, 0, 2, 9]))
        row = {
            "id": f"e{place}",
            "card": draw(st.sampled_from("ab")),
            "shop": draw(st.sampled_from("xy")),
            "amount": draw(st.sampled_from([0.1, 0.2, 0.3, 7.5, None])),
            "_event_time": at(happened),
            "_arrival_time": at(happened + late),
            "taken": at(happened + late + hidden),
        }
        rows += [row] * draw(st.sampled_from([1, 1, 2]))
    return pl.DataFrame(draw(st.permutations(rows)), schema=EVENTS)


def asked_at(moments: list[int]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "card": ["ab"[one % 2] for one in moments],
            "shop": ["xy"[one % 3 % 2] for one in moments],
            "amount": [float(one) for one in moments],
            "_event_time": pl.Series([at(one) for one in moments], dtype=CLOCK),
        }
    )


def served(deliveries: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    online = OnlineFeatures(FEATURES, keys={"paid": "id"})
    for row in range(deliveries.height):
        online.apply_rows("paid", deliveries[row])
    times = microseconds_of(asked["_event_time"]).to_list()
    read = [online.read(row, moment) for row, moment in zip(asked.to_dicts(), times, strict=True)]
    return pl.DataFrame(read, schema={one.name: pl.Float64 for one in FEATURES.features})


def recomputed(deliveries: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    return point_in_time(FEATURES, asked, {"paid": deliveries}, keys={"paid": "id"})


@settings(max_examples=40)
@given(deliveries=streams(), moments=st.lists(st.integers(0, 50), min_size=1, max_size=6))
def test_whatever_the_order_no_cell_differs(deliveries: pl.DataFrame, moments: list[int]) -> None:
    """Where arrival times are true, shuffled, late and doubled deliveries give the kernel's values to the bit."""
    asked = asked_at(moments)

    found = compare(served(deliveries, asked), recomputed(deliveries, asked), FEATURES)

    assert found.cells == len(moments) * len(FEATURES.features)
    assert found.differing == 0, found


@settings(max_examples=40)
@given(deliveries=streams(), moments=st.lists(st.integers(0, 50), min_size=1, max_size=6))
def test_what_came_later_than_it_says_is_explained(deliveries: pl.DataFrame, moments: list[int]) -> None:
    """Served from what had really been taken in: every difference is late, none is left; a wrong guess explains none."""
    asked = asked_at(moments)
    as_taken = deliveries.with_columns(_arrival_time=pl.col("taken"))
    given_out, said = served(as_taken, asked), recomputed(deliveries, asked)
    late = Guess(cause=Cause.LATE, source="paid", values=recomputed(as_taken, asked))
    nothing = Guess(cause=Cause.DUPLICATE, source="paid", values=said)

    differing = compare(given_out, said, FEATURES).differing
    found = explain(given_out, said, FEATURES, [nothing, late])
    without = explain(given_out, said, FEATURES, [nothing])

    assert found.unexplained == 0
    assert sum(one.cells for one in found.explained if one.cause is Cause.LATE) == differing
    assert (without.explained, without.unexplained) == ((), differing)
    assert sum(count for _, count in without.features) == differing
