"""Fingerprints of keys: whoever was there is found, in whatever portions they came."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from geartrain.data.known_keys import KnownKeys

KEYS = st.lists(st.text(max_size=4), max_size=30)


@given(st.lists(KEYS, max_size=8), KEYS)
def test_every_key_that_was_added_is_found_and_no_other(portions, asked):
    """Portions of any size, repeats among them: what was added is `perhaps`, what was not is not (but for one in 2**64)."""
    known = KnownKeys()
    for portion in portions:
        known.add(pl.Series(portion, dtype=pl.String))
    there = {key for portion in portions for key in portion}

    assert known.perhaps(pl.Series(asked, dtype=pl.String)).to_list() == [
        key for key in asked if key in there
    ]


def test_a_key_is_known_by_its_text():
    """A whole number and its digits are one key, as in the lake; a missing key is none."""
    known = KnownKeys()
    known.add(pl.Series([1, None, 2]))

    assert known.perhaps(pl.Series(["2", "3", None])).to_list() == ["2"]
    assert len(known) == 2


def test_runs_stay_few_and_keys_take_eight_bytes():
    """A hundred thousand keys that came a hundred at a time are looked for in a few runs."""
    known = KnownKeys()
    for start in range(0, 100_000, 100):
        known.add(pl.Series([f"k{n}" for n in range(start, start + 100)]))

    assert len(known) == 100_000
    assert len(known._runs) < 12
    assert sum(run.nbytes for run in known._runs) == 800_000
