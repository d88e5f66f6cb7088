"""Spark calls the same kernel: the same rows and the same values as one machine, to the bit."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from geartrain.errors import FeatureInvalid
from geartrain.features.declaring import feature_set, function, lookup, request, window
from geartrain.features.offline import point_in_time

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
    pytest.skip("Spark needs Java, and there is none here", allow_module_level=True)

pytestmark = pytest.mark.slow

T0 = datetime(2026, 3, 1, tzinfo=UTC)
KEYS = {"paid": "id", "limits": "version"}


def share_of_limit(batch: pa.RecordBatch) -> pa.Array:
    import pyarrow.compute as pc

    return pc.divide(batch["amount"], pc.add(batch["limit"], 1.0))


FEATURES = feature_set(
    request("amount"),
    *window(
        "paid", entity="card", over=("1d", "7d", None), count=True, time_since=True, sum="amount", mean="amount",
        min="amount", max="amount", distinct="shop", ratio="amount > 20", decayed_sum="amount", half_life="1d",
    ),
    *window("paid", entity="card", over="7d", last="shop", first="shop", last_n="shop", n=2, type="category"),
    *window("paid", entity="shop", over="1d", delay="1d", where="amount > 5", count=True, named="place"),
    lookup("limit", "limits", entity="card", key="owner"),
    function("share", share_of_limit, numbers=("amount", "limit")),
)  # fmt: skip


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.sql.adaptive.enabled", "false")
        .config("spark.driver.memory", "1g")
        .config("spark.sql.session.timeZone", "Europe/Vienna")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


def moments(offsets: np.ndarray) -> list[datetime]:
    return [T0 + timedelta(minutes=int(offset)) for offset in offsets]


def tables() -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """Payments late, repeated and corrected (some move to another card), limits, and decisions; some nobody's."""
    rng = np.random.default_rng(7)
    happened = rng.integers(0, 20_000, 1_500)
    paid = pl.DataFrame(
        {
            "id": np.concatenate([np.arange(1_200), rng.integers(0, 1_200, 300)]),
            "card": [None if card == 0 else card for card in rng.integers(0, 40, 1_500).tolist()],
            "shop": [f"shop {shop}" for shop in rng.integers(0, 12, 1_500)],
            "amount": np.round(rng.lognormal(3, 1, 1_500), 2),
            "_event_time": moments(happened),
            "_arrival_time": moments(happened + rng.integers(0, 3_000, 1_500)),
        }
    ).unique(["id", "_arrival_time"], maintain_order=True)
    since = rng.integers(0, 20_000, 90)
    limits = pl.DataFrame(
        {
            "version": np.arange(90),
            "owner": rng.integers(1, 40, 90),
            "limit": [None if one < 20 else float(one) for one in rng.integers(0, 500, 90).tolist()],
            "_event_time": moments(since),
            "_arrival_time": moments(since),
        }
    )
    decisions = pl.DataFrame(
        {
            "row": np.arange(300),
            "card": [None if card == 0 else card for card in rng.integers(0, 45, 300).tolist()],
            "shop": [f"shop {shop}" for shop in rng.integers(0, 14, 300)],
            "amount": np.round(rng.lognormal(3, 1, 300), 2),
            "_event_time": moments(rng.integers(0, 25_000, 300)),
        }
    )
    return decisions, {"paid": paid, "limits": limits}


def test_spark_gives_the_rows_and_values_of_one_machine(spark: SparkSession) -> None:
    """Every aggregation, a lookup and a function; corrections that change the entity cross the parts."""
    decisions, sources = tables()
    from geartrain.adapters.spark import point_in_time_on_spark

    there = point_in_time_on_spark(
        FEATURES,
        spark.createDataFrame(decisions.to_arrow()),
        {name: spark.createDataFrame(frame.to_arrow()) for name, frame in sources.items()},
        row="row",
        keys=KEYS,
        parts=3,
    )
    there = pl.DataFrame(there.toArrow()).sort("row")
    here = point_in_time(FEATURES, decisions, sources, keys=KEYS)

    assert there["row"].to_list() == decisions["row"].to_list()
    assert there.drop("row").equals(here)
    assert all(here[name].null_count() < here.height for name in here.columns)


def test_what_spark_would_tell_apart_otherwise_is_refused(spark: SparkSession) -> None:
    """A float as an entity, and columns that are not there, are errors before any work begins."""
    from geartrain.adapters.spark import point_in_time_on_spark

    decisions, sources = tables()
    features = feature_set(*window("paid", entity="card", over="1d", count=True))
    asked = spark.createDataFrame(decisions.to_arrow())
    paid = spark.createDataFrame(sources["paid"].to_arrow())
    cases = [
        (asked, {"paid": paid.withColumn("card", paid["card"].cast("double"))}, "row", "tell entities apart"),
        (asked, {}, "row", "was not given"),
        (asked.drop("card"), {"paid": paid}, "row", "no column `card`"),
        (asked, {"paid": paid}, "place", "no column `place`"),
    ]
    for rows, given, row, message in cases:
        with pytest.raises(FeatureInvalid, match=message):
            point_in_time_on_spark(features, rows, given, row=row, keys=KEYS)
