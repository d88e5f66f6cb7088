"""Clocks that stand still or are turned by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class VirtualClock:
    """A `Clock` that moves only when it is told to, and never backwards.

    >>> clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    >>> clock.advance(timedelta(days=2))
    datetime.datetime(2026, 1, 3, 0, 0, tzinfo=datetime.timezone.utc)
    >>> clock.now() == clock.now()
    True
    """

    def __init__(self, start: datetime) -> None:
        self._now = _utc(start)

    def now(self) -> datetime:
        """The time that it was set to."""
        return self._now

    def advance(self, by: timedelta) -> datetime:
        """Turn the clock on by *by* and return the new time.

        Raises:
            ValueError: Time does not go backwards.
        """
        return self.set(self._now + by)

    def set(self, now: datetime) -> datetime:
        """Turn the clock to *now* and return it.

        Raises:
            ValueError: Time does not go backwards, or *now* has no zone.
        """
        now = _utc(now)
        if now < self._now:
            raise ValueError(f"time does not go backwards: {now} is before {self._now}")
        self._now = now
        return now


def _utc(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise ValueError(f"a time needs a zone: {time}")
    return time.astimezone(UTC)
