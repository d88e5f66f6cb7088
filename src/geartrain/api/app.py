"""The ASGI application: hot routes answered in front, everything else by the control plane."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import lru_cache
from time import perf_counter
from typing import Any, Final

from opentelemetry.trace import Tracer

from geartrain.api.bodies import App, BodyLimits, ClientGone, Message, Receive, Scope, Send
from geartrain.api.calls import Call
from geartrain.api.control import control_plane
from geartrain.api.decisions import DecisionRoute, RowLimits
from geartrain.api.errors import OUR_BUG, Refusal, Reply, inference_reply_to, reply_to
from geartrain.api.inference import InferenceRoute
from geartrain.api.logs import quiet_logger
from geartrain.api.metrics import ServingMetrics
from geartrain.api.tracing import request_span, trace_id_of
from geartrain.errors import GeartrainError
from geartrain.serving.admission import Admission, AdmissionLimits
from geartrain.serving.host import ServingHost

DECISIONS: Final = "/v1/products/{product}/decisions"
INFER: Final = "/v2/models/{name}/infer"
INFER_VERSION: Final = "/v2/models/{name}/versions/{version}/infer"
_TIMING: Final = b"timing=1"
#: Of so many requests one has its stages timed where nobody asks for them.
_TIMED_ONE_IN: Final = 16

Handler = Callable[[Call, Scope, Receive], Awaitable[Reply]]


def create_app(
    host: ServingHost,
    *,
    bodies: BodyLimits | None = None,
    rows: RowLimits | None = None,
    admission: AdmissionLimits | None = None,
    tracer: Tracer | None = None,
    logger: Any = None,
) -> Application:
    """The whole HTTP surface over *host*, as one ASGI application for one event loop."""
    return Application(
        host,
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
    ) -> None:
        self.host = host
        self.metrics = ServingMetrics()
        self._tracer = tracer
        self._logger = logger
        self.in_flight = 0
        self._is_told = bool(logger.is_enabled_for(logging.INFO))
        self._turn = 0
        self._control: App = control_plane(host, self.metrics, admission, bodies)
        self._decisions = DecisionRoute(host, self.metrics, admission, bodies=bodies, rows=rows)
        self._inference = InferenceRoute(host, admission, bodies=bodies, rows=rows)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection scope."""
        if scope["type"] != "http":
            await self._control(scope, receive, send)
            return
        hot = self._hot(scope["path"], scope.get("query_string", b""))
        self.in_flight += 1
        try:
            if hot is None:
                await self._controlled(scope, receive, send)
            else:
                await self._answered(*hot, scope, receive, send)
        finally:
            self.in_flight -= 1

    def _hot(self, path: str, query: bytes) -> tuple[Handler, Call] | None:
        """The hot route that *path* is on, if any."""
        place = _place_of(path)
        if place is None:
            return None
        route, subject, version = place
        self._turn = (self._turn + 1) % _TIMED_ONE_IN
        call = Call(
            route,
            subject,
            version,
            is_timed=self._turn == 0 or self._is_told or self._tracer is not None or _TIMING in query,
            is_told=self._is_told,
        )
        return (self._decisions if route is DECISIONS else self._inference), call

    async def _answered(
        self, handler: Handler, call: Call, scope: Scope, receive: Receive, send: Send
    ) -> None:
        try:
            if self._tracer is None:
                reply = await self._reply(handler, call, scope, receive)
            else:
                reply = await self._traced(handler, call, scope, receive)
        except ClientGone:
            self.metrics.requests.labels(call.route, "gone").inc()
            return
        headers = [
            (b"content-type", reply.content_type),
            (b"content-length", b"%d" % len(reply.body)),
            *reply.headers,
        ]
        if _TIMING in scope.get("query_string", b""):
            headers.append((b"server-timing", call.server_timing()))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})
        self._count(call, reply)

    async def _traced(self, handler: Handler, call: Call, scope: Scope, receive: Receive) -> Reply:
        """The reply, with a span of its own that has the stages."""
        with request_span(self._tracer, call.route, scope) as span:
            reply = await self._reply(handler, call, scope, receive)
            if span is not None:
                span.set_attribute("http.response.status_code", reply.status)
                for stage, seconds in call.stages():
                    span.set_attribute(f"geartrain.stage.{stage}_ms", seconds * 1e3)
                call.note(trace=trace_id_of(span))
        return reply

    async def _reply(self, handler: Handler, call: Call, scope: Scope, receive: Receive) -> Reply:
        style = inference_reply_to if handler is self._inference else reply_to
        try:
            _require_post(scope)
            return await handler(call, scope, receive)
        except (GeartrainError, Refusal) as error:
            self.metrics.refused.labels(call.route, error.code).inc()
            call.note(error=error.code)
            if isinstance(error, GeartrainError) and style(error).status >= 500:
                self._logger.warning("refused", route=call.route, reason=str(error))
            return style(error)
        except ClientGone:
            raise
        except Exception:
            # The outermost shell: a bug of ours costs one answer, never the connection.
            self._logger.exception("our bug", route=call.route)
            return OUR_BUG

    def _count(self, call: Call, reply: Reply) -> None:
        seconds = perf_counter() - call.started
        self.metrics.requests.labels(call.route, str(reply.status)).inc()
        self.metrics.duration.labels(call.route).observe(seconds)
        if call.is_timed:
            for stage, took in call.stages():
                self.metrics.stages.labels(stage).observe(took)
        if call.is_told:
            self._logger.info(
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
            await self._control(scope, receive, counting)
        except ClientGone:
            status = 0
        except Exception:
            # The framework has answered 500 and raises again for the log.
            self._logger.exception("our bug", route=_template(scope))
        route = _template(scope)
        self.metrics.requests.labels(route, str(status) if status else "gone").inc()
        self.metrics.duration.labels(route).observe(perf_counter() - started)
        self._logger.debug("answered", route=route, status=status)


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


def _require_post(scope: Scope) -> None:
    if scope["method"] != "POST":
        raise Refusal(405, "http.method-not-allowed", "this route takes POST", headers=((b"allow", b"POST"),))


def _template(scope: Scope) -> str:
    """The route's template; paths that no route has are counted together."""
    return str(getattr(scope.get("route"), "path", "other"))
