"""The benchmark of the door, small: both sides find the same rows bad; how long it takes is not asked here."""

import runpy
from pathlib import Path

import polars as pl

from geartrain.data.checks import Surroundings
from geartrain.data.door import check_rows

ROWS = Path(__file__).resolve().parents[2] / "benchmarks" / "door" / "rows.py"


def test_the_contract_finds_what_the_hand_written_scan_finds():
    """The same good rows, and as many reasons for the bad ones."""
    bench = runpy.run_path(str(ROWS))
    frame = bench["delivery"](20_000)
    cards = pl.Series(range(bench["CARDS"] - 500))
    good, bad = bench["by_hand"](frame, cards)

    around = Surroundings(references={"cards.id": cards.cast(pl.String)})
    checked = check_rows(bench["SOURCE"], frame, now=bench["NOW"], around=around)

    assert bad.height > 100
    assert checked.good.equals(good)
    assert sum(count for _, count in checked.reasons) == bad["reasons"].list.len().sum()
