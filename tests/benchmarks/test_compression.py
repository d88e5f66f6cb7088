"""How small a model can be, small: the benchmark's own study on a part of the public data."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="module")
def bench():
    """The benchmark's modules, which stand beside the package and import each other by name."""
    folder = str(ROOT / "benchmarks" / "compression")
    sys.path.insert(0, folder)
    names = ("study", "data", "fraud", "adult")
    kept = {name: sys.modules.pop(name, None) for name in names}
    try:
        yield {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(folder)
        for name in names:
            sys.modules.pop(name, None)
            if kept[name] is not None:
                sys.modules[name] = kept[name]


@pytest.mark.skipif(not (DATA / "tabular" / "adult.parquet").exists(), reason="Adult is not on this machine")
def test_a_study_of_adult_names_what_it_could_prove(bench, tmp_path):
    """Sixteen hundred sealed rows: the table has reference, shapes and a student; the verdict says proven, or how many would prove it."""
    study, adult, data = bench["study"], bench["adult"], bench["data"]
    whole = data.adult(DATA)
    part = {
        name: getattr(whole, name).take(np.arange(count))
        for name, count in (("search", 2400), ("select", 800), ("verdict", 1600))
    }
    from geartrain.training.folds import inner_folds

    rows = study.Rows(**part, folds=inner_folds(part["search"].truth))
    settings = {"n_estimators": 60, "num_leaves": 8, "learning_rate": 0.1}
    made = study.tree_candidates(adult.MODEL, settings, rows, adult.RULE, sizes=(4,), distilled=(4,), seed=1)
    found = study.judged(made, rows, adult.RULE, margin=0.05, seed=1, at_least=3.0)
    names = [row.name for row in found.choice.rows]
    assert names[0] == "reference"
    assert names[2] == f"distilled-{names[1]}"
    assert found.smaller >= 3.0
    assert found.proof.proven == (found.proof.upper <= found.proof.margin)
    assert ("proven not worse" in found.sentence) == found.proof.proven
    page = study.drawn("Adult", found)
    assert "<svg" in page
    assert all(name in page for name in names)


def test_cards_are_counted_once_a_day(bench):
    """Of a day's cards the highest are looked at; a caught one counts minus one, however many payments it made."""
    study, fraud = bench["study"], bench["fraud"]
    from geartrain.domain.prediction import Predictions
    from geartrain.domain.task import Task
    from geartrain.training.examples import Examples

    score = np.array([0.9, 0.8, 0.1, 0.7])
    rows = Examples(
        matrix=np.zeros((4, 1), dtype=np.float32),
        truth=np.array([1, 1, 0, 1]),
        columns={"day": np.array([0.0, 0, 0, 1]), "card": np.array([5.0, 5, 6, 5])},
    )
    said = Predictions(task=Task.BINARY, classes=study.CLASSES, values=np.column_stack([1 - score, score]))
    assert fraud.caught(fraud.RULE, said, rows).tolist() == [-1.0, 0.0, -1.0]
