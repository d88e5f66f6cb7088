"""A small contract for the tests of this folder: payments to decide about, labels that come late."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from geartrain.domain.contract import (
    Contract,
    DataTerms,
    DecisionTerms,
    FieldTerms,
    FieldType,
    ProductTerms,
    SourceKind,
    SourceTerms,
)
from geartrain.domain.task import Task

PAYMENTS = SourceTerms(
    name="payments",
    kind=SourceKind.DECISIONS,
    key="id",
    event_time="at",
    fields=(
        FieldTerms(name="id", type=FieldType.STRING, required=True, unique=True),
        FieldTerms(name="at", type=FieldType.TIMESTAMP, required=True),
        FieldTerms(name="amount", type=FieldType.NUMBER, minimum=0, maximum=1000),
        FieldTerms(name="site", type=FieldType.STRING, values=("A", "B")),
    ),
)

LABELS = SourceTerms(
    name="labels",
    kind=SourceKind.LABELS,
    key="label_id",
    event_time="at",
    decision_key="id",
    fields=(FieldTerms(name="fraud", type=FieldType.INTEGER),),
)


@pytest.fixture(scope="session")
def now() -> datetime:
    """When deliveries of these tests arrive."""
    return datetime(2026, 1, 10, tzinfo=UTC)


@pytest.fixture(scope="session")
def payments() -> SourceTerms:
    """A decision source with a key, a time, a range and a set of values."""
    return PAYMENTS


@pytest.fixture(scope="session")
def labels() -> SourceTerms:
    """A source of late labels."""
    return LABELS


@pytest.fixture(scope="session")
def contract() -> Callable[..., Contract]:
    """A contract over the two sources, or others."""

    def make(
        *sources: SourceTerms, task: Task = Task.BINARY, label: str = "fraud", delay_days: float = 7.0
    ) -> Contract:
        return Contract(
            product=ProductTerms(name="p", title="P", problem="?"),
            decision=DecisionTerms(task=task, unit="payment", label=label, label_delay_s=delay_days * 86_400),
            team=(),
            data=DataTerms(sources=sources or (PAYMENTS, LABELS)),
        )

    return make
