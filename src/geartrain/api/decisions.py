"""`POST /v1/products/{product}/decisions`: rows in, logged decisions out.

The route is plain ASGI and msgspec. Everything that arrives in one turn of the event
loop is decided by one model call and logged by one write; the answers go out when the
log has them.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any, Final
from weakref import WeakSet

import msgspec
import numpy as np

from geartrain.api.bodies import Asked, BodyLimits, require_json
from geartrain.api.calls import Call
from geartrain.api.errors import Refusal, Reply
from geartrain.api.metrics import ServingMetrics
from geartrain.api.waiting import Waiting, still_in_time
from geartrain.domain.columns import as_text
from geartrain.domain.prediction import Decision
from geartrain.errors import GeartrainError, RequestInvalid
from geartrain.serving.admission import Admission
from geartrain.serving.batching import MicroBatcher
from geartrain.serving.host import ServingHost
from geartrain.serving.journal import LoggedDecision
from geartrain.serving.lanes import Ask, Lane, answer, decide_in_shadow
from geartrain.serving.requests import RawDecisionRequest, RowChecks, decode_body, refuse
from geartrain.serving.runtime import Served

#: Rows that one model call takes; a larger request is cut, so that others get their turn.
MOST_ROWS_AT_ONCE: Final = 128
#: A client's clock may be this far ahead of ours.
CLOCK_TOLERANCE: Final = timedelta(seconds=60)
LONGEST_NAME: Final = 200

_DECODER = msgspec.json.Decoder(RawDecisionRequest)
_ROW = msgspec.json.Decoder(dict[str, Any])
_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLimits:
    """How many rows one request may hold, and of how many it may ask the reasons."""

    most: int = 1000
    most_explained: int = 50


class DecisionDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One decision as it is answered. A cost that is not known is null."""

    id: str
    product: str
    release: str
    key: str
    decided_at: datetime
    action: str
    probabilities: dict[str, float] | None
    value: float | None
    expected_cost: float | None
    abstained: bool
    fallback: bool
    doubt: str
    arm: str
    reasons: tuple[str, ...]


