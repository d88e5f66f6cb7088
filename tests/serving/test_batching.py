"""Micro-batching: together what came together, at once what came alone."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.serving.batching import MicroBatcher


def _batcher(seen: list, later: list, most: int = 10) -> MicroBatcher[int]:
    return MicroBatcher(run=seen.append, schedule=later.append, weigh=lambda weight: weight, most=most)


def test_a_lone_query_does_not_wait():
    """A query that is alone in the server runs before submit returns, with nothing scheduled."""
    seen, later = [], []
    _batcher(seen, later).submit(1, alone=True)

    assert seen == [[1]]
    assert later == []


def test_a_lone_query_does_not_overtake():
    """Where others wait already, even a lone one takes its place behind them."""
    seen, later = [], []
    batcher = _batcher(seen, later)
    batcher.submit(1)
    batcher.submit(2, alone=True)
    later.pop()()

    assert seen == [[1, 2]]


@given(weights=st.lists(st.integers(1, 15), max_size=40))
@settings(deadline=None, max_examples=100)
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
