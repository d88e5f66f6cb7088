"""Who may ask what: tokens with scopes, and how often a token may ask.

A token is looked up by its secret's digest and remembered for a few seconds, so that a
revoked one stops within that time and the accounts are not asked for every request.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter
from typing import Final

from geartrain.api.bodies import Headed
from geartrain.api.errors import Refusal
from geartrain.domain.accounts import Scope, Token

#: For so long an answer of the accounts is believed.
REMEMBERED: Final = timedelta(seconds=5)
_MOST_REMEMBERED: Final = 10_000
_LONGEST: Final = 200

FindToken = Callable[[str, datetime], Token | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """How often one token may ask.

    Attributes:
        per_s: Requests a second over time.
        burst: Requests at once after a pause.
    """

    per_s: float
    burst: float


@dataclass(slots=True)
class _Bucket:
    left: float
    at_s: float


class Doors:
    """Lets requests in by their token.

    *find* looks a token up by digest; it may take its time and is called in a thread.
    """

    def __init__(
        self, find: FindToken, *, now: Callable[[], datetime], rate: RateLimits | None = None
    ) -> None:
        self._find = find
        self._now = now
        self._rate = rate
        self._known: OrderedDict[str, tuple[Token | None, datetime]] = OrderedDict()
        self._buckets: dict[str, _Bucket] = {}

    async def admit(self, asked: Headed, scope: Scope) -> None:
        """Return where the request may go on.

        Raises:
            Refusal: 401 without a token that holds, 403 where it lacks *scope*, 429 where it
                asks too often.
        """
        token = await self._token(asked.header("authorization"))
        if token is None:
            raise Refusal(
                401,
                "access.token-needed",
                "a token is needed that holds here",
                hint="send `Authorization: Bearer <token>`; the room issues tokens",
                headers=((b"www-authenticate", b"Bearer"),),
            )
        if scope not in token.scopes:
            raise Refusal(
                403,
                "access.scope-missing",
                f"the token may not do this; it lacks the scope `{scope.value}`",
                hint="issue a token with that scope",
            )
        wait_s = self._wait_s(token.digest, perf_counter())
        if wait_s > 0:
            raise Refusal(
                429,
                "access.too-often",
                "the token asks more often than it may",
                hint=f"try again in {math.ceil(wait_s)} s",
                headers=((b"retry-after", str(math.ceil(wait_s)).encode()),),
            )

    async def _token(self, header: str | None) -> Token | None:
        kind, _, secret = (header or "").partition(" ")
        if kind.lower() != "bearer" or not 0 < len(secret) <= _LONGEST:
            return None
        digest = hashlib.sha256(secret.encode()).hexdigest()
        now = self._now()
        known = self._known.get(digest)
        if known is None or now - known[1] > REMEMBERED:
            known = (await asyncio.to_thread(self._find, digest, now), now)
            self._known[digest] = known
            self._known.move_to_end(digest)
            while len(self._known) > _MOST_REMEMBERED:
                forgotten, _ = self._known.popitem(last=False)
                self._buckets.pop(forgotten, None)
        token = known[0]
        if token is not None and token.expires_at is not None and token.expires_at <= now:
            return None
        return token

    def _wait_s(self, digest: str, at_s: float) -> float:
        """0 and one request less in the token's bucket, or how long until there is one (a token bucket)."""
        if self._rate is None:
            return 0.0
        bucket = self._buckets.setdefault(digest, _Bucket(self._rate.burst, at_s))
        bucket.left = min(self._rate.burst, bucket.left + (at_s - bucket.at_s) * self._rate.per_s)
        bucket.at_s = at_s
        if bucket.left < 1:
            return (1 - bucket.left) / self._rate.per_s
        bucket.left -= 1
        return 0.0


_FREE: Final = frozenset(("/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"))


def scope_of(method: str, path: str) -> Scope | None:
    """The scope that a request of the control plane needs; None where anybody may ask."""
    if path in _FREE:
        return None
    if method == "POST" and path.endswith("/outcomes"):
        return Scope.OUTCOMES
    if method == "POST" and path.endswith("/events"):
        return Scope.EVENTS
    return Scope.READ
