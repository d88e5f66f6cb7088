"""A simulator of parcels in a world that stands still."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY_US = 86_400_000_000


def write(folder: Path, *, seed: int, days: int, per_day: int) -> dict[str, Path]:
    """Write `parcels.parquet` and `claims.parquet` into *folder*; source name to file."""
    chance = np.random.default_rng(seed)
    rows = days * per_day
    at = np.sort(chance.integers(0, days * DAY_US, size=rows))
    weight = np.round(chance.lognormal(1.0, 0.8, rows), 2)
    distance = np.round(chance.gamma(2.0, 150.0, rows).clip(1, 5000))
    value = np.round(chance.lognormal(3.5, 0.9, rows), 2)
    channel = chance.choice(["shop", "web", "partner"], rows, p=[0.5, 0.38, 0.12])
    carrier = chance.choice(["north", "south", "river"], rows, p=[0.4, 0.4, 0.2])
    odds = -3.6 + 0.6 * np.log(value / 33) + 1.6 * (channel == "partner") + distance / 300
    odds += 1.2 * ((carrier == "river") & (weight > 3))
    claimed = chance.uniform(size=rows) < 1 / (1 + np.exp(-odds))
    seen = at + (chance.exponential(60e6, rows)).astype(np.int64)
    known = at + 2 * DAY_US + chance.exponential(0.1 * DAY_US, rows).astype(np.int64)
    folder.mkdir(parents=True, exist_ok=True)
    files = {"parcels": folder / "parcels.parquet", "claims": folder / "claims.parquet"}
    names = [f"p{number:07d}" for number in range(rows)]
    pl.DataFrame(
        {
            "parcel": names,
            "weight": weight,
            "distance": distance,
            "value": value,
            "channel": channel.tolist(),
            "carrier": carrier.tolist(),
            "at": _times(at),
            "seen_at": _times(seen),
        }
    ).write_parquet(files["parcels"])
    pl.DataFrame(
        {
            "claim": [f"c{name}" for name in names],
            "parcel": names,
            "claimed": np.where(claimed, "yes", "no").tolist(),
            "at": _times(at),
            "known_at": _times(known),
        }
    ).sort("known_at").write_parquet(files["claims"])
    return files


def _times(at_us: np.ndarray) -> pl.Series:
    return pl.Series(at_us + int(START.timestamp() * 1e6)).cast(pl.Datetime("us", "UTC"))
