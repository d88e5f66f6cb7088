"""Small trees: what is drilled is who is called, not how well the model learns."""

from __future__ import annotations

from geartrain.training.recipe import integer, recipe

model = recipe(
    "lightgbm",
    search={"num_leaves": integer(4, 8)},
    fixed={"n_estimators": 40, "learning_rate": 0.1},
    calibrate="sigmoid",
)
