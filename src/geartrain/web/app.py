"""The room as one ASGI application: routes, and the guard that every request passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from geartrain.domain.accounts import Scope
from geartrain.errors import GeartrainError
from geartrain.web.access import access_routes
from geartrain.web.answering import (
    denied,
    done,
    page_of_error,
    said_before,
    shown,
    spelled,
    taken_away,
)
from geartrain.web.asking import SignInFirst, asked_of, form_of
from geartrain.web.contents import ACTIONS, DOWNLOADS, PAGES
from geartrain.web.guard import Guard
from geartrain.web.live import changes_route
from geartrain.web.paging import Action, Again, Denied, Done, Download, Page, twin_of
from geartrain.web.rendering import static_file
from geartrain.web.room import Room

Endpoint = Callable[[Request], "Response | object"]


def create_room(
    room: Room,
    *,
    pages: Sequence[Page] = PAGES,
    actions: Sequence[Action] = ACTIONS,
    downloads: Sequence[Download] = DOWNLOADS,
) -> Guard:
    """The application over *room*; other pages, actions and downloads may be given, for tests of the frame."""
    routes: list[BaseRoute] = [
        Route("/static/{digest}/{name}", static_file, methods=["GET"]),
        Route("/health", lambda _: Response("ok", media_type="text/plain"), methods=["GET"]),
        *access_routes(room),
        changes_route(room),
    ]
    for page in pages:
        routes.append(Route(twin_of(page.path), _twin(room, page), methods=["GET"]))
        routes.append(Route(page.path, _html(room, page), methods=["GET"]))
    routes += [Route(one.path, _action(room, one), methods=["POST"]) for one in actions]
    routes += [Route(one.path, _download(room, one), methods=["GET"]) for one in downloads]
    kinds = (SignInFirst, GeartrainError, HTTPException, Exception)
    app = Starlette(routes=routes, exception_handlers=dict.fromkeys(kinds, page_of_error))
    return Guard(app, room.settings)


def _html(room: Room, page: Page) -> Endpoint:
    async def answer(request: Request) -> Response:
        asked = await asked_of(room, request, scope=Scope.READ)
        view = await run_in_threadpool(page.view, asked)
        return await run_in_threadpool(shown, asked, page.template, view, said=said_before(request))

    return answer


def _twin(room: Room, page: Page) -> Endpoint:
    async def answer(request: Request) -> Response:
        asked = await asked_of(room, request, scope=Scope.READ)
        return await run_in_threadpool(lambda: spelled(page.view(asked)))

    return answer


def _action(room: Room, action: Action) -> Endpoint:
    async def answer(request: Request) -> Response:
        asked = await asked_of(room, request, scope=action.scope, form=await form_of(request))
        outcome = await run_in_threadpool(action.act, asked)
        match outcome:
            case Done():
                return done(asked, outcome)
            case Denied():
                return denied(asked, outcome)
            case Again():
                return await run_in_threadpool(
                    shown, asked, outcome.template, outcome.view, status=outcome.status
                )

    return answer


def _download(room: Room, download: Download) -> Endpoint:
    async def answer(request: Request) -> Response:
        asked = await asked_of(room, request, scope=Scope.READ)
        return taken_away(*await run_in_threadpool(download.file, asked))

    return answer
