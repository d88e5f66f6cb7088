"""Boosted trees with a small search."""

from __future__ import annotations

from geartrain.training.recipe import integer, number, recipe

model = recipe(
    "lightgbm",
    search={
        "n_estimators": integer(40, 150),
        "num_leaves": integer(6, 24),
        "learning_rate": number(0.03, 0.15, log=True),
    },
    fixed={"min_child_samples": 40},
    calibrate="sigmoid",
)
