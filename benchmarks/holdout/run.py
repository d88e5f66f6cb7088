"""Print what two published attacks get out of held-out rows, averaged over worlds.

python benchmarks/holdout/run.py            # the full sizes: about two minutes
python benchmarks/holdout/run.py --worlds 3
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from experiments import boosting, expected_naive_error, no_signal


def told(name: str, values: Sequence[float]) -> str:
    """A mean with its standard error over the worlds."""
    error = np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return f"  {name:<58} {np.mean(values):.3f} +- {error:.3f}"


def main(worlds: int, rows: int) -> None:
    """Run both experiments and print their tables."""
    seen = [no_signal(rows=rows, features=rows, kept=rows // 3, seed=seed) for seed in range(worlds)]
    print(f"no signal: {rows} rows a set, {rows} features, {worlds} worlds; the true accuracy is .500")
    print(told("naive reuse: accuracy reported on the held rows", [one.naive for one in seen]))
    answered = [one.thresholdout for one in seen if one.thresholdout is not None]
    print(told("behind Thresholdout: accuracy on the held rows", answered))
    print(told("the naive classifier on sealed rows, opened once", [one.sealed for one in seen]))
    charged = f"{np.mean([one.charged for one in seen]):.1f} of {rows + 1} answers"
    print(f"  {'answers that Thresholdout charged':<58} {charged}")
    for tries in (100, 400):
        boosted = [boosting(rows=2000, tries=tries, seed=seed) for seed in range(worlds)]
        print(
            f"boosting: 2000 public rows, {tries} coin-flip submissions, {worlds} worlds; the true error is .500"
        )
        print(told("naive: public error of the majority", [one.naive for one in boosted]))
        print(f"  {'theory for few tries':<58} {expected_naive_error(2000, tries):.3f}")
        print(told("by the Ladder: public error of the majority", [one.ladder for one in boosted]))
        print(told("the best error that the Ladder showed", [one.shown for one in boosted]))
        print(told("the naive majority on private rows", [one.naive_private for one in boosted]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--rows", type=int, default=1500)
    chosen = parser.parse_args()
    main(chosen.worlds, chosen.rows)
