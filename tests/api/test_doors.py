"""Tokens and their scopes: who may ask what, how often, and how soon a revoked token stops."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from geartrain.api.app import create_app
from geartrain.api.doors import REMEMBERED, Doors, RateLimits
from geartrain.domain.accounts import Scope, Token

NOW = datetime(2026, 1, 1, tzinfo=UTC)
P = "/v1/products/p"


def _token(secret, *scopes, expires_at=None):
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return Token(
        digest=digest, person="ana", name=secret, scopes=scopes, issued_at=NOW, expires_at=expires_at
    )


class _Accounts:
    def __init__(self, *tokens):
        self.held = {one.digest: one for one in tokens}
        self.asked = 0
        self.now = NOW

    def find(self, digest, now):
        self.asked += 1
        return self.held.get(digest)

    def doors(self, **more):
        return Doors(self.find, now=lambda: self.now, **more)


def _ask(world, talk, doors, *calls):
    app = create_app(world.host, doors=doors)

    async def conversation(client):
        answers = []
        for method, path, secret, *body in calls:
            headers = {"authorization": f"Bearer {secret}"} if secret else {}
            json = body[0] if body else None
            answers.append(await client.request(method, path, headers=headers, json=json))
        return answers

    return talk(app, conversation)


DECIDE = ("POST", f"{P}/decisions")
ROW = {"row": {"x": 1}}
INFER = {"inputs": [{"name": "features", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}
ROUTES = {
    Scope.DECIDE: [(*DECIDE, ROW), ("POST", "/v2/models/p/infer", INFER)],
    Scope.OUTCOMES: [("POST", f"{P}/outcomes", {"outcomes": []})],
    Scope.EVENTS: [("POST", f"{P}/events", {"source": "events", "rows": [{"x": 1}]})],
    Scope.READ: [("GET", "/v1/products"), ("GET", "/metrics"), ("GET", "/v2/models/p"), ("GET", "/docs")],
}


@pytest.mark.parametrize("held", list(ROUTES))
def test_a_token_opens_what_its_scope_says_and_nothing_else(world, talk, held):
    """Every route is tried with a token of one scope: its own are answered, all others are 403."""
    accounts = _Accounts(_token("secret", held))
    calls = [(scope, route) for scope, routes in ROUTES.items() for route in routes]
    answers = _ask(
        world,
        talk,
        accounts.doors(),
        *((method, path, "secret", *body) for _, (method, path, *body) in calls),
    )

    for (scope, route), answer in zip(calls, answers, strict=True):
        assert (answer.status_code == 403) is (scope is not held), route
        assert answer.status_code != 401


@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer ", "Basic secret", "Bearer other", "Bearer " + "s" * 5000]
)
def test_without_a_token_that_holds_nothing_is_answered(world, talk, header):
    """No token, another kind, an unknown or endless one: 401 with how to ask, and nothing is decided."""
    app = create_app(world.host, doors=_Accounts(_token("secret", Scope.DECIDE)).doors())

    async def conversation(client):
        headers = {} if header is None else {"authorization": header}
        hot = await client.post(DECIDE[1], json=ROW, headers=headers)
        cold = await client.get("/v1/products", headers=headers)
        return hot, cold, await client.get("/health/ready", headers=headers)

    hot, cold, health = talk(app, conversation)
    assert (hot.status_code, cold.status_code, health.status_code) == (401, 401, 200)
    assert hot.headers["www-authenticate"] == "Bearer"
    assert hot.json()["error"]["code"] == "access.token-needed"
    assert world.logged() == []


def test_a_revoked_or_expired_token_stops(world, talk):
    """Revocation takes effect within the seconds that an answer is remembered, expiry at once."""
    accounts = _Accounts(
        _token("a", Scope.DECIDE), _token("b", Scope.DECIDE, expires_at=NOW + timedelta(seconds=1))
    )
    doors = accounts.doors()
    first = _ask(world, talk, doors, (*DECIDE, "a", ROW), (*DECIDE, "a", ROW), (*DECIDE, "b", ROW))
    asked = accounts.asked
    accounts.held.clear()
    accounts.now = NOW + timedelta(seconds=2)
    soon = _ask(world, talk, doors, (*DECIDE, "a", ROW), (*DECIDE, "b", ROW))
    accounts.now = NOW + REMEMBERED + timedelta(seconds=1)
    later = _ask(world, talk, doors, (*DECIDE, "a", ROW))

    assert [one.status_code for one in first] == [200, 200, 200]
    assert asked == 2
    assert [one.status_code for one in soon] == [200, 401]
    assert [one.status_code for one in later] == [401]


def test_a_token_that_asks_too_often_is_told_when_to_come_back(world, talk):
    """The burst is answered, then 429 with Retry-After; another token is not touched by it."""
    accounts = _Accounts(_token("a", Scope.DECIDE), _token("b", Scope.DECIDE))
    doors = accounts.doors(rate=RateLimits(per_s=0.01, burst=2))
    calls = [(*DECIDE, secret, ROW) for secret in ("a", "a", "a", "b")]
    answers = _ask(world, talk, doors, *calls)

    assert [one.status_code for one in answers] == [200, 200, 429, 200]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 100
