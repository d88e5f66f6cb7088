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
_INFER: Final = "/v2/models/{name}/infer"
_INFER_VERSION: Final = "/v2/models/{name}/versions/{version}/infer"


_PROTOCOL: Final = "open inference protocol v2"


_ACCESS: Final = {
    "401": "No token that holds",
    "403": "Not the token's scope",
    "429": "Too often; `Retry-After` says when",
}
#: What may be said of any request with a body.
_REFUSALS: Final = {
    "400": "The request is not understood; the place is named",
    **_ACCESS,
    "404": "Not served here",
    "408": "The body came too slowly",
    "413": "The body is too large",
    "415": "The body is not what is taken",
    "503": "Not now; `Retry-After` says when",
}
_TIMING: Final = {
    "name": "timing", "in": "query", "schema": {"enum": ["1"]}, "description": "Adds `Server-Timing`.",
}  # fmt: skip
_KEY: Final = {
    "name": "Idempotency-Key", "in": "header", "schema": {"type": "string"},
    "description": "Requests with one key are one delivery.",
}  # fmt: skip


class ErrorDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What is so, where, what was found, and what to do; `code` is stable."""

    code: str
    message: str
    where: str
    found: str
    hint: str


class ErrorReply(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every answer of 400 and above."""

    error: ErrorDocument


class InferenceErrorReply(msgspec.Struct, frozen=True, kw_only=True):
    """The same below `/v2`, as the Open Inference Protocol wants it."""

    error: str


_TYPES: Final = (
    DecisionRequest, DecisionReply, OutcomeRequest, OutcomeReply, EventRequest, Batch, InferRequest, InferReply,
    ErrorReply, InferenceErrorReply,
)  # fmt: skip
_BEARER: Final = {
    "type": "http", "scheme": "bearer", "description": "Needed where the server was started with `--tokens`.",
}  # fmt: skip


def describe_other_routes(app: FastAPI) -> None:
    """Let the app's OpenAPI document speak of the routes that are answered in front of it."""
    framework = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = framework()
            _, components = msgspec.json.schema_components(_TYPES, ref_template=_REFERENCE)
            document["components"] = {"schemas": components, "securitySchemes": {"token": _BEARER}}
            document["security"] = [{}, {"token": []}]
            document["paths"] = {**_health(), **_asked_by_people(document["paths"]), **_asked_by_programs()}
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the document


def _asked_by_people(paths: Mapping[str, Any]) -> dict[str, Any]:
    """FastAPI's own routes with the refusals that they know; it promises a 422 that none of them gives."""
    known = {}
    for path, operations in paths.items():
        refused = _ACCESS if "{" not in path else {**_ACCESS, "404": _REFUSALS["404"]}
        known[path] = {
            method: {
                **one,
                "responses": {"200": one["responses"]["200"], **_described(refused, at=path)},
            }
            for method, one in operations.items()
        }
    return known


def _health() -> dict[str, Any]:
    live, ready = "Whether the process answers", "Whether traffic should come here"
    return {
        direct.LIVE: _get(live, "health"),
        direct.READY: _get(f"{ready}, and why not", "health", may_be_503=True),
        direct.METRICS: _get("Prometheus metrics", "health", kind="text/plain"),
        direct.SERVER_LIVE: _get("Server live", _PROTOCOL),
        direct.SERVER_READY: _get("Server ready", _PROTOCOL, may_be_503=True),
    }


def _asked_by_programs() -> dict[str, Any]:
    product, decisions = ("product",), "/v1/products/{product}/decisions"
    return {
        decisions: _post(
            "Decide about rows",
            "decisions",
            ("DecisionRequest", "DecisionReply"),
            product,
            at=decisions,
            more=(_TIMING,),
        ),
        direct.OUTCOMES: _post(
            "The truth about decisions",
            "outcomes",
            ("OutcomeRequest", "OutcomeReply"),
            product,
            at=direct.OUTCOMES,
        ),
        direct.EVENTS: _post(
            "Rows of an event source",
            "events",
            ("EventRequest", "Batch"),
            product,
            at=direct.EVENTS,
            more=(_KEY,),
            status="202",
        ),
        **{
            path: _post("Infer", _PROTOCOL, ("InferRequest", "InferReply"), named, at=path, more=(_TIMING,))
            for path, named in ((_INFER, ("name",)), (_INFER_VERSION, ("name", "version")))
        },
    }


def _get(
    summary: str, tag: str, *, kind: str = "application/json", may_be_503: bool = False
) -> Mapping[str, Any]:
    answered = {"description": "Answered", "content": {kind: {"schema": {}}}}
    responses = {"200": answered, **({"503": {**answered, "description": "Not now"}} if may_be_503 else {})}
    return {"get": {"summary": summary, "tags": [tag], "responses": responses}}


def _post(
    summary: str,
    tag: str,
    bodies: tuple[str, str],
    parameters: tuple[str, ...],
    *,
    at: str,
    more: tuple[Mapping[str, Any], ...] = (),
    status: str = "200",
) -> Mapping[str, Any]:
    taken, given = ({"schema": {"$ref": _REFERENCE.format(name=name)}} for name in bodies)
    named = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in parameters
    ]
    return {
        "post": {
            "summary": summary,
            "tags": [tag],
            "parameters": [*named, *more],
            "requestBody": {"required": True, "content": {"application/json": taken}},
            "responses": {
                status: {"description": "Answered", "content": {"application/json": given}},
                **_described(_REFUSALS, at=at),
            },
        }
    }


def _described(refusals: Mapping[str, str], *, at: str) -> Mapping[str, Any]:
    name = "InferenceErrorReply" if at.startswith("/v2") else "ErrorReply"
    content = {"application/json": {"schema": {"$ref": _REFERENCE.format(name=name)}}}
    return {status: {"description": text, "content": content} for status, text in refusals.items()}
