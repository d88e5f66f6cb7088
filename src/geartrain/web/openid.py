"""Signing in with an OpenID Connect provider: code flow with PKCE, state and nonce.

Authlib speaks the protocol and joserfc checks the token's signature. The provider says
who somebody is; whether they may enter is said here, by an account that a keeper opened
for them without a password.
"""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import replace
from http import HTTPStatus
from importlib import import_module
from types import ModuleType
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from geartrain.domain.accounts import Account
from geartrain.errors import NotAllowed, SettingInvalid
from geartrain.web.asking import given
from geartrain.web.rendering import framed
from geartrain.web.room import OpenId, Room

#: Holds state, nonce and verifier while the person is at the provider's.
AWAY = "geartrain-away"
_PATH = "/enter/openid"
_LEEWAY_S = 60


def openid_routes(room: Room) -> list[Route]:
    """The way out to the provider and back; none where none is set."""
    if room.settings.openid is None:
        return []
    return [
        Route(_PATH, given(room, _out), methods=["GET"]),
        Route(f"{_PATH}/back", given(room, _back), methods=["GET"]),
    ]


def _provider(room: Room) -> OpenId:
    assert room.settings.openid is not None
    return room.settings.openid


async def _out(room: Room, request: Request) -> Response:
    provider = _provider(room)
    away = {
        "state": room.secret(),
        "nonce": room.secret(),
        "verifier": room.secret() + room.secret(),
        "to": request.query_params.get("to", "/"),
    }
    address = await run_in_threadpool(_authorization, room, provider, _redirect(room, request), away)
    response = RedirectResponse(address, HTTPStatus.SEE_OTHER)
    told = base64.urlsafe_b64encode(json.dumps(away).encode()).decode()
    # Lax, not strict: the way back begins on the provider's page.
    response.set_cookie(
        AWAY, told, max_age=600, path=_PATH, secure=room.settings.secure, httponly=True, samesite="lax"
    )
    return response


async def _back(room: Room, request: Request) -> Response:
    provider = _provider(room)
    from geartrain.web.access import entered

    try:
        away = json.loads(base64.urlsafe_b64decode(request.cookies.get(AWAY, "")))
        account = await run_in_threadpool(_recognised, room, provider, request, away)
    except (ValueError, KeyError, TypeError) as error:
        raise NotAllowed("this sign-in did not begin here", hint="begin again at /enter") from error
    if account is None:
        told = {
            "message": "the provider knows you, but you have no account here",
            "hint": "ask a keeper of this room to let you in under the name that the provider tells",
        }
        page = await run_in_threadpool(framed, "error.html", status=403, title="No account", told=told)
        return HTMLResponse(page, HTTPStatus.FORBIDDEN)
    response = await run_in_threadpool(entered, room, request, account, str(away["to"]))
    response.delete_cookie(AWAY, path=_PATH)
    return response


def _authorization(room: Room, provider: OpenId, redirect: str, away: dict[str, str]) -> str:
    with _client(room, provider, redirect) as client:
        address, _ = client.create_authorization_url(
            _said(client, provider)["authorization_endpoint"],
            state=away["state"],
            nonce=away["nonce"],
            code_verifier=away["verifier"],
        )
    return str(address)


def _recognised(room: Room, provider: OpenId, request: Request, away: dict[str, str]) -> Account | None:
    """The account of whom the provider vouches for, or None where there is none."""
    if not hmac.compare_digest(away["state"].encode(), request.query_params.get("state", "").encode()):
        raise NotAllowed("this sign-in did not begin here", hint="begin again at /enter")
    claims = _claims(room, provider, request, away)
    subject = f"{provider.issuer} {claims['sub']}"
    known = room.accounts.account_of_subject(subject)
    if known is not None:
        return known if known.open else None
    waiting = room.accounts.account(str(claims.get(provider.claim, "")))
    if waiting is None or not waiting.open or waiting.password or waiting.subject is not None:
        return None
    bound = replace(waiting, subject=subject)
    return bound if room.accounts.change(bound) else None


def _claims(room: Room, provider: OpenId, request: Request, away: dict[str, str]) -> dict[str, Any]:
    from authlib.common.errors import AuthlibBaseError
    from joserfc import jwk, jwt
    from joserfc.errors import JoseError

    with _client(room, provider, _redirect(room, request)) as client:
        said = _said(client, provider)
        try:
            answer = client.fetch_token(
                said["token_endpoint"],
                code=request.query_params.get("code", ""),
                code_verifier=away["verifier"],
            )
            keys = jwk.KeySet.import_key_set(_got(client, provider, said["jwks_uri"]).json())
            token = jwt.decode(answer["id_token"], keys, algorithms=["RS256", "ES256", "EdDSA"])
            jwt.JWTClaimsRegistry(
                now=round(room.now().timestamp()),
                leeway=_LEEWAY_S,
                iss={"essential": True, "value": provider.issuer},
                aud={"essential": True, "value": provider.client_id},
                exp={"essential": True},
                sub={"essential": True},
                nonce={"essential": True, "value": away["nonce"]},
            ).validate(token.claims)
        except (AuthlibBaseError, JoseError, http_library().HTTPError) as error:
            raise NotAllowed(
                "the provider's answer does not prove who you are",
                found=type(error).__name__,
                hint="begin again at /enter",
            ) from error
    return dict(token.claims)


def _said(client: Any, provider: OpenId) -> dict[str, Any]:
    """What the provider says about itself."""
    answer = _got(client, provider, f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration")
    try:
        said: dict[str, Any] = answer.json() if answer.status_code == HTTPStatus.OK else {}
    except ValueError:
        said = {}
    if said.get("issuer") != provider.issuer:
        raise SettingInvalid(
            "the OpenID provider does not answer as the one that is set",
            where=provider.issuer,
            found=f"issuer {said.get('issuer')!r}, status {answer.status_code}",
            hint="set GEARTRAIN_OPENID_ISSUER to exactly what the provider calls itself",
        )
    return said


def _got(client: Any, provider: OpenId, address: str) -> Any:
    """What the provider tells everybody, asked for without a token."""
    try:
        return client.request("GET", address, withhold_token=True)
    except http_library().HTTPError as error:
        raise SettingInvalid(
            "the OpenID provider cannot be asked",
            where=provider.issuer,
            found=type(error).__name__,
            hint="see whether it can be reached from where the room runs, or sign in with a password",
        ) from error


def http_library() -> ModuleType:
    """The library that Authlib asks with: httpx, or its successor httpx2 where that is installed."""
    from authlib.integrations.httpx_client import OAuth2Client

    theirs = next(one for one in OAuth2Client.__mro__ if one.__name__ == "Client")
    return import_module(theirs.__module__.partition(".")[0])


def _client(room: Room, provider: OpenId, redirect: str) -> Any:
    from authlib.integrations.httpx_client import OAuth2Client

    return OAuth2Client(
        client_id=provider.client_id,
        client_secret=provider.client_secret,
        redirect_uri=redirect,
        scope="openid profile",
        code_challenge_method="S256",
        timeout=10.0,
        transport=room.provider_transport,
    )


def _redirect(room: Room, request: Request) -> str:
    scheme = "https" if room.settings.secure else "http"
    return f"{scheme}://{request.url.netloc}{_PATH}/back"
