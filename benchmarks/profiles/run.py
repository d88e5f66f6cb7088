"""A million rows of fifty columns against a stored profile, beside a plain scan of the same file.

    python benchmarks/profiles/run.py                  # 1 M rows, then 4 M for the memory
    python benchmarks/profiles/run.py --rows 200000 --repeats 1
    python benchmarks/profiles/run.py --part 131072    # less memory, more processor time

The file is Parquet (zstd, one row group a million rows): forty columns of floats, ten of text.
Each contestant is a process of its own, run by turns; its processor time (user + system) and the
peak of its memory are those of the scan alone, libraries loaded before. `plain scan` is DuckDB's
sum of each number column and its approximate count of each text column's values: what looking at
every value once costs. `geartrain` counts every value into the reference's bins, its moments, its
quantile sketch and its distinct sketch, then computes PSI, Jensen-Shannon, KS and Wasserstein with
their p-values and the drift look with its evidence.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NUMBERS, TEXTS = 40, 10
DISTINCT = (3, 10, 50, 200, 1000)
GROUP = 1_000_000


def rows_of(rows: int, seed: int, *, moved: bool) -> pa.Table:
    rng = np.random.default_rng(seed)
    columns: dict[str, object] = {}
    for index in range(NUMBERS):
        values = (
            rng.normal(0.0, 1.0, rows),
            rng.lognormal(3.0, 1.0, rows),
            rng.gamma(2.0, 5.0, rows),
            rng.integers(0, 50, rows).astype(np.float64),
        )[index % 4]
        columns[f"number {index}"] = values + (0.3 if moved and index == 0 else 0.0)
    for index in range(TEXTS):
        names = np.array([f"value {code}" for code in range(DISTINCT[index % len(DISTINCT)])])
        columns[f"text {index}"] = pa.array(names[rng.zipf(1.5, rows) % len(names)])
    return pa.table(columns)


def make(folder: Path, rows: int) -> Path:
    from geartrain.monitoring.profile import to_bytes
    from geartrain.monitoring.profiling import build

    (folder / "reference.json").write_bytes(to_bytes(build(rows_of(min(rows, 200_000), 1, moved=False))))
    path = folder / f"{rows}.parquet"
    with pq.ParquetWriter(path, rows_of(1, 2, moved=True).schema, compression="zstd") as writer:
        for start in range(0, rows, GROUP):
            part = rows_of(min(GROUP, rows - start), 2 + start, moved=True)
            writer.write_table(part, row_group_size=GROUP)
    return path


def plain_scan(path: Path, _part: int) -> dict[str, object]:
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET threads = {os.cpu_count()}")
    wanted = [f'sum("number {index}")' for index in range(NUMBERS)]
    wanted += [f'approx_count_distinct("text {index}")' for index in range(TEXTS)]
    with used() as figures:
        connection.execute(f"SELECT {', '.join(wanted)} FROM read_parquet(?)", [str(path)]).fetchall()
    return figures


def parts_of(file: pq.ParquetFile, part: int, name: str) -> Iterator[pa.Table]:
    """A column in row groups, or in parts of so many rows."""
    if not part:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, columns=[name], use_threads=False)
        return
    for batch in file.iter_batches(batch_size=part, columns=[name], use_threads=False):
        yield pa.Table.from_batches([batch])


def profiled(path: Path, part: int) -> dict[str, object]:
    import pyarrow.compute  # noqa: F401
    import scipy.special  # noqa: F401

    from geartrain.monitoring.drift import DriftState, drift
    from geartrain.monitoring.profile import from_bytes
    from geartrain.monitoring.profiling import observe_columns

    pa.set_memory_pool(pa.system_memory_pool())  # what is read and forgotten goes back at once
    reference = from_bytes((path.parent / "reference.json").read_bytes())
    with used() as figures:
        texts = [column.name for column in reference.categories]
        file = pq.ParquetFile(path, read_dictionary=texts, pre_buffer=False, memory_map=False)
        current = observe_columns(reference, partial(parts_of, file, part), rows=file.metadata.num_rows)
        begun = time.process_time()
        look = drift(reference, current, DriftState(), started=datetime(2026, 1, 1, tzinfo=UTC))
        figures["drift_s"] = time.process_time() - begun
    figures["rows"] = current.rows
    figures["named"] = [column.name for column in look.columns if column.named]
    figures["profile_bytes"] = (path.parent / "reference.json").stat().st_size
    return figures


def peak_mb() -> float:
    """The most memory that this process has held; `ru_maxrss` would tell of the parent it was forked from."""
    told = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(next(line.split()[1] for line in told.splitlines() if line.startswith("VmHWM"))) / 1024


class used:  # noqa: N801
    """Processor time and peak memory of what happens inside."""

    def __enter__(self) -> dict[str, object]:
        self.figures: dict[str, object] = {}
        self.before, self.wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        return self.figures

    def __exit__(self, *_: object) -> None:
        after = resource.getrusage(resource.RUSAGE_SELF)
        spent = after.ru_utime + after.ru_stime - self.before.ru_utime - self.before.ru_stime
        self.figures |= {
            "cpu_s": spent,
            "wall_s": time.perf_counter() - self.wall,
            "peak_mb": peak_mb(),
        }


CONTESTANTS = {"plain scan": plain_scan, "geartrain": profiled}


def run(name: str, path: Path, part: int) -> dict[str, float]:
    answer = subprocess.run(
        [sys.executable, __file__, "--contestant", name, "--file", str(path), "--part", str(part)],
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise SystemExit(f"{name} failed:\n{answer.stderr}")
    return json.loads(answer.stdout)


def import_s() -> float:
    modules = "geartrain.monitoring.profile, geartrain.monitoring.drift, geartrain.monitoring.losses"
    code = f"import time; t = time.process_time(); import {modules}; print(time.process_time() - t)"
    return min(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--part", type=int, default=0, help="rows of a column that are in memory at a time; 0: a row group"
    )
    parser.add_argument("--contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.contestant:
        print(json.dumps(CONTESTANTS[asked.contestant](asked.file, asked.part)))
        return
    if importlib.util.find_spec("duckdb") is None:
        raise SystemExit("duckdb is needed for the plain scan: pip install duckdb")
    print(
        f"{platform.platform()}, {os.cpu_count()} cores; "
        + ", ".join(f"{name} {version(name)}" for name in ("duckdb", "pyarrow", "numpy", "polars"))
    )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        path = make(folder, asked.rows)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
        for _ in range(asked.repeats):
            for name, figures in found.items():
                figures.append(run(name, path, asked.part))
        print(f"\n{asked.rows:,} rows x {NUMBERS + TEXTS} columns, {path.stat().st_size / 1e6:.0f} MB")
        for name, figures in found.items():
            cpu = [one["cpu_s"] for one in figures]
            print(
                f"  {name:<12} cpu s: median {statistics.median(cpu):.2f}, least {min(cpu):.2f}; "
                f"wall {min(one['wall_s'] for one in figures):.2f} s; peak {max(one['peak_mb'] for one in figures):.0f} MB"
            )
        pairs = [
            b["cpu_s"] / a["cpu_s"] for a, b in zip(found["plain scan"], found["geartrain"], strict=True)
        ]
        last = found["geartrain"][-1]
        print(
            f"  cpu, geartrain / plain scan: median {statistics.median(pairs):.2f}, "
            f"from {min(pairs):.2f} to {max(pairs):.2f} (asked: at most 2.5)"
        )
        print(
            f"  of which distances, p-values and evidence: {last['drift_s']:.3f} s; named: {', '.join(last['named'])}"
        )
        print(f"  stored reference profile: {last['profile_bytes'] / 1000:.0f} kB (asked: at most 100)")
        path.unlink()
        wide = run("geartrain", make(folder, 4 * asked.rows), asked.part)
        print(
            f"  {wide['rows']:,} rows: peak {wide['peak_mb']:.0f} MB (asked: at most 250 at any number of rows)"
        )
    print(
        f"  importing profile, drift and losses of geartrain.monitoring: {import_s():.2f} s (asked: under 0.3)"
    )


if __name__ == "__main__":
    main()
