"""Over time: what the decisions cost, day by day, beside what others would have cost, and what happened meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from geartrain.documents.chart_nouns import LineChart, Series, TimelineEvent
from geartrain.documents.spelling import day, number
from geartrain.domain.contract import Contract
from geartrain.engine.bench import currency_of
from geartrain.engine.costs_counted import Counted, Slice, counted_costs
from geartrain.engine.costs_over_time import (
    CostsOverTime,
    Mean,
    PolicyCosts,
    Ripeness,
    Step,
    costs_over_time,
    on_the_line,
    policy_in_words,
)
from geartrain.engine.timeline import timeline_of
from geartrain.web.pages.standing import contract_of
from geartrain.web.paging import Action, Download, Page
from geartrain.web.room import Asked

#: So many of the latest events are told in words; the line carries all of them.
_MOST_EVENTS = 60
_DAY = timedelta(days=1)
_SPANS = ((28, "the last 4 weeks"), (91, "the last 13 weeks"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """One way of deciding over the whole span.

    Attributes:
        drawn: Whether it is on the line.
        saved: What 1000 decisions of the product cost less; None for the product itself.
    """

    name: str
    words: str
    kind: str
    drawn: bool
    total: float
    cost: Mean | None
    saved: Mean | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """Something that happened, by the number that it has on the line."""

    number: int
    event: TimelineEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A span of time to look at: its days as the address spells them; empty for all of it."""

    words: str
    since: str
    until: str
    here: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Days that are not drawn because their truth is not known.

    Attributes:
        due: Whether their labels should be there by now.
    """

    first: datetime
    last: datetime
    days: int
    decisions: int
    labelled: int
    due: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OverTimeView:
    """The product's performance as a function of time.

    Attributes:
        chart: Cost of 1000 decisions; None where nothing can be drawn.
        labels: The share of each day's decisions of which the truth is known; None where all are.
        unsaid: What cannot be said, and why: a policy or a slice, a reason.
        current: Whether everything that is in the lake now is counted.
        being_counted: Whether the first count ever is being made: ask again in a moment.
    """

    currency: str
    unit: str
    headline: str
    compared: tuple[str, ...]
    slices: tuple[Slice, ...]
    slice: str
    by: Step | None
    since: str
    until: str
    spans: tuple[Span, ...]
    chart: LineChart | None
    labels: LineChart | None
    totals: tuple[Total, ...]
    decisions: int
    labelled: int
    unknown: tuple[Unknown, ...]
    label_delay_s: float
    method: str
    unsaid: tuple[tuple[str, str], ...]
    events: tuple[Happened, ...]
    events_in_all: int
    counted_at: datetime | None
    current: bool
    being_counted: bool
    wrong: str


def over_time_view(asked: Asked) -> OverTimeView:
    """Costs over time: `?from=`, `?to=` (days), `?by=day|week` and `?slice=` choose what is drawn."""
    contract = contract_of(asked)
    since, wrong = _day(asked.query.get("from", ""))
    last, wrong_too = _day(asked.query.get("to", ""))
    by = _step(asked.query.get("by", ""))
    until = last + _DAY if last is not None else None
    wrong = wrong or wrong_too
    if since is not None and until is not None and since >= until:
        since, until, wrong = None, None, "the first day comes after the last one; all days are shown"
    if contract.data is None:
        counted, current = None, True
    else:
        counted, current = counted_costs(asked.workspace, contract, now=asked.now)
    slices = counted.slices if counted else ()
    wanted = asked.query.get("slice", "")
    chosen = next((one for one in slices if one.key == wanted), None)
    if chosen is None and wanted and counted is not None:
        wrong = "there is no such part of the decisions; all of them are shown"
    costs = (
        costs_over_time(
            counted,
            contract,
            slice_key=chosen.key if chosen else "",
            now=asked.now,
            since=since,
            until=until,
            step=by,
        )
        if counted
        else None
    )
    events = _events(asked, costs, since, until)
    return OverTimeView(
        currency=currency_of(contract),
        unit=contract.decision.unit,
        headline=_headline(costs, contract, chosen),
        compared=_compared(costs, contract),
        slices=slices,
        slice=chosen.key if chosen else "",
        by=by,
        since=f"{costs.since:%Y-%m-%d}" if costs else "",
        until=f"{costs.until - _DAY:%Y-%m-%d}" if costs else "",
        spans=_spans(costs, asked),
        chart=_chart(costs, contract, chosen, events) if costs and costs.rows else None,
        labels=_labels(costs) if costs and costs.labelled else None,
        totals=_totals(costs),
        decisions=costs.decisions if costs else 0,
        labelled=costs.labelled if costs else 0,
        unknown=_unknown(costs.days) if costs else (),
        label_delay_s=contract.decision.label_delay_s,
        method=costs.method if costs else "",
        unsaid=_unsaid(counted),
        events=tuple(Happened(number=place, event=one) for place, one in enumerate(events, start=1))[
            -_MOST_EVENTS:
        ],
        events_in_all=len(events),
        counted_at=counted.counted_at if counted else None,
        current=current,
        being_counted=counted is None and not current,
        wrong=wrong,
    )


def _events(
    asked: Asked, costs: CostsOverTime | None, since: datetime | None, until: datetime | None
) -> tuple[TimelineEvent, ...]:
    begins = costs.since if costs else since or datetime(1971, 1, 1, tzinfo=UTC)
    # What happened after the last decision belongs to the line too, unless a span was chosen.
    return tuple(
        one
        for one in timeline_of(asked.workspace.history(asked.product), since=begins)
        if until is None or one.at < until
    )


def _chart(
    costs: CostsOverTime, contract: Contract, chosen: Slice | None, events: tuple[TimelineEvent, ...]
) -> LineChart:
    unit = currency_of(contract)
    return LineChart(
        title=f"Cost of 1,000 decisions, by {costs.step}"
        + (f": {chosen.words}" if chosen and chosen.key else ""),
        description=(
            f"What 1,000 decisions cost in each {costs.step}, from {day(costs.since)} to"
            f" {day(costs.until - _DAY)}; the shade around the product's line is its interval"
        ),
        y_label=f"{unit} per 1,000 decisions",
        series=tuple(_series(one) for one in on_the_line(costs)),
        events=tuple(one for one in events if one.at < costs.until + 7 * _DAY),
    )


def _series(policy: PolicyCosts) -> Series:
    leading = policy.kind == "product"
    return Series(
        name=policy_in_words(policy.name),
        points=tuple((one.at, one.cost) for one in policy.points),
        band=tuple(
            (one.at, one.low, one.high)
            for one in policy.points
            if leading and one.low is not None and one.high is not None
        ),
        leading=leading,
    )


def _labels(costs: CostsOverTime) -> LineChart | None:
    if all(one.labelled == one.decisions for one in costs.days):
        return None
    return LineChart(
        title="Decisions of which the truth is known, by day",
        description="The share of each day's decisions of which a label has come; days with few are not drawn above",
        y_label="share of the day's decisions",
        series=(
            Series(
                name="known",
                points=tuple((one.day, one.labelled / one.decisions) for one in costs.days if one.decisions),
                leading=True,
            ),
        ),
    )


def _totals(costs: CostsOverTime | None) -> tuple[Total, ...]:
    if costs is None or not costs.rows:
        return ()
    drawn = {one.name for one in on_the_line(costs)}
    return tuple(
        Total(
            name=one.name,
            words=policy_in_words(one.name),
            kind=one.kind,
            drawn=one.name in drawn,
            total=one.total,
            cost=one.cost,
            saved=one.saved,
        )
        for one in costs.policies
    )


def _headline(costs: CostsOverTime | None, contract: Contract, chosen: Slice | None) -> str:
    own = costs.policies[0] if costs and costs.policies else None
    if costs is None or own is None or own.cost is None:
        return ""
    about = f" of “{chosen.words}”" if chosen and chosen.key else ""
    interval = (
        f" ({number(own.cost.low)} to {number(own.cost.high)})"
        if own.cost.low is not None and own.cost.high is not None
        else ""
    )
    return (
        f"From {day(costs.since)} to {day(costs.until - _DAY)}, 1,000 decisions{about} cost"
        f" {number(own.cost.value)} {currency_of(contract)}{interval}, counted over {costs.rows:,} decisions"
        " whose truth is known."
    )


def _compared(costs: CostsOverTime | None, contract: Contract) -> tuple[str, ...]:
    """Against whom the product stands, in a sentence each."""
    if costs is None or not costs.rows:
        return ()
    told = []
    for one in on_the_line(costs):
        if one.saved is None:
            continue
        named = policy_in_words(one.name)
        named = {
            "never": "Had the first release never been replaced, it",
            "own": f"Deciding by the rule \u201c{named}\u201d",
        }.get(one.kind, f"Deciding by {named}")
        if one.kind == "trivial" and one.name.startswith("always-"):
            named = f"To {policy_in_words(one.name)}"
        more = one.saved.value >= 0
        low, high = one.saved.low, one.saved.high
        unit = currency_of(contract)
        size = f"{number(abs(one.saved.value))} {unit} {'more' if more else 'less'}"
        said = f"{named} would have cost {size} per 1,000"
        if low is not None and high is not None:
            ends = sorted((abs(low), abs(high))) if low * high > 0 else None
            said += (
                f" ({number(ends[0])} to {number(ends[1])})"
                if ends
                else f" (from {number(abs(low))} less to {number(abs(high))} more: not told apart)"
            )
        told.append(said + ".")
    return tuple(told)


def _unknown(days: tuple[Ripeness, ...]) -> tuple[Unknown, ...]:
    """Stretches of days that are not drawn, those of which labels are overdue apart from those not due."""
    found: list[Unknown] = []
    previous: Ripeness | None = None
    for one in days:
        if one.drawn:
            previous = one
            continue
        same = previous is not None and not previous.drawn and previous.due == one.due
        before = found.pop() if same else None
        found.append(
            Unknown(
                first=before.first if before else one.day,
                last=one.day,
                days=(before.days if before else 0) + 1,
                decisions=(before.decisions if before else 0) + one.decisions,
                labelled=(before.labelled if before else 0) + one.labelled,
                due=one.due,
            )
        )
        previous = one
    return tuple(found)


def _unsaid(counted: Counted | None) -> tuple[tuple[str, str], ...]:
    return tuple((policy_in_words(name), why) for name, why in counted.missing) if counted else ()


def _spans(costs: CostsOverTime | None, asked: Asked) -> tuple[Span, ...]:
    if costs is None:
        return ()
    told = (asked.query.get("from", ""), asked.query.get("to", ""))
    spans = [Span(words="all of it", since="", until="", here=told == ("", ""))]
    for days, words in _SPANS:
        since = costs.last - (days - 1) * _DAY
        if since > costs.first:
            spelled = f"{since:%Y-%m-%d}"
            spans.append(Span(words=words, since=spelled, until="", here=told == (spelled, "")))
    return tuple(spans)


def _step(told: str) -> Step | None:
    return Step(told) if told in set(Step) else None


def _day(told: str) -> tuple[datetime | None, str]:
    """The midnight that begins the day, or what is wrong with how it is written."""
    if not told:
        return None, ""
    try:
        at = date.fromisoformat(told)
        begins = datetime(at.year, at.month, at.day, tzinfo=UTC)
        begins + _DAY
    except (ValueError, OverflowError):
        return None, f"a day is written like 2026-03-01, not {told[:20]}"
    return begins, ""


PAGES = (Page(path="/products/{product}/over-time", template="over_time.html", view=over_time_view),)
ACTIONS: tuple[Action, ...] = ()
DOWNLOADS: tuple[Download, ...] = ()
