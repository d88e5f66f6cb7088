"""The Fraud Detection Handbook from raw payments: its features, its figures, and the same features served online.

    python benchmarks/handbook/run.py DATA

*DATA* is the folder with the handbook's payments (`tx_raw_*.parquet`, 1.75 million) and
its published table of features (`tx_transformed_*.parquet`).
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).parent))

import proof

from features import declared
from geartrain.engine.consistency import in_one_line
from geartrain.engine.products import load_product
from geartrain.wiring import Settings, open_workspace

LAST_WEEK = proof.day("2018-09-24")


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print what a part took, and the most memory so far."""
    wall, work = time.perf_counter(), time.process_time()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"    [{what}: {time.perf_counter() - wall:.1f} s, {time.process_time() - work:.1f} processor s,"
        f" peak {peak:,.0f} MB]\n",
        flush=True,
    )


def main(data: Path) -> None:
    """Print every figure."""
    sources, table = proof.sources_of(data), proof.table_of_the_book(data)
    print(f"{sources['payments'].height:,} raw payments; the book's table has {table.height:,}\n")
    print(f"{'feature':<38}{'cells':>9}{'equal':>9}{'edges':>7}{'ties':>6}{'unexplained':>13}{'largest':>10}")
    with timed("15 features of the table, twice"):
        values, found = proof.reproduce(sources, table)
    for one in found:
        print(
            f"{one.name:<38}{one.cells:>9,}{one.equal:>9,}{one.edges:>7}{one.ties:>6}{one.unexplained:>13}"
            f"{one.largest:>10.1e}"
        )
    total = {name: sum(getattr(one, name) for one in found) for name in ("cells", "equal", "edges", "ties")}
    print(f"{'all':<38}{total['cells']:>9,}{total['equal']:>9,}{total['edges']:>7}{total['ties']:>6}\n")
    with timed("logistic regression, on ours and on the book's"):
        for whose, frame in (("ours", values), ("the book's table", table)):
            auc, precision, rows = proof.judge(frame, table)
            print(
                f"logistic regression on {whose}: AUC {auc:.4f}, AP {precision:.4f} ({rows:,} payments judged)"
            )
    with tempfile.TemporaryDirectory() as folder:
        space = open_workspace(Settings(root=Path(folder)), create=True)
        product = load_product(Path(__file__).parent)
        with timed("door, lake, state, a week served one by one, log, compared"):
            checked, applied = proof.served_week(
                space, product, sources, begins=LAST_WEEK, ends=LAST_WEEK + proof.WEEK
            )
        print(f"served online, {applied:,} events applied meanwhile: {in_one_line(checked)}\n")
    asked = sources["payments"].filter(
        pl.col("_event_time") >= LAST_WEEK, pl.col("_event_time") < LAST_WEEK + proof.WEEK
    )
    with timed("shuffled, late and doubled"):
        applied, cells, differing = proof.parity(declared(), proof.disordered(sources, seed=1), asked)
        print(f"{applied:,} deliveries shuffled, late and doubled: {differing:,} of {cells:,} cells differ")
    with timed("arrival times that are not true"):
        differing, why = proof.untrue_stamps(declared(), sources, asked, seed=2)
        print(
            f"one event in a hundred came two hours after it says: {differing:,} cells differ; {proof.told(why)}"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
