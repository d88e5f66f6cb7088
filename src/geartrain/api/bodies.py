"""Reading a request's body from raw ASGI: bounded in size and in time, of the right type."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

from geartrain.api.errors import Refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_CLOSE: Final = ((b"connection", b"close"),)


class ClientGone(Exception):
    """The client went away before its request was whole; nobody waits for an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """The largest bodies, in bytes, and how long one may take to arrive, in seconds."""

    decisions: int = 2**20
    inference: int = 4 * 2**20
    control: int = 4 * 2**20
    read_s: float = 10.0


def header(scope: Scope, name: bytes) -> bytes | None:
    """The value of a header, by its lower-case name."""
    for key, value in scope["headers"]:
        if key == name:
            content: bytes = value
            return content
    return None


def require_json(scope: Scope) -> None:
    """Let pass what says it is JSON, or says nothing.

    Raises:
        Refusal: 415, the body says it is something else or is compressed.
    """
    kind = header(scope, b"content-type")
    if kind is not None and kind.split(b";")[0].strip().lower() != b"application/json":
        raise _wrong_type("send the body as application/json")
    require_plain(scope)


def require_plain(scope: Scope) -> None:
    """Refuse a compressed body: a small one could unpack to a huge one.

    Raises:
        Refusal: 415.
    """
    coding = header(scope, b"content-encoding")
    if coding is not None and coding.lower() != b"identity":
        raise _wrong_type("send the body without content-encoding")


def _wrong_type(hint: str) -> Refusal:
    return Refusal(415, "http.unsupported-media-type", "the body is of a type that is not taken", hint=hint)


async def read_body(scope: Scope, receive: Receive, *, most: int, within_s: float) -> bytes:
    """The whole body.

    Raises:
        Refusal: 413 as soon as it is known to be larger than *most* bytes; 408 where it
            does not arrive in time; 400 where its stated length is no number.
        ClientGone: The client closed the connection.
    """
    stated = header(scope, b"content-length")
    if stated is not None:
        if not stated.isdigit():
            raise Refusal(400, "http.bad-request", "the content-length is not a number", headers=_CLOSE)
        if len(stated) > 18 or int(stated) > most:
            raise _too_large(most)
    deadline = _deadlines()
    task = deadline.enter(within_s)
    try:
        message = await receive()
        chunk: bytes = message.get("body", b"")
        if not message.get("more_body", False) and message["type"] == "http.request":
            if len(chunk) > most:
                raise _too_large(most)
            return chunk
        return await _rest(message, receive, most)
    except asyncio.CancelledError:
        if not deadline.is_past(task):
            raise
        task.uncancel()
        raise Refusal(
            408, "http.timeout", f"the body did not arrive within {within_s:g} s", headers=_CLOSE
        ) from None
    finally:
        deadline.leave(task)


async def _rest(message: Message, receive: Receive, most: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > most:
            raise _too_large(most)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)
        message = await receive()


class _Deadlines:
    """Cancels tasks that wait too long, looking at all of them now and then.

    A timer for each request costs more than reading its body; one look at all of them
    costs nothing that anybody can measure.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._until: dict[asyncio.Task[object], float] = {}
        self._past: set[asyncio.Task[object]] = set()
        self._is_looking = False

    def enter(self, within_s: float) -> asyncio.Task[object]:
        """The running task may wait for *within_s* from now on."""
        task = asyncio.current_task(self._loop)
        assert task is not None, "requests are answered in tasks"
        self._until[task] = self._loop.time() + within_s
        if not self._is_looking:
            self._is_looking = True
            self._loop.call_later(min(within_s / 4, 1.0), self._look)
        return task

    def leave(self, task: asyncio.Task[object]) -> None:
        """The task waits no more."""
        self._until.pop(task, None)
        self._past.discard(task)

    def is_past(self, task: asyncio.Task[object]) -> bool:
        """Whether the task was cancelled because its time was over."""
        return task in self._past

    def _look(self) -> None:
        now = self._loop.time()
        self._is_looking = bool(self._until)
        late = [task for task, until in self._until.items() if until <= now]
        for task in late:
            self._past.add(task)
            task.cancel()
        if self._is_looking:
            soonest = min(self._until.values(), default=now + 1.0) - now
            self._loop.call_later(min(max(soonest, 0.02), 1.0), self._look)


_HELD: WeakKeyDictionary[asyncio.AbstractEventLoop, _Deadlines] = WeakKeyDictionary()


def _deadlines() -> _Deadlines:
    loop = asyncio.get_running_loop()
    held = _HELD.get(loop)
    if held is None:
        held = _HELD[loop] = _Deadlines(loop)
    return held


def _too_large(most: int) -> Refusal:
    return Refusal(
        413,
        "http.too-large",
        f"the body is larger than {most} bytes",
        hint="send fewer rows in one request",
        headers=_CLOSE,
    )
