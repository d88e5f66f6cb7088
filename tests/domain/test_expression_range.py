"""Between which numbers a price lies, from what the contract says of the columns that it reads."""

from __future__ import annotations

import numpy as np
import pytest

from geartrain.domain.expression import parse
from geartrain.domain.expression_range import range_of

COLUMNS = {"amount": (0.0, 100.0), "term": (6.0, 60.0), "gain": (-2.0, 3.0)}


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("4 + 0.05 * amount", (4.0, 9.0)),
        ("-gain", (-3.0, 2.0)),
        ("amount * gain", (-200.0, 300.0)),
        ("amount / term", (0.0, 100 / 6)),
        ("gain ** 2", None),
        ("amount ** 2", (0.0, 10_000.0)),
        ("amount if amount > 50 else -5", (-5.0, 100.0)),
        ("max(20, min(amount, 70))", (20.0, 70.0)),
        ("abs(gain) + (amount > 7)", (0.0, 4.0)),
        ("sqrt(amount) + hour(term)", (0.0, 33.0)),
        ("1 / gain", None),
        ("log(amount)", None),
        ("unknown + 1", None),
        ("'dear'", None),
        ("amount % 7", None),
        ("exp(amount * 100)", None),
    ],
)
def test_the_range_of_a_price_is_the_hand_computed_one(text, ends):
    """By interval arithmetic; where a bound is missing there is none, and none is guessed."""
    assert range_of(parse(text), COLUMNS) == (None if ends is None else pytest.approx(ends))


def test_no_row_lies_outside():
    """Ten thousand rows within their columns' ranges have prices within the price's."""
    chance = np.random.default_rng(1)
    rows = {name: chance.uniform(low, high, size=10_000) for name, (low, high) in COLUMNS.items()}
    for text in (
        "0.6 * amount - gain * term",
        "round(log1p(amount)) * abs(gain)",
        "(term + 1) ** gain / term",
    ):
        low, high = range_of(parse(text), COLUMNS)
        prices = parse(text).evaluate(rows, rows=10_000)
        assert low <= prices.min() < prices.max() <= high
