"""The command line, called in this process as a shell would call it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sklearn import datasets

from geartrain.cli.main import run


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        told: dict[str, Any] = json.loads(self.out)
        return told


Shell = Callable[..., Said]


@pytest.fixture
def shell(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Run `geartrain` with arguments, in a folder."""

    def call(folder: Path, *arguments: str) -> Said:
        monkeypatch.chdir(folder)
        capfd.readouterr()
        code = run(list(arguments))
        captured = capfd.readouterr()
        return Said(code=code, out=captured.out, err=captured.err)

    return call


def rows_of(name: str) -> tuple[pl.DataFrame, str]:
    """A data set that scikit-learn carries, and the name of its label."""
    match name:
        case "wine":
            bunch, label = datasets.load_wine(), "cultivar"
        case "diabetes":
            bunch, label = datasets.load_diabetes(), "progress"
        case _:
            bunch, label = datasets.load_breast_cancer(), "diagnosis"
    truth = bunch.target if name == "diabetes" else [str(bunch.target_names[one]) for one in bunch.target]
    columns = {str(column): bunch.data[:, place] for place, column in enumerate(bunch.feature_names)}
    return pl.DataFrame(columns).with_columns(pl.Series(label, truth)), label


#: A product small enough to be refused in many ways.
CONTRACT = """\
geartrain: 1
product: {name: tiny, title: Tiny, problem: a small one}
decision:
  task: binary
  unit: one row
  label: outcome
  positive: bad
  actions: {bad: stop, good: pass}
costs: {currency: errors, false_negative: 1, false_positive: 1}
success:
  expected_cost: {at_most: 0.9, relative_to: most-frequent, because: less is not worth it}
data:
  sources:
    rows:
      kind: decisions
      key: id
      fields:
        id: {type: string, required: true}
        amount: {type: number, required: true, max: 1000}
        outcome: {type: string, values: [bad, good]}
team: {product: [ann], domain: [ben], engineering: [cyd], science: [dan]}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A folder with the small contract."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "product.yaml").write_text(CONTRACT)
    return folder


def csv_of(folder: Path, name: str, *lines: str) -> str:
    """A CSV file with the tiny product's header."""
    (folder / name).write_text("\n".join(["id,amount,outcome", *lines]) + "\n")
    return name
