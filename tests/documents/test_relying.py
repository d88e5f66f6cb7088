"""What a model relies on, drawn: every share and curve is there, hostile names stay text, nothing is drawn of nothing."""

from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from geartrain.documents.relying import curve_charts, shares_chart, value_charts
from geartrain.documents.report import render_report
from geartrain.documents.report_nouns import ProductSection, RunReport
from geartrain.domain.explanation import Curve, CurvePoint, Explanation, Share

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>"


def _point(value: float, name: str, effect: float) -> CurvePoint:
    return CurvePoint(value=value, name=name, effect=effect, low=effect - 0.1, high=effect + 0.1, rows=40)


@pytest.fixture
def told() -> Explanation:
    """Ten features, one number and one category with curves."""
    shares = [
        Share(
            feature="workload", words="planned hours", share=0.46, low=0.4, high=0.5, together=("overtime",)
        )
    ]
    shares += [Share(feature=f"x{i}", words=f"x{i}", share=0.06, low=0.05, high=0.07) for i in range(9)]
    return Explanation(
        rows=300,
        of=2000,
        method="mean exact contributions",
        shares=tuple(shares),
        curves=(
            Curve(
                feature="workload", words="planned hours", unit="h", about="the probability of yes", category=False,
                points=(_point(0.5, "0.5", -0.3), _point(1.0, "1", 0.1), _point(1.5, "1.5", 0.4)),
            ),
            Curve(
                feature="site", words="site", unit="", about="the probability of yes", category=True,
                points=(_point(0, "a", 0.1), _point(1, HOSTILE, -0.2)), note="2 rarer values are left out",
            ),
        ),
    )  # fmt: skip


def test_shares_are_bars_and_the_rest_is_one(told: Explanation) -> None:
    """Eight features by name, the others together; the bars make a whole."""
    chart = shares_chart(told)

    assert [one.name for one in chart.bars][-1] == "2 others"
    assert sum(one.value for one in chart.bars) == pytest.approx(100.0)
    assert chart.bars[0].note == "with overtime"
    assert "workload 46 %" in chart.description


def test_numbers_are_lines_and_categories_bars_above_the_lowest(told: Explanation) -> None:
    """The line has its band and says which way it goes; the bars begin at the lowest value."""
    (line,), (bars,) = curve_charts(told), value_charts(told)

    assert line.series[0].points == ((0.5, -0.3), (1.0, 0.1), (1.5, 0.4))
    assert len(line.series[0].band) == 3
    assert "From 0.5 to 1.5, h, the probability of yes rises by 0.7" in line.description
    assert [(one.name, round(one.value, 6)) for one in bars.bars] == [("a", 0.3), (HOSTILE, 0.0)]
    assert bars.description.endswith("2 rarer values are left out.")


def test_the_report_draws_them_and_escapes_every_name(told: Explanation) -> None:
    """A chapter with an explanation has its section; one without has none."""
    section = ProductSection(name="support", title="Support", problem="who needs help", explanation=told)
    bare = ProductSection(name="support", title="Support", problem="who needs help")
    page, without = (
        render_report(RunReport(title="T", lead="", made_at=NOW, products=(one,))) for one in (section, bare)
    )

    assert "What it relies on" in page
    assert "300" in page
    assert page.count("<figure") == without.count("<figure") + 3
    assert HOSTILE not in page
    assert "What it relies on" not in without
    HTMLParser().feed(page)
