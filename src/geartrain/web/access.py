"""The door: the first account, invitations, signing in and out."""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from geartrain.domain.accounts import Account, Session
from geartrain.domain.events import AccountOpened
from geartrain.web.answering import local
from geartrain.web.asking import PROOF, cookie_name, form_of, given, prove, visitor_of
from geartrain.web.openid import openid_routes
from geartrain.web.rendering import framed
from geartrain.web.room import PEOPLE_STREAM, Room
from geartrain.web.secrets import LONGEST, digest_of, hashed, matches, objection

#: Proves that a form of the door was made here, before anybody is signed in.
DOOR = "geartrain-door"
_LONGEST_NAME = 120


def access_routes(room: Room) -> list[Route]:
    """The routes of the door."""
    return [
        Route("/enter", given(room, _enter_page), methods=["GET"]),
        Route("/enter", given(room, _enter), methods=["POST"]),
        Route("/first", given(room, _first_page), methods=["GET"]),
        Route("/first", given(room, _first), methods=["POST"]),
        Route("/join/{secret}", given(room, _join_page), methods=["GET"]),
        Route("/join/{secret}", given(room, _join), methods=["POST"]),
        Route("/leave", given(room, _leave), methods=["POST"]),
        *openid_routes(room),
    ]


async def _enter_page(room: Room, request: Request) -> Response:
    if await run_in_threadpool(visitor_of, room, request):
        return RedirectResponse(local(request.query_params.get("to", "/")), HTTPStatus.SEE_OTHER)
    if not await run_in_threadpool(room.accounts.people):
        return RedirectResponse("/first", HTTPStatus.SEE_OTHER)
    return await _door(room, request, "enter.html", person="", to=request.query_params.get("to", "/"))


async def _enter(room: Room, request: Request) -> Response:
    form = await _form(request)
    person, to = form.get("person", "").strip()[:_LONGEST_NAME], form.get("to", "/")
    now = room.now()
    name = f"{person.casefold()} {request.client.host if request.client else ''}"
    wait = room.patience.wait(name, now=now)
    if wait:
        wrong = f"too many wrong tries; try again in {max(1, round(wait.total_seconds()))} seconds"
        return await _door(room, request, "enter.html", status=429, wrong=wrong, person=person, to=to)
    account = await run_in_threadpool(_known, room, person, form.get("password", "")[:LONGEST])
    if account is None:
        room.patience.failed(name, now=now)
        wrong = "the name or the password is not right"
        return await _door(room, request, "enter.html", status=403, wrong=wrong, person=person, to=to)
    room.patience.succeeded(name)
    return await run_in_threadpool(entered, room, request, account, to)


def _known(room: Room, person: str, password: str) -> Account | None:
    account = room.accounts.account(person)
    usable = account is not None and account.open
    right = matches(password, account.password if usable and account else "")
    return account if right else None


def entered(room: Room, request: Request, account: Account, to: str) -> Response:
    """Begin a session with a new secret; whatever session the browser had before is over."""
    now = room.now()
    earlier = request.cookies.get(cookie_name(room))
    if earlier:
        room.accounts.end_session(digest_of(earlier))
    secret = room.secret()
    room.accounts.add_session(
        Session(
            digest=digest_of(secret),
            person=account.person,
            proof=room.secret(),
            began_at=now,
            expires_at=now + timedelta(seconds=room.settings.session_s),
        )
    )
    response = RedirectResponse(local(to), HTTPStatus.SEE_OTHER)
    response.set_cookie(
        cookie_name(room),
        secret,
        max_age=int(room.settings.session_s),
        path="/",
        secure=room.settings.secure,
        httponly=True,
        samesite="lax",
    )
    response.delete_cookie(DOOR, path="/")
    return response


async def _leave(room: Room, request: Request) -> Response:
    visitor = await run_in_threadpool(visitor_of, room, request)
    if visitor is not None and visitor.session is not None:
        prove(await form_of(request), visitor.session.proof)
        await run_in_threadpool(room.accounts.end_session, visitor.session.digest)
    response = RedirectResponse("/enter", HTTPStatus.SEE_OTHER)
    response.delete_cookie(cookie_name(room), path="/")
    return response


async def _first_page(room: Room, request: Request) -> Response:
    if await run_in_threadpool(room.accounts.people):
        return RedirectResponse("/enter", HTTPStatus.SEE_OTHER)
    return await _door(room, request, "first.html", person="", code=request.query_params.get("code", ""))


