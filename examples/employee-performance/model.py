"""How the model is found: small gradient-boosted trees; their probabilities are made honest afterwards."""

from __future__ import annotations

from geartrain.training.recipe import integer, number, recipe

model = recipe(
    "lightgbm",
    search={
        "n_estimators": integer(60, 140),
        "num_leaves": integer(5, 12),
        "learning_rate": number(0.04, 0.12, log=True),
        "min_child_samples": integer(20, 60),
    },
    fixed={"subsample": 0.9, "subsample_freq": 1, "colsample_bytree": 0.8},
    calibrate="sigmoid",
)
