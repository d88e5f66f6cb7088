"""The fraud handbook's published table, from its raw transactions through declared features."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from geartrain.features.declaring import feature_set, window
from geartrain.features.offline import point_in_time

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "fraud"
RAW = DATA / "tx_raw_2018-04-01_2018-09-30.parquet"
TABLE = DATA / "tx_transformed_2018-07-25_2018-08-14.parquet"

pytestmark = pytest.mark.skipif(
    not TABLE.exists(), reason="the handbook's transactions are not on this machine"
)

#: Three differences of convention, not of value: the book's windows are (t - w, t], ours
#: [t - w, t), so its customer windows hold the transaction itself; and events exactly a
#: window's width (or the delay) before the decision fall on the other side of the edge.
FEATURES = feature_set(
    *window("tx", entity="CUSTOMER_ID", over=("1d", "7d"), count=True, mean="amount"),
    *window("tx", entity="TERMINAL_ID", over="1d", delay="7d", count=True, ratio="TX_FRAUD"),
)


def test_declared_features_reproduce_the_handbook() -> None:
    """Counts, means and delayed terminal risk of two days equal the table's, ties at edges aside (at most 1 in 1000)."""
    first, end = datetime(2018, 7, 25), datetime(2018, 7, 27)  # noqa: DTZ001 - the table has no zone
    clock = pl.col("TX_DATETIME").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    raw = (
        pl.scan_parquet(RAW)
        .filter(pl.col("TX_DATETIME").is_between(datetime(2018, 7, 16), end, closed="left"))  # noqa: DTZ001
        .with_columns(_event_time=clock, _arrival_time=clock, amount=pl.col("TX_AMOUNT_CENTS") / 100)
        .collect()
    )
    decisions = raw.filter(pl.col("TX_DATETIME") >= first)
    table = pl.read_parquet(TABLE).filter(pl.col("TX_DATETIME") < end)

    ours = point_in_time(FEATURES, decisions, {"tx": raw}, keys={"tx": "TRANSACTION_ID"})
    both = decisions.select("TRANSACTION_ID", "amount").hstack(ours)
    both = table.join(both, on="TRANSACTION_ID", how="left", maintain_order="left")

    assert both.height == decisions.height > 19_000
    shares: dict[str, float] = {}
    for days in (1, 7):
        count, mean = pl.col(f"CUSTOMER_ID_count_{days}d"), pl.col(f"CUSTOMER_ID_mean_amount_{days}d")
        with_itself = (mean.fill_null(0.0) * count + pl.col("amount")) / (count + 1)
        their_mean = pl.col(f"CUSTOMER_ID_AVG_AMOUNT_{days}DAY_WINDOW")
        same = both.select(
            count=count + 1 == pl.col(f"CUSTOMER_ID_NB_TX_{days}DAY_WINDOW"),
            mean=(with_itself - their_mean).abs() <= 1e-9 * their_mean,
        )
        shares |= {f"{name}_{days}d": same[name].mean() for name in same.columns}
    same = both.select(
        terminal=pl.col("TERMINAL_ID_count_1d_delay_7d") == pl.col("TERMINAL_ID_NB_TX_1DAY_WINDOW"),
        risk=pl.col("TERMINAL_ID_ratio_TX_FRAUD_1d_delay_7d").fill_null(0.0)
        == pl.col("TERMINAL_ID_RISK_1DAY_WINDOW"),
    )
    shares |= {name: same[name].mean() for name in same.columns}
    assert min(shares.values()) >= 0.999, shares
