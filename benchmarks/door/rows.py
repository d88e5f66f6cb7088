"""How much the door costs: the contract's checks against the same checks written by hand.

    python benchmarks/door/rows.py [--rows 10000000]

Makes a delivery of 20 columns of which about one row in a thousand is bad, and asks
both for the same thing: the good rows, and for every bad one its reasons. Both run in
this process, in turn, each several times; the fastest run of each counts. The last line is the ratio.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from geartrain.data.checks import Surroundings
from geartrain.data.door import check_rows
from geartrain.domain.contract import FieldTerms, FieldType, SourceKind, SourceTerms

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SITES = ("A", "B", "C", "D")
CARDS = 50_000

SOURCE = SourceTerms(
    name="payments",
    kind=SourceKind.DECISIONS,
    key="id",
    event_time="at",
    rules=(("fee-within-amount", "fee <= amount"),),
    fields=(
        FieldTerms(name="id", type=FieldType.INTEGER, required=True, unique=True),
        FieldTerms(name="at", type=FieldType.TIMESTAMP, required=True),
        FieldTerms(name="card", type=FieldType.INTEGER, required=True, refers_to="cards.id"),
        FieldTerms(name="amount", type=FieldType.NUMBER, required=True, minimum=0, maximum=1000),
        FieldTerms(name="fee", type=FieldType.NUMBER, required=True, minimum=0, maximum=1000),
        FieldTerms(name="site", type=FieldType.STRING, required=True, values=SITES),
        FieldTerms(name="code", type=FieldType.STRING, pattern="[A-Z]{2}[0-9]{2}"),
        FieldTerms(name="known", type=FieldType.BOOLEAN),
        *(FieldTerms(name=f"n{k}", type=FieldType.NUMBER, minimum=-6, maximum=6) for k in range(8)),
        *(FieldTerms(name=f"k{k}", type=FieldType.INTEGER, minimum=0, maximum=99) for k in range(4)),
    ),
)


def delivery(rows: int) -> pl.DataFrame:
    """Rows as a Parquet file would bring them, in the contract's types."""
    rng = np.random.default_rng(3)
    amount = rng.gamma(2.0, 40.0, rows).clip(0, 1000)
    start = int((NOW - timedelta(days=30)).timestamp() * 1e6)
    at = start + rng.integers(0, 30 * 86_400 * 10**6, rows)
    codes = np.array([f"{a}{b}{n:02d}" for a in "ABCDE" for b in "XYZ" for n in range(40)] + ["?"])
    code = rng.integers(0, len(codes) - 1, rows)
    code[rng.random(rows) < 2e-4] = len(codes) - 1
    frame = pl.DataFrame(
        {
            "id": rng.permutation(rows),
            "at": pl.Series(at).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
            "card": rng.integers(0, CARDS, rows),
            "amount": np.where(rng.random(rows) < 5e-4, amount * 100, amount),
            "fee": amount * 0.01,
            "site": np.array(SITES)[rng.integers(0, len(SITES), rows)],
            "code": codes[code],
            "known": rng.random(rows) < 0.5,
            **{f"n{k}": rng.normal(size=rows).clip(-5.9, 5.9) for k in range(8)},
            **{f"k{k}": rng.integers(0, 100, rows) for k in range(4)},
        }
    )
    return frame.rechunk()


def by_hand(frame: pl.DataFrame, cards: pl.Series) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The same checks as somebody who knows polars and these rows would write them."""
    col = pl.col
    latest = NOW + timedelta(days=1)
    checks = [
        (col("id").is_null(), "id: is missing"),
        (col("at").is_null(), "at: is missing"),
        (
            ~col("at").is_between(datetime(1971, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)),
            "at: cannot be true",
        ),
        (col("at") > latest, "at: runs ahead"),
        (col("card").is_null(), "card: is missing"),
        (~col("card").is_in(cards.implode()), "card: is not known"),
        (col("site").is_null(), "site: is missing"),
        (~col("site").is_in(list(SITES)), "site: is not one of"),
        (~col("code").str.contains("^[A-Z]{2}[0-9]{2}$"), "code: does not match"),
        (col("fee") > col("amount"), "rule fee-within-amount"),
        *[(col(name).is_null(), f"{name}: is missing") for name in ("amount", "fee")],
    ]
    for name, low, high in [("amount", 0, 1000), ("fee", 0, 1000), *((f"n{k}", -6, 6) for k in range(8))]:
        checks += [
            (~col(name).is_finite(), f"{name}: is not finite"),
            (col(name) < low, f"{name}: is below"),
            (col(name) > high, f"{name}: is above"),
        ]
    for k in range(4):
        checks += [(col(f"k{k}") < 0, f"k{k}: is below"), (col(f"k{k}") > 99, f"k{k}: is above")]
    flagged = (
        frame.lazy()
        .select(
            *(flag.alias(str(place)) for place, (flag, _) in enumerate(checks)),
            col("id").is_duplicated().alias("twice"),
        )
        .collect()
    )
    bad = flagged.select(pl.any_horizontal(pl.all()).fill_null(value=False)).to_series()
    why = [pl.when(str(place)).then(pl.lit(reason)) for place, (_, reason) in enumerate(checks)]
    said = flagged.filter(bad).select(pl.concat_list(why).list.drop_nulls().alias("reasons"))
    return frame.filter(~bad), pl.concat([frame.filter(bad), said], how="horizontal")


def fastest(work, times: int) -> tuple[float, object]:
    """The shortest of *times* runs in seconds, and what it gave."""
    best, result = float("inf"), None
    for _ in range(times):
        result = None
        gc.collect()
        start = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - start)
    return best, result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args()
    frame = delivery(given.rows)
    cards = pl.Series(range(CARDS))
    around = Surroundings(references={"cards.id": cards.cast(pl.String)})
    hand_s, (good, bad) = fastest(lambda: by_hand(frame, cards), given.times)
    counts = (good.height, bad.height)
    del good, bad
    door_s, checked = fastest(lambda: check_rows(SOURCE, frame, now=NOW, around=around), given.times)
    assert (checked.good.height, checked.bad.height) == counts, "the two disagree"
    print(f"{given.rows:,} rows x {frame.width} columns, {counts[1]:,} of them bad")
    print(f"  by hand       {hand_s:7.2f} s   {given.rows / hand_s / 1e6:6.1f} M rows/s")
    print(f"  the contract  {door_s:7.2f} s   {given.rows / door_s / 1e6:6.1f} M rows/s")
    print(f"  such as       {json.dumps(dict(checked.reasons[:3]))}")
    print(f"ratio {door_s / hand_s:.2f}")


if __name__ == "__main__":
    main()
