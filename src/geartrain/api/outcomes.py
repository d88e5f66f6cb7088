"""`POST /v1/products/{product}/outcomes`: what became true.

An outcome joins its decision by id, late by nature. Each item is reported on its own;
sending the same again changes nothing, another label later is a correction.
"""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime
from typing import Final

import msgspec

from geartrain.api.bodies import AsgiAsked, BodyLimits, Receive, Scope, require_json
from geartrain.api.decisions import CLOCK_TOLERANCE
from geartrain.api.errors import Reply
from geartrain.api.metrics import ServingMetrics
from geartrain.domain.columns import as_text
from geartrain.domain.prediction import Outcome
from geartrain.errors import DecisionUnknown, RequestInvalid
from geartrain.serving.host import OutcomeStatus, ServingHost
from geartrain.serving.requests import OutcomeItem, OutcomeRequest, decode_body
from geartrain.serving.runtime import Served

MOST_ITEMS: Final = 10_000

_OUTCOMES = msgspec.json.Decoder(OutcomeRequest)


class OutcomeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one outcome; `problem` says why where it was not taken."""

    decision_id: str
    status: str
    problem: str = ""


async def take_outcomes(
    host: ServingHost,
    metrics: ServingMetrics,
    limits: BodyLimits,
    product: str,
    scope: Scope,
    receive: Receive,
) -> Reply:
    """Record the outcomes that can be recorded and report on every one.

    Raises:
        RequestInvalid: The request cannot be understood, or every outcome is invalid.
        DecisionUnknown: None of the decisions was made here.
    """
    served = host.lane(product).champion
    asked = AsgiAsked(scope, receive)
    require_json(asked)
    body = await asked.body(most=limits.control, within_s=limits.read_s)
    request = decode_body(body, _OUTCOMES)
    if not 0 < len(request.outcomes) <= MOST_ITEMS:
        raise RequestInvalid(f"a request holds 1 to {MOST_ITEMS} outcomes", where="outcomes")
    # Finding a decision and recording its outcome may touch the lake.
    reports = await asyncio.to_thread(_record, host, product, served, request)
    for report in reports:
        metrics.outcomes.labels(product, report.status).inc()
    refused = {OutcomeStatus.UNKNOWN.value, OutcomeStatus.INVALID.value}
    if all(report.status in refused for report in reports):
        first = reports[0]
        if all(report.status == OutcomeStatus.UNKNOWN.value for report in reports):
            raise DecisionUnknown(
                "none of the outcomes names a decision of this product",
                where="outcomes",
                hint="send back the `id` that the decision was answered with",
            )
        raise RequestInvalid(f"none of the outcomes can be taken: {first.problem}", where="outcomes")
    return Reply(status=200, body=msgspec.json.encode({"product": product, "outcomes": reports}))


def _record(
    host: ServingHost, product: str, served: Served, request: OutcomeRequest
) -> tuple[OutcomeReport, ...]:
    now = host.now()
    reports: dict[int, OutcomeReport] = {}
    outcomes: dict[int, Outcome] = {}
    made = host.find_all(product, {item.decision_id for item in request.outcomes})
    for place, item in enumerate(request.outcomes):
        happened = _time(item, now)
        label = _label(item, served)
        if label is None or happened is None:
            problem = (
                "the label is not one of the product's" if label is None else "happened_at is in the future"
            )
            reports[place] = _report(item, OutcomeStatus.INVALID, f"outcomes[{place}]: {problem}")
        elif item.decision_id not in made:
            reports[place] = _report(item, OutcomeStatus.UNKNOWN, "no such decision was made here")
        else:
            outcomes[place] = Outcome(
                decision=item.decision_id, label=label, happened_at=happened, arrived_at=now, by=request.by
            )
    if outcomes:
        statuses = host.record_outcomes(product, tuple(outcomes.values()))
        for place, status in zip(outcomes, statuses, strict=True):
            reports[place] = _report(request.outcomes[place], status)
    return tuple(reports[place] for place in range(len(request.outcomes)))


def _report(item: OutcomeItem, status: OutcomeStatus, problem: str = "") -> OutcomeReport:
    return OutcomeReport(decision_id=item.decision_id, status=status.value, problem=problem)


def _label(item: OutcomeItem, served: Served) -> str | None:
    """The label as text, or None where the product cannot have such a truth."""
    text = as_text(item.label) or ""
    if served.task.has_classes:
        return text if text in served.rule.classes else None
    if isinstance(item.label, bool):
        return None
    try:
        return text if math.isfinite(float(item.label)) else None
    except (ValueError, OverflowError):
        return None


def _time(item: OutcomeItem, now: datetime) -> datetime | None:
    if item.happened_at is None:
        return now
    happened = item.happened_at
    happened = happened.replace(tzinfo=UTC) if happened.tzinfo is None else happened.astimezone(UTC)
    return happened if happened <= now + CLOCK_TOLERANCE else None
