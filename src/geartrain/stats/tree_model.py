"""A LightGBM model as its own text: exact reasons from safe bytes, wherever they are needed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.prediction import Floats

Matrix = NDArray[np.float32]


class TreeModel:
    """A boosted tree ensemble, read from the text that a release carries (no pickle)."""

    def __init__(self, text: str) -> None:
        from lightgbm import Booster

        self.text = text
        self._booster: Any = Booster(model_str=text)

    @property
    def trees(self) -> int:
        """How many trees it has."""
        return int(self._booster.num_trees())

    def contributions(self, matrix: Matrix) -> Floats:
        """Exact TreeSHAP in raw-score units, shape (n, outputs, d + 1); the last column is the base value.

        There is one output for two classes (towards the positive one) and for a
        regression, else one for each class. A row's contributions sum to its raw score.

        Source: Lundberg et al. (2020), "From local explanations to global understanding
        with explainable AI for trees", algorithm 2.
        """
        return contributions(self._booster, matrix)


def contributions(booster: Any, matrix: Matrix) -> Floats:
    """Exact TreeSHAP of a LightGBM *booster*; see `TreeModel.contributions`."""
    flat = np.asarray(booster.predict(matrix, pred_contrib=True), dtype=np.float64)
    rows, width = matrix.shape
    return flat.reshape(rows, -1, width + 1)
