"""The guard: host names, sizes, origins and headers, for every request before anything else."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geartrain.web.room import RoomSettings

LARGEST_BODY: Final = 2 * 1024 * 1024

#: Nothing from elsewhere, nothing inline: a script that got into a page would not run.
POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS: Final = (
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
)


class Guard:
    """Wraps the application.

    A request under a host name that is not the room's is refused, or a page elsewhere
    could have its own name point here; a change that another site's page asks for is
    refused by its origin, beside the proof that each form carries.
    """

    def __init__(self, app: ASGIApp, settings: RoomSettings) -> None:
        self.app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection scope."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in _HEADERS:
                    answer.setdefault(name, value)
                answer.setdefault("cache-control", "no-store")
                if self._settings.secure:
                    answer.setdefault("strict-transport-security", "max-age=31536000")
            await send(message)

        if refusal is not None:
            status, words = refusal
            await PlainTextResponse(words, status_code=status)(scope, receive, guarded)
            return
        await self.app(scope, _limited(receive), guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if _without_port(host) not in self._settings.hosts:
            return 421, "the room is not known under this name; see GEARTRAIN_ROOM_HOSTS"
        if scope["method"] in {"GET", "HEAD"}:
            return None
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > LARGEST_BODY:
            return 413, f"at most {LARGEST_BODY:,} bytes are taken"
        if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            return 403, "another site's page may not change anything here"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, "another site's page may not change anything here"
        return None


def _limited(receive: Receive) -> Receive:
    """Ends a body that turns out longer than it said."""
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > LARGEST_BODY:
            return {"type": "http.disconnect"}
        return message

    return limited


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return name if name and port.isdigit() else host
