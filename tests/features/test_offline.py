"""Training sets as known then: edges, empty histories, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from geartrain.errors import FeatureInvalid
from geartrain.features import kernel
from geartrain.features.declaring import feature_set, request, window
from geartrain.features.offline import point_in_time

T0 = datetime(2026, 3, 1, tzinfo=UTC)
KEYS = {"paid": "id"}
FEATURES = feature_set(*window("paid", entity="card", over="1d", count=True, sum="amount"))


def hours(*offsets: float) -> list[datetime]:
    return [T0 + timedelta(hours=offset) for offset in offsets]


def paid(times: list[datetime], arrivals: list[datetime] | None = None, **columns: object) -> pl.DataFrame:
    plain = {"id": list(range(len(times))), "card": "a", "amount": 1.0, **columns}
    return pl.DataFrame(
        {**plain, "_event_time": times, "_arrival_time": arrivals or times},
        schema_overrides={"_event_time": pl.Datetime("us", "UTC"), "_arrival_time": pl.Datetime("us", "UTC")},
    )


def test_windows_hold_their_first_moment_and_not_their_last() -> None:
    """[t - w, t): an event exactly a day ago counts, one at this very moment, the row itself, does not."""
    events = paid(hours(0, 24, 24, 48))

    assert point_in_time(FEATURES, events, {"paid": events}, keys=KEYS).rows() == [
        (0.0, None), (1.0, 1.0), (1.0, 1.0), (2.0, 2.0),
    ]  # fmt: skip


def test_a_delay_moves_both_ends() -> None:
    """A window of a day that ends a day ago holds [t - 2d, t - 1d)."""
    features = feature_set(*window("paid", entity="card", over="1d", delay="1d", count=True))
    events = paid(hours(0, 12, 24, 48))

    assert point_in_time(features, events, {"paid": events}, keys=KEYS).to_series().to_list() == [
        0.0,
        0.0,
        0.0,
        2.0,
    ]


def test_a_decision_taken_at_arrival_may_know_more() -> None:
    """`at` and `known_at` are two clocks: the window reaches back from one, the other says what was known."""
    events = paid(hours(0, 1), hours(5, 1))
    decisions = paid(hours(2)).with_columns(_arrival_time=pl.lit(hours(6)[0]))

    known_then = point_in_time(FEATURES, decisions, {"paid": events}, keys=KEYS)
    known_later = point_in_time(FEATURES, decisions, {"paid": events}, keys=KEYS, known_at="_arrival_time")

    assert (known_then["card_count_1d"][0], known_later["card_count_1d"][0]) == (1.0, 2.0)


def test_no_history_is_null_and_a_count_of_zero() -> None:
    """A source without events, an unknown entity and a missing one all come back, row for row."""
    decisions = paid(hours(5, 5, 5), card=["a", "z", None])
    nothing = point_in_time(FEATURES, decisions, {"paid": pl.DataFrame()}, keys=KEYS)
    something = point_in_time(FEATURES, decisions, {"paid": paid(hours(1))}, keys=KEYS)

    assert nothing.rows() == [(0.0, None)] * 3
    assert something.rows() == [(1.0, 1.0), (0.0, None), (0.0, None)]
    assert point_in_time(FEATURES, decisions.head(0), {"paid": paid(hours(1))}, keys=KEYS).height == 0


def test_entities_are_the_same_whatever_their_type() -> None:
    """An integer in one source and text in the other name one card."""
    events = paid(hours(0), card=[7])
    decisions = paid(hours(1, 1), card=["7", "8"])

    assert point_in_time(FEATURES, decisions, {"paid": events}, keys=KEYS)["card_count_1d"].to_list() == [
        1.0,
        0.0,
    ]


def test_a_product_without_windows_needs_no_clock() -> None:
    """Request features are computed from the decision rows alone; a column that is not there is missing."""
    features = feature_set(
        request("double", "amount * 2"), request("word", type="category"), request("worst radius"), request("wide", "width > 1")
    )  # fmt: skip

    values = point_in_time(features, pl.DataFrame({"amount": [1.0, None], "word": [3, None]}), {})

    assert values.rows() == [(2.0, "3", None, 0.0), (None, None, None, 0.0)]
    assert values.schema["worst radius"] == pl.Float64


def test_rows_that_are_no_events_change_nothing() -> None:
    """Without an id, an event time or an arrival there is nothing to place."""
    events = paid(hours(0, 1, 2, 3), id=[None, 1, 2, 3]).with_columns(
        _event_time=pl.when(pl.col("id") == 1).then(None).otherwise("_event_time"),
        _arrival_time=pl.when(pl.col("id") == 2).then(None).otherwise("_arrival_time"),
    )

    assert point_in_time(FEATURES, paid(hours(9)), {"paid": events}, keys=KEYS)["card_count_1d"][0] == 1.0


def test_what_is_not_there_is_said() -> None:
    """Sources, keys, entities and times that are missing are errors with the place and a hint."""
    events = paid(hours(0, 1))
    cases = [
        (events, {}, KEYS, "was not given"),
        (events, {"paid": events}, {}, "nobody said"),
        (events, {"paid": events.drop("card")}, KEYS, "no column `card`"),
        (events.drop("card"), {"paid": events}, KEYS, "no column `card`"),
        (events.drop("_event_time"), {"paid": events}, KEYS, "no column `_event_time`"),
        (
            events.with_columns(_event_time=pl.lit(None, pl.Datetime("us", "UTC"))),
            {"paid": events},
            KEYS,
            "has no time",
        ),
    ]
    for decisions, sources, keys, message in cases:
        with pytest.raises(FeatureInvalid, match=message) as refused:
            point_in_time(FEATURES, decisions, sources, keys=keys)
        assert refused.value.hint


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows gathered a few events at a time give what they give at once."""
    rng = np.random.default_rng(5)
    times = [T0 + timedelta(minutes=int(minute)) for minute in np.sort(rng.integers(0, 5000, 400))]
    late = [
        time + timedelta(minutes=int(lag)) for time, lag in zip(times, rng.integers(0, 300, 400), strict=True)
    ]
    events = paid(times, late, card=rng.integers(0, 5, 400), amount=rng.normal(size=400))
    features = feature_set(
        *window(
            "paid",
            entity="card",
            over="1d",
            mean="amount",
            distinct="amount",
            decayed_sum="amount",
            half_life="1h",
        )
    )
    whole = point_in_time(features, events, {"paid": events}, keys=KEYS)

    monkeypatch.setattr(kernel, "_MOST_PAIRS", 7)

    assert point_in_time(features, events, {"paid": events}, keys=KEYS).equals(whole)


