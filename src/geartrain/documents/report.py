"""The run report: one HTML file that needs nothing else, not even a script, to be read."""

from __future__ import annotations

from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING

from geartrain.documents.chart_nouns import Bar, BarChart, Dot, EventKind, LineChart, ScatterChart
from geartrain.documents.charts import (
    LANES,
    bar_chart,
    chart_style,
    event_shape,
    finding_bar,
    line_chart,
    reliability_chart,
    scatter_chart,
)
from geartrain.documents.relying import curve_charts, shares_chart, value_charts
from geartrain.documents.report_nouns import (
    FindingRow,
    PolicySeries,
    ProductSection,
    ReplaySection,
    RunReport,
    VariantRow,
)
from geartrain.documents.spelling import day, moment, number, share, size
from geartrain.domain.clause import Comparison, Severity
from geartrain.domain.digest import short
from geartrain.domain.finding import Finding, Status
from geartrain.domain.roles import Role

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

#: Worst first: what a reader must not overlook stands on top.
_WORST_FIRST = (Status.BROKEN, Status.UNPROVEN, Status.NOT_MEASURED, Status.KEPT)
#: A mark beside the word, so that a status is not told by colour alone.
GLYPHS = {Status.KEPT: "✓", Status.BROKEN: "✕", Status.UNPROVEN: "?", Status.NOT_MEASURED: "–"}  # noqa: RUF001


def render_report(report: RunReport) -> str:
    """Tell *report* as one self-contained HTML page for a phone, a desk and paper, light and dark.

    Every name in it is escaped; the page asks no other server for anything.
    """
    return _environment().get_template("report.html").render(report=report)


def findings_by_role(rows: tuple[FindingRow, ...]) -> tuple[tuple[Role, tuple[FindingRow, ...]], ...]:
    """The findings of each role, the worst first."""
    order = list(Role)
    ranked = sorted(
        rows,
        key=lambda row: (
            order.index(row.finding.owner),
            _WORST_FIRST.index(row.finding.status),
            row.finding.clause,
        ),
    )
    return tuple((role, tuple(group)) for role, group in groupby(ranked, key=lambda row: row.finding.owner))


def more_rows(row: FindingRow) -> str:
    """How much evidence would settle the row's finding, in words; empty where nothing is left to settle."""
    return rows_to_settle(row.finding, counted=row.counted)


def rows_to_settle(finding: Finding, *, counted: str = "") -> str:
    """How much evidence would settle an unproven finding, in words; empty where it is not unproven.

    The number counts what carries the information (positives for a recall), by the name
    *counted* where it has one, and says how many rows of all kinds that takes.
    """
    if finding.status is not Status.UNPROVEN:
        return ""
    relevant, rows = finding.relevant_needed, finding.rows_needed
    if relevant is None and rows is None:
        return "this evidence cannot say how many more rows would settle it"
    if relevant is None or relevant == rows:
        return f"about {rows or relevant:,} more {counted or 'rows'} would settle it"
    among = f", about {rows:,} rows in all" if rows is not None else ""
    return f"about {relevant:,} more {counted or 'relevant rows'}{among} would settle it"


def counted_statuses(rows: tuple[FindingRow, ...]) -> tuple[tuple[Status, int], ...]:
    """How many findings have each status, without those that none has."""
    counts = {status: sum(1 for row in rows if row.finding.status is status) for status in Status}
    return tuple((status, count) for status, count in counts.items() if count)


def replay_chart(section: ReplaySection, title: str) -> LineChart:
    """The cost of 1000 decisions over time for every policy, with everything that happened."""
    kinds = [kind for kind in LANES if any(one.kind is kind for one in section.events)]
    happened = ", ".join(f"{sum(one.kind is kind for one in section.events)} {LANES[kind]}" for kind in kinds)
    return LineChart(
        title=title,
        description=(
            f"The cost of 1000 decisions in {section.currency} over time for "
            + ", ".join(one.name for one in section.policies)
            + (f"; beneath it {happened}." if happened else ".")
        ),
        y_label=f"{section.currency} per 1000 decisions",
        series=tuple(one.series for one in section.policies),
        events=section.events,
        logarithmic=section.logarithmic,
    )


def totals_chart(section: ReplaySection) -> BarChart:
    """What each policy cost over the whole time."""
    return BarChart(
        title="What it cost in all",
        description="The cost of 1000 decisions over the whole replay, policy by policy.",
        x_label=f"{section.currency} per 1000 decisions",
        bars=tuple(
            Bar(
                name=one.name,
                value=one.per_1000,
                low=_per_1000(one.total_low, one),
                high=_per_1000(one.total_high, one),
                leading=one.product,
            )
            for one in section.policies
            if one.per_1000 is not None
        ),
    )


