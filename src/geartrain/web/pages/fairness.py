"""Fairness: what the decisions do to each group, at release and live; what excludes what, and what a remedy costs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from geartrain.contract.wording import promise_in_words
from geartrain.documents.chart_nouns import Bar, BarChart
from geartrain.documents.spelling import number
from geartrain.domain.clause import Clause
from geartrain.domain.contract import Contract
from geartrain.domain.finding import Finding
from geartrain.domain.groups import QUANTITIES, GroupRow, GroupTable, MitigationTried, WidestGap
from geartrain.domain.release import ReleaseStage
from geartrain.domain.roles import Role
from geartrain.engine.bench import currency_of
from geartrain.engine.costs_counted import dividing
from geartrain.engine.live_groups import LiveGroups, live_groups
from geartrain.engine.proposing import report_of_release
from geartrain.engine.releasing import releases
from geartrain.evaluation.groups import expressions_of
from geartrain.evaluation.judging import Report
from geartrain.web.pages.standing import contract_of, subject_of, words_of
from geartrain.web.paging import Action, Download, Page
from geartrain.web.plain import Plain
from geartrain.web.room import Asked

#: The quantities that a definition of fairness keeps alike.
_COMPARED = {
    "demographic_parity": ("selection_rate",),
    "equal_opportunity": ("recall",),
    "equalised_odds": ("recall", "false_alarms"),
    "predictive_parity": ("precision",),
    "cost_parity": ("cost",),
    "calibration_within_groups": ("calibration",),
}
_DEFINITIONS = {
    "demographic_parity": "the action is taken equally often",
    "equal_opportunity": "those for whom it is right get the action equally often",
    "equalised_odds": "right and wrong actions fall on each group equally often",
    "predictive_parity": "an action is right equally often",
    "cost_parity": "a decision costs the same on average",
    "calibration_within_groups": "what is said comes true in each group",
}
_SHARES = frozenset(QUANTITIES) - {"cost"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """One fairness clause, at release and on live decisions.

    Attributes:
        promise: What is promised, in the contract's own names; `words` in those that people use.
        told_at_release: The finding at release in the same words, and `told_live` on live decisions.
        definition: What must be alike, in words.
        apart: What divides the groups.
        mitigations: What the contract lets training try where the clause breaks.
    """

    path: str
    owner: Role
    promise: str
    words: str
    because: str
    definition: str
    apart: str
    mitigations: tuple[str, ...]
    at_release: Finding | None
    live: Finding | None
    told_at_release: str
    told_live: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One quantity of one group.

    Attributes:
        rows: The rows that carry it; for recall, those for whom the action is right.
        judged: Whether so many carry it as the contract asks for.
        reason: Why there is no value, or no verdict.
    """

    value: float | None
    low: float | None
    high: float | None
    rows: int
    judged: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLine:
    """One quantity of one group, at release and live."""

    group: str
    at_release: Figure | None
    live: Figure | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One quantity of all groups.

    Attributes:
        promised: Whether a clause keeps it alike.
        widest: The two groups that are furthest apart, in a sentence each for release and live; empty where none is.
    """

    name: str
    words: str
    promised: bool
    unit: str
    lines: tuple[GroupLine, ...]
    widest_at_release: str
    widest_live: str
    chart_at_release: BarChart | None
    chart_live: BarChart | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many rows a group has, at release and live, and how many of them are of the class that is looked for."""

    group: str
    rows: int
    positives: int | None
    live_rows: int | None
    live_positives: int | None
    slice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """One way of dividing people or things, and what is done to each part."""

    name: str
    where: str
    smallest_group: int
    confidence: float
    unknown: int
    sizes: tuple[Size, ...]
    quantities: tuple[Quantity, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FairnessView:
    """What the decisions do to each group.

    Attributes:
        subject: The release whose evidence is shown; None where no release was judged.
        being_counted: Whether live decisions are looked at for the first time: ask again in a moment.
        why_not_live: Why nothing is known about live decisions; empty where something is.
        excluded: What cannot hold together, in sentences.
        names: What each promise is called, by its path.
        every: Whether every quantity is shown, or only those that are promised.
    """

    currency: str
    positive: str
    subject: str | None
    subject_is: str
    judged_rows: int
    live_since: datetime | None
    live_until: datetime | None
    live_rows: int
    live_unanswered: int
    live_current: bool
    being_counted: bool
    why_not_live: str
    promises: tuple[Promised, ...]
    excluded: tuple[str, ...]
    groupings: tuple[Grouping, ...]
    mitigations: tuple[MitigationTried, ...]
    every: bool
    names: tuple[tuple[str, str], ...]


def fairness_view(asked: Asked) -> FairnessView:
    """Groups by definition; `?show=all` shows every quantity instead of those that the contract promises."""
    contract = contract_of(asked)
    clauses = tuple(one for one in contract.clauses if one.section == "fairness")
    state = releases(asked.workspace, asked.product)
    record = subject_of(state)
    report = report_of_release(asked.workspace, asked.product, record.id) if record and clauses else None
    live, current, why = None, True, ""
    if clauses and record is not None and record.id == state.champion and contract.data is not None:
        live, current = live_groups(asked.workspace, contract, record.id, now=asked.now)
        why = live.reason if live else "the latest decisions are being looked at"
    elif clauses:
        why = "no release is live"
    every = asked.query.get("show") == "all"
    plain = words_of(asked)
    promises = tuple(_promised(one, report, live, plain) for one in clauses)
    return FairnessView(
        currency=currency_of(contract),
        positive=_positive(contract),
        subject=record.id if record else None,
        subject_is=str(record.stage) if record and record.stage is not ReleaseStage.LIVE else "live",
        judged_rows=report.rows if report else 0,
        live_since=live.since if live else None,
        live_until=live.until if live else None,
        live_rows=live.rows if live else 0,
        live_unanswered=live.unanswered if live else 0,
        live_current=current,
        being_counted=live is None and not current,
        why_not_live=why,
        promises=promises,
        excluded=tuple(f"{one.sentence[0].upper()}{one.sentence[1:]}." for one in report.impossible)
        if report
        else (),
        groupings=tuple(_groupings(contract, clauses, report, live, every=every)),
        mitigations=report.mitigations if report else (),
        every=every,
        names=tuple((one.path, f"{one.definition}, by {one.apart}") for one in promises),
    )


def _positive(contract: Contract) -> str:
    """The action that groups are compared by: the one of the class that the product looks for."""
    decision = contract.decision
    named = dict(zip(decision.classes, decision.actions, strict=False))
    return named.get(decision.positive or "", decision.positive or "")


def _promised(clause: Clause, report: Report | None, live: LiveGroups | None, plain: Plain) -> Promised:
    allowed, expressions = clause.parameter("mitigations"), _expressions(clause)
    apart = dividing(clause.path, expressions)
    promise = promise_in_words(clause)
    # An expression that makes groups says less to people than the name of its clause.
    for one in expressions:
        promise = promise if one.isidentifier() else promise.replace(one, apart)
    at_release = report.finding(clause.path) if report else None
    now = next((one for one in live.findings if one.clause == clause.path), None) if live else None
    return Promised(
        path=clause.path,
        owner=clause.owner,
        promise=promise,
        words=plain.promise(clause),
        because=clause.because.rstrip("."),
        definition=_DEFINITIONS.get(clause.metric, clause.metric.replace("_", " ")),
        apart=apart,
        mitigations=tuple(str(one) for one in allowed) if isinstance(allowed, tuple) else (),
        at_release=at_release,
        live=now,
        told_at_release=plain.measured(clause, at_release),
        told_live=plain.measured(clause, now),
    )


def _expressions(clause: Clause) -> tuple[str, ...]:
    named = clause.parameter("groups")
    return () if named is None else expressions_of(named)


def _groupings(
    contract: Contract,
    clauses: tuple[Clause, ...],
    report: Report | None,
    live: LiveGroups | None,
    *,
    every: bool,
) -> list[Grouping]:
    """One for each way of dividing that a clause names and of which there is a table."""
    held = {(one.groups): one for one in report.groups} if report else {}
    seen = {(one.groups): one for one in live.tables} if live else {}
    found: list[Grouping] = []
    for groups in dict.fromkeys(_expressions(one) for one in clauses):
        about = tuple(one for one in clauses if _expressions(one) == groups)
        table, now = held.get(groups), seen.get(groups)
        shown = table or now
        if shown is None:
            continue
        promised = {quantity for one in about for quantity in _COMPARED.get(one.metric, ())}
        found.append(
            Grouping(
                name=dividing(about[0].path, groups),
                where=about[0].where or "",
                smallest_group=shown.smallest_group,
                confidence=shown.confidence,
                unknown=shown.unknown,
                sizes=_sizes(about[0].path, table, now),
                quantities=tuple(
                    _quantity(contract, one, table, now, promised=one in promised)
                    for one in QUANTITIES
                    if (every or one in promised) and _has(shown, one)
                ),
            )
        )
    return found


def _has(table: GroupTable, quantity: str) -> bool:
    return any(figure.quantity == quantity for row in table.rows for figure in row.figures)


def _sizes(path: str, table: GroupTable | None, now: GroupTable | None) -> tuple[Size, ...]:
    held = {row.group: row for row in table.rows} if table else {}
    seen = {row.group: row for row in now.rows} if now else {}
    return tuple(
        Size(
            group=name,
            rows=held[name].rows if name in held else 0,
            positives=held[name].positives if name in held else None,
            live_rows=seen[name].rows if name in seen else None,
            live_positives=seen[name].positives if name in seen else None,
            slice=f"{path}={name}" if name in seen else "",
        )
        for name in sorted({*held, *seen})
    )


def _quantity(
    contract: Contract, name: str, table: GroupTable | None, now: GroupTable | None, *, promised: bool
) -> Quantity:
    unit = "%" if name in _SHARES else currency_of(contract)
    lines = tuple(
        GroupLine(
            group=group,
            at_release=_figure(table, group, name),
            live=_figure(now, group, name) if now else None,
        )
        for group in dict.fromkeys(
            row.group for one in (table, now) if one is not None for row in (*one.rows, one.everyone)
        )
    )
    words = QUANTITIES[name]
    return Quantity(
        name=name.replace("_", " "),
        words=words.split(": ", 1)[-1],
        promised=promised,
        unit=unit,
        lines=lines,
        widest_at_release=_widest(table, name, unit, [one.at_release for one in lines]),
        widest_live=_widest(now, name, unit, [one.live for one in lines]),
        chart_at_release=_chart(lines, name, unit, live=False) if table else None,
        chart_live=_chart(lines, name, unit, live=True) if now else None,
    )


def _figure(table: GroupTable | None, group: str, quantity: str) -> Figure | None:
    """The figure; no verdict where fewer rows carry it than the team asks for, as its clause would have none."""
    if table is None:
        return None
    row: GroupRow | None = next((one for one in (*table.rows, table.everyone) if one.group == group), None)
    if row is None:
        return Figure(value=None, low=None, high=None, rows=0, judged=False, reason="no row of the group")
    figure = next((one for one in row.figures if one.quantity == quantity), None)
    seen = figure.measurement if figure else None
    if seen is None:
        reason = figure.reason if figure else "not measured"
        return Figure(value=None, low=None, high=None, rows=0, judged=False, reason=reason)
    scale = 100.0 if quantity in _SHARES else 1.0
    carrying = min(row.rows, seen.rows if seen.relevant is None else seen.relevant)
    judged = carrying >= table.smallest_group
    return Figure(
        value=scale * seen.value,
        low=scale * seen.low,
        high=scale * seen.high,
        rows=carrying,
        judged=judged,
        reason=""
        if judged
        else f"no verdict: {carrying:,} {'row counts' if carrying == 1 else 'rows count'}, {table.smallest_group:,} are asked for",
    )


def _widest(table: GroupTable | None, quantity: str, unit: str, figures: list[Figure | None]) -> str:
    """Which two groups are furthest apart; nothing where the table left out a group that has a verdict here."""
    gap: WidestGap | None = (
        next((one for one in table.widest if one.quantity == quantity), None) if table else None
    )
    if gap is None or table is None:
        return ""
    with_verdict = sum(one is not None and one.judged for one in figures)
    if with_verdict - 1 != sum(row.judged for row in table.rows):
        return ""
    scale = 100.0 if quantity in _SHARES else 1.0
    by = "points" if unit == "%" else unit
    low, high = number(scale * max(0.0, gap.gap.low)), number(scale * gap.gap.high)
    return f"{gap.one} is above {gap.two} by {number(scale * gap.gap.value)} {by} ({low} to {high})"


def _chart(lines: tuple[GroupLine, ...], quantity: str, unit: str, *, live: bool) -> BarChart | None:
    bars = []
    for line in lines:
        figure = line.live if live else line.at_release
        if figure is not None and figure.value is not None:
            bars.append(
                Bar(
                    name=line.group,
                    value=figure.value,
                    low=figure.low,
                    high=figure.high,
                    leading=line.group == "everyone",
                    note="" if figure.judged else "(too few)",
                )
            )
    if not bars:
        return None
    when = "on live decisions" if live else "on the rows that judged the release"
    words = QUANTITIES[quantity].split(": ", 1)[-1]
    return BarChart(
        title=f"{words[0].upper()}{words[1:]}, {'live' if live else 'at release'}",
        description=f"{words} for each group, {when}, with intervals that hold together for all groups",
        x_label=unit,
        bars=tuple(bars),
    )


PAGES = (Page(path="/products/{product}/fairness", template="fairness.html", view=fairness_view),)
ACTIONS: tuple[Action, ...] = ()
DOWNLOADS: tuple[Download, ...] = ()
