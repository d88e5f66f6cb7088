"""Hot keys: exact below the bound; above it an edge moves by less than 1/64 of the window, and nothing else."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.features.declaring import feature_set, window
from geartrain.features.exact import exact_units
from geartrain.features.offline import point_in_time
from geartrain.features.online import OnlineFeatures
from geartrain.features.tiles import SHARE

HOUR_US = 3_600_000_000
HOURS = {"1h": 1, "1d": 24, "7d": 168}
KEYS = {"paid": "id"}
EVERY = {
    "count": True, "time_since": True, "sum": "amount", "mean": "amount", "min": "amount", "max": "amount",
    "first": "amount", "last": "amount", "distinct": "shop", "ratio": "amount > 20", "decayed_sum": "amount",
    "half_life": "6h", "last_n": "amount", "n": 3,
}  # fmt: skip
WINDOWS = feature_set(*window("paid", entity="card", over=tuple(HOURS), **EVERY))
DELAYED = feature_set(*window("paid", entity="card", over="1d", delay="2d", count=True, sum="amount"))
FOR_EVER = feature_set(*window("paid", entity="card", over=(None, "1d"), **EVERY))
BOUND = 200


def hot(rows: int, days: int, seed: int = 0, late_us: int = 0) -> pl.DataFrame:
    """One card's payments in the order of their arrival, some late."""
    rng = np.random.default_rng(seed)
    happened = rng.integers(0, days * 24 * HOUR_US, rows)
    arrived = happened + (rng.integers(0, late_us, rows) * (rng.random(rows) < 0.2) if late_us else 0)
    clock = pl.Datetime("us", "UTC")
    return pl.DataFrame(
        {
            "id": np.arange(rows),
            "card": "a",
            "shop": rng.integers(0, 50, rows),
            "amount": np.round(rng.lognormal(3, 1, rows), 2),
            "_event_time": happened,
            "_arrival_time": arrived,
        }
    ).with_columns(pl.col("_event_time", "_arrival_time").cast(clock)).sort("_arrival_time")  # fmt: skip


def state_of(features, events: pl.DataFrame, bound: int = BOUND, batch: int = 37) -> OnlineFeatures:
    state = OnlineFeatures(features, keys=KEYS, exact_events=bound)
    for start in range(0, events.height, batch):
        state.apply_rows("paid", events[start : start + batch])
    return state


def log_of(state: OnlineFeatures):
    return state.sources["paid"].streams[0].logs["a"]


def exact(features, events: pl.DataFrame, at_us: int) -> dict[str, object]:
    asked = pl.DataFrame({"card": ["a"], "_event_time": [at_us]}).with_columns(
        pl.col("_event_time").cast(pl.Datetime("us", "UTC"))
    )
    return point_in_time(features, asked, {"paid": events}, keys=KEYS).to_dicts()[0]


@pytest.mark.parametrize("late_us", [0, 5 * HOUR_US])
def test_a_tiled_window_reaches_back_less_than_a_64th_further(late_us: int) -> None:
    """Each value is that of a window [t - w', t) with w <= w' < w (1 + 1/64): between the exact and the wider one."""
    events = hot(6_000, 20, late_us=late_us)
    state = state_of(WINDOWS, events)
    worst = 0.0
    for at_us in range(20 * 24 * HOUR_US, 22 * 24 * HOUR_US, 7 * HOUR_US):
        at_us += late_us
        told = state.read({"card": "a"}, at_us)
        true = exact(WINDOWS, events, at_us)
        times = events["_event_time"].to_physical().to_numpy()
        for name, hours in HOURS.items():
            width = hours * HOUR_US
            start = at_us - width
            wider = int(((times >= start - width * SHARE) & (times < at_us)).sum())
            count = told[f"card_count_{name}"]
            assert true[f"card_count_{name}"] <= count <= wider
            worst = max(worst, abs(count - true[f"card_count_{name}"]) / max(wider, 1))
            if not count:
                continue
            assert (told[f"card_sum_amount_{name}"] or 0) >= (true[f"card_sum_amount_{name}"] or 0)
            assert told[f"card_distinct_shop_{name}"] >= true[f"card_distinct_shop_{name}"]
            assert told[f"card_sum_amount_{name}"] / count == told[f"card_mean_amount_{name}"]
            for same in ("last_amount", "time_since", "last_1_amount", "last_2_amount", "last_3_amount"):
                if true[f"card_{same}_{name}"] is not None:
                    assert told[f"card_{same}_{name}"] == true[f"card_{same}_{name}"]
    assert 0 < worst < 0.05  # tiles do show here, and no more than a few events at a time


