"""Where a value stands on paper, and which values an axis names."""

from __future__ import annotations

import calendar
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from geartrain.documents.chart_nouns import Place
from geartrain.documents.spelling import MINUS


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight or logarithmic way from values `low..high` to places `start..end`."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """The place of *value*; beyond the ends it goes on in the same way."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        part = 0.5 if high == low else (value - low) / (high - low)
        return self.start + part * (self.end - self.start)


def position(place: Place) -> float:
    """A place on the horizontal axis as a number: seconds for a time."""
    return place.timestamp() if isinstance(place, datetime) else float(place)


def linear_ticks(low: float, high: float, most: int) -> tuple[float, ...]:
    """Round values that cover *low* to *high*: steps of 1, 2, 2.5 or 5 times a power of ten.

    >>> linear_ticks(0, 87, 5)
    (0.0, 20.0, 40.0, 60.0, 80.0, 100.0)
    """
    if high <= low:
        high = low + (abs(low) or 1.0)
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(one * power for one in (1, 2, 2.5, 5, 10) if one * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(round(place * step, 12) for place in range(first, last + 1))


def log_ticks(low: float, high: float) -> tuple[float, ...]:
    """Powers of ten around *low* to *high*; with 2 and 5 between them where they are few."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    # The logarithm of a value just under a power of ten rounds to that power.
    first, last = first - (10.0**first > low), last + (10.0**last < high)
    last = max(last, first + 1)
    steps = (1, 2, 5) if last - first <= 2 else (1,)
    ticks = [step * 10.0**power for power in range(first, last) for step in steps] + [10.0**last]
    inside = [one for one in ticks if low <= one <= high]
    lower = [one for one in ticks if one < low][-1:]
    upper = [one for one in ticks if one > high][:1]
    return tuple(lower + inside + upper)


def time_ticks(start: datetime, end: datetime, most: int) -> tuple[tuple[datetime, str], ...]:
    """Round times between *start* and *end*, at most about *most*, with their names.

    >>> [name for _, name in time_ticks(datetime(2025, 11, 3, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC), 5)]
    ['Dec 2025', 'Jan 2026', 'Feb', 'Mar']
    """
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    hours = (end - start).total_seconds() / 3600
    for step in (1, 3, 6, 12):
        if hours / step <= most:
            return _every(start, end, timedelta(hours=step), "%H:%M")
    for step in (1, 2, 7, 14):
        if hours / 24 / step <= most:
            return _every(start, end, timedelta(days=step), "")
    months = hours / 24 / 30.44
    step = next((one for one in (1, 2, 3, 6) if months / one <= most), 12 * math.ceil(months / 12 / most))
    return _months(start, end, step)


def spread(places: Sequence[float], gap: float, low: float, high: float) -> tuple[float, ...]:
    """Move *places* apart until neighbours are *gap* from each other, as little as possible, inside the bounds.

    >>> spread([10.0, 12.0, 50.0], 10.0, 0.0, 100.0)
    (6.0, 16.0, 50.0)
    """
    order = sorted(range(len(places)), key=lambda one: places[one])
    groups: list[tuple[float, list[int]]] = []
    for one in order:
        middle, members = places[one], [one]
        # A group stands around the mean of where its members want to be; touching groups join.
        while groups:
            before, others = groups[-1]
            if before + gap * (len(others) - 1) / 2 + gap <= middle - gap * (len(members) - 1) / 2:
                break
            groups.pop()
            members = [*others, *members]
            middle = sum(places[each] for each in members) / len(members)
            half = gap * (len(members) - 1) / 2
            middle = min(max(middle, low + half), max(high - half, low + half))
        groups.append((middle, members))
    moved = [0.0] * len(places)
    for middle, members in groups:
        for place, one in enumerate(members):
            moved[one] = middle + gap * (place - (len(members) - 1) / 2)
    return tuple(moved)


def tick_text(value: float) -> str:
    """A tick's name.

    >>> tick_text(1250.0), tick_text(0.25), tick_text(2.5e6)
    ('1,250', '0.25', '2.5M')
    """
    size = abs(value)
    text = f"{size / 1e6:,.6g}M" if size >= 1e6 else f"{size:,.6g}"
    return f"{MINUS}{text}" if value < 0 else text


def _every(start: datetime, end: datetime, step: timedelta, form: str) -> tuple[tuple[datetime, str], ...]:
    zero = datetime(start.year, start.month, start.day, tzinfo=UTC)
    count = math.ceil((start - zero) / step)
    ticks: list[tuple[datetime, str]] = []
    while (at := zero + count * step) <= end:
        midnight = (at.hour, at.minute) == (0, 0)
        year = f" {at.year}" if not ticks or (at.month, at.day) == (1, 1) else ""
        ticks.append((at, f"{at.day} {at:%b}{year}" if midnight or not form else f"{at:{form}}"))
        count += 1
    return tuple(ticks)


def _months(start: datetime, end: datetime, step: int) -> tuple[tuple[datetime, str], ...]:
    ticks: list[tuple[datetime, str]] = []
    first = start.year * 12 + start.month - 1
    first += -first % step
    for month in range(first, end.year * 12 + end.month, step):
        at = datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
        if start <= at <= end:
            yearly = step % 12 == 0
            named = calendar.month_abbr[at.month]
            year_said = not ticks or at.month <= step
            ticks.append((at, str(at.year) if yearly else f"{named} {at.year}" if year_said else named))
    return tuple(ticks)
