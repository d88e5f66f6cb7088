"""The algebra of each aggregation alone: order, batching and taking back do not matter; three engines agree."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.domain.features import Aggregation, FeatureType, WindowFeature
from geartrain.features.algebra import Algebra, Event, algebra_of, of_one
from geartrain.features.kernel import Events, reduce_windows

AT_US = 50
TEXTUAL = {Aggregation.DISTINCT}
AMOUNTS = st.one_of(
    st.sampled_from([0.0, 0.1, 0.2, 0.3, -5.5, 1e15, 1e300, 5e-324]),
    st.floats(allow_nan=False, allow_infinity=False),
)
EVENTS = st.lists(
    st.builds(Event, time_us=st.integers(0, 40), id=st.integers(0, 200).map(str), value=AMOUNTS),
    max_size=12,
    unique_by=lambda event: event.id,
)


def feature_of(aggregation: Aggregation) -> WindowFeature:
    return WindowFeature(
        name="f",
        source="s",
        entity="e",
        aggregation=aggregation,
        half_life_us=7 if aggregation is Aggregation.DECAYED_SUM else None,
        n=2 if aggregation is Aggregation.LAST_N else None,
    )


def folded(algebra: Algebra, events: list[Event]) -> object:
    return reduce(algebra.update, events, algebra.empty)


@pytest.mark.parametrize("aggregation", list(Aggregation))
@settings(max_examples=40)
@given(events=EVENTS, data=st.data())
def test_merging_is_updating_over_the_concatenation(
    aggregation: Aggregation, events: list[Event], data: st.DataObject
) -> None:
    """merge(a, b) is the state of a and b together, in any order and any cut into batches."""
    algebra = algebra_of(feature_of(aggregation))
    whole = folded(algebra, events)
    shuffled = data.draw(st.permutations(events))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=3)))
    batches = [shuffled[i:j] for i, j in zip([0, *cuts], [*cuts, len(events)], strict=True)]
    states = data.draw(st.permutations([folded(algebra, batch) for batch in batches]))

    assert reduce(algebra.merge, states, algebra.empty) == whole
    assert algebra.merge(algebra.empty, whole) == algebra.merge(whole, algebra.empty) == whole


@pytest.mark.parametrize("aggregation", list(Aggregation))
@settings(max_examples=40)
@given(events=EVENTS, data=st.data())
def test_the_inverse_takes_out_what_was_merged(
    aggregation: Aggregation, events: list[Event], data: st.DataObject
) -> None:
    """Where there is an inverse, a window that moves on equals one computed anew, to the bit."""
    algebra = algebra_of(feature_of(aggregation))
    if algebra.inverse is None:
        assert aggregation in {"min", "max", "first", "last", "last_n", "time_since"}
        return
    cut = data.draw(st.integers(0, len(events)))
    left, kept = folded(algebra, events[:cut]), folded(algebra, events[cut:])

    assert algebra.inverse(folded(algebra, events), left) == kept


@pytest.mark.parametrize("aggregation", list(Aggregation))
@settings(max_examples=60)
@given(events=EVENTS, data=st.data())
def test_algebra_one_window_and_kernel_say_the_same(
    aggregation: Aggregation, events: list[Event], data: st.DataObject
) -> None:
    """The state's value, the value of one window's columns and the kernel's are equal to the last bit."""
    feature = feature_of(aggregation)
    algebra = algebra_of(feature)
    ordered = sorted(events, key=lambda event: event.order)
    low, high = sorted(data.draw(st.tuples(st.integers(0, len(events)), st.integers(0, len(events)))))
    inside = ordered[low:high]
    values: np.ndarray = np.array([event.value for event in ordered])
    if aggregation is Aggregation.DISTINCT:
        values = np.unique(values, return_inverse=True)[1].astype(np.int64)
    kernel = reduce_windows(
        [feature],
        Events(np.zeros(len(events), np.int64), np.array([event.time_us for event in ordered], np.int64), values),
        np.array([low]),
        np.array([high]),
        np.array([AT_US]),
    )[0].tolist()[0]  # fmt: skip

    told = algebra.finalize(folded(algebra, inside), AT_US)

    columns = [event.value for event in inside], [event.time_us for event in inside]
    assert told == of_one(feature, *columns, AT_US)
    assert told == (None if math.isnan(kernel) else kernel)


def test_texts_have_an_algebra_too() -> None:
    """First, last and distinct texts are merged like numbers."""
    events = [Event(time_us=3, id="10", value="b"), Event(time_us=3, id="9", value="a")]
    told = {}
    for aggregation in (Aggregation.FIRST, Aggregation.LAST, Aggregation.DISTINCT):
        algebra = algebra_of(
            WindowFeature(
                name="f", source="s", entity="e", aggregation=aggregation, type=FeatureType.CATEGORY
            )
        )
        told[aggregation.value] = algebra.finalize(folded(algebra, events), AT_US)

    assert told == {"first": "a", "last": "b", "distinct": 2.0}