def test_a_delayed_window_never_sees_past_its_near_edge() -> None:
    """Both edges may move back by less than 1/64 of the width, never towards the decision."""
    events = hot(6_000, 20)
    state = state_of(DELAYED, events)
    times = events["_event_time"].to_physical().to_numpy()
    slack = 24 * HOUR_US * SHARE

    for at_us in range(20 * 24 * HOUR_US, 22 * 24 * HOUR_US, 5 * HOUR_US):
        count = state.read({"card": "a"}, at_us)["card_count_1d_delay_2d"]
        start, end = at_us - 72 * HOUR_US, at_us - 48 * HOUR_US
        least = int(((times >= start) & (times < end - slack)).sum())
        most = int(((times >= start - slack) & (times < end)).sum())
        assert least <= count <= most


def test_all_of_the_past_stays_exact_but_for_the_decay() -> None:
    """A window without a far edge has nothing to move: sums are still exact, a decayed sum within 1e-12."""
    events = hot(3_000, 20)
    at_us = 20 * 24 * HOUR_US
    told, true = state_of(FOR_EVER, events).read({"card": "a"}, at_us), exact(FOR_EVER, events, at_us)

    for one in FOR_EVER.features:
        if one.width_us is None and one.aggregation != "decayed_sum":
            assert told[one.name] == true[one.name], one.name
    decayed, whole = told["card_decayed_sum_amount"], true["card_decayed_sum_amount"]
    assert abs(decayed - whole) <= 1e-12 * whole


def test_below_the_bound_and_within_the_newest_events_windows_are_exact() -> None:
    """Nothing is folded that need not be; a window that begins behind the tiles reads events one by one."""
    events = hot(BOUND, 20)
    few = state_of(WINDOWS, events)
    at_us = 20 * 24 * HOUR_US
    assert not log_of(few).tiles
    assert few.read({"card": "a"}, at_us) == exact(WINDOWS, events, at_us)

    busy = hot(6_000, 20)
    many = state_of(WINDOWS, busy, bound=2_000)
    told, true = many.read({"card": "a"}, at_us), exact(WINDOWS, busy, at_us)
    assert log_of(many).tiles and log_of(many).tiled_until_us < at_us - 24 * HOUR_US
    assert {name: value for name, value in told.items() if not name.endswith("_7d")} == {
        name: value for name, value in true.items() if not name.endswith("_7d")
    }


def test_what_is_held_does_not_grow_with_the_events() -> None:
    """The number of tiles follows the windows, up to 129 for each; that of events the bound."""
    sizes = []
    for rows in (3_000, 12_000):
        log = log_of(state_of(WINDOWS, hot(rows, 20)))
        sizes.append(len(log.tiles))
        assert len(log.times) <= BOUND
    assert sizes[1] < 2 * sizes[0]
    assert max(sizes) <= 129 * len(HOURS)


def test_deliveries_again_and_corrections_of_folded_events() -> None:
    """A second delivery of an event that is in a tile changes nothing, whether it says the same or not."""
    events = hot(1_000, 20)
    state = state_of(WINDOWS, events)
    at_us = 20 * 24 * HOUR_US
    before = state.read({"card": "a"}, at_us)
    again = events.head(50).with_columns(
        amount=pl.col("amount") * 1_000, _arrival_time=pl.lit(events["_arrival_time"].max())
    )

    state.apply_rows("paid", events.head(50))
    state.apply_rows("paid", again)

    assert state.read({"card": "a"}, at_us) == before


def test_a_snapshot_holds_the_tiles() -> None:
    """Restored and gone on equals never having stopped, to the byte; eviction forgets tiles too."""
    events = hot(2_000, 20)
    whole = state_of(WINDOWS, events)
    half = state_of(WINDOWS, events[:1_010], batch=10)
    resumed = OnlineFeatures.restore(WINDOWS, half.snapshot(), exact_events=BOUND)
    gone_on = state_of(WINDOWS, events[:1_010], batch=10)
    for state in (resumed, gone_on):
        state.apply_rows("paid", events[1_010:])
    at_us = 20 * 24 * HOUR_US

    assert resumed.snapshot() == gone_on.snapshot()
    assert resumed.read({"card": "a"}, at_us) == gone_on.read({"card": "a"}, at_us)
    whole.evict(at_us + 8 * 24 * HOUR_US)
    assert not whole.sources["paid"].streams[0].logs


@settings(max_examples=60)
@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20))
def test_units_add_up_exactly(values: list[float]) -> None:
    """The sum in units of 2**-1074 is the sum of the values' own units, whatever their size."""
    units = [(above << 1074) // below for above, below in (value.as_integer_ratio() for value in values)]

    assert exact_units(np.array(values, dtype=np.float64)) == sum(units)
