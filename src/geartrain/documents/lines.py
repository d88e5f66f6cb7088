"""Lines over time with what happened under them: the picture of a product's life."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from geartrain.documents.chart_nouns import EventKind, LineChart, Place, Series, TimelineEvent
from geartrain.documents.drawing import (
    CHARACTER,
    LOOKS,
    NARROW,
    WIDE,
    Frame,
    figure,
    legend,
    line,
    numbers_table,
    place,
    polygon,
    shape,
    words,
)
from geartrain.documents.scales import (
    Scale,
    linear_ticks,
    log_ticks,
    position,
    spread,
    tick_text,
    time_ticks,
)
from geartrain.documents.spelling import moment, number, shortened, text

LANES: dict[EventKind, str] = {
    EventKind.RELEASE: "releases",
    EventKind.ROLLBACK: "rollbacks",
    EventKind.DRIFT: "drifts",
    EventKind.INCIDENT: "incidents",
    EventKind.REFIT: "refits",
    EventKind.REFUSAL: "refusals",
    EventKind.CONTRACT: "contract",
    EventKind.NOTE: "notes",
}
#: Kinds that change what the lines mean; they are drawn through the plot.
_THROUGH = {EventKind.RELEASE: "event-line", EventKind.ROLLBACK: "event-line", EventKind.DRIFT: "drift-line"}
#: Marks closer than this would cover each other; they become one mark with a count.
_TOUCH = 9.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paper:
    """A frame with its two scales."""

    frame: Frame
    x: Scale
    y: Scale


def line_chart(chart: LineChart) -> str:
    """Draw *chart* as HTML: one drawing for a desk, one for a phone, the legend and the numbers.

    Every line differs by colour, dash and mark; every kind of event by colour, shape and lane.
    """
    events = tuple(sorted(chart.events, key=lambda one: one.at))
    chart = replace(chart, events=events)
    return figure(
        chart,
        chart.title,
        chart.description,
        (_drawing(chart, frame) for frame in (WIDE, NARROW)),
        legend=legend((one.name, one.leading) for one in chart.series) if len(chart.series) > 1 else "",
        table=_table(chart),
    )


def event_shape(kind: EventKind, x: float, y: float, radius: float = 5.0) -> str:
    """The mark of a kind of event."""
    r = radius
    named = f"event {kind.value}"
    match kind:
        case EventKind.RELEASE:
            return polygon(x, y, [(0, -1.1 * r), (1.1 * r, 0.9 * r), (-1.1 * r, 0.9 * r)], named)
        case EventKind.ROLLBACK:
            return polygon(x, y, [(0, 1.1 * r), (1.1 * r, -0.9 * r), (-1.1 * r, -0.9 * r)], named)
        case EventKind.DRIFT:
            return shape(3, x, y, 0.9 * r, named)
        case EventKind.INCIDENT:
            return shape(0, x, y, r, named)
        case EventKind.REFIT:
            return shape(1, x, y, 0.85 * r, named)
        case EventKind.REFUSAL:
            d = 0.8 * r
            return (
                f'<path class="{named}" d="M{place(x - d)} {place(y - d)}L{place(x + d)} {place(y + d)}'
                f'M{place(x - d)} {place(y + d)}L{place(x + d)} {place(y - d)}"/>'
            )
        case EventKind.CONTRACT:
            return polygon(
                x, y, [(-0.8 * r, -r), (0.8 * r, -r), (0.8 * r, r), (0, 0.4 * r), (-0.8 * r, r)], named
            )
        case EventKind.NOTE:
            return shape(0, x, y, 0.5 * r, named)


def _drawing(chart: LineChart, frame: Frame) -> tuple[Frame, float, str]:
    places = [position(at) for one in chart.series for at, _ in one.points]
    places += [position(one.at) for one in chart.events]
    if not places:
        nothing = words(frame.width / 2, frame.height / 2, "nothing was measured yet", "label", "middle")
        return frame, frame.height, nothing
    low, high = min(places), max(places)
    if low == high:
        low, high = low - 1, high + 1
    if len(chart.series) < 2 and frame.right > 30:
        frame = replace(frame, right=24)
    ticks = _y_ticks(chart)
    paper = _Paper(
        frame=frame,
        x=Scale(low, high, frame.left, frame.x_end),
        y=Scale(ticks[0], ticks[-1], frame.y_end, frame.top, chart.logarithmic),
    )
    lanes, below = _lanes(chart, paper)
    parts = [
        words(frame.left, frame.top - 14, chart.y_label, "label"),
        *_y_axis(paper, ticks),
        *_x_axis(chart, paper),
        *_through(chart, paper),
        *_bound(chart, paper),
        *(_band(one, look, paper) for look, one in enumerate(chart.series) if one.band),
        # The leading line is drawn last, over the others.
        *(_line(one, look, paper) for look, one in _leading_last(chart.series)),
        *(_end_labels(chart, paper) if frame.right > 100 else ()),
        *lanes,
    ]
    return frame, frame.height + below, "".join(parts)


def _leading_last(series: tuple[Series, ...]) -> list[tuple[int, Series]]:
    return sorted(enumerate(series), key=lambda one: one[1].leading)


def _visible(value: float | None, *, logarithmic: bool) -> bool:
    return value is not None and math.isfinite(value) and (value > 0 or not logarithmic)


def _y_ticks(chart: LineChart) -> tuple[float, ...]:
    values = [value for one in chart.series for _, value in one.points]
    values += [end for one in chart.series for _, *ends in one.band for end in ends]
    if chart.bound is not None:
        values.append(chart.bound[0])
    shown = [
        value for value in values if value is not None and _visible(value, logarithmic=chart.logarithmic)
    ]
    if not shown:
        shown = [1.0]
    low, high = min(shown), max(shown)
    if chart.logarithmic:
        return log_ticks(low, high)
    if chart.from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    return linear_ticks(low, high, 5)


def _y_axis(paper: _Paper, ticks: tuple[float, ...]) -> Iterator[str]:
    frame = paper.frame
    for tick in ticks:
        y = paper.y(tick)
        yield line(frame.left, y, frame.x_end, y, "axis" if tick in {0, ticks[0]} else "grid")
        yield words(frame.left - 8, y + 0.35 * frame.type, tick_text(tick), "tick", "end")


def _x_axis(chart: LineChart, paper: _Paper) -> Iterator[str]:
    frame = paper.frame
    # A name needs about ten characters' room.
    most = max(2, int((frame.x_end - frame.left) / (10 * CHARACTER * frame.type)))
    timed = [at for one in chart.series for at, _ in one.points if isinstance(at, datetime)]
    timed += [one.at for one in chart.events]
    ticks: list[tuple[float, str]]
    if timed:
        ticks = [(position(at), said) for at, said in time_ticks(min(timed), max(timed), most)]
    else:
        ticks = [(one, tick_text(one)) for one in linear_ticks(paper.x.low, paper.x.high, most)]
    for at, said in ticks:
        if not paper.x.low <= at <= paper.x.high:
            continue
        x = paper.x(at)
        yield line(x, frame.y_end, x, frame.y_end + 5, "axis")
        # Names at the ends lean inwards, so that none is cut off.
        half = CHARACTER * frame.type * len(said) / 2
        anchor = "end" if x + half > frame.width else "start" if x - half < 0 else "middle"
        yield words(x, frame.y_end + 8 + frame.type, said, "tick", anchor)
    if chart.x_label:
        yield words(frame.x_end, frame.top - 14, chart.x_label, "label", "end")


def _through(chart: LineChart, paper: _Paper) -> Iterator[str]:
    for one in chart.events:
        if one.kind in _THROUGH:
            x = paper.x(position(one.at))
            yield line(x, paper.frame.top, x, paper.frame.y_end, _THROUGH[one.kind])


def _bound(chart: LineChart, paper: _Paper) -> Iterator[str]:
    if chart.bound is not None and _visible(chart.bound[0], logarithmic=chart.logarithmic):
        value, said = chart.bound
        y = paper.y(value)
        yield line(paper.frame.left, y, paper.frame.x_end, y, "bound")
        yield words(paper.frame.left + 6, y - 5, said, "bound-text")


def _line(series: Series, look: int, paper: _Paper) -> str:
    path: list[str] = []
    drawing, last_y = False, 0.0
    seen: list[tuple[float, float]] = []
    for at, value in series.points:
        if value is None or not _visible(value, logarithmic=paper.y.logarithmic):
            drawing = False
            continue
        x, y = paper.x(position(at)), paper.y(value)
        if drawing and series.stepped:
            path.append(f"L{place(x)} {place(last_y)}")
        path.append(f"{'L' if drawing else 'M'}{place(x)} {place(y)}")
        drawing, last_y = True, y
        seen.append((x, y))
    if not seen:
        return ""
    # A few marks along the line carry its shape; a lone point would otherwise be invisible.
    every = max(1, len(seen) // 6)
    marks = "".join(shape(look, x, y, 3.4) for x, y in seen[every // 2 :: every])
    group = f"s{look % LOOKS}{' leading' if series.leading else ''}"
    return f'<g class="{group}"><path class="line" d="{"".join(path)}"/>{marks}</g>'


def _band(series: Series, look: int, paper: _Paper) -> str:
    shown = [
        (paper.x(position(at)), paper.y(low), paper.y(high))
        for at, low, high in series.band
        if _visible(low, logarithmic=paper.y.logarithmic) and _visible(high, logarithmic=paper.y.logarithmic)
    ]
    upper = [f"{place(x)},{place(high)}" for x, _, high in shown]
    lower = [f"{place(x)},{place(low)}" for x, low, _ in reversed(shown)]
    return f'<g class="s{look % LOOKS}"><polygon class="band" points="{" ".join([*upper, *lower])}"/></g>'


def _end_labels(chart: LineChart, paper: _Paper) -> Iterator[str]:
    """Each line's name at its right end, moved apart where lines end together."""
    frame = paper.frame
    ends: list[tuple[int, Series, float, float]] = []
    for look, one in enumerate(chart.series):
        shown = [(at, value) for at, value in one.points if _visible(value, logarithmic=chart.logarithmic)]
        if shown and shown[-1][1] is not None:
            ends.append((look, one, paper.x(position(shown[-1][0])), paper.y(shown[-1][1])))
    wanted = [y for _, _, _, y in ends]
    for (look, one, x, y), label_y in zip(
        ends, spread(wanted, 1.35 * frame.type, frame.top, frame.y_end), strict=True
    ):
        start = frame.x_end + 12
        most = int((frame.width - start - 4) / (CHARACTER * frame.type))
        yield (
            f'<g class="s{look % LOOKS}{" leading" if one.leading else ""}">'
            f'<path class="leader" d="M{place(x + 3)} {place(y)}L{place(start - 3)} {place(label_y)}"/>'
            + words(start, label_y + 0.35 * frame.type, shortened(one.name, most), "end-label")
            + "</g>"
        )


