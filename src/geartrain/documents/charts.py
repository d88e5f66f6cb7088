"""Charts drawn on the server: a noun in, HTML with SVG and its table of numbers out; no script.

The style sheet `chart_style()` gives them their colours, light and dark; without it they
are black, and still told apart by dash and shape.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from geartrain.documents.lines import LANES, event_shape, line_chart
from geartrain.documents.points import bar_chart, interval_bar, reliability_chart, scatter_chart
from geartrain.domain.finding import Finding

__all__ = [
    "LANES",
    "bar_chart",
    "chart_style",
    "event_shape",
    "finding_bar",
    "interval_bar",
    "line_chart",
    "reliability_chart",
    "scatter_chart",
]


def finding_bar(finding: Finding) -> str:
    """The finding's interval against its bound; every name in it is escaped by the drawing."""
    return interval_bar(
        value=finding.value,
        low=finding.low,
        high=finding.high,
        bound=finding.bound,
        comparison=finding.comparison,
        status=finding.status,
    )


@cache
def chart_style() -> str:
    """The style sheet of all charts, for a page's `<style>` or a file of its own."""
    return resources.files("geartrain.documents").joinpath("templates/charts.css").read_text(encoding="utf-8")
