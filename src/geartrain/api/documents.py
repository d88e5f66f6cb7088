"""The routes in front of FastAPI in its OpenAPI document, whose readers need them too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from fastapi import FastAPI

from geartrain.api import direct
from geartrain.api.decisions import DecisionReply
from geartrain.api.outcomes import OutcomeReply
from geartrain.api.tensors import InferReply, InferRequest
from geartrain.domain.data import Batch
from geartrain.serving.requests import DecisionRequest, EventRequest, OutcomeRequest

_REFERENCE: Final = "#/components/schemas/{name}"
_TYPES: Final = (
    DecisionRequest, DecisionReply, OutcomeRequest, OutcomeReply, EventRequest, Batch, InferRequest, InferReply,
)  # fmt: skip
_INFER: Final = "/v2/models/{name}/infer"
_INFER_VERSION: Final = "/v2/models/{name}/versions/{version}/infer"


_PROTOCOL: Final = "open inference protocol v2"
_REFUSALS: Final = {
    "400": "The request is not understood",
    "404": "Not served here",
    "503": "Try again later",
}


def describe_other_routes(app: FastAPI) -> None:
    """Let the app's OpenAPI document speak of the routes that are answered in front of it."""
    framework = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = framework()
            _, components = msgspec.json.schema_components(_TYPES, ref_template=_REFERENCE)
            document.setdefault("components", {}).setdefault("schemas", {}).update(components)
            document["paths"] = {**_health(), **document["paths"], **_asked_by_programs()}
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the document


def _health() -> dict[str, Any]:
    live, ready = "Whether the process answers", "Whether traffic should come here"
    not_ready = {"503": "Not now"}
    return {
        direct.LIVE: _get(live, "health"),
        direct.READY: _get(f"{ready}, and why not", "health", refusals=not_ready),
        direct.METRICS: _get("Prometheus metrics", "health", kind="text/plain"),
        direct.SERVER_LIVE: _get("Server live", _PROTOCOL),
        direct.SERVER_READY: _get("Server ready", _PROTOCOL, refusals=not_ready),
    }


def _asked_by_programs() -> dict[str, Any]:
    product = ("product",)
    return {
        "/v1/products/{product}/decisions": _post(
            "Decide about rows", "decisions", "DecisionRequest", "DecisionReply", product
        ),
        direct.OUTCOMES: _post(
            "The truth about decisions", "outcomes", "OutcomeRequest", "OutcomeReply", product
        ),
        direct.EVENTS: _post(
            "Rows of an event source", "events", "EventRequest", "Batch", product, status="202"
        ),
        _INFER: _post("Infer", _PROTOCOL, "InferRequest", "InferReply", ("name",)),
        _INFER_VERSION: _post("Infer", _PROTOCOL, "InferRequest", "InferReply", ("name", "version")),
    }


def _get(
    summary: str, tag: str, *, kind: str = "application/json", refusals: Mapping[str, str] | None = None
) -> Mapping[str, Any]:
    answered = {"description": "Answered", "content": {kind: {"schema": {}}}}
    responses = {"200": answered, **_described(refusals or {})}
    return {"get": {"summary": summary, "tags": [tag], "responses": responses}}


def _post(
    summary: str, tag: str, takes: str, gives: str, parameters: tuple[str, ...], *, status: str = "200"
) -> Mapping[str, Any]:
    taken, given = ({"schema": {"$ref": _REFERENCE.format(name=name)}} for name in (takes, gives))
    return {
        "post": {
            "summary": summary,
            "tags": [tag],
            "parameters": [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                for name in parameters
            ],
            "requestBody": {"required": True, "content": {"application/json": taken}},
            "responses": {
                status: {"description": "Answered", "content": {"application/json": given}},
                **_described(_REFUSALS),
            },
        }
    }


def _described(refusals: Mapping[str, str]) -> Mapping[str, Any]:
    return {status: {"description": text} for status, text in refusals.items()}
