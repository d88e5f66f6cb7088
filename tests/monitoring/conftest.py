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
