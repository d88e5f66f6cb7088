"""Quantities as people write them: `14 days`, `5 ms`, `500 kB`, `20 per second`, `5 %`.

A quantity keeps its meaning, not its spelling: `2 weeks` and `14 days` are one promise.
A number without a unit is refused, since nobody can know which unit was meant.
"""

from __future__ import annotations

import re

_NUMBER = r"[-+]?(?:\d[\d_,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_QUANTITY = re.compile(rf"^\s*({_NUMBER})\s*(.*?)\s*$")
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zµμ]+)", re.IGNORECASE)

SECONDS_PER = {
    **dict.fromkeys(("us", "µs", "μs", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3_600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604_800.0),
}

BYTES_PER = {
    **dict.fromkeys(("B", "byte", "bytes"), 1.0),
    "kB": 1e3,
    "KB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "TB": 1e12,
    "KiB": 1024.0,
    "MiB": 1024.0**2,
    "GiB": 1024.0**3,
}


class UnitInvalid(ValueError):
    """The text is not a quantity of that kind; `expected` says what would be."""

    def __init__(self, message: str, expected: str) -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected


class Seconds(float):
    """A duration in seconds that remembers to be written as one."""

    __slots__ = ()

    def __str__(self) -> str:
        return duration_in_words(self)


class PerSecond(float):
    """A rate in events a second."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{number(float(self))} per second"


class Bytes(float):
    """A size in bytes."""

    __slots__ = ()

    def __str__(self) -> str:
        return size_in_words(self)


def duration(text: str) -> Seconds:
    """Read a duration.

    >>> float(duration("14 days")), float(duration("1 h 30 min")), float(duration("5ms"))
    (1209600.0, 5400.0, 0.005)

    Raises:
        UnitInvalid: No duration, no unit, or one whose length varies (months, years).
    """
    expected = "a duration such as 5 ms, 30 min, 2 h or 14 days"
    amount, unit = _split(text, expected)
    if not unit:
        raise UnitInvalid(f"{amount} of what? The unit is missing", expected)
    parts = _PART.findall(text)
    if unit not in SECONDS_PER and len(parts) > 1 and not _PART.sub("", text).strip(" ,"):
        return Seconds(sum(float(part) * _factor(name, SECONDS_PER, expected) for part, name in parts))
    return Seconds(_float(amount, expected) * _factor(unit, SECONDS_PER, expected))


def size(text: str) -> Bytes:
    """Read a size; kB is 1000 bytes, KiB is 1024.

    >>> float(size("500 kB")), float(size("1 MiB"))
    (500000.0, 1048576.0)

    Raises:
        UnitInvalid: No size, or no unit.
    """
    expected = "a size such as 500 kB, 20 MB or 1 GiB"
    amount, unit = _split(text, expected)
    if not unit:
        raise UnitInvalid(f"{amount} of what? The unit is missing", expected)
    return Bytes(_float(amount, expected) * _factor(unit, BYTES_PER, expected))


def rate(text: str) -> PerSecond:
    """Read a rate.

    >>> float(rate("20 per second")), float(rate("86400/day")), float(rate("3 a minute"))
    (20.0, 1.0, 0.05)

    Raises:
        UnitInvalid: No rate, or no time that it is counted in.
    """
    expected = "a rate such as 20 per second or 1000 per day"
    amount, rest = _split(text, expected)
    unit = re.sub(r"^(?:requests|decisions|rows|events)?\s*(?:per|an?|/)\s*", "", rest, flags=re.IGNORECASE)
    if not unit or unit == rest:
        raise UnitInvalid(f"{amount} in which time? The rate's time is missing", expected)
    return PerSecond(_float(amount, expected) / _factor(unit, SECONDS_PER, expected))


def share(text: str) -> float:
    """Read a share written as a percentage.

    >>> share("5 %")
    0.05

    Raises:
        UnitInvalid: It is not a percentage.
    """
    expected = "a share such as 0.05 or 5 %"
    amount, unit = _split(text, expected)
    if unit not in {"%", "percent"}:
        raise UnitInvalid("this is not a share", expected)
    return round(_float(amount, expected) / 100, 12)


def duration_in_words(seconds: float) -> str:
    """The duration in the largest unit that says it shortly.

    >>> duration_in_words(1_209_600.0), duration_in_words(0.005), duration_in_words(5400)
    ('14 days', '5 ms', '1.5 h')
    """
    for factor, unit in ((86_400.0, "days"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms")):
        if seconds >= factor:
            amount = round(seconds / factor, 9)
            if len(number(amount)) <= 6 or factor <= 1e-3:
                return f"{number(amount)} {'day' if unit == 'days' and amount == 1 else unit}"
    return f"{number(round(seconds * 1e6, 6))} µs" if seconds else "0 s"


def size_in_words(size_bytes: float) -> str:
    """The size in the largest decimal unit that it fills.

    >>> size_in_words(500_000.0)
    '500 kB'
    """
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size_bytes >= factor:
            return f"{number(round(size_bytes / factor, 9))} {unit}"
    return f"{number(size_bytes)} B"


def number(value: float) -> str:
    """A number as people write it: no needless decimals, no exponent in the usual range.

    >>> number(5.0), number(0.05), number(1_000_000.0)
    ('5', '0.05', '1000000')
    """
    if float(value).is_integer() and abs(value) < 1e15:
        return str(int(value))
    return repr(float(value))


def _split(text: str, expected: str) -> tuple[str, str]:
    match = _QUANTITY.match(text)
    if match is None:
        raise UnitInvalid("no number stands here", expected)
    return match.group(1), match.group(2)


def _float(text: str, expected: str) -> float:
    plain = text.replace("_", "")
    if "," in plain and not re.fullmatch(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d*)?", plain):
        raise UnitInvalid("write the decimal point as a point", expected)
    return float(plain.replace(",", ""))


def _factor(unit: str, known: dict[str, float], expected: str) -> float:
    factor = known.get(unit, known.get(unit.lower()))
    if factor is None and unit.lower().rstrip("s") in {"month", "year", "mo", "y", "yr", "quarter"}:
        raise UnitInvalid(f"`{unit}` has no fixed length", "the same in days, such as 30 days or 365 days")
    if factor is None:
        raise UnitInvalid(f"`{unit}` is not a unit here", expected)
    return factor