class DecisionReply(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions in the order of the request's rows."""

    product: str
    decisions: list[DecisionDocument]


def document_of(decision: Decision) -> DecisionDocument:
    """A decision as it is answered, for any task."""
    values = dict(decision.probabilities)
    is_number = tuple(values) == ("value",)
    return DecisionDocument(
        id=decision.id,
        product=decision.product,
        release=decision.release,
        key=decision.key,
        decided_at=decision.decided_at,
        action=decision.action,
        probabilities=None if is_number or not values else values,
        value=values["value"] if is_number else None,
        # A regression's cost and a fallback's are not known before the outcome.
        expected_cost=None if is_number or decision.fallback else decision.expected_cost,
        abstained=decision.abstained,
        fallback=decision.fallback,
        doubt=decision.doubt,
        arm=decision.arm,
        reasons=decision.reasons,
    )


@dataclass(slots=True, kw_only=True, eq=False)
class _Query(Waiting):
    """A slice of one request on its way through the batcher."""

    ask: Ask
    future: asyncio.Future[tuple[LoggedDecision, ...]]
    until_s: float
    decided: float = 0.0
    logged: float = field(default=0.0)


class DecisionRoute:
    """Answers decision requests from a host, for one event loop."""

    def __init__(
        self,
        host: ServingHost,
        metrics: ServingMetrics,
        admission: Admission,
        *,
        bodies: BodyLimits,
        rows: RowLimits,
    ) -> None:
        self._host = host
        self._metrics = metrics
        self._admission = admission
        self._bodies = bodies
        self._rows = rows
        self._batchers: dict[str, MicroBatcher[_Query]] = {}
        self._explained: WeakSet[Served] = WeakSet()
        self._loading = asyncio.Lock()

    async def __call__(self, call: Call, asked: Asked) -> Reply:
        """Answer one request.

        Raises:
            GeartrainError: Nothing was decided, or nothing that may be acted on.
            Refusal: The same, where HTTP has the reason.
        """
        lane, checks = self._host.lane_and_checks(call.subject)
        require_json(asked)
        body = await asked.body(most=self._bodies.decisions, within_s=self._bodies.read_s)
        call.mark("read")
        admit(self._admission, lane.promised_s)
        try:
            ask, given = self._checked(call, lane.champion.key, checks, body)
            call.mark("check")
            begun_s = call.started
            if ask.explain:
                await self._load_reasons(lane)
                begun_s = perf_counter()
            until_s = self._admission.last_turn_s(begun_s, promised_s=lane.promised_s)
            # New rows that one model call takes, as nearly always, take no coroutine of their own.
            if given or len(ask.rows) > MOST_ROWS_AT_ONCE:
                decisions = await self._decided(call, ask, until_s, given=given)
            else:
                query = self._submitted(call.subject, ask, until_s)
                decisions = [record.decision for record in await query.future]
                call.mark("decide", at=query.decided)
                call.mark("log", at=query.logged)
        finally:
            self._admission.leave(perf_counter())
        self._metrics.count_decisions(decisions)
        if call.is_told:
            call.note(decisions=[one.id for one in decisions])
        reply = DecisionReply(product=call.subject, decisions=[document_of(one) for one in decisions])
        content = _ENCODER.encode(reply)
        call.mark("write")
        return Reply(status=200, body=content)

    async def _load_reasons(self, lane: Lane) -> None:
        """Let what the reasons of a release need be loaded in a thread before they are first asked for.

        It takes seconds, and in the turn of a batch every other decision would wait for it.
        """
        for _, served in lane.served:
            if served.contribute is None or served in self._explained:
                continue
            async with self._loading:
                if served not in self._explained:
                    nothing = np.full((1, len(served.columns)), np.nan, dtype=np.float32)
                    # One that fails fails again where the decision is made, and there the next in line steps in.
                    with suppress(Exception):
                        await asyncio.to_thread(served.contribute, nothing)
                    self._explained.add(served)

    def _checked(self, call: Call, key: str, checks: RowChecks, body: bytes) -> tuple[Ask, bool]:
        """The request as checked rows, and whether the client gave the decision ids."""
        request = decode_body(body, _DECODER)
        sent = request.sent
        if sent is None:
            raise RequestInvalid(
                "the request holds no rows, or both `rows` and `row`",
                where="request body",
                hint='send {"rows": [{...}]} or {"row": {...}}',
            )
        most = self._rows.most_explained if request.explain else self._rows.most
        if not 0 < len(sent) <= most:
            raise RequestInvalid(
                f"a request holds 1 to {most} rows"
                + (" where reasons are asked for" if request.explain else ""),
                where="rows",
                found=f"{len(sent)} rows",
                hint="send the rows in several requests",
            )
        rows = tuple(
            decode_body(row, _ROW, place="row" if request.rows is None else f"rows[{place}]")
            for place, row in enumerate(sent)
        )
        violations = checks.violations(rows)
        if violations:
            raise refuse(violations)
        unknown = checks.unknown(rows)
        if unknown:
            self._metrics.unknown_fields.labels(call.subject).inc(unknown)
        ids = _names(request.decision_ids, len(rows), "decision_ids")
        if ids is not None and (len(set(ids)) < len(ids) or "" in ids):
            raise RequestInvalid("decision ids are unique and not empty", where="decision_ids")
        if ids is not None and not all(map(str.isprintable, ids)):
            raise RequestInvalid("a decision id holds a control character", where="decision_ids")
        keys = _names(request.keys, len(rows), "keys")
        if keys is None:
            keys = tuple(as_text(row.get(key)) or "" for row in rows) if key else ("",) * len(rows)
        ask = Ask(
            rows=rows,
            ids=ids if ids is not None else tuple(self._host.new_id() for _ in rows),
            keys=keys,
            at=self._time(request.at),
            explain=request.explain,
            arrived_s=call.started,
            sent=tuple(map(bytes, sent)),
        )
        return ask, ids is not None

    def _time(self, at: datetime | None) -> datetime | None:
        if at is None:
            return None
        try:
            moment = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except OverflowError as error:
            raise RequestInvalid("the time is beyond the calendar", where="at") from error
        if moment > self._host.now() + CLOCK_TOLERANCE:
            raise RequestInvalid("the time lies in the future", where="at", hint="leave `at` out for now")
        return moment

    async def _decided(self, call: Call, ask: Ask, until_s: float, *, given: bool) -> list[Decision]:
        """Decide about the rows that were not decided about before under the same id."""
        known = self._host.log.find_all(call.subject, ask.ids) if given else {}
        todo = [i for i in range(len(ask.rows)) if ask.ids[i] not in known]
        slices = [todo[i : i + MOST_ROWS_AT_ONCE] for i in range(0, len(todo), MOST_ROWS_AT_ONCE)]
        queries = [
            # What has begun is finished, however many rows there are.
            self._submitted(
                call.subject,
                _part(ask, places) if len(places) < len(ask.rows) else ask,
                math.inf if begun else until_s,
            )
            for begun, places in enumerate(slices)
        ]
        made = await asyncio.gather(*(query.future for query in queries))
        if queries:
            call.mark("decide", at=max(query.decided for query in queries))
            call.mark("log", at=max(query.logged for query in queries))
        decisions = {record.decision.id: record.decision for records in made for record in records}
        if given:
            # Of two requests with one id at one time, both are answered with what was logged.
            known = {**self._host.log.find_all(call.subject, ask.ids), **known}
        return [known.get(one) or decisions[one] for one in ask.ids]

    def _submitted(self, product: str, ask: Ask, until_s: float) -> _Query:
        """A query on its way through the batcher."""
        query = _Query(ask=ask, future=asyncio.get_running_loop().create_future(), until_s=until_s)
        self._batcher(product).submit(query)
        return query

    def _batcher(self, product: str) -> MicroBatcher[_Query]:
        batcher = self._batchers.get(product)
        if batcher is None:
            batcher = MicroBatcher(
                run=lambda queries: self._run(product, queries),
                schedule=asyncio.get_running_loop().call_soon,
                weigh=lambda query: len(query.ask.rows),
                most=MOST_ROWS_AT_ONCE,
            )
            self._batchers[product] = batcher
        return batcher

    def _run(self, product: str, queries: Sequence[_Query]) -> None:
        """Decide and hand to the log; whatever happens, every query gets an answer."""
        handed_over = False
        queries = still_in_time(self._admission, queries)
        if not queries:
            return
        try:
            now = self._host.now()
            lane, stale_s = self._host.lane(product), self._host.stale_s(product, now)
            asks = [query.ask for query in queries]
            answers = answer(lane, asks, now, stale_s=stale_s)
            decided = perf_counter()
            records: list[LoggedDecision] = []
            waiting: list[tuple[_Query, tuple[LoggedDecision, ...]]] = []
            for query, made in zip(queries, answers, strict=True):
                query.decided = decided
                if isinstance(made, RequestInvalid):
                    query.fail(made)
                else:
                    records.extend(made)
                    waiting.append((query, made))
            if records:
                loop = asyncio.get_running_loop()
                logged = self._host.log.record(records)
                logged.add_done_callback(lambda done: loop.call_soon_threadsafe(_release, waiting, done))
                handed_over = True
                if lane.shadow is not None:
                    loop.call_soon(self._shadow, product, asks, now)
        except GeartrainError as error:
            for query in queries:
                query.fail(error)
        finally:
            if not handed_over:
                for query in queries:
                    query.fail(RuntimeError("the batch was not decided"))

    def _shadow(self, product: str, asks: Sequence[Ask], now: datetime) -> None:
        """Let the shadow release decide too; nobody waits for it and nobody fails with it."""
        try:
            lane = self._host.lane(product)
            records = decide_in_shadow(lane, asks, now, stale_s=self._host.stale_s(product, now))
            if records:
                self._host.log.record(records)
        except GeartrainError:
            self._metrics.shadow_dropped.labels(product).inc(sum(len(ask.rows) for ask in asks))


def admit(admission: Admission, promised_s: float | None) -> None:
    """Take the request into the server.

    Raises:
        Refusal: 503 with the seconds after which to try again.
    """
    retry_s = admission.enter(perf_counter(), promised_s=promised_s)
    if retry_s is not None:
        raise Refusal(
            503,
            "serving.overloaded",
            "the server is busy and keeps its promise to the requests that it has taken",
            hint=f"try again in {retry_s} s",
            headers=((b"retry-after", str(retry_s).encode()),),
        )


def _release(waiting: Sequence[tuple[_Query, tuple[LoggedDecision, ...]]], written: Future[None]) -> None:
    """The log has the records, or could not take them: let the answers go."""
    failure = written.exception()
    now = perf_counter()
    for query, made in waiting:
        query.logged = now
        if failure is not None:
            query.fail(failure)
        elif not query.future.done():
            query.future.set_result(made)


def _part(ask: Ask, places: Sequence[int]) -> Ask:
    return Ask(
        rows=tuple(ask.rows[i] for i in places),
        ids=tuple(ask.ids[i] for i in places),
        keys=tuple(ask.keys[i] for i in places),
        at=ask.at,
        explain=ask.explain,
        arrived_s=ask.arrived_s,
        sent=tuple(ask.sent[i] for i in places) if ask.sent else (),
    )


def _names(names: list[str] | None, rows: int, where: str) -> tuple[str, ...] | None:
    if names is None:
        return None
    if len(names) != rows:
        raise RequestInvalid(
            f"there must be one for each of the {rows} rows", where=where, found=f"{len(names)} names"
        )
    if any(len(name) > LONGEST_NAME for name in names):
        raise RequestInvalid(f"a name has at most {LONGEST_NAME} characters", where=where)
    return tuple(names)
