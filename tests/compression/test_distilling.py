"""What a teacher says about rows, as rows that any learner takes."""

import numpy as np
import pytest

from geartrain.compression.distilling import lesson_of
from geartrain.domain.prediction import Predictions
from geartrain.domain.task import Task


def said(values, classes=("n", "y")):
    task = Task.REGRESSION if not classes else Task.BINARY if len(classes) == 2 else Task.MULTICLASS
    return Predictions(task=task, classes=classes, values=np.asarray(values, dtype=np.float64))


def test_the_log_loss_of_the_lesson_is_the_cross_entropy():
    """Summed over the copies, weighted log loss is the cross-entropy against the teacher, for any student."""
    random = np.random.default_rng(1)
    teacher, student = (random.dirichlet(np.ones(3), size=50) for _ in range(2))
    weight = random.random(50)
    matrix = np.arange(50, dtype=np.float32)[:, None]
    lesson = lesson_of(matrix, said(teacher, ("a", "b", "c")), weight=weight)
    row = lesson.matrix[:, 0].astype(int)
    weighted = -(lesson.weight * np.log(student[row, lesson.truth])).sum()
    assert weighted == pytest.approx(-(weight[:, None] * teacher * np.log(student)).sum(), rel=1e-5)


def test_a_sure_teacher_gives_plain_labels():
    """Probabilities of 0 and 1 are labels: one copy of each row."""
    lesson = lesson_of(np.zeros((3, 2), dtype=np.float32), said([[1, 0], [0, 1], [1, 0]]))
    assert lesson.truth.tolist() == [0, 1, 0]
    assert lesson.weight.tolist() == [1.0, 1.0, 1.0]


def test_a_value_is_taught_as_it_is():
    """For a regression the teacher's value is the target."""
    lesson = lesson_of(np.zeros((2, 1), dtype=np.float32), said([[1.5], [2.5]], ()))
    assert lesson.truth.tolist() == [1.5, 2.5]


def test_other_rows_are_refused():
    """An answer about other rows teaches nothing."""
    with pytest.raises(ValueError, match="answered about 1 rows"):
        lesson_of(np.zeros((2, 1), dtype=np.float32), said([[1, 0]]))
