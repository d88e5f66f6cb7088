"""Builders of small evidence: binary by default, any task on request."""

from datetime import UTC, datetime

import numpy as np
import pytest

from geartrain.domain.clause import Clause, Comparison
from geartrain.domain.contract import Contract, CostEntry, CostTerms, DecisionTerms, ProductTerms
from geartrain.domain.features import Encoding, FeatureSet, RequestFeature
from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Predictions
from geartrain.domain.roles import Role
from geartrain.domain.rule import rule_of
from geartrain.domain.task import Task
from geartrain.evaluation.evidence import Evidence
from geartrain.evaluation.model_view import ModelView

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def make_costs(false_negative="50", false_positive="1", **more):
    entries = (
        CostEntry(name="false_negative", action="follow up", truth="malignant", cost=false_negative),
        CostEntry(name="false_positive", action="biopsy", truth="benign", cost=false_positive),
    )
    return CostTerms(currency="biopsies", entries=entries, **more)


def make_contract(task=Task.BINARY, *, costs=None, clauses=(), baselines=(), **decision):
    if task is Task.BINARY:
        decision = {
            "positive": "malignant",
            "classes": ("benign", "malignant"),
            "actions": ("follow up", "biopsy"),
            **decision,
        }
        costs = costs or make_costs()
    return Contract(
        product=ProductTerms(name="p", title="P", problem="?"),
        decision=DecisionTerms(task=task, unit="row", label="y", **decision),
        team=(),
        costs=costs,
        clauses=tuple(clauses),
        baselines=tuple(baselines),
    )


def make_binary(probabilities, truth, *, columns=None, contract=None, **more):
    """Evidence of P(malignant), shape (n,), against 0/1 truth."""
    contract = contract or make_contract()
    p = np.asarray(probabilities, dtype=float)
    return Evidence(
        contract=contract,
        rule=rule_of(contract, ("benign", "malignant")),
        predictions=Predictions(
            task=Task.BINARY, classes=("benign", "malignant"), values=np.column_stack([1 - p, p])
        ),
        truth=np.asarray(truth, dtype=np.int64),
        columns=columns or {},
        **more,
    )


def make_classes(values, truth, *, contract=None, columns=None, **more):
    values = np.asarray(values, dtype=float)
    classes = tuple("abcdefgh"[: values.shape[1]])
    contract = contract or make_contract(Task.MULTICLASS)
    return Evidence(
        contract=contract,
        rule=rule_of(contract, classes),
        predictions=Predictions(task=Task.MULTICLASS, classes=classes, values=values),
        truth=np.asarray(truth, dtype=np.int64),
        columns=columns or {},
        **more,
    )


def make_values(predicted, truth, *, contract=None, columns=None, **more):
    contract = contract or make_contract(Task.REGRESSION)
    return Evidence(
        contract=contract,
        rule=rule_of(contract, ()),
        predictions=Predictions(
            task=Task.REGRESSION, classes=(), values=np.asarray(predicted, dtype=float).reshape(-1, 1)
        ),
        truth=np.asarray(truth, dtype=float),
        columns=columns or {},
        **more,
    )


def make_clause(path, metric, *, at_most=None, at_least=None, **more):
    comparison, bound = (
        (Comparison.AT_MOST, at_most) if at_most is not None else (Comparison.AT_LEAST, at_least)
    )
    parameters = tuple(sorted(more.pop("parameters", {}).items()))
    return Clause(
        path=path,
        metric=metric,
        comparison=comparison,
        bound=bound,
        owner=Role.DOMAIN,
        parameters=parameters,
        **more,
    )


def make_view(matrix, predict, *, names=None, features=None, categories=(), contributions=None):
    """A model view over plain columns x0, x1, ... and a function of the matrix."""
    matrix = np.asarray(matrix, dtype=np.float32)
    names = names or tuple(f"x{i}" for i in range(matrix.shape[1]))
    features = features or tuple(RequestFeature(name=name, expression=f"`{name}`") for name in names)
    encoding = Encoding(
        feature_set=FeatureSet(features=features), columns=tuple(names), categories=categories
    )
    return ModelView(encoding=encoding, matrix=matrix, predict=predict, contributions=contributions)


def says(function):
    """A predict function for binary views: P(malignant) of the matrix."""

    def predict(matrix):
        p = np.clip(np.asarray(function(matrix), dtype=float), 0, 1)
        return Predictions(
            task=Task.BINARY, classes=("benign", "malignant"), values=np.column_stack([1 - p, p])
        )

    return predict


class Build:
    """All builders, for tests that cannot import from beside themselves."""

    now = NOW
    costs = staticmethod(make_costs)
    contract = staticmethod(make_contract)
    binary = staticmethod(make_binary)
    classes = staticmethod(make_classes)
    values = staticmethod(make_values)
    clause = staticmethod(make_clause)
    view = staticmethod(make_view)
    says = staticmethod(says)


@pytest.fixture
def build():
    return Build


@pytest.fixture
def seen(build):
    """400 rows of a calibrated model: P(malignant) uniform to the power of 2, ages and sites beside."""
    generator = np.random.default_rng(1)
    p = generator.random(400) ** 2
    truth = (generator.random(400) < p).astype(int)
    columns = {
        "age": generator.uniform(20, 80, 400),
        "site": np.array([["north", "south"][i] for i in generator.integers(0, 2, 400)], dtype=object),
    }
    return build.binary(p, truth, columns=columns)


@pytest.fixture
def measured():
    """Unwrap a measurement whose ends hold its value, or fail with the reason."""

    def unwrap(value):
        assert isinstance(value, Measurement), value
        assert np.isfinite([value.value, value.low, value.high]).all()
        assert value.low <= value.value <= value.high
        return value

    return unwrap
