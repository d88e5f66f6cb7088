"""Give the ELEC2 stream its times: half hours from 7 May 1996 on, as the source describes.

python benchmarks/elec2/prepare.py path/to/elec2.parquet market.parquet
geartrain replay --product benchmarks/elec2 --source market=market.parquet --live-after 60
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

START = datetime(1996, 5, 7, tzinfo=UTC)


def prepare(source: Path, target: Path, *, rows: int | None = None) -> Path:
    """Write the stream with `row`, `at` and `market`; the other columns stay as they are."""
    frame = pl.read_parquet(source)
    if rows is not None:
        frame = frame.head(rows)
    frame.with_row_index("number").with_columns(
        pl.format("e{}", pl.col("number").cast(pl.String).str.zfill(6)).alias("row"),
        (pl.lit(START) + pl.col("number") * timedelta(minutes=30)).cast(pl.Datetime("us", "UTC")).alias("at"),
        pl.lit("nsw").alias("market"),
    ).drop("number", "date").write_parquet(target)
    return target


if __name__ == "__main__":
    prepare(Path(sys.argv[1]), Path(sys.argv[2]))
