"""A table that a server appends to all day: `python benchmarks/lake/appends.py [--commits 4000] [--rows 20]`.

Rows are like those of a decision log (ids that begin with the time, a row as JSON, twenty numbers). Every line has the
processor time of an append since the line before, the memory of the process and its highest so far, what the folder
holds, how many files the table is, and how long it takes to find twenty rows by their ids.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from geartrain.adapters.lake import DeltaLake
from geartrain.ports.lake import ARRIVAL_TIME, BATCH, EVENT_TIME

TABLE = "p/decisions__log"
_NUMBERS = 20


def rows_of(number: int, count: int, rng: np.random.Generator) -> pa.Table:
    """The batch with that number."""
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    moments = pa.array([moment] * count, type=pa.timestamp("us", "UTC"))
    values = rng.normal(size=(count, _NUMBERS))
    rows = [json.dumps({f"field_{place}": float(value) for place, value in enumerate(row)}) for row in values]
    return pa.table(
        {
            EVENT_TIME: moments,
            ARRIVAL_TIME: moments,
            BATCH: [f"b{number}"] * count,
            "key": [f"c{value}" for value in rng.integers(0, 10_000, size=count)],
            "decision_id": ids_of(number, count),
            "release": ["0" * 64] * count,
            "action": ["pass"] * count,
            "row": rows,
            **{f"feature_{place}": values[:, place] for place in range(_NUMBERS)},
        }
    )


def ids_of(number: int, count: int) -> list[str]:
    """The ids of its rows."""
    return [f"{number:012x}-{place:04x}" for place in range(count)]


def memory_mb() -> tuple[int, int]:
    """Resident memory now, and at its highest."""
    lines = Path("/proc/self/status").read_text().splitlines()
    told = {line.split()[0]: int(line.split()[1]) // 1024 for line in lines if line.startswith("Vm")}
    return told["VmRSS:"], told["VmHWM:"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--commits", type=int, default=4000)
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--every", type=int, default=500, help="a line after so many commits")
    chosen = parser.parse_args()
    rng = np.random.default_rng(7)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lake = DeltaLake(folder)
        before, longest_s = time.process_time(), 0.0
        for number in range(1, chosen.commits + 1):
            batch, began = rows_of(number, chosen.rows, rng), time.perf_counter()
            lake.append(TABLE, batch, batch=f"b{number}")
            longest_s = max(longest_s, time.perf_counter() - began)
            if number % chosen.every:
                continue
            spent = (time.process_time() - before) / chosen.every
            looked = time.perf_counter()
            asked = ids_of(number // 2, chosen.rows)
            found = lake.scan(TABLE, columns=("decision_id", "row"), among=("decision_id", asked))
            looked = time.perf_counter() - looked
            assert found.num_rows == chosen.rows, found.num_rows
            held = [one.stat().st_size for one in folder.rglob("*.parquet") if "_delta_log" not in one.parts]
            now, most = memory_mb()
            print(
                f"{number} commits: {spent * 1e3:.0f} ms of a core each, longest {longest_s:.2f} s; {now} MB, at most {most}; "
                f"{sum(held) / 2**20:.0f} MB in {len(held)} files on the disk; found in {looked * 1e3:.0f} ms",
                flush=True,
            )
            before, longest_s = time.process_time(), 0.0


if __name__ == "__main__":
    main()
