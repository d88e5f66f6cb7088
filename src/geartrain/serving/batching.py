"""Adaptive micro-batching: a batch is whatever arrived while the last one ran.

There is no timer: a lone request never waits for company. Nothing here knows asyncio;
the server lends `schedule` (its loop's `call_soon`), so everything that arrives in one
turn of the loop is answered by one call of the model.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Q = TypeVar("Q")


class MicroBatcher(Generic[Q]):
    """Gathers queries and runs them together, in the order in which they came.

    *run* answers every query of its list, come what may. *weigh* is a query's size and
    *most* the size of a batch; a query that is larger runs alone.

    >>> later, seen = [], []
    >>> batcher = MicroBatcher(run=seen.append, schedule=later.append, weigh=lambda query: 1, most=8)
    >>> for query in "abc":
    ...     batcher.submit(query)
    >>> later.pop()()
    >>> seen
    [['a', 'b', 'c']]
    """

    def __init__(
        self,
        *,
        run: Callable[[list[Q]], object],
        schedule: Callable[[Callable[[], None]], object],
        weigh: Callable[[Q], int],
        most: int,
    ) -> None:
        self._run = run
        self._schedule = schedule
        self._weigh = weigh
        self._most = most
        self._waiting: deque[Q] = deque()
        self._is_scheduled = False

    def submit(self, query: Q) -> None:
        """Take *query*; it runs in the loop's next turn, with what comes until then.

        A query that finds the server empty may be the first of many that arrive together:
        waiting for the end of this turn costs it microseconds, running it alone would cost
        the others a call of the model.
        """
        self._waiting.append(query)
        if not self._is_scheduled:
            self._is_scheduled = True
            self._schedule(self._flush)

    def _flush(self) -> None:
        self._is_scheduled = False
        batch: list[Q] = []
        size = 0
        while self._waiting:
            size += self._weigh(self._waiting[0])
            if batch and size > self._most:
                break
            batch.append(self._waiting.popleft())
        if self._waiting:
            self._is_scheduled = True
            self._schedule(self._flush)
        if batch:
            self._run(batch)
