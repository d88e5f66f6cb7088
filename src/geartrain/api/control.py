"""The control plane: FastAPI for what people ask, and the docs for everything.

What programs ask all day is answered in front of it (`geartrain.api.direct`), so a worker loads it when it is first needed.
"""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from geartrain.api.decisions import document_of
from geartrain.api.documents import describe_other_routes
from geartrain.api.errors import OUR_BUG, Refusal, Reply, inference_reply_to, json_reply, reply_to
from geartrain.api.inference import metadata, served_version
from geartrain.errors import DecisionUnknown, GeartrainError, RequestInvalid
from geartrain.serving.host import ServingHost

VERSION = "0.1.0"
#: What the Open Inference Protocol's server metadata says that we can besides the protocol itself.
EXTENSIONS = ("binary_tensor_data",)


def response_of(reply: Reply) -> Response:
    """A raw reply as the framework's response."""
    headers = {name.decode(): value.decode() for name, value in reply.headers}
    return Response(reply.body, reply.status, headers, reply.content_type.decode())


def _json(document: object, status: int = 200) -> Response:
    return response_of(json_reply(document, status))


def control_plane(host: ServingHost) -> FastAPI:
    """The FastAPI application over *host*."""
    app = FastAPI(
        title="geartrain",
        version=VERSION,
        description="Decisions, outcomes and inference of the products that are live here.",
    )
    _answer_errors(app)
    _products(app, host)
    _models(app, host)
    describe_other_routes(app)
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


def _products(app: FastAPI, host: ServingHost) -> None:
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

    # A client's own id may have any character in it.
    @app.get("/v1/products/{product}/decisions/{decision:path}", tags=["decisions"], summary="One decision")
    async def decision_(product: str, decision: str) -> Response:
        host.lane(product)
        found = await asyncio.to_thread(host.find, product, decision)
        if found is None:
            raise DecisionUnknown("no such decision was made here")
        return _json(document_of(found))


def _models(app: FastAPI, host: ServingHost) -> None:
    tags = ["open inference protocol v2"]

    @app.get("/v2", tags=list(tags), summary="Server metadata")
    async def server() -> Response:
        return _json({"name": "geartrain", "version": VERSION, "extensions": EXTENSIONS})

    async def model(name: str, version: str | None = None) -> Response:
        return _json(metadata(host, name, version))

    async def model_ready(name: str, version: str | None = None) -> Response:
        served_version(host, name, version)
        return _json({"name": name, "ready": True})

    for path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        app.add_api_route(path, model, tags=list(tags), summary="Model metadata")
        app.add_api_route(f"{path}/ready", model_ready, tags=list(tags), summary="Model ready")
