from datetime import UTC, datetime, timedelta

import pytest

from geartrain.adapters.clock import SystemClock
from geartrain.testing.clock import VirtualClock

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_virtual_clock_never_goes_backwards():
    """A replay may only move on."""
    clock = VirtualClock(START)
    clock.advance(timedelta(hours=1))

    with pytest.raises(ValueError, match="backwards"):
        clock.set(START)
    assert clock.now() == START + timedelta(hours=1)


def test_a_time_without_a_zone_is_refused():
    """A clock that guesses a zone would move every window."""
    with pytest.raises(ValueError, match="zone"):
        VirtualClock(datetime(2026, 1, 1))  # noqa: DTZ001 - the point of the test


def test_the_system_clock_tells_utc():
    """Live products run on UTC."""
    assert SystemClock().now().utcoffset() == timedelta(0)
