"""What a hot key costs online, one by one and folded into tiles, and what folding changes.

    python benchmarks/features/hot_keys.py
    python benchmarks/features/hot_keys.py --events 200000

One entity's events, windows of 1 h, 1 d, 7 d and 30 d, 5 aggregations each, read again and
again while the last day passes. The error is that of the counts against the exact
state, as a share of the exact count, largest over all reads and windows.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import polars as pl

from geartrain.features.declaring import feature_set, window
from geartrain.features.online import OnlineFeatures

DAY_US = 86_400_000_000
SPANS = ("1h", "1d", "7d", "30d")
FEATURES = feature_set(
    *window(
        "paid", entity="card", over=SPANS, count=True, sum="amount", mean="amount", min="amount", max="amount"
    )
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--bounds", default="1000,10000")
    asked = parser.parse_args()
    rng = np.random.default_rng(1)
    clock = pl.Datetime("us", "UTC")
    happened = np.sort(rng.integers(0, 40 * DAY_US, asked.events))
    events = pl.DataFrame(
        {
            "id": np.arange(asked.events),
            "card": "a",
            "amount": np.round(rng.lognormal(3, 1, asked.events), 2),
            "_event_time": happened,
            "_arrival_time": happened,
        }
    ).with_columns(pl.col("_event_time", "_arrival_time").cast(clock))
    before, day = (
        events.filter(side) for side in (pl.col("_event_time").to_physical() < 39 * DAY_US,
                                         pl.col("_event_time").to_physical() >= 39 * DAY_US)
    )  # fmt: skip
    print(f"{asked.events:,} events of one key in 40 days")
    print(
        f"{'bound':>10}{'held':>9}{'tiles':>7}{'events/s':>11}{'read p50 us':>13}{'p99 us':>9}{'largest error':>15}"
    )
    exact: list[dict[str, object]] = []
    for bound in (10**9, *map(int, asked.bounds.split(","))):
        state = OnlineFeatures(FEATURES, keys={"paid": "id"}, exact_events=bound)
        started = time.perf_counter()
        state.apply_rows("paid", before)
        taken_s = time.perf_counter() - started
        reads, costs = [], []
        for start in range(0, day.height, 25):
            state.apply_rows("paid", day[start : start + 25])
            at_us = int(day["_event_time"].to_physical()[min(start + 25, day.height) - 1]) + 1
            started = time.perf_counter()
            reads.append(state.read({"card": "a"}, at_us))
            costs.append((time.perf_counter() - started) * 1e6)
        exact = exact or reads
        log = state.sources["paid"].streams[0].logs["a"]
        error = max(
            abs(told[f"card_count_{span}"] / true[f"card_count_{span}"] - 1)
            for told, true in zip(reads, exact, strict=True)
            for span in SPANS
            if true[f"card_count_{span}"]
        )
        print(
            f"{'none' if bound == 10**9 else bound:>10}{len(log.times):9,}{len(log.tiles):7,}"
            f"{before.height / taken_s:11,.0f}{np.percentile(costs, 50):13,.0f}{np.percentile(costs, 99):9,.0f}{error:15.4f}"
        )


if __name__ == "__main__":
    main()
