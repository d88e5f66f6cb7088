"""Signing in with a provider: what proves who somebody is, and what does not."""

import base64
import hashlib
import json
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwk, jwt

from geartrain.domain.accounts import Account
from geartrain.web.app import create_room
from geartrain.web.openid import http_library
from geartrain.web.room import OpenId, RoomSettings

httpx = http_library()
ISSUER = "https://login.example"
OTHER_ISSUER = "https://elsewhere.example"


class Provider:
    """A provider that keeps to the specification, and can be told to break one rule at a time."""

    def __init__(self, now):
        self.key = jwk.RSAKey.generate_key(2048, {"kid": "one"})
        self.now, self.codes, self.asked = now, {}, []
        self.claims, self.sign_with, self.calls_itself = {}, None, ISSUER

    def authorize(self, address, *, subject="sub-1", name="Nora New"):
        """What happens at the provider's page when the person says yes; the way back."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        self.asked.append(asked)
        code = f"code-{len(self.codes)}"
        self.codes[code] = (asked, subject, name)
        back = urlsplit(asked["redirect_uri"])
        return f"{back.path}?code={code}&state={asked['state']}"

    def __call__(self, request):
        match request.url.path:
            case "/.well-known/openid-configuration":
                told = {
                    "issuer": self.calls_itself,
                    "authorization_endpoint": f"{ISSUER}/authorize",
                    "token_endpoint": f"{ISSUER}/token",
                    "jwks_uri": f"{ISSUER}/keys",
                }
                return httpx.Response(200, json=told)
            case "/keys":
                return httpx.Response(200, json=jwk.KeySet([self.key]).as_dict(private=False))
            case "/token":
                return self._token(request)
        return httpx.Response(404)

    def _token(self, request):
        sent = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        asked, subject, name = self.codes.pop(sent.get("code", ""), ({}, "", ""))
        client = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        verifier = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        proven = asked.get("code_challenge") == challenge and asked.get("code_challenge_method") == "S256"
        if client != "room:a secret" or not proven or sent.get("redirect_uri") != asked["redirect_uri"]:
            return httpx.Response(400, json={"error": "invalid_grant"})
        told = {
            "iss": ISSUER,
            "aud": "room",
            "sub": subject,
            "name": name,
            "nonce": asked["nonce"],
            "exp": int(self.now().timestamp()) + 300,
            **self.claims,
        }
        claims = {name: value for name, value in told.items() if value is not None}
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.sign_with or self.key)
        return httpx.Response(200, json={"access_token": "x", "token_type": "Bearer", "id_token": signed})


@pytest.fixture(scope="module")
def keys():
    """Two keys, made once: the provider's, and one that somebody else has."""
    return jwk.RSAKey.generate_key(2048, {"kid": "one"}), jwk.RSAKey.generate_key(2048, {"kid": "one"})


@pytest.fixture
def provider(team, keys):
    """The provider that the team's room asks, and an account that was opened for it."""
    made = Provider(lambda: team.now)
    made.key = keys[0]
    openid = OpenId(issuer=ISSUER, client_id="room", client_secret="a secret")
    team.room = replace(
        team.room, settings=RoomSettings(openid=openid), provider_transport=httpx.MockTransport(made)
    )
    team.app = create_room(team.room)
    _account(team, "Nora New")
    return made


def _account(team, person, **more):
    team.accounts.add(Account(person=person, password="", keeper=False, opened_at=team.now, **more))


def _sign_in(team, provider, browser=None, **who):
    browser = browser or team.browser()
    away = browser.get("/enter/openid?to=/people")
    assert away.status_code == 303, away.text
    return browser, browser.get(provider.authorize(away.headers["location"], **who))


def test_who_the_provider_vouches_for_comes_in(team, provider):
    """Code flow with PKCE: the browser goes out with state, nonce and a challenge, and comes back to its page."""
    assert "Sign in with https://login.example" in team.browser().page("/enter")
    browser, answer = _sign_in(team, provider)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/people"
    assert "Nora New" in browser.page("/people")
    asked = provider.asked[0]
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == "http://127.0.0.1/enter/openid/back"
    assert "openid" in asked["scope"].split()
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
    assert team.accounts.account("Nora New").subject == f"{ISSUER} sub-1"


def test_an_account_is_bound_to_its_first_subject(team, provider):
    """A name is taken once: another subject of that name stays outside, the first one may change the name."""
    _sign_in(team, provider)
    _, other = _sign_in(team, provider, subject="sub-2")
    assert other.status_code == 403
    assert "you have no account here" in other.text
    renamed, answer = _sign_in(team, provider, name="Nora Newer")
    assert answer.status_code == 303
    assert "Nora New" in renamed.page("/people")


