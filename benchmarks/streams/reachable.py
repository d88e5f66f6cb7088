"""What ELEC2 gives whoever refits without asking: `python benchmarks/streams/reachable.py DATA [--every 2000]`.

Five learners, five windows, refitted every so many rows on labels that come 500 rows late, and
the means of their probabilities. No policy, no test: what a policy could reach with as many refits.
Last stands the rule that the labels were made by, which asks no model.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from lightgbm import LGBMClassifier
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler

sys.path.insert(0, str(Path(__file__).parent))

from lived import BLOCK, FIRST, LATE
from streams import Stream, read

Floats = NDArray[np.float64]
WINDOWS = (1_000, 2_000, 5_000, 10_000, None)
#: Half-hours of the day before: a label says whether the price is above their mean.
DAY = 48


def trees(seed: int) -> LGBMClassifier:
    return LGBMClassifier(
        n_estimators=100, num_leaves=15, learning_rate=0.05, min_child_samples=30, subsample=0.7,
        subsample_freq=1, colsample_bytree=0.7, n_jobs=1, verbosity=-1, random_state=seed,
    )  # fmt: skip


LEARNERS: dict[str, Callable[[], Any]] = {
    "boosted trees": lambda: trees(1),
    "boosted trees, seed 2": lambda: trees(2),
    "random forest": lambda: RandomForestClassifier(100, min_samples_leaf=10, n_jobs=1, random_state=1),
    "splines": lambda: make_pipeline(SplineTransformer(6), LogisticRegression(max_iter=500)),
    "line": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
}


def answers(stream: Stream, make: Callable[[], Any], window: int | None, every: int) -> Floats:
    """The probability of the second class for each row after the first, by models refitted every *every* rows."""
    said: list[Floats] = []
    model, taught = None, 0
    for start in range(FIRST, len(stream.truth), BLOCK):
        known = max(FIRST, start - LATE)
        if model is None or start - taught >= every:
            since = 0 if window is None else max(0, known - window)
            model, taught = make().fit(stream.matrix[since:known], stream.truth[since:known]), start
        said.append(model.predict_proba(stream.matrix[start : start + BLOCK])[:, 1])
    return np.concatenate(said)


def main(arguments: list[str]) -> int:
    if not arguments or not Path(arguments[0]).is_dir():
        print(__doc__)
        return 2
    every = int(arguments[arguments.index("--every") + 1]) if "--every" in arguments else 2_000
    stream = read(Path(arguments[0]), "elec2")
    truth = stream.truth[FIRST:].astype(bool)

    def right(probabilities: list[Floats]) -> str:
        return f"{100 * np.mean((np.mean(probabilities, axis=0) > 0.5) == truth):9.2f}"

    print(
        f"{'refits every ' + format(every, ','):24}", *(f"{one or 'all':>9}" for one in WINDOWS), "     mean"
    )
    said: dict[tuple[str, int | None], Floats] = {}
    for name, make in LEARNERS.items():
        for window in WINDOWS:
            said[name, window] = answers(stream, make, window, every)
        own = [said[name, window] for window in WINDOWS]
        print(f"{name:24}", *(right([one]) for one in own), right(own), flush=True)
    of_windows = (right([said[name, window] for name in LEARNERS]) for window in WINDOWS)
    print(f"{'mean of the learners':24}", *of_windows, right(list(said.values())))
    price = pl.read_parquet(Path(arguments[0]) / "elec2.parquet")["nswprice"]
    above = (price > price.rolling_mean(DAY).shift(1)).to_numpy()[FIRST:]
    print(f"the price is above its mean of the {DAY} rows before: {100 * np.mean(above == truth):.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
