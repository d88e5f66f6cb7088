"""Real rows for the training tests: breast cancer, wine and diabetes of scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from geartrain.domain.contract import (
    Contract,
    CostEntry,
    CostTerms,
    DataTerms,
    DecisionTerms,
    ProductTerms,
)
from geartrain.domain.rule import DecisionRule, rule_of
from geartrain.domain.task import Task
from geartrain.training.examples import Examples, Lineage
from geartrain.training.split import RowFacts, Split, split


@dataclass(frozen=True)
class Case:
    """One product's rows, already split."""

    contract: Contract
    rule: DecisionRule
    everything: Examples
    parts: Split

    @property
    def search(self) -> Examples:
        return self.everything.take(self.parts.search)

    @property
    def select(self) -> Examples:
        return self.everything.take(self.parts.select)


def contract_of(
    task: Task, *, costs: CostTerms | None = None, data: DataTerms | None = None, delay: float = 0.0
) -> Contract:
    return Contract(
        product=ProductTerms(name="test", title="Test", problem="a test"),
        decision=DecisionTerms(task=task, unit="row", label="label", label_delay_s=delay),
        team=(),
        costs=costs,
        data=data or DataTerms(sources=(), shares=(0.6, 0.2, 0.2)),
    )


def case_of(
    task: Task, matrix: np.ndarray, truth: np.ndarray, classes: tuple[str, ...], costs: CostTerms | None
) -> Case:
    contract = contract_of(task, costs=costs)
    facts = RowFacts(keys=[f"row-{i}" for i in range(len(truth))], labels=truth)
    return Case(
        contract=contract,
        rule=rule_of(contract, classes),
        everything=Examples(matrix=matrix.astype(np.float32), truth=truth, columns={"first": matrix[:, 0]}),
        parts=split(facts, contract, classes=classes, seed=7),
    )


def tumour_case() -> Case:
    matrix, target = load_breast_cancer(return_X_y=True)
    costs = CostTerms(
        entries=(
            CostEntry(name="false_negative", action="benign", truth="malignant", cost="50"),
            CostEntry(name="false_positive", action="malignant", truth="benign", cost="1"),
        )
    )
    return case_of(Task.BINARY, matrix, (1 - target).astype(np.int64), ("benign", "malignant"), costs)


def wine_case() -> Case:
    matrix, target = load_wine(return_X_y=True)
    return case_of(Task.MULTICLASS, matrix, target.astype(np.int64), ("a", "b", "c"), None)


def patient_case() -> Case:
    matrix, target = load_diabetes(return_X_y=True)
    return case_of(Task.REGRESSION, matrix, target.astype(np.float64), (), None)


@pytest.fixture(scope="session")
def tumours() -> Case:
    return tumour_case()


@pytest.fixture(scope="session")
def wines() -> Case:
    return wine_case()


@pytest.fixture(scope="session")
def patients() -> Case:
    return patient_case()


@pytest.fixture
def lineage() -> Lineage:
    return Lineage(contract="c", snapshot="s", features="f")
