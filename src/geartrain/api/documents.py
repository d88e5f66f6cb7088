"""The hot routes in the OpenAPI document: they are not FastAPI's, but its readers need them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from fastapi import FastAPI

from geartrain.api.decisions import DecisionReply
from geartrain.api.tensors import InferReply, InferRequest
from geartrain.serving.requests import DecisionRequest, EventRequest, OutcomeRequest

_REFERENCE: Final = "#/components/schemas/{name}"
_TYPES: Final = (DecisionRequest, DecisionReply, OutcomeRequest, EventRequest, InferRequest, InferReply)
_INFER: Final = "/v2/models/{name}/infer"
_INFER_VERSION: Final = "/v2/models/{name}/versions/{version}/infer"


def describe_hot_routes(app: FastAPI) -> None:
    """Let the app's OpenAPI document speak of the hot routes and of all request bodies."""
    framework = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = framework()
            _, components = msgspec.json.schema_components(_TYPES, ref_template=_REFERENCE)
            document.setdefault("components", {}).setdefault("schemas", {}).update(components)
            paths = document["paths"]
            paths["/v1/products/{product}/decisions"] = _post(
                "Decide about rows", "decisions", "DecisionRequest", "DecisionReply", ("product",)
            )
            tag = "open inference protocol v2"
            paths[_INFER] = _post("Infer", tag, "InferRequest", "InferReply", ("name",))
            paths[_INFER_VERSION] = _post("Infer", tag, "InferRequest", "InferReply", ("name", "version"))
            for route, name in (("outcomes", "OutcomeRequest"), ("events", "EventRequest")):
                paths[f"/v1/products/{{product}}/{route}"]["post"]["requestBody"] = _body(name)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the document


def _body(name: str) -> Mapping[str, Any]:
    schema = {"$ref": _REFERENCE.format(name=name)}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _post(
    summary: str, tag: str, takes: str, gives: str, parameters: tuple[str, ...]
) -> Mapping[str, Mapping[str, Any]]:
    answer = {"schema": {"$ref": _REFERENCE.format(name=gives)}}
    refusals = {"400": "The request is not understood", "404": "Not served here", "503": "Try again later"}
    return {
        "post": {
            "summary": summary,
            "tags": [tag],
            "parameters": [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                for name in parameters
            ],
            "requestBody": _body(takes),
            "responses": {
                "200": {"description": "Answered", "content": {"application/json": answer}},
                **{status: {"description": text} for status, text in refusals.items()},
            },
        }
    }
