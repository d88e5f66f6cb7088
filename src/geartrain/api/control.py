"""The control plane: FastAPI for everything that is not hot, and the docs for everything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from geartrain.api.bodies import BodyLimits
from geartrain.api.decisions import document_of
from geartrain.api.documents import describe_hot_routes
from geartrain.api.errors import OUR_BUG, Refusal, Reply, inference_reply_to, reply_to
from geartrain.api.events import take_events
from geartrain.api.inference import metadata, served_version
from geartrain.api.metrics import ServingMetrics
from geartrain.api.outcomes import OutcomeRoute
from geartrain.errors import DecisionUnknown, GeartrainError, RequestInvalid
from geartrain.serving.admission import Admission
from geartrain.serving.host import ServingHost

VERSION = "0.1.0"
#: What the Open Inference Protocol's server metadata says that we can besides the protocol itself.
EXTENSIONS = ("binary_tensor_data",)


def response_of(reply: Reply) -> Response:
    """A raw reply as the framework's response."""
    headers = {name.decode(): value.decode() for name, value in reply.headers}
    return Response(reply.body, reply.status, headers, reply.content_type.decode())


def _json(document: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(document), status, media_type="application/json")


def control_plane(
    host: ServingHost, metrics: ServingMetrics, admission: Admission, limits: BodyLimits
) -> FastAPI:
    """The FastAPI application; it closes the host when the server shuts down."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(host.close)

    app = FastAPI(
        title="geartrain",
        version=VERSION,
        description="Decisions, outcomes and inference of the products that are live here.",
        lifespan=lifespan,
    )
    _answer_errors(app)
    _health(app, host, metrics, admission)
    _products(app, host, metrics, limits)
    _models(app, host)
    describe_hot_routes(app)
    return app


def _answer_errors(app: FastAPI) -> None:
    def style(request: Request, error: GeartrainError | Refusal) -> Response:
        is_inference = request.url.path.startswith("/v2")
        return response_of(inference_reply_to(error) if is_inference else reply_to(error))

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, GeartrainError | Refusal)
        return style(request, error)

    async def framework(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = tuple((name.encode(), text.encode()) for name, text in (error.headers or {}).items())
        codes = {404: "http.not-found", 405: "http.method-not-allowed"}
        code = codes.get(error.status_code, "http.bad-request")
        return style(
            request,
            Refusal(
                error.status_code, code, str(error.detail), hint="GET /docs lists the routes", headers=headers
            ),
        )

    async def validation(request: Request, _error: Exception) -> Response:
        return style(request, RequestInvalid("the request's path or query cannot be understood"))

    async def bug(_request: Request, _error: Exception) -> Response:
        return response_of(OUR_BUG)

    app.add_exception_handler(GeartrainError, ours)
    app.add_exception_handler(Refusal, ours)
    app.add_exception_handler(HTTPException, framework)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(Exception, bug)


def _health(app: FastAPI, host: ServingHost, metrics: ServingMetrics, admission: Admission) -> None:
    @app.get("/health/live", tags=["health"], summary="Whether the process answers")
    async def live() -> Response:
        return _json({"live": True})

    @app.get("/health/ready", tags=["health"], summary="Whether traffic should come here, and why not")
    async def ready() -> Response:
        reasons = host.not_ready_because()
        document: dict[str, Any] = {"ready": not reasons, "because": reasons}
        if host.problems:
            document["problems"] = host.problems
        return _json(document, 503 if reasons else 200)

    @app.get("/metrics", tags=["health"], summary="Prometheus metrics")
    async def scrape() -> Response:
        content = metrics.render(host, in_flight=admission.in_flight)
        return Response(content, media_type="text/plain; version=0.0.4; charset=utf-8")


def _products(app: FastAPI, host: ServingHost, metrics: ServingMetrics, limits: BodyLimits) -> None:
    def summary(product: str) -> dict[str, Any]:
        lane = host.lane(product)
        arms = {
            arm.value: {"release": served.release, "task": served.task.value} for arm, served in lane.served
        }
        shares = {"canary": lane.shares.canary, "shadow": lane.shares.shadow}
        problem = host.problems.get(product, "")
        return {"product": product, "arms": arms, "shares": shares, "problem": problem}

    @app.get("/v1/products", tags=["products"], summary="The products that are live here")
    async def products() -> Response:
        return _json({"products": [summary(name) for name in host.products]})

    @app.get("/v1/products/{product}", tags=["products"], summary="One product: its releases, its clauses")
    async def product_(product: str) -> Response:
        document = summary(product)
        promises = await asyncio.to_thread(host.promises, product)
        document["clauses"] = [{"clause": clause, "finding": finding} for clause, finding in promises]
        return _json(document)

    @app.get("/v1/products/{product}/decisions/{decision}", tags=["decisions"], summary="One decision")
    async def decision_(product: str, decision: str) -> Response:
        host.lane(product)
        found = await asyncio.to_thread(host.find, product, decision)
        if found is None:
            raise DecisionUnknown("no such decision was made here")
        return _json(document_of(found))

    take_outcomes = OutcomeRoute(host, metrics, limits)

    @app.post("/v1/products/{product}/outcomes", tags=["outcomes"], summary="The truth about decisions")
    async def outcomes(product: str, request: Request) -> Response:
        scope, receive = request.scope, request.receive
        return response_of(await take_outcomes(product, scope, receive))

    @app.post(
        "/v1/products/{product}/events", tags=["events"], summary="Rows of an event source", status_code=202
    )
    async def events(product: str, request: Request) -> Response:
        scope, receive = request.scope, request.receive
        return response_of(await take_events(host, metrics, limits, product, scope, receive))


def _models(app: FastAPI, host: ServingHost) -> None:
    tags = ["open inference protocol v2"]

    @app.get("/v2", tags=list(tags), summary="Server metadata")
    async def server() -> Response:
        return _json({"name": "geartrain", "version": VERSION, "extensions": EXTENSIONS})

    @app.get("/v2/health/live", tags=list(tags), summary="Server live")
    async def live() -> Response:
        return _json({"live": True})

    @app.get("/v2/health/ready", tags=list(tags), summary="Server ready")
    async def ready() -> Response:
        is_ready = not host.not_ready_because()
        return _json({"ready": is_ready}, 200 if is_ready else 503)

    async def model(name: str, version: str | None = None) -> Response:
        return _json(metadata(host, name, version))

    async def model_ready(name: str, version: str | None = None) -> Response:
        served_version(host, name, version)
        return _json({"name": name, "ready": True})

    for path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        app.add_api_route(path, model, tags=list(tags), summary="Model metadata")
        app.add_api_route(f"{path}/ready", model_ready, tags=list(tags), summary="Model ready")
