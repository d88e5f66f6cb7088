"""Queries on their way through a batcher: somebody waits for each, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import Any, TypeVar

from geartrain.api.errors import Refusal
from geartrain.serving.admission import Admission


class Waiting:
    """A query whose turn must have come until *until_s* of the steady clock, and what its asker waits for."""

    __slots__ = ("future", "until_s")

    future: asyncio.Future[Any]
    until_s: float

    def fail(self, error: BaseException) -> None:
        """Answer with *error*, where somebody waits."""
        if not self.future.done():
            self.future.set_exception(error)


W = TypeVar("W", bound=Waiting)


def still_in_time(admission: Admission, queries: Sequence[W]) -> Sequence[W]:
    """The queries whose turn has come in time; in a crowd the others are refused, and cost no call of the model."""
    if not admission.is_crowded:
        return queries
    turn_s = perf_counter()
    for query in queries:
        if query.until_s < turn_s:
            query.fail(
                Refusal(
                    503,
                    "serving.overloaded",
                    "the request waited so long for its turn that the promised latency is over",
                    hint="try again in 1 s",
                )
            )
    return [query for query in queries if query.until_s >= turn_s]