async def _first(room: Room, request: Request) -> Response:
    """The first account belongs to whoever began the room: only they have seen its code."""
    form = await _form(request)
    person, code = _name(form), form.get("code", "")
    now = room.now()
    if room.patience.wait("first", now=now):
        wrong: str | None = "too many wrong codes; wait a little"
    elif not hmac.compare_digest(code.encode(), room.first_code.encode()):
        room.patience.failed("first", now=now)
        wrong = "this is not the code that stands on the terminal on which the room was begun"
    else:
        wrong = _unfit(form)
    if wrong is None:
        account = await run_in_threadpool(_new_account, form, now=now, keeper=True)
        if await run_in_threadpool(room.accounts.open_first, account):
            await run_in_threadpool(_write_down, room, account, by=person)
            return await run_in_threadpool(entered, room, request, account, "/")
        wrong = "somebody has opened the first account already; sign in, or ask them for an invitation"
    return await _door(room, request, "first.html", status=422, wrong=wrong, person=person, code=code)


async def _join_page(room: Room, request: Request) -> Response:
    digest = digest_of(request.path_params["secret"])
    invitation = await run_in_threadpool(lambda: room.accounts.invitation(digest, now=room.now()))
    if invitation is None:
        return await _no_invitation()
    return await _door(room, request, "join.html", person=invitation.person, invited_by=invitation.invited_by)


async def _join(room: Room, request: Request) -> Response:
    form = await _form(request)
    now, digest = room.now(), digest_of(request.path_params["secret"])
    invitation = await run_in_threadpool(lambda: room.accounts.invitation(digest, now=now))
    if invitation is None:
        return await _no_invitation()
    told = {**form, "person": invitation.person}
    wrong = _unfit(told)
    if wrong is None:
        account = await run_in_threadpool(_new_account, told, now=now, keeper=invitation.keeper)
        if await run_in_threadpool(lambda: room.accounts.take_invitation(digest, account, now=now)):
            await run_in_threadpool(_write_down, room, account, by=invitation.invited_by)
            return await run_in_threadpool(entered, room, request, account, "/")
        return await _no_invitation()
    facts = {"person": invitation.person, "invited_by": invitation.invited_by}
    return await _door(room, request, "join.html", status=422, wrong=wrong, **facts)


async def _no_invitation() -> Response:
    told = {"message": "this invitation was used, replaced or has expired", "hint": "ask for a new one"}
    page = await run_in_threadpool(framed, "error.html", status=404, title="No invitation", told=told)
    return HTMLResponse(page, HTTPStatus.NOT_FOUND)


async def _door(
    room: Room, request: Request, template: str, *, status: int = 200, wrong: str = "", **facts: Any
) -> Response:
    """A page of the door, with a proof that only this browser has."""
    proof = request.cookies.get(DOOR) or room.secret()
    openid = room.settings.openid.issuer if room.settings.openid else ""
    page = await run_in_threadpool(framed, template, proof=proof, wrong=wrong, openid=openid, **facts)
    response = HTMLResponse(page, status)
    response.set_cookie(
        DOOR, proof, max_age=3600, path="/", secure=room.settings.secure, httponly=True, samesite="strict"
    )
    return response


async def _form(request: Request) -> dict[str, str]:
    form = await form_of(request)
    # An empty proof proves nothing; a browser that refuses cookies cannot sign in.
    prove(form if request.cookies.get(DOOR) else {PROOF: ""}, request.cookies.get(DOOR) or "no cookie")
    return form


def _name(form: dict[str, str]) -> str:
    return " ".join(form.get("person", "").split())


def _unfit(form: dict[str, str]) -> str | None:
    person = _name(form)
    if not person:
        return "a name is needed, as the contract's `team` section spells it"
    if len(person) > _LONGEST_NAME or not person.isprintable():
        return f"a name has at most {_LONGEST_NAME} characters, all of which can be seen"
    if form.get("password", "") != form.get("again", ""):
        return "the two passwords are not the same"
    return objection(form.get("password", ""), person=person)


def _new_account(form: dict[str, str], *, now: datetime, keeper: bool) -> Account:
    return Account(person=_name(form), password=hashed(form["password"]), keeper=keeper, opened_at=now)


def _write_down(room: Room, account: Account, *, by: str) -> None:
    event = AccountOpened(person=account.person, keeper=account.keeper)
    room.workspace.ledger.append(PEOPLE_STREAM, [event], at=account.opened_at, actor=by)
