"""The system's clock."""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    """The `Clock` of a live product."""

    def now(self) -> datetime:
        """The time, with zone UTC."""
        return datetime.now(UTC)
