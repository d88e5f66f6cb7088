"""Batches taken as a whole: the same state, the same values as event by event."""

from __future__ import annotations

from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geartrain.features import state as state_module
from geartrain.features.declaring import feature_set, lookup, window
from geartrain.features.naming import bare, name_of, names_of
from geartrain.features.offline import point_in_time
from geartrain.features.online import OnlineFeatures

FEATURES = feature_set(
    *window(
        "paid", entity="card", over=("3us", "10us", "40us"),
        count=True, sum="amount", mean="amount", min="amount", max="amount", time_since=True, distinct="shop",
    ),
    *window("paid", entity="shop", over="10us", delay="2us", count=True, sum="amount", named="shop_late"),
    *window("paid", entity="card", over="20us", last="shop", type="category"),
    lookup("city", "shops", entity="shop", column="city", type="category"),
)  # fmt: skip
KEYS = {"paid": "id", "shops": "version"}
CLOCK = pl.Datetime("us", "UTC")

_NAMES = st.sampled_from(["a", "b", "7", "007", None])
_PAID = st.lists(
    st.tuples(
        st.integers(0, 25),
        _NAMES,
        st.sampled_from(["x", "12", None]),
        st.one_of(st.none(), st.floats(-1e6, 1e6), st.just(1e15)),
        st.integers(0, 60),
        st.integers(0, 30),
    ),
    min_size=1,
    max_size=60,
)


def frame_of(paid) -> pl.DataFrame:
    rows = [
        {"id": i, "card": card, "shop": shop, "amount": amount, "_event_time": at, "_arrival_time": at + late}
        for i, card, shop, amount, at, late in paid
    ]
    schema = {
        "id": pl.Int64, "card": pl.String, "shop": pl.String, "amount": pl.Float64,
        "_event_time": pl.Int64, "_arrival_time": pl.Int64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema).with_columns(pl.col("_event_time", "_arrival_time").cast(CLOCK))


def one_by_one(frame: pl.DataFrame) -> OnlineFeatures:
    made = OnlineFeatures(FEATURES, keys=KEYS)
    for row, times in zip(
        frame.to_dicts(),
        frame.select(pl.col("_event_time", "_arrival_time").to_physical()).rows(),
        strict=True,
    ):
        made.apply("paid", row, event_time_us=times[0], arrival_us=times[1])
    return made


def read_all(made: OnlineFeatures, at_us: int):
    return [
        made.read({"card": card, "shop": shop}, at_us, known_us=known)
        for card in ("a", "b", 7, "007", "nobody")
        for shop in ("x", 12.0)
        for known in (None, at_us - 15)
    ]


@pytest.fixture
def together(monkeypatch):
    """Every batch is taken as a whole, however small."""
    monkeypatch.setattr(state_module, "TOGETHER", 1)


@given(
    paid=_PAID, cuts=st.lists(st.integers(0, 60), max_size=4), reads=st.lists(st.integers(0, 100), max_size=3)
)
def test_batches_say_what_single_events_say(paid, cuts, reads):
    """However rows are cut into batches and whenever somebody reads, late and doubled ones among them."""
    frame, before = frame_of(paid), state_module.TOGETHER
    single = one_by_one(frame)
    state_module.TOGETHER = 1
    try:
        made = OnlineFeatures(FEATURES, keys=KEYS)
        edges = [0, *sorted(min(cut, frame.height) for cut in cuts), frame.height]
        for start, stop in pairwise(edges):
            made.apply_rows("paid", frame[start:stop])
            for at_us in reads:
                made.read({"card": "a", "shop": "x"}, at_us)
    finally:
        state_module.TOGETHER = before
    for at_us in (5, 30, 61, 95):
        assert read_all(made, at_us) == read_all(single, at_us)
    assert made.snapshot() == single.snapshot()
    again = OnlineFeatures.restore(FEATURES, made.snapshot())
    assert read_all(again, 61) == read_all(single, 61)


