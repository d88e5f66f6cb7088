"""Distillation: what a large model says about rows becomes what a small one is taught.

A label says which class came true; the teacher's probabilities also say how close it was.
Rows without a label teach as well, for the teacher has an answer about every row.

Source: Hinton, Vinyals & Dean (2015), "Distilling the knowledge in a neural network",
with temperature 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.prediction import Floats, Predictions
from geartrain.stats.tree_model import Matrix

#: A copy that weighs less than this says nothing that single precision would keep.
LEAST_WEIGHT = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesson:
    """Rows as any learner takes them whose loss, weighted, is the distillation loss.

    Attributes:
        matrix: Float32 of shape (m, d); with classes, a row stands there once for each class
            that the teacher gives weight to.
        truth: Class indices (int64), or the teacher's values for a regression, shape (m,).
        weight: The teacher's probability of that class, shape (m,); ones for a regression.
    """

    matrix: Matrix
    truth: NDArray[np.int64] | Floats
    weight: Floats


def lesson_of(matrix: Matrix, teacher: Predictions, *, weight: Floats | None = None) -> Lesson:
    """Turn what *teacher* says about the rows of *matrix* into labelled, weighted rows.

    The cross-entropy against probabilities p, sum_k p_k (-log q_k), is the log loss of k
    copies of the row, one for each class, weighted with p_k. So a learner that takes row
    weights is taught by probabilities without knowing it. *weight*, shape (n,), weighs rows
    against each other.

        >>> from geartrain.domain.task import Task
        >>> said = Predictions(task=Task.BINARY, classes=("n", "y"), values=np.array([[0.25, 0.75]]))
        >>> lesson = lesson_of(np.ones((1, 2), dtype=np.float32), said)
        >>> lesson.truth.tolist(), lesson.weight.tolist()
        ([0, 1], [0.25, 0.75])

    Raises:
        ValueError: The teacher answered about other rows.
    """
    if len(teacher) != len(matrix):
        raise ValueError(f"the teacher answered about {len(teacher)} rows, not {len(matrix)}")
    rows = np.ones(len(matrix)) if weight is None else weight
    if not teacher.classes:
        return Lesson(matrix=matrix, truth=teacher.values[:, 0].copy(), weight=rows)
    copies = teacher.values * rows[:, None]
    # Row by row, class by class: the order decides what a seeded learner draws.
    place, label = np.nonzero(copies > LEAST_WEIGHT)
    return Lesson(matrix=matrix[place], truth=label.astype(np.int64), weight=copies[place, label])
