"""How small a fraud model can be: `python benchmarks/compression/fraud.py DATA [PICTURES]`.

DATA is the folder with `fraud/tx_transformed_2018-07-25_2018-08-14.parquet`. A missed fraud costs
its amount, a false alarm 5. Twice the same model and the same rows: judged by expected cost, and by
card precision@100, the share of the hundred highest cards of a day that are compromised.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from study import Rows, judged, rule_with, show, tree_candidates

from data import FRAUD, fraud
from geartrain.domain.prediction import Floats, Predictions
from geartrain.domain.rule import DecisionRule
from geartrain.training.examples import Examples
from geartrain.training.recipe import recipe

RULE = rule_with(missed="amount", false_alarm="5")
MODEL = recipe("lightgbm", calibrate="none", fixed={"min_child_samples": 20})
SETTINGS = {"n_estimators": 500, "num_leaves": 31, "learning_rate": 0.02}
CARDS_A_DAY = 100


def caught(_: DecisionRule, answers: Predictions, examples: Examples) -> Floats:
    """Minus one for each compromised card among the hundred highest of its day, by card and day.

    Its mean is minus the card precision@100, scaled; cards are looked at afresh each day,
    so that what is caught on one day does not depend on the day before.
    """
    cases = examples.columns["day"].astype(np.int64) * 1_000_000 + examples.columns["card"].astype(np.int64)
    names, place = np.unique(cases, return_inverse=True)
    score = np.full(len(names), -np.inf)
    np.maximum.at(score, place, answers.of("yes"))
    right = np.zeros(len(names), dtype=bool)
    np.logical_or.at(right, place, examples.truth == 1)
    hit = np.zeros(len(names))
    for day in np.unique(names // 1_000_000):
        inside = np.flatnonzero(names // 1_000_000 == day)
        top = inside[np.argsort(-score[inside], kind="stable")[:CARDS_A_DAY]]
        hit[top] = -right[top].astype(np.float64)
    return hit


def main(arguments: list[str]) -> int:
    if not arguments or not (Path(arguments[0]) / FRAUD).exists():
        print(__doc__)
        return 2
    pictures = Path(arguments[1]) if len(arguments) > 1 else None
    rows = fraud(Path(arguments[0]))
    print(
        "rows and frauds: "
        + ", ".join(f"{name} {len(one):,} / {one.truth.sum():,}" for name, one in _pools(rows))
    )
    unlabelled = None
    made = tree_candidates(
        MODEL,
        SETTINGS,
        rows,
        RULE,
        sizes=(2, 5, 10, 20, 40),
        distilled=(10, 30),
        seed=1,
        unlabelled=unlabelled,
    )
    cost = judged(made, rows, RULE, margin=0.05, seed=1, at_least=5.0)
    show("Fraud by expected cost, at least 5 times smaller", cost, picture=_picture(pictures, "fraud-cost"))
    held = judged(made, rows, RULE, margin=0.05, seed=1, at_least=30.0, costs=caught, tune=False)
    show(
        "Fraud by card precision@100, at least 30 times smaller",
        held,
        picture=_picture(pictures, "fraud-cards"),
    )
    return 0


def _pools(rows: Rows) -> list[tuple[str, Examples]]:
    return [("search", rows.search), ("select", rows.select), ("verdict", rows.verdict)]


def _picture(folder: Path | None, name: str) -> Path | None:
    return None if folder is None else folder / f"{name}.html"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
