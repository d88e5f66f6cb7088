"""Finding one decision in a long log: `python benchmarks/lookups/run.py [--files 40] [--rows 10000]`.

Writes a log of FILES batches of ROWS decisions and asks for ten of them by name, with ids that begin
with the time and with random ones; beside it stands what reading the log whole takes.
"""

from __future__ import annotations

import argparse
import secrets
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from geartrain.adapters.lake import DeltaLake
from geartrain.ports.lake import ARRIVAL_TIME, EVENT_TIME

TABLE = "product/decisions"
COLUMNS = ("decision_id", "action", "row")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
ASKED = 10


def rss_mb() -> float:
    words = Path("/proc/self/statm").read_text().split()
    return int(words[1]) * 4096 / 2**20


def log_of(lake: DeltaLake, files: int, rows: int, *, ordered: bool) -> list[str]:
    """A log with one decision a second; its ids."""
    made: list[str] = []
    for file in range(files):
        at = [BEGIN + timedelta(seconds=file * rows + place) for place in range(rows)]
        begins = [f"{int(one.timestamp() * 1000):012x}" if ordered else secrets.token_hex(6) for one in at]
        ids = [f"d-{begin}{secrets.token_hex(10)}" for begin in begins]
        clock = pa.array(at, pa.timestamp("us", "UTC"))
        columns = {
            EVENT_TIME: clock,
            ARRIVAL_TIME: clock,
            "decision_id": ids,
            "action": ["accept"] * rows,
            "row": [secrets.token_hex(200)] * rows,
        }
        lake.append(TABLE, pa.table(columns), batch=f"b{file}")
        made += ids
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--rows", type=int, default=10_000)
    chosen = parser.parse_args()
    for ordered in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            lake = DeltaLake(folder)
            ids = log_of(lake, chosen.files, chosen.rows, ordered=ordered)
            lake.scan(TABLE, columns=COLUMNS, among=("decision_id", ids[:1]))  # what is loaded once
            before, took = rss_mb(), []
            for place in range(ASKED):
                one = ids[place * len(ids) // ASKED]
                began = time.perf_counter()
                assert lake.scan(TABLE, columns=COLUMNS, among=("decision_id", [one])).num_rows == 1
                took.append(time.perf_counter() - began)
            by_name = sorted(took)[ASKED // 2]
            named_mb = rss_mb() - before
            began = time.perf_counter()
            whole = lake.scan(TABLE, columns=COLUMNS)
            took_whole = time.perf_counter() - began
            print(
                f"{whole.num_rows:,} decisions, ids {'by time' if ordered else 'random'}: by name {1e3 * by_name:.0f} ms"
                f" ({named_mb:+.0f} MB after {ASKED}), whole {1e3 * took_whole:.0f} ms ({rss_mb() - before:+.0f} MB)"
            )


if __name__ == "__main__":
    main()
