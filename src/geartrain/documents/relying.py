"""What a model relies on, as pictures: the shares of its features, and how its answer moves with the leading ones."""

from __future__ import annotations

from geartrain.documents.chart_nouns import Bar, BarChart, LineChart, Series
from geartrain.domain.explanation import Curve, Explanation

#: More bars than this nobody compares; the rest is one bar.
MOST_BARS = 8
#: Pictures of single features.
MOST_CURVES = 4


def shares_chart(explanation: Explanation) -> BarChart:
    """The share of the answers that each leading feature makes, with its interval, and of all the others."""
    shown = explanation.shares[:MOST_BARS]
    rest = explanation.shares[MOST_BARS:]
    bars = tuple(
        Bar(
            name=one.feature,
            value=100 * one.share,
            low=100 * one.low,
            high=100 * one.high,
            leading=one is explanation.shares[0],
            note=f"with {', '.join(one.together)}" if one.together else "",
        )
        for one in shown
    )
    if rest:
        bars += (Bar(name=f"{len(rest)} others", value=100 * sum(one.share for one in rest)),)
    told = ", ".join(f"{one.feature} {100 * one.share:.0f} %" for one in shown[:3])
    return BarChart(
        title="What it relies on",
        description=f"Shares of the answers, by {explanation.method}: {told}.",
        x_label="% of the explanation",
        bars=bars,
    )


def curve_charts(explanation: Explanation) -> tuple[LineChart, ...]:
    """How the answer moves with each leading number; thin places are told by their rows."""
    return tuple(_line(one) for one in _drawn(explanation) if not one.category)


def value_charts(explanation: Explanation) -> tuple[BarChart, ...]:
    """How far the answer at each value of a leading category lies above that of the lowest one."""
    return tuple(_bars(one) for one in _drawn(explanation) if one.category)


def _drawn(explanation: Explanation) -> tuple[Curve, ...]:
    return tuple(one for one in explanation.curves if len(one.points) > 1)[:MOST_CURVES]


def _line(curve: Curve) -> LineChart:
    unit = f", {curve.unit}" if curve.unit else ""
    points = curve.points
    fewest = min(points, key=lambda one: one.rows)
    way = "rises" if points[-1].effect > points[0].effect else "falls"
    return LineChart(
        title=curve.words,
        description=(
            f"From {points[0].name} to {points[-1].name}{unit}, {curve.about} {way} by"
            f" {abs(points[-1].effect - points[0].effect):.3g} in all; fewest rows, {fewest.rows:,}, near {fewest.name}."
        ),
        x_label=f"{curve.feature}{unit}",
        y_label=f"{curve.about}, against its mean",
        series=(
            Series(
                name=curve.feature,
                points=tuple((one.value, one.effect) for one in points),
                band=tuple((one.value, one.low, one.high) for one in points),
                leading=True,
            ),
        ),
        from_zero=False,
    )


def _bars(curve: Curve) -> BarChart:
    lowest = min(one.effect for one in curve.points)
    left_out = f" {curve.note}." if curve.note else ""
    return BarChart(
        title=curve.words,
        description=f"How far {curve.about} lies above that at the lowest value of {curve.feature}.{left_out}",
        x_label=f"{curve.about}, above the lowest",
        bars=tuple(
            Bar(
                name=one.name,
                value=one.effect - lowest,
                low=max(0.0, one.low - lowest),
                high=max(0.0, one.high - lowest),
                note=f"{one.rows:,} rows",
            )
            for one in sorted(curve.points, key=lambda one: -one.effect)
        ),
    )
