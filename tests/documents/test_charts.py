"""Charts hold the numbers that they were given, twice: drawn, and in a table."""

import itertools
import re
import xml.etree.ElementTree as ET
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geartrain.documents.chart_nouns import (
    Bar,
    BarChart,
    Dot,
    EventKind,
    LineChart,
    ReliabilityBin,
    ReliabilityChart,
    ScatterChart,
    Series,
    TimelineEvent,
)
from geartrain.documents.charts import (
    bar_chart,
    chart_style,
    event_shape,
    interval_bar,
    line_chart,
    reliability_chart,
    scatter_chart,
)
from geartrain.documents.scales import linear_ticks, log_ticks, spread, time_ticks
from geartrain.domain.clause import Comparison
from geartrain.domain.finding import Status

HOSTILE = "<script>alert('x')</script>\"&\x00\x1b ü"


def table(figure: ET.Element) -> list[list[str]]:
    return [["".join(cell.itertext()) for cell in row] for row in figure.iter("tr")]


def vertices(svg: ET.Element, group: str) -> list[tuple[float, float]]:
    """The corners of the line of the series with a look."""
    for one in svg.iter("g"):
        if group in (one.get("class") or "").split():
            for path in one.iter("path"):
                if path.get("class") == "line":
                    pairs = re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path.get("d") or "")
                    return [(float(x), float(y)) for x, y in pairs]
    return []


def test_a_line_chart_draws_every_point_at_both_widths(samples) -> None:
    """Both drawings have a corner for each point, equal steps are equal, higher values are higher."""
    figure = ET.fromstring(line_chart(samples.line_chart()))
    drawings = figure.findall("svg")

    assert [one.get("class") for one in drawings] == ["wide", "narrow"]
    for svg in drawings:
        rising, falling = vertices(svg, "s0"), vertices(svg, "s1")
        steps = [right[0] - left[0] for left, right in itertools.pairwise(rising)]
        assert len(rising) == len(falling) == 5
        assert max(steps) - min(steps) < 0.21
        assert [y for _, y in rising] == sorted((y for _, y in rising), reverse=True)
        assert [y for _, y in falling] == sorted(y for _, y in falling)


def test_the_table_holds_the_same_numbers(samples) -> None:
    """A reader who cannot see the picture gets every number of it, with its interval."""
    chart = samples.line_chart(
        series=(
            Series(
                name="a",
                points=((1.0, 1234.5), (2.0, None), (3.0, 0.25)),
                band=((1.0, 1200.0, 1300.0), (3.0, 0.2, 0.3)),
            ),
        )
    )

    assert table(ET.fromstring(line_chart(chart))) == [
        ["at", "a, EUR per 1000"],
        ["1", "1234.5 (1200 to 1300)"],
        ["2", "n/a"],
        ["3", "0.25 (0.2 to 0.3)"],
    ]


def test_a_gap_stays_a_gap(samples) -> None:
    """What was not measured is not drawn as if it had been."""
    series = Series(name="a", points=((1.0, 1.0), (2.0, 2.0), (3.0, None), (4.0, 2.0), (5.0, float("nan"))))
    drawn = line_chart(samples.line_chart(series=(series,)))
    paths = [one.get("d") or "" for one in ET.fromstring(drawn).iter("path") if one.get("class") == "line"]

    assert [path.count("M") for path in paths] == [2, 2]
    assert "nan" not in drawn


def test_every_event_has_a_mark_of_its_kind_in_a_lane_and_its_words(samples) -> None:
    """Each kind has its lane; touching marks become one that tells both."""
    figure = ET.fromstring(line_chart(samples.line_chart(events=samples.events())))
    wide = figure.findall("svg")[0]
    lanes = ["".join(one.itertext()) for one in wide.iter("text") if one.get("class") == "lane-name"]
    told = "\n".join("".join(one.itertext()) for one in wide.iter("title"))

    assert lanes == ["releases", "rollbacks", "drifts", "incidents", "refits", "refusals"]
    for count, event in enumerate(samples.events(), start=1):
        assert f"{count}. " in told
        assert event.title in told


def test_kinds_of_event_differ_without_colour() -> None:
    """Every kind has a shape of its own."""
    bare = [re.sub(r'class="[^"]*"', "", event_shape(kind, 0, 0)) for kind in EventKind]

    assert len(set(bare)) == len(EventKind)


