"""Does a learning curve that was believed foretell what more rows then showed?

    python benchmarks/feasibility/forecasts.py path/to/tabular

Of each data set a small lesson is drawn, a curve is made from it as `geartrain feasibility` does (quick boosted
trees, a missed positive costs 5, a false alarm 1), and its forecasts at 2x and 10x are held against models
that were really taught that many rows. Each data set is drawn several times; the table counts.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import polars as pl
from numpy.typing import NDArray

from geartrain.stats.calibrators import fit_sigmoid
from geartrain.stats.learning_curve import growing_sizes, learning_curve

#: Data sets whose last column is the label, and what is left out: no feature, or known only afterwards.
LEFT_OUT = {
    "adult": ("split",),
    "bank_additional_full": ("duration",),
    "credit_card_default_taiwan": (),
}
LESSON, JUDGED, WORLDS, DRAWS = 1_500, 6_000, 8, (4, 3, 3, 2, 1)
MISSED, ALARM = 5.0, 1.0

Floats = NDArray[np.float64]


def rows_of(path: Path, left_out: tuple[str, ...]) -> tuple[Floats, NDArray[np.int64]]:
    """Features as numbers, categories as codes, and the rarer class as 1."""
    frame = pl.read_parquet(path)
    label = frame.columns[-1]
    truth = frame.get_column(label).cast(pl.String)
    rarer = truth.value_counts().sort("count").get_column(label)[0]
    given = frame.drop(label, *left_out)
    columns = [
        given.get_column(name).cast(pl.Categorical).to_physical()
        if given.schema[name] == pl.String
        else given.get_column(name)
        for name in given.columns
    ]
    return np.column_stack([one.cast(pl.Float64).to_numpy() for one in columns]), (
        truth == rarer
    ).to_numpy().astype(np.int64)


def costs_of(x: Floats, y: NDArray[np.int64], lesson: Any, judged: Any) -> Floats:
    """What each judged row costs after this lesson, calibrated on a fifth of it."""
    cut = len(lesson) * 4 // 5
    model = lightgbm.LGBMClassifier(
        n_estimators=80, num_leaves=8, learning_rate=0.08, min_child_samples=10, n_jobs=1, verbosity=-1
    ).fit(x[lesson[:cut]], y[lesson[:cut]])
    calibrator = fit_sigmoid(np.asarray(model.predict_proba(x[lesson[cut:]])), y[lesson[cut:]])
    p = calibrator.apply(np.asarray(model.predict_proba(x[judged])))[:, 1]
    acts = p >= ALARM / (ALARM + MISSED)
    return np.where(y[judged] == 1, np.where(acts, 0.0, MISSED), np.where(acts, ALARM, 0.0))


def main(folder: Path) -> None:
    """Print, for each data set, how often curves were believed and their forecasts held."""
    print(f"{'data set':<28}{'believed':>9}{'held at 2x':>12}{'at 10x':>8}{'mean miss at 10x':>18}")
    for name, left_out in LEFT_OUT.items():
        x, y = rows_of(folder / f"{name}.parquet", left_out)
        believed, held, misses = 0, [0, 0], []
        for world in range(WORLDS):
            rng = np.random.default_rng(world)
            order = rng.permutation(len(y))
            judged, rest = order[:JUDGED], order[JUDGED:]
            sizes = growing_sizes(LESSON, fewest=60)
            costs = [
                np.stack(
                    [
                        costs_of(x, y, rng.permutation(rest[:LESSON])[:size], judged[:2_000])
                        for _ in range(draws)
                    ]
                )
                for size, draws in zip(sizes, DRAWS, strict=True)
            ]
            curve = learning_curve(sizes, costs, seed=world)
            if not curve.accepted:
                continue
            believed += 1
            for place, one in enumerate(curve.forecasts):
                seen = float(costs_of(x, y, rest[: one.rows], judged[2_000:]).mean())
                held[place] += one.expected.low <= seen <= one.expected.high
                if place == 1:
                    misses.append((one.expected.value - seen) / seen)
        share = f"{believed} of {WORLDS}"
        miss = f"{np.mean(misses):+.1%}" if misses else "-"
        print(f"{name:<28}{share:>9}{held[0]:>12}{held[1]:>8}{miss:>18}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