def _lanes(chart: LineChart, paper: _Paper) -> tuple[list[str], float]:
    """A lane a kind of event under the plot, on the same axis; its height comes with it."""
    frame = paper.frame
    kinds = [kind for kind in LANES if any(one.kind is kind for one in chart.events)]
    # On a phone the lane's name stands over the lane, since there is no room beside it.
    beside = frame.left > 70
    step = 24.0 if beside else 34.0
    parts: list[str] = []
    for row, kind in enumerate(kinds):
        y = frame.height + 14 + row * step + (0 if beside else 10)
        if beside:
            parts.append(words(frame.left - 10, y + 0.35 * frame.type, LANES[kind], "lane-name", "end"))
        else:
            parts.append(words(2, y - 10, LANES[kind], "lane-name"))
        parts.append(line(frame.left, y, frame.x_end, y, "lane"))
        numbered = [(count, one) for count, one in enumerate(chart.events, start=1) if one.kind is kind]
        parts.extend(_marks(kind, numbered, paper, y))
    return parts, (step * len(kinds) + 8) if kinds else 0.0


def _marks(
    kind: EventKind, numbered: list[tuple[int, TimelineEvent]], paper: _Paper, y: float
) -> Iterator[str]:
    groups: list[tuple[float, list[tuple[int, TimelineEvent]]]] = []
    for count, one in numbered:
        x = paper.x(position(one.at))
        if groups and x - groups[-1][0] < _TOUCH:
            groups[-1][1].append((count, one))
        else:
            groups.append((x, [(count, one)]))
    for row, (x, members) in enumerate(groups):
        said = "\n".join(f"{count}. {moment(one.at)}: {one.title}" for count, one in members)
        name = str(members[0][0]) if len(members) == 1 else f"{members[0][0]}\N{EN DASH}{members[-1][0]}"
        room = (groups[row + 1][0] if row + 1 < len(groups) else paper.frame.width) - x
        fits = room > 16 + CHARACTER * paper.frame.type * len(name)
        label = words(x + 8, y - 3, name, "event-number") if fits else ""
        yield f"<g><title>{text(said)}</title>{event_shape(kind, x, y)}{label}</g>"


def _table(chart: LineChart) -> str:
    places = sorted({at for one in chart.series for at, _ in one.points}, key=position)
    columns = [dict(one.points) for one in chart.series]
    bands = [{at: (low, high) for at, low, high in one.band} for one in chart.series]
    rows = [
        [
            _named(at),
            *(_cell(column.get(at), band.get(at)) for column, band in zip(columns, bands, strict=True)),
        ]
        for at in places
    ]
    head = [chart.x_label or ("when" if any(isinstance(one, datetime) for one in places) else "at")]
    return numbers_table([*head, *(f"{one.name}, {chart.y_label}" for one in chart.series)], rows)


def _named(at: Place) -> str:
    return moment(at) if isinstance(at, datetime) else number(at, 6)


def _cell(value: float | None, band: tuple[float, float] | None) -> str:
    if value is None:
        return "n/a"
    within = f" ({number(band[0], 6)} to {number(band[1], 6)})" if band else ""
    return number(value, 6) + within
