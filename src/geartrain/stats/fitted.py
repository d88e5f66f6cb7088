"""A fitted model in memory: the estimator and what makes its probabilities honest.

Training makes it, evaluation asks it, compression exports it; it is never written to
disk as it is. What is stored is its ONNX form and, for trees, its own text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from geartrain.domain.model import Params
from geartrain.domain.prediction import Floats, Predictions
from geartrain.domain.task import Task
from geartrain.stats.calibrators import Calibrator
from geartrain.stats.tree_model import Matrix, contributions


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """An estimator that knows the classes' names and answers calibrated.

    Attributes:
        classes: In the contract's order (two classes: negative, positive); empty for regression.
        algorithm: The recipe's name for it.
        settings: The parameters that the recipe was called with.
        params: The resolved parameters: the library's defaults written out.
        code: The digest of the recipe's source.
        estimator: The fitted scikit-learn-compatible estimator; its classes are the
            indices of `classes`.
        calibrator: None where the estimator's own probabilities are used.
    """

    task: Task
    classes: tuple[str, ...]
    algorithm: str
    settings: Params
    params: Params
    seed: int
    code: str
    estimator: Any
    calibrator: Calibrator | None = None

    def predict(self, matrix: Matrix) -> Predictions:
        """Answer for each row of *matrix*, float32 of shape (n, d)."""
        values = raw_values(self.estimator, matrix, width=len(self.classes))
        if self.calibrator is not None:
            values = self.calibrator.apply(values)
        return Predictions(task=self.task, classes=self.classes, values=values)

    def contributions(self, matrix: Matrix) -> Floats | None:
        """Exact TreeSHAP, shape (n, outputs, d + 1), in raw-score units; None where it is no LightGBM model."""
        return contributions(self.estimator.booster_, matrix) if is_lightgbm(self.estimator) else None

    @property
    def text(self) -> str | None:
        """The model in LightGBM's own text form (see `TreeModel`); None for others."""
        if not is_lightgbm(self.estimator):
            return None
        return str(self.estimator.booster_.model_to_string(num_iteration=-1))


def is_lightgbm(estimator: Any) -> bool:
    """Whether *estimator* itself, not a step inside a pipeline, is LightGBM's."""
    import sys

    # Not imported means that it cannot be one; importing it only to ask would be dear.
    library = sys.modules.get("lightgbm")
    return library is not None and isinstance(estimator, library.LGBMModel)


def raw_values(estimator: Any, matrix: Matrix, *, width: int) -> Floats:
    """The estimator's own answers, shape (n, width), or (n, 1) where *width* is 0.

    A class that the estimator did not meet in training has probability 0.
    """
    if width == 0:
        return np.asarray(estimator.predict(matrix), dtype=np.float64).reshape(-1, 1)
    known = np.asarray(estimator.classes_, dtype=np.int64)
    values = np.zeros((matrix.shape[0], width))
    values[:, known] = estimator.predict_proba(matrix)
    return values
