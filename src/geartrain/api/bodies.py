"""Reading a request: its body bounded in size and in time, of the right type."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from threading import local
from typing import Any, Final, Protocol

from geartrain.api.errors import Refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_CLOSE: Final = ((b"connection", b"close"),)
#: A body that nobody wants is waited for up to this size, and for so long.
_SMALL_BYTES: Final = 64 * 1024
_A_MOMENT_S: Final = 1.0
_JSON_KINDS: Final = (None, "application/json")


class ClientGone(Exception):
    """The client went away before its request was whole; nobody waits for an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """The largest bodies, in bytes, and how long one may take to arrive, in seconds."""

    decisions: int = 2**20
    inference: int = 4 * 2**20
    control: int = 4 * 2**20
    read_s: float = 10.0


class Headed(Protocol):
    """What comes with a request besides its body, whichever protocol its server speaks."""

    method: str

    def header(self, name: str) -> str | None:
        """The value of a header, by its lower-case name."""


class Asked(Headed, Protocol):
    """One HTTP request as its server hands it over.

    Attributes:
        is_taken: Whether its body was asked for.
    """

    is_taken: bool

    async def body(self, *, most: int, within_s: float) -> bytes:
        """The whole body.

        Raises:
            Refusal: 413 as soon as it is known to be larger than *most* bytes; 408 where it
                does not arrive in time; 400 where its stated length is no number.
            ClientGone: The client closed the connection.
        """


class AsgiAsked:
    """A request that came by ASGI."""

    __slots__ = ("_receive", "_scope", "is_taken", "method")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.is_taken = False
        self._scope = scope
        self._receive = receive
        self.method: str = scope["method"]

    def header(self, name: str) -> str | None:
        """The value of a header, by its lower-case name."""
        return _header(self._scope, name)

    async def body(self, *, most: int, within_s: float) -> bytes:
        """The whole body; see `Asked`."""
        self.is_taken = True
        return await read_body(self._scope, self._receive, most=most, within_s=within_s)


async def let_arrive(asked: Asked) -> None:
    """Wait a moment for a small body that nobody wants, and drop it.

    An answer that goes out before the body is there costs the connection, and a client that
    is still writing sees a broken one in the place of the answer.
    """
    stated = asked.header("content-length")
    is_known = stated is not None and stated.isascii() and stated.isdigit()
    if asked.is_taken or not is_known or int(stated[:9] if stated else 0) > _SMALL_BYTES:
        return
    with suppress(Refusal, ClientGone):
        await asked.body(most=_SMALL_BYTES, within_s=_A_MOMENT_S)


def _header(scope: Scope, name: str) -> str | None:
    wanted = name.encode()
    for key, value in scope["headers"]:
        if key == wanted:
            return str(value, "latin-1")
    return None


def require_method(asked: Headed, method: str) -> None:
    """Let pass what comes by *method*.

    Raises:
        Refusal: 405, it comes by another.
    """
    if asked.method != method:
        raise Refusal(
            405,
            "http.method-not-allowed",
            f"this route takes {method}",
            headers=((b"allow", method.encode()),),
        )


def require_json(asked: Asked) -> None:
    """Let pass what says it is JSON, or says nothing.

    Raises:
        Refusal: 415, the body says it is something else or is compressed.
    """
    kind = asked.header("content-type")
    if kind not in _JSON_KINDS and kind.split(";")[0].strip().lower() != "application/json":
        raise _wrong_type("send the body as application/json")
    require_plain(asked)


def require_plain(asked: Asked) -> None:
    """Refuse a compressed body: a small one could unpack to a huge one.

    Raises:
        Refusal: 415.
    """
    coding = asked.header("content-encoding")
    if coding is not None and coding.lower() != "identity":
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
    check_length(_header(scope, "content-length"), most)
    return await in_time(_read(receive, most), within_s)


def check_length(stated: str | None, most: int) -> None:
    """Refuse a body by the length that its head states.

    Raises:
        Refusal: 413 or 400.
    """
    if stated is None:
        return
    if not (stated.isascii() and stated.isdigit()):
        raise Refusal(400, "http.bad-request", "the content-length is not a number", headers=_CLOSE)
    if len(stated) > 18 or int(stated) > most:
        raise too_large(most)


async def in_time(reading: Awaitable[bytes], within_s: float) -> bytes:
    """What *reading* gives.

    Raises:
        Refusal: 408, it took longer than *within_s*.
    """
    deadlines = _deadlines()
    task = deadlines.enter(within_s)
    try:
        return await reading
    except asyncio.CancelledError:
        if not deadlines.is_past(task):
            raise
        task.uncancel()
        raise Refusal(
            408, "http.timeout", f"the body did not arrive within {within_s:g} s", headers=_CLOSE
        ) from None
    finally:
        deadlines.leave(task)


async def _read(receive: Receive, most: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > most:
            raise too_large(most)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class _Deadlines:
    """Cancels tasks that wait too long, looking at all of them now and then.

    A timer for each request costs more than reading its body; one look at all of them
    costs nothing that anybody can measure.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._until: dict[asyncio.Task[object], float] = {}
        self._past: set[asyncio.Task[object]] = set()
        self._is_looking = False

    def enter(self, within_s: float) -> asyncio.Task[object]:
        """The running task may wait for *within_s* from now on."""
        task = asyncio.current_task(self.loop)
        assert task is not None, "requests are answered in tasks"
        self._until[task] = self.loop.time() + within_s
        if not self._is_looking:
            self._is_looking = True
            self.loop.call_later(min(within_s / 4, 1.0), self._look)
        return task

    def leave(self, task: asyncio.Task[object]) -> None:
        """The task waits no more."""
        self._until.pop(task, None)
        self._past.discard(task)

    def is_past(self, task: asyncio.Task[object]) -> bool:
        """Whether the task was cancelled because its time was over."""
        return task in self._past

    def _look(self) -> None:
        now = self.loop.time()
        self._is_looking = bool(self._until)
        late = [task for task, until in self._until.items() if until <= now]
        for task in late:
            self._past.add(task)
            task.cancel()
        if self._is_looking:
            soonest = min(self._until.values(), default=now + 1.0) - now
            self.loop.call_later(min(max(soonest, 0.02), 1.0), self._look)


#: A thread runs one loop at a time.
_HELD = local()


def _deadlines() -> _Deadlines:
    loop = asyncio.get_running_loop()
    held: _Deadlines | None = getattr(_HELD, "deadlines", None)
    if held is None or held.loop is not loop:
        held = _HELD.deadlines = _Deadlines(loop)
    return held


def too_large(most: int) -> Refusal:
    """The refusal of a body of more than *most* bytes."""
    return Refusal(
        413,
        "http.too-large",
        f"the body is larger than {most} bytes",
        hint="send fewer rows in one request",
        headers=_CLOSE,
    )
