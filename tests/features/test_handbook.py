"""The fraud handbook from its raw transactions: its table, its figures, and the same features served online."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from geartrain.engine.products import load_product
from geartrain.wiring import Settings, open_workspace

ROOT = Path(__file__).resolve().parents[2]
BENCHMARK = ROOT / "benchmarks" / "handbook"
DATA = ROOT.parent / "shared" / "data" / "fraud"

pytestmark = pytest.mark.skipif(
    not (DATA / "tx_transformed_2018-07-25_2018-08-14.parquet").exists(),
    reason="the handbook's transactions are not on this machine",
)


@pytest.fixture(scope="module")
def proof() -> Iterator[ModuleType]:
    """The benchmark's own module, which stands beside the package."""
    sys.path.insert(0, str(BENCHMARK))
    before = sys.modules.pop("features", None)
    try:
        yield importlib.import_module("proof")
    finally:
        sys.path.remove(str(BENCHMARK))
        sys.modules.pop("features", None)
        if before is not None:
            sys.modules["features"] = before


def test_declared_features_are_the_books(proof: ModuleType) -> None:
    """All 201,295 payments x 15: 83 cells differ, each at an edge of a window or among payments of one second."""
    sources = proof.sources_of(DATA, since=proof.day("2018-06-17"), until=proof.day("2018-08-15"))
    table = proof.table_of_the_book(DATA)

    values, found = proof.reproduce(sources, table)

    assert len(found) == 15
    assert sum(one.cells for one in found) == 201_295 * 15
    assert sum(one.unexplained for one in found) == 0
    assert (sum(one.edges for one in found), sum(one.ties for one in found)) == (59, 24)
    assert max(one.largest for one in found) < 1e-12
    auc, precision, rows = proof.judge(values, table)
    assert rows == 58_264
    assert auc == pytest.approx(0.871, abs=0.005)
    assert precision == pytest.approx(0.606, abs=0.01)


def test_the_same_definitions_serve_the_book(proof: ModuleType, tmp_path: Path) -> None:
    """Two days of one customer in fifty, and of one terminal in fifty: no value differs from what training computes."""
    begins = proof.day("2018-08-08")
    ends = begins + timedelta(days=2)
    sources = proof.sources_of(DATA, since=begins - timedelta(days=37), until=ends, every=50)
    space = open_workspace(Settings(root=tmp_path / "space"), create=True)

    checked, applied = proof.served_week(space, load_product(BENCHMARK), sources, begins=begins, ends=ends)

    assert checked.decisions > 600
    assert applied > 1_200
    assert (checked.left_out, checked.report.unmatched) == ((), 0)
    assert (checked.report.cells, checked.report.differing) == (checked.decisions * 27, 0)


def test_shuffled_late_and_doubled_payments_change_nothing(proof: ModuleType) -> None:
    """Deliveries in any order, one in twenty late and one in twenty twice, read for two days: no cell differs."""
    begins = proof.day("2018-08-08")
    sources = proof.sources_of(
        DATA, since=begins - timedelta(days=37), until=begins + timedelta(days=2), every=50
    )
    asked = sources["payments"].filter(pl.col("_event_time") >= begins)
    mixed = proof.disordered(sources, seed=1)

    applied, cells, differing = proof.parity(proof.declared(), mixed, asked)

    deliveries = sum(rows.height for rows in sources.values())
    assert applied > 1.04 * deliveries
    assert (cells, differing) == (asked.height * 27, 0)
    changed, why = proof.untrue_stamps(proof.declared(), sources, asked, seed=2, share=0.5)
    assert changed > 0
    assert (why.unexplained, why.explained[0].cells) == (0, changed)
