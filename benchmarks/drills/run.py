"""Nine faults into a small product, over several seeds: `python benchmarks/drills/run.py [SEEDS]`.

Prints each drill, the counts over all seeds, and exits with 1 where a seed missed the bar.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import data
from geartrain.cli.drill import in_words, run_drill
from geartrain.engine.drilling import DrillTerms
from geartrain.engine.products import load_product
from geartrain.ports.teller import Silence

HERE = Path(__file__).resolve().parent
DAY_S = 86_400.0
TERMS = {"live_after_s": 30 * DAY_S, "settle_s": 12 * DAY_S, "watch_s": 16 * DAY_S}


def main(seeds: int = 3) -> int:
    """Drill with each seed; the exit code."""
    product = load_product(HERE)
    missed = 0
    for seed in range(1, seeds + 1):
        with tempfile.TemporaryDirectory() as folder:
            files = data.write(Path(folder), seed=seed, days=60, per_day=400)
            done = run_drill(product, files, DrillTerms(**TERMS, seed=seed, trials=1), told=Silence())
        print(f"seed {seed}\n{in_words(done)}\n", flush=True)
        missed += not done.passed
    print(f"{seeds - missed} of {seeds} seeds keep the bar")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(*(int(one) for one in sys.argv[1:])))