def against_product(section: ReplaySection, policy: PolicySeries) -> str:
    """How much more or less *policy* cost than the product, in words."""
    ours = next((one.per_1000 for one in section.policies if one.product), None)
    theirs = policy.per_1000
    if policy.product or ours is None or theirs is None:
        return ""
    if ours <= 0:
        return f"{number(theirs - ours)} {'more' if theirs > ours else 'less'} per 1000"
    if abs(theirs - ours) < 0.0005 * ours:
        return "the same"
    if theirs >= 2 * ours:
        return f"{number(theirs / ours, 3)} times as much"
    return f"{share(abs(theirs / ours - 1))} {'more' if theirs > ours else 'less'}"


def variants_chart(product: ProductSection) -> ScatterChart:
    """The variants by time and by cost."""
    return ScatterChart(
        title="Variants: what a decision takes and what it costs",
        description="Each variant's 99th percentile of time against its mean cost; nearer the lower left corner is better.",
        x_label="p99 of a single row, µs",
        y_label=f"{product.currency} per decision",
        x_logarithmic=True,
        dots=tuple(
            Dot(
                name=one.name,
                x=one.p99_us,
                y=one.cost,
                y_low=one.cost_low,
                y_high=one.cost_high,
                chosen=one.chosen,
                front=one.front,
            )
            for one in product.variants
            if one.cost is not None
        ),
    )


def _per_1000(total: float | None, policy: PolicySeries) -> float | None:
    return None if total is None or not policy.decisions else 1000.0 * total / policy.decisions


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def picture(finding: Finding) -> Markup:
        return Markup(finding_bar(finding))  # noqa: S704 - the drawing escapes every name; see the tests on hostile names

    def mark(kind: EventKind) -> Markup:
        return Markup(  # noqa: S704
            f'<svg class="mark" viewBox="0 0 14 14" role="img"><title>{kind.value}</title>'
            f"{event_shape(kind, 7, 7)}</svg>"
        )

    environment = Environment(
        loader=PackageLoader("geartrain.documents", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, share=share, size=size, day=day, moment=moment, short=short)
    environment.globals.update(
        by_role=findings_by_role,
        more_rows=more_rows,
        counted=counted_statuses,
        promised=_promised,
        measured=_measured,
        against_product=against_product,
        judged_variant=_judged_variant,
        glyph=GLYPHS.__getitem__,
        kebab=lambda status: str(status).replace(" ", "-"),
        warns=lambda finding: finding.severity is Severity.WARN,
        picture=picture,
        mark=mark,
        style=lambda: Markup(chart_style()),  # noqa: S704
        replay_svg=lambda section, title: Markup(line_chart(replay_chart(section, title))),  # noqa: S704
        totals_svg=lambda section: Markup(bar_chart(totals_chart(section))),  # noqa: S704
        variants_svg=lambda product: Markup(scatter_chart(variants_chart(product))),  # noqa: S704
        reliability_svg=lambda chart: Markup(reliability_chart(chart)),  # noqa: S704
        line_svg=lambda chart: Markup(line_chart(chart)),  # noqa: S704
        shares_svg=lambda told: Markup(bar_chart(shares_chart(told))),  # noqa: S704
        curves_svg=lambda told: [Markup(line_chart(one)) for one in curve_charts(told)],  # noqa: S704
        values_svg=lambda told: [Markup(bar_chart(one)) for one in value_charts(told)],  # noqa: S704
    )
    return environment


def _promised(finding: Finding) -> str:
    words = "at least" if finding.comparison is Comparison.AT_LEAST else "at most"
    return f"{words} {number(finding.bound)}{_unit(finding)}"


def _measured(finding: Finding) -> str:
    if finding.value is None:
        return "not measured"
    if finding.low == finding.high:
        return f"{number(finding.value)}{_unit(finding)}"
    return f"{number(finding.value)} ({number(finding.low)} to {number(finding.high)}){_unit(finding)}"


def _unit(finding: Finding) -> str:
    return f" {finding.unit}" if finding.unit else ""


def _judged_variant(row: VariantRow) -> str:
    if row.clauses_kept is None or row.clauses is None:
        return ""
    return f"{row.clauses_kept} of {row.clauses}"
