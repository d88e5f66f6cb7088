"""How the model is found: gradient-boosted trees under a size that the budget allows."""

from __future__ import annotations

from geartrain.training.recipe import integer, number, recipe

model = recipe(
    "lightgbm",
    search={
        "n_estimators": integer(40, 160),
        "num_leaves": integer(4, 24),
        "learning_rate": number(0.03, 0.15, log=True),
        "min_child_samples": integer(20, 80),
    },
    fixed={"subsample": 0.9, "subsample_freq": 1, "colsample_bytree": 0.8},
    calibrate="sigmoid",
)
