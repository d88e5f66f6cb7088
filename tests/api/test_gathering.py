"""Slow work done together: a lone piece at once, all that came meanwhile as the next group, each with its own answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from geartrain.api.errors import Refusal
from geartrain.api.gathering import Gathering
from geartrain.errors import DiskFull


class Work:
    """Doubles numbers, a group at a time; the first group waits until it is let go."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.begun, self.free = threading.Event(), threading.Event()

    def __call__(self, pieces: Sequence[int]) -> list[int]:
        self.groups.append(list(pieces))
        self.begun.set()
        assert self.free.wait(20)
        if 13 in pieces:
            raise DiskFull("there is no room")
        return [2 * piece for piece in pieces]


def gathered(work: Work, first: int, others: Sequence[int], **limits: int) -> list[object]:
    """The answers to *first*, which begins alone, and to *others*, which come while it is under way."""

    async def main() -> list[object]:
        gathering = Gathering(work, weigh=lambda _: 1, **({"most": 10, "most_waiting": 100} | limits))
        tasks = [asyncio.ensure_future(gathering(first))]
        assert await asyncio.to_thread(work.begun.wait, 20)
        tasks += [asyncio.ensure_future(gathering(one)) for one in others]
        await asyncio.sleep(0)
        work.free.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(main())


def test_what_came_while_one_was_done_is_done_together():
    """Six callers, two groups; everybody gets the answer of his own piece."""
    work = Work()

    assert gathered(work, 1, [2, 3, 4, 5, 6]) == [2, 4, 6, 8, 10, 12]
    assert work.groups == [[1], [2, 3, 4, 5, 6]]


def test_a_group_has_its_limit():
    """Nobody waits for an endless group."""
    work = Work()

    assert gathered(work, 1, [2, 3, 4, 5], most=2) == [2, 4, 6, 8, 10]
    assert work.groups == [[1], [2, 3], [4, 5]]


def test_a_group_that_fails_is_told_to_all_of_it_and_the_next_goes_on():
    """Whoever waited gets the reason; the others' work is not touched."""
    work = Work()

    one, *failed, last = gathered(work, 1, [2, 13, 3], most=2)

    assert (one, last) == (2, 6)
    assert [type(problem) for problem in failed] == [DiskFull, DiskFull]


def test_more_than_may_wait_is_refused_with_the_time_to_come_again():
    """The refused piece is not done."""
    work = Work()

    *answers, refused = gathered(work, 1, [2, 3, 4], most_waiting=2)

    assert answers == [2, 4, 6]
    assert isinstance(refused, Refusal)
    assert refused.status == 503
    assert work.groups == [[1], [2, 3]]


def test_who_leaves_is_not_waited_for():
    """A caller that gave up costs the others of his group nothing."""
    work = Work()

    async def main() -> list[int]:
        gathering = Gathering(work, weigh=lambda _: 1, most=10, most_waiting=100)
        first = asyncio.ensure_future(gathering(1))
        assert await asyncio.to_thread(work.begun.wait, 20)
        gone, stays = (asyncio.ensure_future(gathering(one)) for one in (2, 3))
        await asyncio.sleep(0)
        gone.cancel()
        work.free.set()
        return [await first, await stays]

    assert asyncio.run(main()) == [2, 6]


def test_a_piece_without_an_answer_is_a_bug_that_is_told():
    """Work that answers too few does not leave anybody waiting."""

    async def main() -> None:
        await Gathering(lambda _: [], weigh=lambda _: 1, most=10, most_waiting=100)(1)

    with pytest.raises(RuntimeError, match="another number of answers"):
        asyncio.run(main())
