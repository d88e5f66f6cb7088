"""The patients of tumour-triage: the Wisconsin breast cancer data that scikit-learn carries.

569 fine-needle samples (Street, Wolberg, Mangasarian 1993). The file that this writes is
an ordinary CSV, such as a clinic's system would export.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
from sklearn.datasets import load_breast_cancer


def write(folder: Path, *, seed: int = 0) -> dict[str, Path]:
    """Write `samples.csv` into *folder*; the patients are real, so *seed* only orders them."""
    bunch = load_breast_cancer()
    frame = pl.DataFrame(
        {name: bunch.data[:, column] for column, name in enumerate(bunch.feature_names)}
    ).with_columns(
        pl.Series("diagnosis", [bunch.target_names[target] for target in bunch.target]),
        pl.Series("sample_id", [f"S{number:04d}" for number in range(len(bunch.target))]),
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "samples.csv"
    frame.sample(fraction=1.0, shuffle=True, seed=seed).write_csv(path)
    return {"samples": path}
