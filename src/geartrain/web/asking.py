"""From a request to who asks for what; a request that proves nothing goes no further."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from geartrain.domain.accounts import Scope
from geartrain.errors import NotAllowed
from geartrain.web.room import Asked, Room, Visitor
from geartrain.web.secrets import digest_of

#: The cookie's name says by itself that no other host and no plain connection may set it.
SECURE_COOKIE, PLAIN_COOKIE = "__Host-geartrain-session", "geartrain-session"
#: The form field that brings back the session's proof.
PROOF = "proof"
_MOST_FIELDS, _LARGEST_FIELD = 400, 512 * 1024


class SignInFirst(Exception):
    """Nobody is signed in; the answer is the way to the door and back."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


async def asked_of(
    room: Room, request: Request, *, scope: Scope, form: Mapping[str, str] | None = None
) -> Asked:
    """What is asked, by whom.

    *form* is given where something is to change: then a browser's request must bring the
    session's own proof, which another site's page cannot know.

    Raises:
        SignInFirst: Nobody is signed in.
        NotAllowed: The token does not reach so far, or the form is not of this session.
    """
    now = room.now()
    visitor = await run_in_threadpool(visitor_of, room, request)
    if visitor is None:
        raise SignInFirst(_whole_path(request))
    if not visitor.may(scope, now=now):
        raise NotAllowed(
            f"this token does not allow `{scope}`", hint="make one with that scope, under People"
        )
    if form is not None and visitor.session is not None:
        prove(form, visitor.session.proof)
    return Asked(
        room=room,
        visitor=visitor,
        now=now,
        path=request.url.path.removesuffix(".json"),
        names={name: str(value) for name, value in request.path_params.items()},
        query=first_values(request),
        form=form or {},
    )


def visitor_of(room: Room, request: Request) -> Visitor | None:
    """Who asks, by the session's cookie or by a token; None where nobody is known."""
    now = room.now()
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    if kind.casefold() == "bearer" and secret:
        token = room.accounts.token(digest_of(secret.strip()), now=now)
        account = room.accounts.account(token.person) if token else None
        return Visitor(account=account, token=token) if account and account.open else None
    secret = request.cookies.get(cookie_name(room)) or ""
    session = room.accounts.session(digest_of(secret), now=now) if secret else None
    account = room.accounts.account(session.person) if session else None
    return Visitor(account=account, session=session) if account and account.open else None


def given(
    room: Room, handler: Callable[[Room, Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    """The *handler* with its room, as a route wants it."""

    async def answer(request: Request) -> Response:
        return await handler(room, request)

    return answer


def cookie_name(room: Room) -> str:
    """The name of the session's cookie."""
    return SECURE_COOKIE if room.settings.secure else PLAIN_COOKIE


def prove(form: Mapping[str, str], proof: str) -> None:
    """Let only a form pass that carries *proof*.

    Raises:
        NotAllowed: It carries none, or another one.
    """
    if not hmac.compare_digest(form.get(PROOF, "").encode(), proof.encode()):
        raise NotAllowed(
            "this form was not made for you here",
            hint="open the page again and send it from there; signing in again makes older pages void",
        )


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form, or of a JSON object that a program sends; the last value of each name.

    Raises:
        HTTPException: It is neither, or a field is too large.
    """
    if request.headers.get("content-type", "").split(";")[0].strip() == "application/json":
        try:
            told = await request.json()
        except ValueError as error:
            raise HTTPException(HTTPStatus.BAD_REQUEST, "this is not JSON") from error
        if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
            raise HTTPException(HTTPStatus.BAD_REQUEST, "a JSON object of texts is expected")
        if request.headers.get("authorization") is None:
            raise NotAllowed("JSON is taken from programs with a token", hint="make a token under People")
        return told
    async with request.form(max_files=0, max_fields=_MOST_FIELDS, max_part_size=_LARGEST_FIELD) as form:
        return {name: value for name, value in form.multi_items() if isinstance(value, str)}


def first_values(request: Request) -> dict[str, str]:
    """The query, the first value of each name."""
    told: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        told.setdefault(name, value)
    return told


def _whole_path(request: Request) -> str:
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{request.url.path}{query}"
