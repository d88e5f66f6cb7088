"""How small an income model can be: `python benchmarks/compression/adult.py DATA [PICTURES]`.

DATA is the folder with `tabular/adult.parquet`. A missed `yes` costs 5, a false alarm 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from study import judged, rule_with, show, tree_candidates

from data import ADULT, adult
from geartrain.training.recipe import recipe

RULE = rule_with(missed="5", false_alarm="1")
MODEL = recipe("lightgbm", calibrate="none", fixed={"min_child_samples": 20})
SETTINGS = {"n_estimators": 500, "num_leaves": 31, "learning_rate": 0.05}


def main(arguments: list[str]) -> int:
    if not arguments or not (Path(arguments[0]) / ADULT).exists():
        print(__doc__)
        return 2
    rows = adult(Path(arguments[0]))
    made = tree_candidates(MODEL, SETTINGS, rows, RULE, sizes=(5, 15, 20, 40), distilled=(20,), seed=1)
    found = judged(made, rows, RULE, margin=0.03, seed=1, at_least=15.0)
    picture = Path(arguments[1]) / "adult.html" if len(arguments) > 1 else None
    show("Adult at 5 : 1, at least 15 times smaller", found, picture=picture)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
