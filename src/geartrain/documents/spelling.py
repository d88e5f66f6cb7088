"""Numbers, times and hostile names as a page may show them."""

from __future__ import annotations

import html
import math
from datetime import UTC, datetime

#: A true minus sign is as wide as a plus; a hyphen is not.
MINUS = "\N{MINUS SIGN}"


def number(value: float | None, digits: int = 4) -> str:
    """A number as people write it: few digits, thousands apart.

    >>> number(1234567.8), number(0.012341), number(None)
    ('1,234,568', '0.01234', 'n/a')

    >>> number(1.0088e213)
    '1.01e+213'
    """
    if value is None or math.isnan(value):
        return "n/a"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    size = abs(value)
    if size >= 1e15:
        text = f"{size:.3g}"  # as evidence may be; nobody reads so many digits
    elif size >= 10 ** (digits - 1):
        text = f"{size:,.0f}"
    elif size and size < 1e-4:
        text = f"{size:.{max(1, digits - 2)}g}"
    else:
        text = f"{size:.{digits}g}"
    return f"{MINUS}{text}" if value < 0 and text != "0" else text


def share(value: float) -> str:
    """A fraction as a percentage.

    >>> share(0.973), share(0.0004), share(1.0)
    ('97.3%', '0.04%', '100%')
    """
    return f"{number(100 * value, 3)}%"


def counted(count: int, one: str, many: str = "") -> str:
    """A count with its noun.

    >>> counted(1, "row"), counted(1200, "row"), counted(2, "delivery", "deliveries")
    ('1 row', '1,200 rows', '2 deliveries')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def span(seconds: float) -> str:
    """A duration in the unit in which people say it.

    >>> span(2_592_000), span(21_600), span(1_818), span(90), span(0.5)
    ('30 days', '6 hours', '30.3 minutes', '90 s', '0.5 s')
    """
    for unit, length, least in (("day", 86_400.0, 1), ("hour", 3600.0, 1), ("minute", 60.0, 10)):
        if abs(seconds) >= length * least:
            told = number(seconds / length, 3)
            return f"{told} {unit}{'' if told == '1' else 's'}"
    return f"{number(seconds, 3)} s"


def size(count: int) -> str:
    """Bytes in the unit in which people compare them.

    >>> [size(count).split() for count in (812, 48_200, 5_300_000)]
    [['812', 'B'], ['48.2', 'kB'], ['5.3', 'MB']]
    """
    for unit, length in (("MB", 1e6), ("kB", 1e3)):
        if count >= length:
            return f"{number(count / length, 3)}\N{NO-BREAK SPACE}{unit}"
    return f"{count}\N{NO-BREAK SPACE}B"


def day(at: datetime) -> str:
    """A date as it is read aloud.

    >>> day(datetime(2026, 3, 1, tzinfo=UTC))
    '1 Mar 2026'
    """
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b %Y}"


def moment(at: datetime) -> str:
    """A date, and the time where it is not midnight, in UTC.

    >>> moment(datetime(2026, 3, 1, 9, 30, tzinfo=UTC))
    '1 Mar 2026, 09:30'
    """
    at = at.astimezone(UTC)
    return day(at) if (at.hour, at.minute, at.second) == (0, 0, 0) else f"{day(at)}, {at:%H:%M}"


def text(value: object) -> str:
    """*value* as text inside XML or HTML: markup is escaped, what XML cannot hold is replaced.

    >>> text('<b>"x"</b>')
    '&lt;b&gt;&quot;x&quot;&lt;/b&gt;'
    """
    return html.escape("".join(one if _printable(one) else "\N{REPLACEMENT CHARACTER}" for one in str(value)))


def shortened(value: str, most: int) -> str:
    """*value* cut to *most* characters, and shown to be cut."""
    return value if len(value) <= most else value[: most - 1].rstrip() + "…"


def _printable(one: str) -> bool:
    code = ord(one)
    return code in (0x9, 0xA, 0xD) or (
        code >= 0x20 and not 0xD800 <= code <= 0xDFFF and code not in (0xFFFE, 0xFFFF)
    )
