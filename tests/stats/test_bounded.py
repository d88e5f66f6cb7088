"""Bounds on means of bounded losses cover, at one time or at all times."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.domain.wire import decode, encode
from geartrain.stats.bounded import ConfidenceSequence, Scale, extend, scale_of, upper_bound


def test_confidence_sequence_covers_at_all_times():
    """Of 300 streams of 1500 rows at p = .1, at most 5 % + 2 sd ever leave the interval (measured: .5 %)."""
    random = np.random.default_rng(1)
    missed = 0

    for _ in range(300):
        seen, out = ConfidenceSequence(alpha=0.05), False
        values = (random.random(1500) < 0.1).astype(float)
        for start in range(0, 1500, 25):
            seen = extend(seen, values[start : start + 25])
            out = out or not seen.low <= 0.1 <= seen.high
        missed += out

    assert missed / 300 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 300)


def test_confidence_sequence_has_the_published_width():
    """At p = .1 and 2000 rows the interval is about .05 wide, as computed for the formula."""
    random = np.random.default_rng(2)
    widths = []

    for _ in range(20):
        seen = extend(ConfidenceSequence(), (random.random(2000) < 0.1).astype(float))
        widths.append(seen.high - seen.low)

    assert np.mean(widths) == pytest.approx(0.0504, abs=0.008)


@given(values=st.lists(st.floats(0, 1), max_size=200), cut=st.integers(0, 200))
@settings(max_examples=50)
def test_sequence_in_parts_is_sequence_at_once(values, cut):
    """Extending twice is extending once."""
    losses = np.asarray(values, dtype=float)

    whole = extend(ConfidenceSequence(), losses)
    parts = extend(extend(ConfidenceSequence(), losses[:cut]), losses[cut:])

    assert (parts.rows, parts.low, parts.high) == pytest.approx((whole.rows, whole.low, whole.high), abs=1e-9)
    assert decode(encode(whole), ConfidenceSequence) == whole


def test_empty_sequence_knows_nothing():
    """Before the first row the interval is everything and there is no mean."""
    empty = ConfidenceSequence()

    assert (empty.low, empty.high, empty.mean) == (0.0, 1.0, None)


def test_exact_bound_for_errors_that_happen_or_not():
    """No failure in 300 rows: the 95 % bound is 1 - .05 ** (1/300), the rule of three."""
    bound = upper_bound(np.zeros(300), alpha=0.05)

    assert bound.value == pytest.approx(1 - 0.05 ** (1 / 300))
    assert bound.method == "Clopper-Pearson"


def test_upper_bound_of_any_losses_covers():
    """The betting bound is passed by the true mean in at most 5 % + 2 sd of 200 samples, and is not idle."""
    random = np.random.default_rng(3)
    samples = [random.beta(0.5, 4.5, 400) for _ in range(200)]

    bounds = [upper_bound(sample, alpha=0.05) for sample in samples]

    assert np.mean([bound.value < 0.1 for bound in bounds]) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 200)
    assert np.mean([bound.value for bound in bounds]) < 0.135


def test_no_rows_bound_nothing():
    """Without rows the bound is one, whatever the level."""
    assert upper_bound(np.array([]), alpha=0.01).value == 1.0


def test_scale_counts_what_it_cuts():
    """Costs go to [0, 1] and back; what lies outside is cut and counted."""
    scale = Scale(low=-10.0, high=90.0)
    costs = np.array([-20.0, -10.0, 40.0, 500.0])

    assert scale.to_unit(costs).tolist() == [0.0, 0.0, 0.5, 1.0]
    assert scale.from_unit(0.5) == 40.0
    assert scale.beyond(costs) == 2


@pytest.mark.parametrize("costs", [[], [0.0, 0.0], [math.nan]])
def test_scale_of_nothing_is_one_unit(costs):
    """No rows, no cost or unknown cost gives the scale of one unit."""
    assert scale_of(np.asarray(costs, dtype=float)) == Scale(low=0.0, high=1.0)
