"""Many windows at once: against brute force on wide windows, hot keys and values far apart."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.features.declaring import feature_set, window
from geartrain.features.exact import exact_sum, exact_sums
from geartrain.features.kernel import Events, bounds, chunks, extremes, pairs, reduce_windows
from geartrain.features.offline import point_in_time

DISTINCT = window("s", entity="e", distinct="v")[0]


@settings(max_examples=80)
@given(st.data())
def test_distinct_over_moving_windows_is_the_size_of_their_sets(data: st.DataObject) -> None:
    """Whatever keys, repeats and empty windows there are, the running count equals a set's size."""
    keys = sorted(data.draw(st.lists(st.integers(0, 3), max_size=30)))
    values = data.draw(st.lists(st.integers(0, 4), min_size=len(keys), max_size=len(keys)))
    ends = sorted(data.draw(st.lists(st.integers(0, len(keys)), max_size=12)))
    starts: list[int] = []
    for end in ends:
        first = next((place for place in range(end) if end and keys[place] == keys[end - 1]), end)
        starts.append(data.draw(st.integers(max([first, *starts[-1:]]), max(end, *starts[-1:], first))))
    low, high = np.array(starts, np.int64), np.maximum(np.array(ends, np.int64), np.array(starts, np.int64))
    events = Events(np.array(keys, np.int64), np.arange(len(keys)), np.array(values, np.int64))

    counted = reduce_windows([DISTINCT], events, low, high, high)[0]

    assert counted.tolist() == [
        len(set(values[i:j])) for i, j in zip(low.tolist(), high.tolist(), strict=True)
    ]


@settings(max_examples=60)
@given(values=st.lists(st.floats(-1e6, 1e6), max_size=40), data=st.data())
def test_extremes_of_slices(values: list[float], data: st.DataObject) -> None:
    """Every slice's least and greatest, of any width; the given value where a slice is empty."""
    edges = st.tuples(st.integers(0, len(values)), st.integers(0, len(values))).map(sorted)
    slices = data.draw(st.lists(edges, max_size=10))
    low, high = np.array(slices, dtype=np.int64).reshape(-1, 2).T
    column = np.array(values, dtype=np.float64)

    for operation, direct in ((np.minimum, min), (np.maximum, max)):
        found = extremes(operation, column, low, high, empty=-9e9)
        assert found.tolist() == [direct(values[i:j], default=-9e9) for i, j in slices]


def test_an_outlier_of_one_key_leaves_the_sums_of_the_others_exact() -> None:
    """A floating prefix sum over all keys would lose the cents behind 1e15; every other sum here is exact."""
    rng = np.random.default_rng(3)
    rows = 4_000
    events = pl.DataFrame(
        {
            "id": np.arange(rows),
            "card": rng.integers(0, 20, rows),
            "amount": np.round(rng.lognormal(3, 1, rows), 2),
            "_event_time": np.sort(rng.integers(0, 10**9, rows)),
        }
    ).with_columns(
        amount=pl.when(pl.col("id") == 7).then(1e15).otherwise("amount"),
        _event_time=pl.col("_event_time").cast(pl.Datetime("us", "UTC")),
    )
    events = events.with_columns(_arrival_time="_event_time")
    features = feature_set(*window("paid", entity="card", over=("50s", "950s"), sum="amount", mean="amount"))
    spoiled = events.filter(pl.col("id") == 7)["card"][0]
    times, amounts, cards = (events[name].to_numpy() for name in ("_event_time", "amount", "card"))
    times = times.astype("datetime64[us]").astype(np.int64)

    found = point_in_time(features, events, {"paid": events}, keys={"paid": "id"})

    running = np.cumsum(amounts[np.argsort(cards, kind="stable")])
    assert abs(running[-1] - math.fsum(amounts)) > 0  # what is avoided does happen here
    for seconds in (50, 950):
        for row, total in enumerate(found[f"card_sum_amount_{seconds}s"].to_list()):
            inside = (cards == cards[row]) & (times < times[row]) & (times >= times[row] - seconds * 10**6)
            expected = math.fsum(amounts[inside].tolist()) if inside.any() else None
            assert total == expected
            assert cards[row] == spoiled or total is None or total < 1e6


@pytest.mark.parametrize("decades", [3, 20, 50, 300])
def test_sums_are_exact_however_far_apart_the_values_are(decades: int) -> None:
    """From amounts in cents to values that span all of float64, with cancellation."""
    rng = np.random.default_rng(decades)
    values = rng.normal(size=600) * 10.0 ** rng.integers(-decades, min(decades, 250), 600)
    values[::7] = -values[1::7][: values[::7].size]
    low = rng.integers(0, 600, 300)
    high = np.minimum(600, low + rng.integers(0, 600, 300))

    assert exact_sums(values, low, high).tolist() == [
        exact_sum(values[i:j].tolist()) for i, j in zip(low.tolist(), high.tolist(), strict=True)
    ]


def test_pairs_are_made_a_bounded_number_at_a_time() -> None:
    """Chunks hold whole windows, in order, and every pair of them once."""
    low, high = np.array([0, 2, 2, 5]), np.array([3, 2, 6, 6])

    window_of, event = pairs(low, high)

    assert list(zip(window_of.tolist(), event.tolist(), strict=True)) == [
        (0, 0), (0, 1), (0, 2), (2, 2), (2, 3), (2, 4), (2, 5), (3, 5),
    ]  # fmt: skip
    assert [edge.tolist() for edge in bounds(window_of, 4)] == [[0, 3, 3, 7], [3, 3, 7, 8]]
    assert [(part.start, part.stop) for part in chunks(low, high)] == [(0, 4)]