def test_series_differ_without_colour() -> None:
    """The style sheet gives every look but the first a dash of its own."""
    dashes = re.findall(r"\.s(\d) \.line \{ stroke-dasharray: ([^;]+);", chart_style())

    assert sorted(int(look) for look, _ in dashes) == [1, 2, 3, 4, 5]
    assert len({dash for _, dash in dashes}) == 5


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1])
def test_text_and_lines_can_be_read_in_both_themes(theme) -> None:
    """WCAG 2.2 contrast: at least 4.5 to 1 for everything that is text on what it stands on."""
    block = re.findall(r":root \{(.*?)\}", chart_style(), re.DOTALL)[theme]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))

    def contrast(one: str, other: str) -> float:
        high, low = sorted((_luminance(colours[one]), _luminance(colours[other])), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for name in ("ink", "ink-soft", "s0", "s1", "s2", "s3", "s4", "s5"):
        assert contrast(name, "paper") >= 4.5, name
        assert contrast(name, "sheet") >= 4.5, name
    for name in ("kept", "broken", "unproven", "unmeasured"):
        assert contrast(name, f"{name}-wash") >= 4.5, name


def hostile_charts(samples) -> list[str]:
    event = TimelineEvent(at=samples.start, kind=EventKind.DRIFT, title=HOSTILE)
    series = Series(name=HOSTILE, points=((samples.start, 1.0), (samples.start + timedelta(days=1), 2.0)))
    return [
        line_chart(
            LineChart(
                title=HOSTILE,
                description=HOSTILE,
                y_label=HOSTILE,
                x_label=HOSTILE,
                series=(series, series),
                events=(event,),
                bound=(1.5, HOSTILE),
            )
        ),
        bar_chart(
            BarChart(
                title=HOSTILE,
                description=HOSTILE,
                x_label=HOSTILE,
                bars=(Bar(name=HOSTILE, value=1.0, note=HOSTILE),),
            )
        ),
        scatter_chart(
            ScatterChart(
                title=HOSTILE,
                description=HOSTILE,
                x_label=HOSTILE,
                y_label=HOSTILE,
                dots=(Dot(name=HOSTILE, x=1, y=1),),
            )
        ),
        reliability_chart(ReliabilityChart(title=HOSTILE, description=HOSTILE, bins=())),
    ]


def test_hostile_names_stay_text(samples) -> None:
    """Names with markup and control characters give well-formed XML without any element of theirs."""
    for drawn in hostile_charts(samples):
        figure = ET.fromstring(drawn)
        assert "script" not in {one.tag for one in figure.iter()}
        assert "<script>alert('x')</script>\"&" in "".join(figure.itertext())


def test_every_drawing_has_a_name_and_a_description(samples) -> None:
    """Each picture is an image with words for those who cannot see it, under ids that the page has once."""
    for drawn in hostile_charts(samples):
        figure = ET.fromstring(drawn)
        ids = [one.get("id") for one in figure.iter() if one.get("id")]
        assert len(ids) == len(set(ids)) == 4
        for svg in figure.findall("svg"):
            assert svg.get("role") == "img"
            assert set((svg.get("aria-labelledby") or "").split()) <= set(ids)


def test_nothing_measured_is_said(samples) -> None:
    """An empty chart says so instead of failing or showing an empty frame."""
    empty = line_chart(samples.line_chart(series=()))
    scatter = scatter_chart(ScatterChart(title="t", description="d", x_label="x", y_label="y", dots=()))

    assert "nothing was measured yet" in empty
    assert "nothing was measured yet" in scatter


def test_bars_are_as_long_as_their_numbers() -> None:
    """Lengths from 0 are in the proportion of the values."""
    bars = (Bar(name="a", value=10.0, low=8.0, high=12.0), Bar(name="b", value=40.0))
    figure = ET.fromstring(bar_chart(BarChart(title="t", description="d", x_label="EUR", bars=bars)))

    for svg in figure.findall("svg"):
        widths = [float(one.get("width") or 0) for one in svg.iter("rect")]
        assert widths[1] / widths[0] == pytest.approx(4, rel=0.01)
    assert table(figure)[1:] == [["a", "10", "8 to 12"], ["b", "40", ""]]


def test_reliability_puts_agreement_on_the_diagonal() -> None:
    """A bin in which half is predicted and half comes true stands on the dashed line."""
    bins = (ReliabilityBin(predicted=0.5, observed=0.5, low=0.4, high=0.6, rows=10),)
    figure = ET.fromstring(reliability_chart(ReliabilityChart(title="t", description="d", bins=bins)))

    for svg in figure.findall("svg"):
        diagonal = next(one for one in svg.iter("line") if one.get("class") == "diagonal")
        dot = next(svg.iter("circle"))
        middle = [
            (float(diagonal.get(a)) + float(diagonal.get(b))) / 2 for a, b in (("x1", "x2"), ("y1", "y2"))
        ]
        assert [float(dot.get("cx")), float(dot.get("cy"))] == pytest.approx(middle, abs=0.11)


@pytest.mark.parametrize("comparison", list(Comparison))
@pytest.mark.parametrize("status", list(Status))
def test_an_interval_bar_shades_the_side_that_keeps_the_promise(comparison, status) -> None:
    """The bound is the edge of the shaded side; words tell the same."""
    svg = ET.fromstring(
        interval_bar(value=0.9, low=0.85, high=float("inf"), bound=0.8, comparison=comparison, status=status)
    )
    shaded = next(svg.iter("rect"))
    bound = next(one for one in svg.iter("line") if one.get("class") == "bound")
    left, width = float(shaded.get("x")), float(shaded.get("width"))

    edge = left if comparison is Comparison.AT_LEAST else left + width
    assert edge == pytest.approx(float(bound.get("x1")), abs=0.11)
    assert "between 0.85 and ∞" in svg[0].text
    assert status in svg[0].text


def test_an_interval_bar_without_a_measurement_says_so() -> None:
    """A dotted line and the words."""
    drawn = interval_bar(
        value=None, low=None, high=None, bound=1, comparison=Comparison.AT_MOST, status=Status.NOT_MEASURED
    )
    assert "nothing was measured" in drawn


@given(low=st.floats(-1e6, 1e6), width=st.floats(1e-3, 1e6), most=st.integers(2, 10))
@settings(max_examples=100)
def test_ticks_cover_the_values_and_are_few(low, width, most) -> None:
    """The first and last tick enclose every value; there are not many more than asked for."""
    ticks = linear_ticks(low, low + width, most)

    assert ticks[0] <= low + 1e-6 * width
    assert ticks[-1] >= low + width * (1 - 1e-6)
    assert len(ticks) <= most + 3


@given(low=st.floats(1e-6, 1e3), ratio=st.floats(1, 1e6))
@example(low=999.9999999999999, ratio=1.0)
@settings(max_examples=100)
def test_logarithmic_ticks_enclose_the_values(low, ratio) -> None:
    """Also where all values are the same."""
    ticks = log_ticks(low, low * ratio)

    assert ticks[0] <= low * (1 + 1e-9)
    assert ticks[-1] >= low * ratio * (1 - 1e-9)
    assert len(ticks) >= 2


@given(hours=st.floats(0.1, 24 * 4000), most=st.integers(3, 12))
@settings(max_examples=100)
def test_time_ticks_stand_inside_and_are_few(samples, hours, most) -> None:
    """From minutes to ten years, no name is outside the axis and none crowds another."""
    start = samples.start + timedelta(hours=5)
    end = start + timedelta(hours=hours)
    ticks = time_ticks(start, end, most)

    assert all(start <= at <= end for at, _ in ticks)
    assert len(ticks) <= most + 2


@given(places=st.lists(st.floats(0, 300), min_size=1, max_size=8))
@settings(max_examples=100)
def test_labels_never_cover_each_other(places) -> None:
    """Moved places keep their order and their distance and stay on the paper."""
    moved = spread(places, 18.0, 0.0, 300.0)
    ordered = sorted(moved)

    assert all(right - left >= 18.0 - 1e-6 for left, right in itertools.pairwise(ordered))
    assert ordered[0] >= -1e-6
    assert ordered[-1] <= 300.0 + 1e-6
    assert all(
        moved[one] <= moved[other] + 1e-6
        for one in range(len(places))
        for other in range(len(places))
        if places[one] < places[other]
    )
