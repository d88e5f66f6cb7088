"""`POST /v1/products/{product}/outcomes`: what became true.

An outcome joins its decision by id, late by nature. Each item is reported on its own;
sending the same again changes nothing, another label later is a correction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

import msgspec

from geartrain.api.bodies import Asked, BodyLimits, require_json
from geartrain.api.decisions import CLOCK_TOLERANCE
from geartrain.api.errors import Reply, json_reply
from geartrain.api.gathering import Gathering
from geartrain.api.metrics import ServingMetrics
from geartrain.domain.columns import as_text
from geartrain.domain.prediction import Outcome
from geartrain.errors import DecisionUnknown, RequestInvalid
from geartrain.serving.host import OutcomeStatus, ServingHost
from geartrain.serving.requests import OutcomeItem, OutcomeRequest, decode_body
from geartrain.serving.runtime import Served

MOST_ITEMS: Final = 10_000
#: Outcomes that may wait to be written down.
MOST_WAITING: Final = 50_000

_OUTCOMES = msgspec.json.Decoder(OutcomeRequest)


class OutcomeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one outcome; `problem` says why where it was not taken."""

    decision_id: str
    status: str
    problem: str = ""


class OutcomeReply(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each outcome of a request, in its order."""

    product: str
    outcomes: tuple[OutcomeReport, ...]


class OutcomeRoute:
    """Takes outcomes for a host, for one event loop.

    Requests that come while others are written down are written down together, as one batch of the lake.
    """

    def __init__(self, host: ServingHost, metrics: ServingMetrics, limits: BodyLimits) -> None:
        self._host = host
        self._metrics = metrics
        self._limits = limits
        self._gatherings: dict[str, Gathering[OutcomeRequest, tuple[OutcomeReport, ...]]] = {}

    async def __call__(self, product: str, asked: Asked) -> Reply:
        """Record the outcomes that can be recorded and report on every one.

        Raises:
            RequestInvalid: The request cannot be understood, or every outcome is invalid.
            DecisionUnknown: None of the decisions was made here.
            Refusal: Too many outcomes wait to be written down.
        """
        self._host.lane(product)
        require_json(asked)
        body = await asked.body(most=self._limits.control, within_s=self._limits.read_s)
        request = decode_body(body, _OUTCOMES)
        if not 0 < len(request.outcomes) <= MOST_ITEMS:
            raise RequestInvalid(f"a request holds 1 to {MOST_ITEMS} outcomes", where="outcomes")
        reports = await self._gathering(product)(request)
        for report in reports:
            self._metrics.outcomes.labels(product, report.status).inc()
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
        return json_reply(OutcomeReply(product=product, outcomes=reports))

    def _gathering(self, product: str) -> Gathering[OutcomeRequest, tuple[OutcomeReport, ...]]:
        gathering = self._gatherings.get(product)
        if gathering is None:
            gathering = self._gatherings[product] = Gathering(
                partial(_record, self._host, product),
                weigh=lambda request: len(request.outcomes),
                most=MOST_ITEMS,
                most_waiting=MOST_WAITING,
            )
        return gathering


def _record(
    host: ServingHost, product: str, requests: Sequence[OutcomeRequest]
) -> list[tuple[OutcomeReport, ...]]:
    """Write down the outcomes of all *requests* at once; the reports of each."""
    now = host.now()
    served = host.lane(product).champion
    read = [[_truth(item, served, now, by=request.by) for item in request.outcomes] for request in requests]
    outcomes = [one for own in read for one in own if isinstance(one, Outcome)]
    statuses = iter(host.record_outcomes(product, outcomes) if outcomes else ())
    return [
        tuple(
            _report(item, next(statuses))
            if isinstance(one, Outcome)
            else _report(item, OutcomeStatus.INVALID, f"outcomes[{place}]: {one}")
            for place, (item, one) in enumerate(zip(request.outcomes, own, strict=True))
        )
        for request, own in zip(requests, read, strict=True)
    ]


def _truth(item: OutcomeItem, served: Served, now: datetime, *, by: str) -> Outcome | str:
    """The outcome that an item tells of, or why it can be nobody's truth."""
    label, happened = _label(item, served), _time(item, now)
    if label is None:
        return "the label is not one of the product's"
    if happened is None:
        return "happened_at is in the future, or beyond the calendar"
    return Outcome(decision=item.decision_id, label=label, happened_at=happened, arrived_at=now, by=by)


def _report(item: OutcomeItem, status: OutcomeStatus, problem: str = "") -> OutcomeReport:
    if status is OutcomeStatus.UNKNOWN:
        problem = "no such decision was made here"
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
    try:
        happened = happened.replace(tzinfo=UTC) if happened.tzinfo is None else happened.astimezone(UTC)
    except OverflowError:  # in another zone it lies beyond the calendar
        return None
    return happened if happened <= now + CLOCK_TOLERANCE else None
