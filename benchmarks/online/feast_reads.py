"""Feast's SDK with its SQLite online store: reads of 20 precomputed values; it computes no windows here."""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.types import Float64
from feast.value_type import ValueType

KEYS = min(int(sys.argv[1]), 20_000)
NAMES = [f"f{place}" for place in range(20)]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        rng = np.random.default_rng(0)
        frame = pd.DataFrame({name: rng.normal(size=KEYS) for name in NAMES})
        frame["card"] = np.arange(KEYS)
        frame["at"] = datetime.now(UTC)
        frame.to_parquet(base / "rows.parquet")
        store = FeatureStore(
            config=RepoConfig(
                project="bench",
                provider="local",
                registry=str(base / "registry.db"),
                online_store={"type": "sqlite", "path": str(base / "online.db")},
                entity_key_serialization_version=3,
            )
        )
        card = Entity(name="card", join_keys=["card"], value_type=ValueType.INT64)
        view = FeatureView(
            name="view", entities=[card], ttl=timedelta(days=1), schema=[Field(name=name, dtype=Float64) for name in NAMES],
            source=FileSource(path=str(base / "rows.parquet"), timestamp_field="at"), online=True,
        )  # fmt: skip
        store.apply([card, view])
        store.write_to_online_store("view", frame)
        wanted = [f"view:{name}" for name in NAMES]
        for count, repeats in ((1, 300), (100, 30)):
            wall, own = [], []
            for _ in range(repeats):
                rows = [{"card": int(one)} for one in rng.integers(0, KEYS, count)]
                began, began_own = time.perf_counter(), time.thread_time()
                store.get_online_features(wanted, rows).to_dict()
                own.append(time.thread_time() - began_own)
                wall.append(time.perf_counter() - began)
            wall.sort()
            own.sort()
            name = f"Feast SDK, SQLite: 20 stored values of {count} key{'s' if count > 1 else ''}"
            p50, p99 = wall[len(wall) // 2] * 1e6, wall[int(len(wall) * 0.99)] * 1e6
            print(
                f"{name:<62} {f'{p50:,.0f} us p50':>14}  {p99:,.0f} us p99, processor {own[len(own) // 2] * 1e6:,.0f} us p50"
            )


main()
