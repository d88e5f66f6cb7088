"""Quantities mean what they say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.contract import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("14 days", 1_209_600.0),
        ("1 week", 604_800.0),
        ("5ms", 0.005),
        ("1.5 h", 5_400.0),
        ("1 h 30 min", 5_400.0),
        ("250 µs", 0.00025),
        ("1,000 s", 1_000.0),
        ("1e3 s", 1_000.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    """Each in seconds."""
    assert units.duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "5", "5 m", "2 months", "1 year", "1,5 h", "h 5"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    """No number, no unit, an ambiguous or varying unit, a decimal comma."""
    with pytest.raises(units.UnitInvalid) as caught:
        units.duration(text)

    assert "days" in caught.value.expected


@pytest.mark.parametrize(
    ("text", "size"), [("500 kB", 500e3), ("1 KiB", 1024), ("20 MB", 20e6), ("3 bytes", 3)]
)
def test_sizes(text: str, size: float) -> None:
    """kB is a thousand, KiB is 1024."""
    assert units.size(text) == size


@pytest.mark.parametrize(
    ("text", "rate"), [("20 per second", 20), ("20/s", 20), ("86400 requests per day", 1), ("60 a minute", 1)]
)
def test_rates(text: str, rate: float) -> None:
    """All in events a second."""
    assert units.rate(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["20", "20 s", "often", "20 per fortnight"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    """A rate says in which time it is counted."""
    with pytest.raises(units.UnitInvalid):
        units.rate(text)


@settings(max_examples=200)
@given(st.integers(1, 10**9), st.sampled_from(["ms", "s", "min", "h", "days", "weeks"]))
def test_words_say_the_same_duration(amount: int, unit: str) -> None:
    """Reading what was written gives the quantity back."""
    seconds = units.duration(f"{amount} {unit}")

    assert units.duration(units.duration_in_words(seconds)) == pytest.approx(seconds, rel=1e-8)


@settings(max_examples=100)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_written_exactly(value: float) -> None:
    """No digit is lost."""
    assert float(units.number(value)) == value
