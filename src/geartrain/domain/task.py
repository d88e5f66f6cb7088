"""The shapes a decision can take; everything downstream matches on them."""

from __future__ import annotations

from enum import StrEnum


class Task(StrEnum):
    """What kind of answer the model gives; no noun outside this one assumes two classes."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"
    RANKING = "ranking"
    DETECTION = "detection"

    @property
    def has_classes(self) -> bool:
        """Whether the model answers with a probability for each class."""
        return self in (Task.BINARY, Task.MULTICLASS)
