"""Durations as people write them, in whole microseconds, and back to their shortest name."""

from __future__ import annotations

import re
from datetime import timedelta

from geartrain.domain.columns import microseconds
from geartrain.errors import FeatureInvalid

_UNITS = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
}
_WORDS = {
    "us": "us",
    "ms": "ms",
    "s": "s", "sec": "s", "second": "s", "seconds": "s",
    "m": "m", "min": "m", "minute": "m", "minutes": "m",
    "h": "h", "hour": "h", "hours": "h",
    "d": "d", "day": "d", "days": "d",
}  # fmt: skip
_WEEKS = {"w", "week", "weeks"}
_SPAN = re.compile(r"\s*([0-9]+)\s*([a-z]+)\s*")

Span = str | timedelta


def span_us(span: Span, *, where: str) -> int:
    """*span* in microseconds: `7d`, `7 days`, `90m`, `1w` or a timedelta.

    >>> span_us("36 hours", where="")
    129600000000

    Raises:
        FeatureInvalid: It is no duration, or not more than nothing.
    """
    if isinstance(span, timedelta):
        length = microseconds(span)
    else:
        match = _SPAN.fullmatch(span.lower())
        word = match.group(2) if match else ""
        if match is None or (word not in _WORDS and word not in _WEEKS):
            raise FeatureInvalid(
                "this is not a duration",
                where=where,
                found=repr(span),
                hint="a whole number and a unit: 30s, 15m, 6h, 7d, 2w",
            )
        unit = 7 * _UNITS["d"] if word in _WEEKS else _UNITS[_WORDS[word]]
        length = int(match.group(1)) * unit
    if length <= 0:
        raise FeatureInvalid(
            "a duration must be longer than nothing",
            where=where,
            found=repr(span),
            hint="say 1d, for example",
        )
    return length


def span_name(length_us: int) -> str:
    """The shortest exact name, as feature names carry it.

    >>> span_name(604_800_000_000), span_name(5_400_000_000)
    ('7d', '90m')
    """
    unit = next(name for name, size in reversed(_UNITS.items()) if length_us % size == 0)
    return f"{length_us // _UNITS[unit]}{unit}"