@pytest.mark.parametrize("kind", ["near", "far", "negative", "text", "other widths"])
@pytest.mark.parametrize("years", [0.01, 300])
def test_entities_and_times_of_any_size(kind: str, years: float) -> None:
    """Keys near each other or 2^60 apart, of any type, and centuries of microseconds: the counts of brute force."""
    rng = np.random.default_rng(11)
    spread = {"near": 1, "far": 2**56, "negative": -(2**20), "text": 1, "other widths": 1}[kind]
    keys, asked = rng.integers(0, 12, 600) * spread, rng.integers(0, 16, 90) * spread
    span = int(years * 365 * 86_400_000_000)
    times, ats = rng.integers(-span // 2, span // 2, 600), rng.integers(-span // 2, span // 2, 90)
    clock = pl.Datetime("us", "UTC")
    events = pl.DataFrame({"id": np.arange(600), "card": keys, "_event_time": times}).with_columns(
        pl.col("_event_time").cast(clock)
    )
    decisions = pl.DataFrame({"card": asked, "_event_time": ats}).with_columns(
        pl.col("_event_time").cast(clock)
    )
    if kind == "text":
        events, decisions = (one.with_columns(pl.col("card").cast(pl.String)) for one in (events, decisions))
    if kind == "other widths":
        events = events.with_columns(pl.col("card").cast(pl.Int16))
        decisions = decisions.with_columns(pl.col("card").cast(pl.UInt64))
    width = span // 5
    features = feature_set(
        *window("paid", entity="card", over=(timedelta(microseconds=width), None), count=True)
    )
    events = events.with_columns(_arrival_time="_event_time")

    for at_once in (10**9, 50):
        found = point_in_time(features, decisions, {"paid": events}, keys=KEYS, events_at_once=at_once)
        before = (keys[None, :] == asked[:, None]) & (times[None, :] < ats[:, None])
        inside = before & (times[None, :] >= ats[:, None] - width)
        assert found.rows() == list(
            zip(inside.sum(axis=1).astype(float), before.sum(axis=1).astype(float), strict=True)
        )
