"""The system's clock, and ids that say when they were given."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime


class SystemClock:
    """The `Clock` of a live product."""

    def now(self) -> datetime:
        """The time, with zone UTC."""
        return datetime.now(UTC)


def time_ordered_id() -> str:
    """32 hexadecimal digits that nobody was given before: the milliseconds since 1970, then 80 random bits.

    Ids of one hour stand together (as UUID version 7, RFC 9562, has it), so whoever looks for one
    among many files reads only those of its hour.

    >>> first, second = time_ordered_id(), time_ordered_id()
    >>> len(first), first != second, first[:12] <= second[:12]
    (32, True, True)
    """
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"
