"""How the model is found: gradient-boosted trees, small enough for 569 patients."""

from __future__ import annotations

from geartrain.training.recipe import integer, number, recipe

model = recipe(
    "lightgbm",
    search={
        "n_estimators": integer(40, 200),
        "num_leaves": integer(3, 15),
        "learning_rate": number(0.03, 0.2, log=True),
        "min_child_samples": integer(5, 30),
    },
    fixed={"subsample": 0.9, "subsample_freq": 1, "colsample_bytree": 0.7},
    calibrate="sigmoid",
)
