"""Real rows and fitted models for the compression tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from geartrain.domain.contract import CostEntry, CostTerms
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.stats.fitted import Fitted
from geartrain.training.examples import Examples
from geartrain.training.fitting import fit
from geartrain.training.recipe import recipe

COSTS = CostTerms(
    entries=(
        CostEntry(name="false_negative", action="malignant", truth="benign", cost="1"),
        CostEntry(name="false_positive", action="benign", truth="malignant", cost="50"),
    )
)


@dataclass(frozen=True)
class Case:
    """One product's rows in two halves, and how to fit a model on the first."""

    rule: DecisionRule
    first: Examples
    second: Examples

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(f"x{i}" for i in range(self.first.matrix.shape[1]))

    def fit(self, algorithm: str, calibrate: str = "none", **params) -> Fitted:
        return fit(recipe(algorithm, calibrate=calibrate), params, self.first, self.rule, seed=3)


def case_of(task: Task, classes: tuple[str, ...], matrix: np.ndarray, truth: np.ndarray) -> Case:
    order = np.random.default_rng(1).permutation(len(truth))
    half = len(truth) // 2
    halves = [
        Examples(matrix=matrix[part].astype(np.float32), truth=truth[part], columns={})
        for part in (order[:half], order[half:])
    ]
    rule = DecisionRule(
        task=task,
        classes=classes,
        actions=classes or ("predict",),
        costs=COSTS if task is Task.BINARY else CostTerms(),
    )
    return Case(rule=rule, first=halves[0], second=halves[1])


def tumour_case() -> Case:
    matrix, target = load_breast_cancer(return_X_y=True)
    return case_of(Task.BINARY, ("benign", "malignant"), matrix, (1 - target).astype(np.int64))


def wine_case() -> Case:
    matrix, target = load_wine(return_X_y=True)
    return case_of(Task.MULTICLASS, ("a", "b", "c"), matrix, target.astype(np.int64))


def patient_case() -> Case:
    matrix, target = load_diabetes(return_X_y=True)
    return case_of(Task.REGRESSION, (), matrix, target.astype(np.float64))


@pytest.fixture(scope="session")
def cases() -> dict[str, Case]:
    return {"tumours": tumour_case(), "wines": wine_case(), "patients": patient_case()}
