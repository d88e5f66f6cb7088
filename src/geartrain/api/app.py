"""The application, for ASGI and RSGI servers: what programs ask answered in front, everything else by the control plane."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import lru_cache
from time import perf_counter
from typing import Any, Final

import msgspec
from opentelemetry.trace import Tracer

from geartrain.api.bodies import (
    App,
    AsgiAsked,
    Asked,
    BodyLimits,
    ClientGone,
    Message,
    Receive,
    Scope,
    Send,
    let_arrive,
    require_method,
)
from geartrain.api.calls import Call
from geartrain.api.decisions import DecisionRoute, RowLimits
from geartrain.api.direct import Direct, DirectRoutes
from geartrain.api.doors import Doors, scope_of
from geartrain.api.errors import JSON, OUR_BUG, Refusal, Reply, inference_reply_to, reply_to
from geartrain.api.inference import InferenceRoute
from geartrain.api.logs import quiet_logger
from geartrain.api.metrics import Count, Others, ServingMetrics, Spread
from geartrain.api.rsgi import RsgiAsked, RsgiProtocol, RsgiScope, by_asgi
from geartrain.api.tracing import request_span, trace_id_of
from geartrain.domain.accounts import Scope as AccessScope
from geartrain.errors import GeartrainError
from geartrain.serving.admission import Admission, AdmissionLimits
from geartrain.serving.host import ServingHost

DECISIONS: Final = "/v1/products/{product}/decisions"
INFER: Final = "/v2/models/{name}/infer"
INFER_VERSION: Final = "/v2/models/{name}/versions/{version}/infer"
_TIMING: Final = "timing=1"
#: Of so many requests one has its stages timed where nobody asks for them.
_TIMED_ONE_IN: Final = 16

Handler = Callable[[Call, Asked], Awaitable[Reply]]


def create_app(
    host: ServingHost,
    *,
    bodies: BodyLimits | None = None,
    rows: RowLimits | None = None,
    admission: AdmissionLimits | None = None,
    tracer: Tracer | None = None,
    logger: Any = None,
    doors: Doors | None = None,
    others: Others | None = None,
) -> Application:
    """The whole HTTP surface over *host*, for one event loop.

    With *doors* every request but those for health needs a token; *others* are the other
    processes that serve the same, whose counts are told with this one's.
    """
    return Application(
        host,
        doors=doors,
        others=others,
        bodies=bodies or BodyLimits(),
        rows=rows or RowLimits(),
        admission=Admission(admission),
        tracer=tracer,
        logger=logger or quiet_logger(),
    )


class Application:
    """Routes requests and is the outermost shell: every request ends in one counted answer.

    Attributes:
        host: What it serves.
        metrics: What it counts.
        bodies: How large requests may be.
        doors: Who lets requests in by their token, if anybody does.
        inference: Who answers inference requests.
        tracer: Who takes the spans, if anybody does.
        logger: Who takes the log lines.
        in_flight: How many requests wait for their answer.
    """

    def __init__(
        self,
        host: ServingHost,
        *,
        bodies: BodyLimits,
        rows: RowLimits,
        admission: Admission,
        tracer: Tracer | None,
        logger: Any,
        doors: Doors | None = None,
        others: Others | None = None,
    ) -> None:
        self.host = host
        self.metrics = ServingMetrics(others)
        self.bodies = bodies
        self.doors = doors
        self._admission = admission
        self.tracer = tracer
        self.logger = logger
        self.in_flight = 0
        self._is_told = bool(logger.is_enabled_for(logging.INFO))
        self._turn = 0
        #: The counts of each route and status, so that they are looked for once.
        self._cells: dict[tuple[str, int], tuple[Count, Spread]] = {}
        self._control: App | None = None
        self._loading = asyncio.Lock()
        self._direct = DirectRoutes(host, self.metrics, admission, bodies)
        self._decisions = DecisionRoute(host, self.metrics, admission, bodies=bodies, rows=rows)
        self.inference = InferenceRoute(host, admission, bodies=bodies, rows=rows)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection scope."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            await (await self._framework())(scope, receive, send)
            return
        self.in_flight += 1
        try:
            path = scope["path"]
            hot = self._hot(path, str(scope.get("query_string", b""), "latin-1"))
            if hot is not None:
                handler, call = hot
                reply = await self._answered(handler, call, AsgiAsked(scope, receive))
                await _send(reply, send)
                self._count(call, reply)
            elif (direct := self._direct.at(path)) is not None:
                await _send(await self._directly(direct, AsgiAsked(scope, receive), path), send)
            else:
                await self._controlled(scope, receive, send)
        except ClientGone:
            return  # it was counted where it was noticed
        finally:
            self.in_flight -= 1

    async def __rsgi__(self, scope: RsgiScope, protocol: RsgiProtocol) -> None:
        """Answer one RSGI request."""
        self.in_flight += 1
        try:
            path = scope.path
            hot = self._hot(path, scope.query_string)
            if hot is not None:
                handler, call = hot
                reply = await self._answered(handler, call, RsgiAsked(scope, protocol))
                protocol.response_bytes(reply.status, _headers_of(reply), reply.body)
                self._count(call, reply)
            elif (direct := self._direct.at(path)) is not None:
                reply = await self._directly(direct, RsgiAsked(scope, protocol), path)
                protocol.response_bytes(reply.status, _headers_of(reply), reply.body)
            else:
                await by_asgi(self._controlled, scope, protocol)
        except ClientGone:
            return  # it was counted where it was noticed
        finally:
            self.in_flight -= 1

    async def _live(self, receive: Receive, send: Send) -> None:
        """The life of an ASGI server: its end closes the host."""
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await asyncio.to_thread(self.host.close)
        await send({"type": "lifespan.shutdown.complete"})

    async def _framework(self) -> App:
        """The control plane, loaded in a thread when it is first needed; decisions go on meanwhile."""
        async with self._loading:
            if self._control is None:
                self._control = await asyncio.to_thread(_control_plane, self.host)
        return self._control

    def _hot(self, path: str, query: str) -> tuple[Handler, Call] | None:
        """The hot route that *path* is on, if any."""
        place = _place_of(path)
        if place is None:
            return None
        route, subject, version = place
        is_asked = bool(query) and _TIMING in query
        self._turn = (self._turn + 1) % _TIMED_ONE_IN
        call = Call(
            route,
            subject,
            version,
            is_timed=self._turn == 0 or is_asked or self._is_told or self.tracer is not None,
            is_told=self._is_told,
        )
        call.is_asked = is_asked
        return (self._decisions if route is DECISIONS else self.inference), call

    def _answered(self, handler: Handler, call: Call, asked: Asked) -> Awaitable[Reply]:
        """The reply. One coroutine for what nearly every request is: each costs a part of a microsecond.

        Raises:
            ClientGone: Nobody waits for it any more.
        """
        if self.tracer is None and not call.is_asked:
            return self._reply(handler, call, asked)
        return self._watched(handler, call, asked)

    async def _watched(self, handler: Handler, call: Call, asked: Asked) -> Reply:
        """The reply to a request that is traced, or whose stages the client asked for."""
        answering = self._reply if self.tracer is None else self._traced
        reply = await answering(handler, call, asked)
        if call.is_asked:
            timing = (b"server-timing", call.server_timing())
            return msgspec.structs.replace(reply, headers=(*reply.headers, timing))
        return reply

    async def _traced(self, handler: Handler, call: Call, asked: Asked) -> Reply:
        """The reply, with a span of its own that has the stages."""
        with request_span(self.tracer, call.route, asked) as span:
            reply = await self._reply(handler, call, asked)
            if span is not None:
                span.set_attribute("http.response.status_code", reply.status)
                for stage, seconds in call.stages():
                    span.set_attribute(f"geartrain.stage.{stage}_ms", seconds * 1e3)
                call.note(trace=trace_id_of(span))
        return reply

    async def _reply(self, handler: Handler, call: Call, asked: Asked) -> Reply:
        try:
            if self.doors is not None:
                await self.doors.admit(asked, AccessScope.DECIDE)
            require_method(asked, "POST")
            return await handler(call, asked)
        except (GeartrainError, Refusal) as error:
            await let_arrive(asked)
            self.metrics.refused.labels(call.route, error.code).inc()
            call.note(error=error.code)
            reply = (inference_reply_to if handler is self.inference else reply_to)(error)
            if isinstance(error, GeartrainError) and reply.status >= 500:
                self.logger.warning("refused", route=call.route, reason=str(error))
            return reply
        except ClientGone:
            self.metrics.requests.labels(call.route, "gone").inc()
            raise
        except Exception:
            # The outermost shell: a bug of ours costs one answer, never the connection.
            self.logger.exception("our bug", route=call.route)
            return OUR_BUG

    def publish(self) -> None:
        """Let the other processes know what this one has counted."""
        self.metrics.publish(self.host, in_flight=self._admission.in_flight)

    async def _is_let_in(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Whether the control plane may answer; where not, the refusal has gone out."""
        asked, path = AsgiAsked(scope, receive), scope["path"]
        try:
            await self._admit(asked, path)
        except Refusal as refusal:
            await let_arrive(asked)
            self.metrics.refused.labels("control", refusal.code).inc()
            await _send(_style_of(path)(refusal), send)
            return False
        return True

    async def _admit(self, asked: Asked, path: str) -> None:
        """Return where a request that is not hot may go on.

        Raises:
            Refusal: Its token does not let it.
        """
        needed = scope_of(asked.method, path)
        if self.doors is not None and needed is not None:
            await self.doors.admit(asked, needed)

    async def _directly(self, route: Direct, asked: Asked, path: str) -> Reply:
        """The reply of a direct route, counted and logged like the hot ones.

        Raises:
            ClientGone: Nobody waits for it any more.
        """
        started = perf_counter()
        try:
            await self._admit(asked, path)
            require_method(asked, route.method)
            reply = await route.answer(asked)
        except (GeartrainError, Refusal) as error:
            await let_arrive(asked)
            self.metrics.refused.labels(route.template, error.code).inc()
            reply = _style_of(path)(error)
        except ClientGone:
            self.metrics.requests.labels(route.template, "gone").inc()
            raise
        except Exception:
            # As with the hot routes: a bug of ours costs one answer.
            self.logger.exception("our bug", route=route.template)
            reply = OUR_BUG
        self._count_other(route.template, str(reply.status), started)
        return reply

    def _count_other(self, route: str, status: str, started: float) -> None:
        self.metrics.requests.labels(route, status).inc()
        self.metrics.duration.labels(route).observe(perf_counter() - started)
        self.logger.debug("answered", route=route, status=status)

    def _count(self, call: Call, reply: Reply) -> None:
        seconds = perf_counter() - call.started
        cells = self._cells.get((call.route, reply.status))
        if cells is None:
            cells = self._cells[call.route, reply.status] = (
                self.metrics.requests.labels(call.route, str(reply.status)),
                self.metrics.duration.labels(call.route),
            )
        requests, duration = cells
        requests.inc()
        duration.observe(seconds)
        if call.is_timed:
            for stage, took in call.stages():
                self.metrics.stages.labels(stage).observe(took)
        if call.is_told:
            self.logger.info(
                "answered",
                route=call.route,
                subject=call.subject if reply.status != 404 else "",
                status=reply.status,
                ms=round(seconds * 1e3, 3),
                **call.facts,
            )

    async def _controlled(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The control plane, counted and logged like the hot routes."""
        started = perf_counter()
        status = 0

        async def counting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if await self._is_let_in(scope, receive, counting):
                await (await self._framework())(scope, receive, counting)
        except ClientGone:
            status = 0
        except Exception:
            # The framework has answered 500 and raises again for the log.
            self.logger.exception("our bug", route=_template(scope))
        self._count_other(_template(scope), str(status) if status else "gone", started)


@lru_cache(maxsize=1024)
def _place_of(path: str) -> tuple[str, str, str | None] | None:
    """The hot route's template that *path* is on, the subject and the version that it names."""
    match path.split("/"):
        case ["", "v1", "products", product, "decisions"] if product:
            return DECISIONS, product, None
        case ["", "v2", "models", name, "infer"] if name:
            return INFER, name, None
        case ["", "v2", "models", name, "versions", version, "infer"] if name and version:
            return INFER_VERSION, name, version
        case _:
            return None


def _control_plane(host: ServingHost) -> App:
    from geartrain.api.control import control_plane

    return control_plane(host)


async def _send(reply: Reply, send: Send) -> None:
    """A reply as ASGI takes it."""
    headers = [
        (b"content-type", reply.content_type),
        (b"content-length", b"%d" % len(reply.body)),
        *reply.headers,
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


_JSON_ONLY: Final = [("content-type", "application/json")]


def _headers_of(reply: Reply) -> list[tuple[str, str]]:
    """The reply's headers as RSGI takes them; it adds the length itself."""
    if not reply.headers and reply.content_type is JSON:
        return _JSON_ONLY
    own = [(str(name, "latin-1"), str(value, "latin-1")) for name, value in reply.headers]
    return [("content-type", reply.content_type.decode()), *own]


def _style_of(path: str) -> Callable[[GeartrainError | Refusal], Reply]:
    """How an error is told on *path*: the Open Inference Protocol has its own way."""
    return inference_reply_to if path.startswith("/v2") else reply_to


def _template(scope: Scope) -> str:
    """The route's template; paths that no route has are counted together."""
    return str(getattr(scope.get("route"), "path_format", "other"))
