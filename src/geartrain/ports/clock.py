"""The clock: time is a parameter, so a replay can turn it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Where `now` comes from, read only at the outermost shell."""

    def now(self) -> datetime:
        """The time, with zone UTC."""
