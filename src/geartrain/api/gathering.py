"""Work that costs the same for one as for many: what comes while some is under way is done together next.

As with a batch of the model there is no timer: who is alone begins at once. Unlike there
the work may touch the lake, so it is done in a thread, one group after another, and nobody
who waits keeps a thread. After a group of several it rests for as long as that took: under load the next is
larger for it, and at least half of the time is left to what cannot wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from geartrain.api.errors import Refusal

Q = TypeVar("Q")
A = TypeVar("A")


class Gathering(Generic[Q, A]):
    """Takes pieces of work and does them in groups, for one event loop.

    *run* does a group and gives the answer of each piece, in order; it is called in one
    thread at a time. *weigh* is a piece's size, *most* the size of a group (a larger piece is done
    alone) and *most_waiting* how much may wait.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Q]], Sequence[A]],
        *,
        weigh: Callable[[Q], int],
        most: int,
        most_waiting: int,
    ) -> None:
        self._run = run
        self._weigh = weigh
        self._most = most
        self._most_waiting = most_waiting
        self._waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self._weight = 0
        self._working: asyncio.Task[None] | None = None

    async def __call__(self, piece: Q) -> A:
        """The answer of *piece*.

        Raises:
            Refusal: 503, too much waits; nothing of the piece was done.
            GeartrainError: Its group could not be done.
        """
        if self._waiting and self._weight + self._weigh(piece) > self._most_waiting:
            raise Refusal(
                503,
                "serving.overloaded",
                "more waits than can be written down soon",
                hint="send it again after the stated seconds; nothing of it was taken",
            )
        future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((piece, future))
        self._weight += self._weigh(piece)
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        """Do one group after another until nobody waits."""
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                began = loop.time()
                group = self._next()
                _settle(group, await self._answers([piece for piece, _ in group]))
                if len(group) > 1:
                    await asyncio.sleep(loop.time() - began)
        finally:
            self._working = None

    async def _answers(self, pieces: Sequence[Q]) -> Sequence[A | Exception]:
        try:
            answers = await asyncio.to_thread(self._run, pieces)
        except Exception as problem:  # noqa: BLE001 - whoever asked gets it, whatever it is
            return [problem] * len(pieces)
        if len(answers) != len(pieces):
            return [RuntimeError("a group has another number of answers than pieces")] * len(pieces)
        return answers

    def _next(self) -> list[tuple[Q, asyncio.Future[A]]]:
        group: list[tuple[Q, asyncio.Future[A]]] = []
        size = 0
        while self._waiting:
            weight = self._weigh(self._waiting[0][0])
            if group and size + weight > self._most:
                break
            group.append(self._waiting.popleft())
            size += weight
        self._weight -= size
        return group


def _settle(group: Sequence[tuple[Q, asyncio.Future[A]]], answers: Sequence[A | Exception]) -> None:
    for (_, future), answer in zip(group, answers, strict=True):
        if future.done():  # who asked has left
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