def test_an_account_with_a_password_is_never_taken_over(team, provider):
    """Whoever calls themselves like somebody at the provider does not become them here."""
    _, answer = _sign_in(team, provider, name=team.holder("science"), subject="sub-9")
    assert answer.status_code == 403
    assert team.accounts.account(team.holder("science")).subject is None


def test_a_closed_or_unknown_account_stays_outside(team, provider):
    """The provider says who; the room says whether."""
    _sign_in(team, provider)
    closed = replace(team.accounts.account("Nora New"), closed_at=team.now)
    team.accounts.change(closed)
    assert _sign_in(team, provider)[1].status_code == 403
    assert _sign_in(team, provider, name="Nobody", subject="sub-3")[1].status_code == 403


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": OTHER_ISSUER},
        {"aud": "another client"},
        {"aud": None},
        {"nonce": "another sign-in's"},
        {"nonce": None},
        {"exp": 1},
        {"exp": None},
        {"sub": None},
    ],
    ids=lambda claims: next(f"{name}={value}" for name, value in claims.items()),
)
def test_a_token_that_does_not_prove_it_lets_nobody_in(team, provider, claims):
    """Issuer, audience, nonce, time and subject are each looked at."""
    provider.claims = claims
    browser, answer = _sign_in(team, provider)
    assert answer.status_code == 403
    assert "does not prove who you are" in answer.text
    assert browser.get("/people").status_code == 303
    assert team.accounts.account("Nora New").subject is None


def test_a_token_that_somebody_else_signed_lets_nobody_in(team, provider, keys):
    """The signature is checked against the provider's keys, and an unsigned token is none."""
    provider.sign_with = keys[1]
    assert _sign_in(team, provider)[1].status_code == 403

    def unsigned(request):
        if request.url.path != "/token":
            return provider(request)
        _, subject, name = provider.codes.popitem()[1]
        claims = {"iss": ISSUER, "aud": "room", "sub": subject, "name": name, "exp": 2**33,
                  "nonce": provider.asked[-1]["nonce"]}  # fmt: skip
        parts = [json.dumps({"alg": "none"}), json.dumps(claims)]
        token = ".".join(base64.urlsafe_b64encode(one.encode()).rstrip(b"=").decode() for one in parts) + "."
        return httpx.Response(200, json={"access_token": "x", "token_type": "Bearer", "id_token": token})

    team.room = replace(team.room, provider_transport=httpx.MockTransport(unsigned))
    team.app = create_room(team.room)
    assert _sign_in(team, provider)[1].status_code == 403


def test_a_way_back_that_did_not_begin_here_is_refused(team, provider):
    """Another state, another browser, or no cookie: somebody may want us to sign in as them."""
    begun = team.browser()
    back = provider.authorize(begun.get("/enter/openid").headers["location"])
    victim = team.browser()
    answer = victim.get(back)
    assert answer.status_code == 403
    assert "did not begin here" in answer.text
    victim.get("/enter/openid")
    assert victim.get(back).status_code == 403
    assert begun.get(back.split("&state=")[0] + "&state=other").status_code == 403
    assert victim.get("/people").status_code == 303


def test_a_code_is_taken_once_and_only_with_its_verifier(team, provider):
    """A code that was seen on its way is worth nothing to whoever saw it."""
    browser, answer = _sign_in(team, provider)
    assert answer.status_code == 303
    thief = team.browser()
    out = provider.authorize(thief.get("/enter/openid").headers["location"])
    stolen = provider.authorize(browser.get("/enter/openid").headers["location"])
    mixed = f"{stolen.split('&state=')[0]}&state={out.split('&state=')[1]}"
    assert thief.get(mixed).status_code == 403


def test_a_provider_that_is_another_one_is_not_asked(team, provider):
    """The document at the issuer's address must name that issuer."""
    provider.calls_itself = OTHER_ISSUER
    answer = team.browser().get("/enter/openid")
    assert answer.status_code >= 400
    assert "does not answer as the one that is set" in answer.text


def test_after_signing_in_one_goes_nowhere_else(team, provider):
    """The page that one wanted is kept on the way, and no other host is one."""
    browser = team.browser()
    away = browser.get("/enter/openid?to=//evil.example/")
    assert browser.get(provider.authorize(away.headers["location"])).headers["location"] == "/"


def test_without_a_provider_there_is_no_way_to_one(team):
    """Nothing is offered that is not set."""
    assert "/enter/openid" not in team.browser().page("/enter")
    assert team.browser().get("/enter/openid").status_code == 404


def test_a_provider_that_is_down_is_said(team, provider):
    """No answer is told in words, and the password's door stays open."""

    def silent(request):
        raise httpx.ConnectError("nobody is there")

    team.room = replace(team.room, provider_transport=httpx.MockTransport(silent))
    team.app = create_room(team.room)
    assert "cannot be asked" in team.browser().get("/enter/openid").text
    assert team.browser().enter("Visitor Vera").status_code == 303
