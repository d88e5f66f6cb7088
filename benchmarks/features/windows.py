"""Point-in-time windows at size: geartrain's kernel beside DuckDB and Polars, in one run.

    python benchmarks/features/windows.py                      # 5 M events, 100 k keys, 1 M labels
    python benchmarks/features/windows.py --events 500000 --keys 10000 --labels 100000
    python benchmarks/features/windows.py --only geartrain,geartrain-distinct

Every contestant gets the same Parquet files in a process of its own, loads them, and
then is timed: wall clock, processor time (user + system) and the peak of the process's
memory, the loaded tables included. Each must give back every label row; the checksums
of all columns are compared, and a difference is printed, not hidden.

Windows are [t - w, t) with w = 1 h, 1 d, 7 d, 30 d; `distinct` counts shops. Keys are
drawn log-normally, so that a few are hot; events are in no order; times are whole
seconds on which labels and events tie.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import polars as pl

SPANS = {"1h": 3_600_000_000, "1d": 86_400_000_000, "7d": 604_800_000_000, "30d": 2_592_000_000_000}
CLOCK = pl.Datetime("us", "UTC")
START_US = 1_767_225_600_000_000
DAYS = 60


def make(folder: Path, events: int, keys: int, labels: int, lateness_s: float, *, in_order: bool) -> None:
    rng = np.random.default_rng(4)
    weight = rng.lognormal(0.0, 1.0, keys)
    weight /= weight.sum()

    def moments(rows: int) -> np.ndarray:
        return START_US + rng.integers(0, DAYS * 86_400, rows) * 1_000_000

    happened = moments(events)
    late = np.round(rng.exponential(lateness_s, events) * 1e6).astype(np.int64) if lateness_s else 0
    pl.DataFrame(
        {
            "id": rng.permutation(events),
            "card": rng.choice(keys, events, p=weight),
            "amount": np.round(rng.lognormal(3.0, 1.0, events), 2),
            "shop": rng.integers(0, 5_000, events),
            "_event_time": happened,
            "_arrival_time": happened + late,
        }
    ).with_columns(pl.col("_event_time", "_arrival_time").cast(CLOCK)).write_parquet(
        folder / "events.parquet"
    )
    if in_order:
        pl.read_parquet(folder / "events.parquet").sort("card", "_event_time").write_parquet(
            folder / "events.parquet"
        )
    asked = moments(labels)
    pl.DataFrame({"card": rng.choice(keys, labels, p=weight), "_event_time": asked}).with_columns(
        pl.col("_event_time").cast(CLOCK)
    ).write_parquet(folder / "labels.parquet")


def _ours(folder: Path, *, distinct: bool):
    from geartrain.features.declaring import feature_set, window
    from geartrain.features.offline import point_in_time

    events, labels = (pl.read_parquet(folder / f"{name}.parquet") for name in ("events", "labels"))
    features = feature_set(
        *window(
            "paid", entity="card", over=tuple(SPANS), count=True, sum="amount", mean="amount",
            min="amount", max="amount", distinct="shop" if distinct else (),
        )
    )  # fmt: skip

    def run() -> pl.DataFrame:
        values = point_in_time(features, labels, {"paid": events}, keys={"paid": "id"})
        return values.rename(
            lambda name: name.removeprefix("card_").replace("_amount", "").replace("_shop", "")
        )

    return run


def geartrain(folder: Path):
    return _ours(folder, distinct=False)


def geartrain_distinct(folder: Path):
    return _ours(folder, distinct=True)


def polars_rolling(folder: Path):
    events, labels = (pl.read_parquet(folder / f"{name}.parquet") for name in ("events", "labels"))

    def run() -> pl.DataFrame:
        rows = labels.select("card", "_event_time", amount=pl.lit(None, pl.Float64)).with_row_index("row")
        both = pl.concat(
            [rows, events.select(pl.lit(None, pl.UInt32).alias("row"), "card", "_event_time", "amount")],
            how="diagonal",
        ).sort("card", "_event_time")
        found = rows.select("row")
        for name in SPANS:
            amount = pl.col("amount")
            # The windows of a group come in the group's order, so they stand beside the sorted rows.
            rolled = both.rolling("_event_time", period=name, closed="left", group_by="card").agg(
                amount.count().cast(pl.Float64).alias(f"count_{name}"),
                pl.when(amount.count() > 0).then(amount.sum()).alias(f"sum_{name}"),
                amount.mean().alias(f"mean_{name}"),
                amount.min().alias(f"min_{name}"),
                amount.max().alias(f"max_{name}"),
            )
            rolled = rolled.drop("card", "_event_time").with_columns(both["row"]).drop_nulls("row")
            found = found.join(rolled, on="row", how="left", maintain_order="left")
        return found.drop("row")

    return run


def duckdb_range(folder: Path):
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET threads = 2; SET TimeZone = 'UTC'")
    for name in ("events", "labels"):
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM read_parquet('{folder / name}.parquet')")

    def run() -> pl.DataFrame:
        said = ", ".join(
            f"count(amount) OVER w{name} AS count_{name}, sum(amount) OVER w{name} AS sum_{name}, "
            f"avg(amount) OVER w{name} AS mean_{name}, min(amount) OVER w{name} AS min_{name}, "
            f"max(amount) OVER w{name} AS max_{name}"
            for name in SPANS
        )
        windows = ", ".join(
            f"w{name} AS (PARTITION BY card ORDER BY t RANGE BETWEEN {span} PRECEDING AND 1 PRECEDING)"
            for name, span in SPANS.items()
        )
        return pl.from_arrow(
            connection.execute(
                f"""SELECT * EXCLUDE (card, t, row, amount) FROM (
                SELECT *, {said} FROM (
                    SELECT card, epoch_us(_event_time) AS t, rowid AS row, NULL::DOUBLE AS amount FROM labels
                    UNION ALL
                    SELECT card, epoch_us(_event_time), NULL, amount FROM events)
                WINDOW {windows})
            WHERE row IS NOT NULL ORDER BY row"""
            ).to_arrow_table()
        )

    return run


def duckdb_join(folder: Path):
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET threads = 2; SET TimeZone = 'UTC'")
    for name in ("events", "labels"):
        connection.execute(
            f"CREATE TABLE {name} AS SELECT *, epoch_us(_event_time) AS t FROM read_parquet('{folder / name}.parquet')"
        )

    def run() -> pl.DataFrame:
        inside = {name: f"FILTER (e.t >= l.t - {span})" for name, span in SPANS.items()}
        said = ", ".join(
            f"count(e.amount) {within} AS count_{name}, sum(e.amount) {within} AS sum_{name}, "
            f"avg(e.amount) {within} AS mean_{name}, min(e.amount) {within} AS min_{name}, "
            f"max(e.amount) {within} AS max_{name}"
            for name, within in inside.items()
        )
        return pl.from_arrow(
            connection.execute(
                f"""SELECT * EXCLUDE (row) FROM (
                SELECT l.rowid AS row, {said} FROM labels l LEFT JOIN events e
                ON e.card = l.card AND e.t < l.t AND e.t >= l.t - {max(SPANS.values())}
                GROUP BY l.rowid) ORDER BY row"""
            ).to_arrow_table()
        )

    return run


CONTESTANTS = {
    "geartrain": geartrain,
    "geartrain-distinct": geartrain_distinct,
    "polars-rolling": polars_rolling,
    "duckdb-range": duckdb_range,
    "duckdb-join": duckdb_join,
}


def compete(name: str, folder: Path) -> dict[str, object]:
    run = CONTESTANTS[name](folder)
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    values = run()
    wall_s = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    sums = {column: (float(values[column].sum()), values[column].null_count()) for column in values.columns}
    return {
        "wall_s": wall_s,
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "loaded_mb": before.ru_maxrss / 1024,
        "peak_mb": after.ru_maxrss / 1024,
        "rows": values.height,
        "sums": sums,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--labels", type=int, default=1_000_000)
    parser.add_argument(
        "--lateness-s", type=float, default=0.0, help="mean seconds from event to arrival (geartrain only)"
    )
    parser.add_argument(
        "--in-order", action="store_true", help="events sorted by (key, time), as a lake may keep them"
    )
    parser.add_argument("--only", default=",".join(CONTESTANTS))
    parser.add_argument("--limit-s", type=float, default=600.0, help="how long one contestant may take")
    parser.add_argument("--run", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--make", metavar="FOLDER", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.make:
        make(
            Path(asked.make),
            asked.events,
            asked.keys,
            asked.labels,
            asked.lateness_s,
            in_order=asked.in_order,
        )
        return
    if asked.run:
        print(json.dumps(compete(asked.run[0], Path(asked.run[1]))))
        return
    contestants = asked.only.split(",")
    libraries = ["numpy", "polars"]
    if any(one.startswith("duckdb") for one in contestants):
        libraries.append("duckdb")
        if importlib.util.find_spec("duckdb") is None:
            raise SystemExit("duckdb is needed (or leave it out with --only): pip install duckdb")
    print(
        f"{asked.events:,} events, {asked.keys:,} keys, {asked.labels:,} labels, mean lateness {asked.lateness_s:g} s; "
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in libraries)
    )
    print(f"{'':20}{'wall s':>8}{'cpu s':>8}{'loaded MB':>11}{'peak MB':>9}{'rows':>11}   against the first")
    with tempfile.TemporaryDirectory() as name:
        # Of its own: a child's peak memory begins with what its parent holds.
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--make", name], check=True)
        first: dict[str, list[float]] | None = None
        for contestant in contestants:
            try:
                done = subprocess.run(
                    [sys.executable, __file__, "--run", contestant, name],
                    check=True, capture_output=True, text=True, timeout=asked.limit_s,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                print(f"{contestant:20}  not finished after {asked.limit_s:g} s")
                continue
            told = json.loads(done.stdout)
            first = told["sums"] if first is None else first
            print(
                f"{contestant:20}{told['wall_s']:8.2f}{told['cpu_s']:8.2f}{told['loaded_mb']:11.0f}"
                f"{told['peak_mb']:9.0f}{told['rows']:11,}   {difference(first, told['sums'])}"
            )


def difference(first: dict[str, list[float]], other: dict[str, list[float]]) -> str:
    """How far the column sums lie apart at most, and how many columns have other nulls."""
    shared = [name for name in first if name in other]
    furthest = max(
        (abs(first[name][0] - other[name][0]) / max(abs(first[name][0]), 1.0) for name in shared), default=0.0
    )
    nulls = sum(first[name][1] != other[name][1] for name in shared)
    return f"{len(shared)} columns, furthest sum {furthest:.1e}, {nulls} with other nulls"


if __name__ == "__main__":
    main()
