"""Micro-batching: together what came together, in order, without a timer."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.serving.batching import MicroBatcher


def _batcher(seen: list, later: list, most: int = 10) -> MicroBatcher[int]:
    return MicroBatcher(run=seen.append, schedule=later.append, weigh=lambda weight: weight, most=most)


def test_a_lone_query_waits_for_one_turn_only():
    """A query is run by the first thing that the loop does next; there is no timer."""
    seen, later = [], []
    _batcher(seen, later).submit(1)

    assert len(later) == 1
    later.pop()()
    assert seen == [[1]]
    assert later == []


def test_what_comes_in_one_turn_runs_together():
    """Queries of one turn of the loop share a call, in their order, and schedule one flush."""
    seen, later = [], []
    batcher = _batcher(seen, later)
    batcher.submit(1)
    batcher.submit(2)

    assert len(later) == 1
    later.pop()()
    assert seen == [[1, 2]]


@given(weights=st.lists(st.integers(1, 15), max_size=40))
@settings(max_examples=100)
def test_everything_runs_once_in_order_within_the_size(weights):
    """Batches hold at most `most`, but for a query that alone is larger."""
    seen, later = [], []
    batcher = _batcher(seen, later)
    for weight in weights:
        batcher.submit(weight)
    while later:
        later.pop(0)()

    assert [weight for batch in seen for weight in batch] == weights
    assert all(len(batch) == 1 or sum(batch) <= 10 for batch in seen)
