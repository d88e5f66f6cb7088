"""A small contract and signals to triage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from geartrain.domain.contract import (
    Cause,
    Contract,
    DataTerms,
    DecisionTerms,
    MonitoringTerms,
    ProductTerms,
    SourceKind,
    SourceTerms,
)
from geartrain.domain.finding import Measurement
from geartrain.domain.incident import LossSplit
from geartrain.domain.roles import Role
from geartrain.domain.task import Task

DAY = timedelta(days=1)


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def contract() -> Contract:
    return Contract(
        product=ProductTerms(name="cards", title="Cards", problem="fraud"),
        decision=DecisionTerms(task=Task.BINARY, unit="payment", label="fraud", label_delay_s=7 * 86_400.0),
        team=(),
        data=DataTerms(
            sources=(
                SourceTerms(
                    name="payments",
                    kind=SourceKind.DECISIONS,
                    key="id",
                    freshness_s=3600.0,
                    rows_per_day=100.0,
                ),
                SourceTerms(name="chargebacks", kind=SourceKind.LABELS, key="id", freshness_s=2 * 86_400.0),
                SourceTerms(name="unwatched", kind=SourceKind.EVENTS, key="id"),
            )
        ),
        monitoring=MonitoringTerms(
            window_s=7 * 86_400.0,
            owners=(
                (Cause.FEED, Role.ENGINEERING),
                (Cause.COLUMN, Role.ENGINEERING),
                (Cause.LABEL_FEED, Role.DOMAIN),
                (Cause.POPULATION, Role.SCIENCE),
                (Cause.CONCEPT, Role.DOMAIN),
                (Cause.MODEL, Role.SCIENCE),
            ),
        ),
    )


@pytest.fixture
def split():
    """A function that makes a split of the loss, each part 0.1 to either side of its value."""

    def make(*, covariate: float = 0.0, concept: float | None = None) -> LossSplit:
        def part(value: float) -> Measurement:
            return Measurement(value=value, low=value - 0.1, high=value + 0.1, rows=500)

        return LossSplit(
            before=1.0,
            total=None if concept is None else part(covariate + concept),
            covariate=part(covariate),
            concept=None if concept is None else part(concept),
            apart=part(0.6),
        )

    return make
