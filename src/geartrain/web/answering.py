"""What the room answers with: a page, its twin, the way on, or what is wrong in plain words."""

from __future__ import annotations

import base64
import json
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from geartrain.domain.wire import encode
from geartrain.errors import GeartrainError
from geartrain.web.asking import SignInFirst
from geartrain.web.paging import Denied, Done
from geartrain.web.rendering import framed, rendered
from geartrain.web.room import Asked

#: Carries what an action said over to the next page, once.
SAID = "geartrain-said"
_LONGEST_SAID = 600

_STATUS = {
    "room.not-allowed": HTTPStatus.FORBIDDEN,
    "room.missing": HTTPStatus.NOT_FOUND,
    "product.unknown": HTTPStatus.NOT_FOUND,
    "release.unknown": HTTPStatus.NOT_FOUND,
    "decision.unknown": HTTPStatus.NOT_FOUND,
    "release.refused": HTTPStatus.CONFLICT,
    "ledger.conflict": HTTPStatus.CONFLICT,
    "contract.invalid": HTTPStatus.UNPROCESSABLE_ENTITY,
    "contract.unreadable": HTTPStatus.UNPROCESSABLE_ENTITY,
    "workspace.busy": HTTPStatus.SERVICE_UNAVAILABLE,
    "ledger.unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
}


def shown(
    asked: Asked, template: str, view: object, *, said: tuple[str, str] = ("", ""), status: int = 200
) -> Response:
    """The view as HTML; *said* is what an action before it said, and its kind."""
    response = HTMLResponse(rendered(asked, template, view, said=said), status_code=status)
    if said[1]:
        response.delete_cookie(SAID, path="/")
    return response


def spelled(view: object) -> Response:
    """The view as JSON: the same noun, spelled canonically."""
    return Response(encode(view), media_type="application/json")


def done(asked: Asked, outcome: Done) -> Response:
    """On to the page where it can be seen; a program gets the words."""
    if asked.visitor.session is None:
        return JSONResponse({"done": True, "said": outcome.said, "see": outcome.to})
    return _onwards(outcome.to, "done", outcome.said)


def denied(asked: Asked, outcome: Denied) -> Response:
    """Back to where the person came from, with the reason; a program gets 409."""
    words = f"{outcome.reason}: {outcome.do}" if outcome.do else outcome.reason
    if asked.visitor.session is None:
        return JSONResponse({"done": False, "reason": outcome.reason, "do": outcome.do}, HTTPStatus.CONFLICT)
    return _onwards(outcome.to, "denied", words)


def _onwards(to: str, kind: str, words: str) -> Response:
    response = RedirectResponse(local(to), status_code=HTTPStatus.SEE_OTHER)
    told = json.dumps([kind, words[:_LONGEST_SAID]]).encode()
    response.set_cookie(
        SAID, base64.urlsafe_b64encode(told).decode(), max_age=60, httponly=True, samesite="lax", path="/"
    )
    return response


def said_before(request: Request) -> tuple[str, str]:
    """What the action before this page said: its kind and its words, or two empty texts."""
    try:
        told = json.loads(base64.urlsafe_b64decode(request.cookies.get(SAID, "")))
    except ValueError:
        return "", ""
    # Anything may stand in a cookie: a neighbour on this host can set one.
    match told:
        case ["done" | "denied" as kind, str(words)]:
            return kind, words
        case _:
            return "", ""


def taken_away(name: str, media_type: str, content: bytes) -> Response:
    """A file to keep; a browser saves it and never shows it as a page of ours."""
    disposition = f"attachment; filename*=UTF-8''{quote(name)}"
    return Response(content, media_type=media_type, headers={"content-disposition": disposition})


def local(to: str) -> str:
    """*to* where it is a path of this room, else the first page: no answer leads elsewhere.

    >>> local("/people"), local("//evil.example/"), local("https://evil.example/")
    ('/people', '/', '/')
    """
    parts = urlsplit(to)
    safe = to.startswith("/") and not to.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    return to if safe and "\n" not in to and "\r" not in to else "/"


async def page_of_error(request: Request, error: Exception) -> Response:
    """What went wrong, in the family's words; a bug of ours says that it is one and nothing else."""
    match error:
        case SignInFirst():
            if _wants_json(request):
                return JSONResponse(
                    {"code": "room.not-allowed", "message": "nobody is signed in"}, HTTPStatus.UNAUTHORIZED
                )
            return RedirectResponse(f"/enter?to={quote(error.path, safe='')}", HTTPStatus.SEE_OTHER)
        case GeartrainError():
            status = _STATUS.get(error.code, HTTPStatus.INTERNAL_SERVER_ERROR)
            told: dict[str, Any] = error.to_document()
        case HTTPException():
            status = HTTPStatus(error.status_code)
            told = {
                "code": "room.missing" if status == HTTPStatus.NOT_FOUND else "http",
                "message": error.detail,
            }
        case _:
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            told = {"code": "internal", "message": "this is a bug of ours; it is written in the room's log"}
    if _wants_json(request):
        return JSONResponse(told, status)
    page = await run_in_threadpool(framed, "error.html", status=int(status), title=status.phrase, told=told)
    return HTMLResponse(page, status)


def _wants_json(request: Request) -> bool:
    return request.url.path.endswith(".json") or "authorization" in request.headers
