"""Bars with intervals, reliability, candidates against each other, and one promise on a line."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from geartrain.documents.chart_nouns import BarChart, Dot, ReliabilityChart, ScatterChart
from geartrain.documents.drawing import (
    CHARACTER,
    NARROW,
    WIDE,
    Frame,
    figure,
    line,
    numbers_table,
    place,
    shape,
    words,
)
from geartrain.documents.scales import Scale, linear_ticks, log_ticks, spread, tick_text
from geartrain.documents.spelling import number, share, shortened, text
from geartrain.domain.clause import Comparison
from geartrain.domain.finding import Status


def bar_chart(chart: BarChart) -> str:
    """Draw named lengths from 0, each with its interval and its number written out."""
    rows = [
        [
            one.name,
            number(one.value, 6),
            "" if one.low is None else f"{number(one.low, 6)} to {number(one.high, 6)}",
        ]
        for one in chart.bars
    ]
    return figure(
        chart,
        chart.title,
        chart.description,
        (_bars(chart, frame) for frame in (WIDE, NARROW)),
        table=numbers_table(["", chart.x_label, "interval"], rows),
    )


def reliability_chart(chart: ReliabilityChart) -> str:
    """Draw how often what was predicted came true, against the diagonal on which both agree."""
    rows = [
        [
            number(one.predicted, 6),
            number(one.observed, 6),
            f"{number(one.low, 6)} to {number(one.high, 6)}",
            str(one.rows),
        ]
        for one in chart.bins
    ]
    frames = (replace(WIDE, width=560, height=460, left=64, right=24), replace(NARROW, height=360))
    return figure(
        chart,
        chart.title,
        chart.description,
        (_reliability(chart, frame) for frame in frames),
        table=numbers_table(["predicted", "came true", "interval", "rows"], rows),
        kind="square",
    )


def scatter_chart(chart: ScatterChart) -> str:
    """Draw candidates by two costs, the front that no other beats, and which one was chosen."""
    rows = [
        [
            one.name,
            number(one.x, 6),
            number(one.y, 6),
            "chosen" if one.chosen else "on the front" if one.front else "beaten",
        ]
        for one in chart.dots
    ]
    frames = (replace(WIDE, height=380, right=40), replace(NARROW, height=330))
    return figure(
        chart,
        chart.title,
        chart.description,
        (_scatter(chart, frame) for frame in frames),
        table=numbers_table(["", chart.x_label, chart.y_label, ""], rows),
    )


def interval_bar(
    *,
    value: float | None,
    low: float | None,
    high: float | None,
    bound: float,
    comparison: Comparison,
    status: Status,
) -> str:
    """One finding as a small picture: where the promise is kept, the interval, the value, the bound.

    The scale is the finding's own; the numbers stand beside it in the row, so it has no table.
    """
    width, height, middle = 168.0, 26.0, 13.0
    if value is None or low is None or high is None or not math.isfinite(value):
        return (
            f'<svg class="interval" role="img" viewBox="0 0 {place(width)} {place(height)}">'
            "<title>nothing was measured</title>"
            + line(8, middle, width - 8, middle, "unmeasured")
            + "</svg>"
        )
    ends = [one if math.isfinite(one) else value for one in (low, high)]
    inner, outer = min(*ends, value, bound), max(*ends, value, bound)
    room = 0.18 * ((outer - inner) or abs(bound) or 1.0)
    scale = Scale(inner - room, outer + room, 6, width - 6)
    at = scale(bound)
    start, end = (at, width - 2) if comparison is Comparison.AT_LEAST else (2.0, at)
    promised = "at least" if comparison is Comparison.AT_LEAST else "at most"
    said = f"{number(value)}, between {number(low)} and {number(high)}, promised {promised} {number(bound)}: {status}"
    left = scale(low) if math.isfinite(low) else 2.0
    right = scale(high) if math.isfinite(high) else width - 2
    return (
        f'<svg class="interval {status.name.lower().replace("_", "-")}" role="img"'
        f' viewBox="0 0 {place(width)} {place(height)}"><title>{text(said)}</title>'
        f'<rect class="kept-side" x="{place(start)}" y="4" width="{place(max(0.0, end - start))}" height="18"/>'
        + line(left, middle, right, middle, "whisker")
        + line(left, middle - 4, left, middle + 4, "whisker")
        + line(right, middle - 4, right, middle + 4, "whisker")
        + line(at, 2, at, height - 2, "bound")
        + shape(0, scale(value), middle, 4, "value")
        + "</svg>"
    )


def _bars(chart: BarChart, frame: Frame) -> tuple[Frame, float, str]:
    beside = frame.left > 70
    left = 210.0 if beside else 4.0
    step = 38.0 if beside else 52.0
    top = 26.0
    ends = [end for one in chart.bars for end in (one.value, one.low, one.high) if end is not None]
    ticks = linear_ticks(min(0.0, *ends, 0.0), max(0.0, *ends, 0.0), 5 if beside else 4)
    scale = Scale(ticks[0], ticks[-1], left, frame.width - (150.0 if beside else 96.0))
    height = top + step * len(chart.bars) + 28
    parts = [words(left, 14, chart.x_label, "label")]
    for tick in ticks:
        x = scale(tick)
        parts.append(line(x, top - 4, x, height - 24, "axis" if tick == 0 else "grid"))
        parts.append(words(x, height - 8, tick_text(tick), "tick", "middle" if x > 20 else "start"))
    for row, one in enumerate(chart.bars):
        y = top + step * (row + 0.5) + (0 if beside else 8)
        kind = "bar leading" if one.leading else "bar"
        start, end = sorted((scale(0.0), scale(one.value)))
        parts.append(
            f'<rect class="{kind}" x="{place(start)}" y="{place(y - 8)}" width="{place(end - start)}" height="16"/>'
        )
        if one.low is not None and one.high is not None:
            left_end, right_end = scale(one.low), scale(one.high)
            end = max(end, right_end)
            parts += [
                line(left_end, y, right_end, y, "whisker"),
                line(left_end, y - 5, left_end, y + 5, "whisker"),
                line(right_end, y - 5, right_end, y + 5, "whisker"),
            ]
        note = f" {one.note}" if one.note else ""
        parts.append(words(end + 8, y + 0.35 * frame.type, f"{number(one.value)}{note}", "value-text"))
        name_kind = "name leading" if one.leading else "name"
        if beside:
            parts.append(words(left - 12, y + 0.35 * frame.type, shortened(one.name, 27), name_kind, "end"))
        else:
            parts.append(words(left, y - 14, shortened(one.name, 44), name_kind))
    return frame, height, "".join(parts)


def _reliability(chart: ReliabilityChart, frame: Frame) -> tuple[Frame, float, str]:
    x = Scale(0, 1, frame.left, frame.x_end)
    y = Scale(0, 1, frame.y_end, frame.top)
    parts = [words(frame.left, frame.top - 12, "how often it came true", "label")]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts += [
            line(frame.left, y(tick), frame.x_end, y(tick), "axis" if tick == 0 else "grid"),
            words(frame.left - 8, y(tick) + 0.35 * frame.type, share(tick), "tick", "end"),
            line(x(tick), frame.y_end, x(tick), frame.y_end + 5, "axis"),
            words(
                x(tick), frame.y_end + 8 + frame.type, share(tick), "tick", "end" if tick == 1 else "middle"
            ),
        ]
    parts.append(line(x(0), y(0), x(1), y(1), "diagonal"))
    if chart.threshold is not None:
        at = x(chart.threshold)
        parts += [
            line(at, frame.top, at, frame.y_end, "bound"),
            words(at + 5, frame.top + 12, "decision turns", "bound-text"),
        ]
    most = max((one.rows for one in chart.bins), default=1)
    for one in chart.bins:
        px, py = x(one.predicted), y(one.observed)
        # The area of a point grows with its rows, so that thin bins look thin.
        radius = 2.5 + 4 * math.sqrt(one.rows / most)
        parts += [line(px, y(one.low), px, y(one.high), "whisker"), shape(0, px, py, radius, "value")]
    below = 1.4 * frame.type
    parts.append(
        words(frame.x_end, frame.y_end + 10 + frame.type + below, "predicted probability", "label", "end")
    )
    return frame, frame.height + below, "".join(parts)


def _scatter(chart: ScatterChart, frame: Frame) -> tuple[Frame, float, str]:
    dots = [one for one in chart.dots if math.isfinite(one.x) and math.isfinite(one.y)]
    if not dots:
        return frame, 60, words(frame.width / 2, 34, "nothing was measured yet", "label", "middle")
    xs = [one.x for one in dots]
    ends = [
        end
        for one in dots
        for end in (one.y, one.y_low, one.y_high)
        if end is not None and math.isfinite(end)
    ]
    x_ticks = (
        log_ticks(min(xs), max(xs))
        if chart.x_logarithmic and min(xs) > 0
        else linear_ticks(min(0.0, *xs), max(xs), 5)
    )
    y_ticks = linear_ticks(min(0.0, *ends, 0.0), max(ends), 5)
    logarithmic = chart.x_logarithmic and min(xs) > 0
    x = Scale(x_ticks[0], x_ticks[-1], frame.left, frame.x_end, logarithmic)
    y = Scale(y_ticks[0], y_ticks[-1], frame.y_end, frame.top)
    parts = [words(frame.left, frame.top - 14, chart.y_label, "label")]
    for tick in y_ticks:
        parts += [
            line(frame.left, y(tick), frame.x_end, y(tick), "axis" if tick == 0 else "grid"),
            words(frame.left - 8, y(tick) + 0.35 * frame.type, tick_text(tick), "tick", "end"),
        ]
    for tick in x_ticks:
        anchor = "end" if tick == x_ticks[-1] else "middle"
        parts += [
            line(x(tick), frame.y_end, x(tick), frame.y_end + 5, "axis"),
            words(x(tick), frame.y_end + 8 + frame.type, tick_text(tick), "tick", anchor),
        ]
    below = 1.4 * frame.type
    parts.append(words(frame.x_end, frame.y_end + 10 + frame.type + below, chart.x_label, "label", "end"))
    front = sorted((one for one in dots if one.front), key=lambda one: one.x)
    if len(front) > 1:
        path = f"M{place(x(front[0].x))} {place(y(front[0].y))}" + "".join(
            f"H{place(x(one.x))}V{place(y(one.y))}" for one in front[1:]
        )
        parts.append(f'<path class="front" d="{path}"/>')
    parts += list(_dots(dots, frame, x, y))
    return frame, frame.height + below + 4, "".join(parts)


def _dots(dots: list[Dot], frame: Frame, x: Scale, y: Scale) -> Iterator[str]:
    # Names stand a little above their points, clear of the front's steps.
    labels = spread([y(one.y) - 9 for one in dots], 1.25 * frame.type, frame.top, frame.y_end)
    for one, label_y in zip(dots, labels, strict=True):
        px, py = x(one.x), y(one.y)
        if one.y_low is not None and one.y_high is not None:
            yield line(px, y(one.y_low), px, y(one.y_high), "whisker")
        kind = "chosen" if one.chosen else "front-dot" if one.front else "beaten"
        yield shape(3 if one.chosen else 0 if one.front else 4, px, py, 6 if one.chosen else 4, kind)
        name = shortened(one.name, 26)
        leftward = px + 12 + CHARACTER * frame.type * len(name) > frame.width
        offset, anchor = (-9, "end") if leftward else (9, "start")
        if abs(label_y - py) > 1.3 * frame.type:
            yield line(px, py, px + 0.8 * offset, label_y, "leader")
        yield words(px + offset, label_y + 0.35 * frame.type, name, f"dot-name {kind}", anchor)