@given(paid=_PAID, now=st.integers(0, 120))
def test_eviction_forgets_the_same(paid, now):
    """What waits unsorted is forgotten like what was sorted in, and is not taken again."""
    frame, before = frame_of(paid), state_module.TOGETHER
    single = one_by_one(frame)
    single.evict(now)
    state_module.TOGETHER = 1
    try:
        made = OnlineFeatures(FEATURES, keys=KEYS)
        made.apply_rows("paid", frame)
        made.evict(now)
        assert made.snapshot() == single.snapshot()
        made.apply_rows("paid", frame)
    finally:
        state_module.TOGETHER = before
    for row, times in zip(
        frame.to_dicts(),
        frame.select(pl.col("_event_time", "_arrival_time").to_physical()).rows(),
        strict=True,
    ):
        single.apply("paid", row, event_time_us=times[0], arrival_us=times[1])
    assert read_all(made, now + 1) == read_all(single, now + 1)


@given(paid=_PAID, split=st.integers(1, 4))
def test_partitions_together_say_what_one_state_says(paid, split):
    """Events spread over partitions by id are read as if one state had taken them all."""
    frame = frame_of(paid)
    parts = [OnlineFeatures(FEATURES, keys=KEYS) for _ in range(split)]
    for place, part in enumerate(parts):
        part.apply_rows("paid", frame.filter(pl.col("id") % split == place))
    single = one_by_one(frame)
    for at_us in (30, 61):
        for card in ("a", 7):
            row = {"card": card, "shop": "x"}
            assert parts[0].read(row, at_us, others=parts[1:]) == single.read(row, at_us)


def test_offline_says_the_same_of_a_large_batch():
    """A batch above the threshold, taken whole, agrees with the table computed offline."""
    paid = [(n, f"{n % 9}", f"s{n % 4}", n / 7, (n * 37) % 500, n % 3) for n in range(400)]
    frame = frame_of(paid)
    features = feature_set(
        *window(
            "paid",
            entity="card",
            over=("50us", "300us"),
            count=True,
            sum="amount",
            max="amount",
            distinct="shop",
        )
    )
    made = OnlineFeatures(features, keys=KEYS)
    assert made.apply_rows("paid", frame) == 400
    asked = pl.DataFrame({"card": [str(n) for n in range(9)]}).with_columns(
        pl.lit(450).cast(CLOCK).alias("_event_time"), pl.lit(450).cast(CLOCK).alias("_arrival_time")
    )
    offline = point_in_time(features, asked, {"paid": frame}, keys=KEYS)
    assert [tuple(made.read({"card": n}, 450).values()) for n in range(9)] == offline.rows()


def test_names_are_held_as_whole_numbers_where_they_spell_one():
    """Text, integers and floats that say the same number are one name; everything else stays text."""
    assert [bare(text) for text in ("0", "-0", "00", "-5", "1e3", "", "-", "٣", "9" * 41)] == [
        0, "-0", "00", -5, "1e3", "", "-", "٣", "9" * 41,
    ]  # fmt: skip
    assert [name_of(value) for value in (5, 5.0, "5", True, None, float("nan"))] == [
        5,
        5,
        5,
        "true",
        None,
        None,
    ]
    for column in ([1, None, -3], ["a", "5", "05", None], [1.0, 2.5, None], [True, None, False]):
        series = pl.Series(column)
        assert list(names_of(series)) == [name_of(value) for value in series.to_list()]


def test_an_entity_for_whom_too_many_rows_wait_is_sorted_in_at_once(together):
    """The longest wait of a read is bounded, and hot keys are folded as they are event by event."""
    features = feature_set(*window("paid", entity="card", over="1000us", count=True))
    made = OnlineFeatures(features, keys=KEYS, exact_events=50)
    for start in range(0, 600, 60):
        made.apply_rows("paid", frame_of([(n, "hot", None, 1.0, n, 0) for n in range(start, start + 60)]))
    log = made.sources["paid"].streams[0].logs["hot"]

    assert len(log.times) <= 60
    assert made.read({"card": "hot"}, 600)["card_count_1ms"] == 600.0
