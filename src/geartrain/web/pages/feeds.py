"""Feeds: what arrives, how fresh, how much and how good; what waits in quarantine, why, and sending it again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from geartrain.contract.wording import promise_in_words
from geartrain.documents.chart_nouns import LineChart, Series
from geartrain.documents.spelling import counted, number, share, span
from geartrain.domain.contract import Contract, FieldTerms, Missing, SourceKind, SourceTerms
from geartrain.domain.digest import digest
from geartrain.domain.finding import Finding
from geartrain.domain.roles import Role
from geartrain.engine.feeds_counted import FeedCount, FeedsCount, LabelCount, counted_feeds, judged_feeds
from geartrain.engine.repairing import (
    Repair,
    Waiting,
    may_mend,
    menders,
    repair,
    rules_of,
    try_repair,
    waiting_rows,
)
from geartrain.errors import PageMissing
from geartrain.release.answers import Refusal
from geartrain.web.addresses import address
from geartrain.web.pages.standing import contract_of, words_of
from geartrain.web.paging import Action, Denied, Done, Download, Outcome, Page
from geartrain.web.room import Asked

_DAY = timedelta(days=1)
#: A day of which less is seen is not drawn yet.
_BEGUN = timedelta(hours=1)
#: So many days are drawn unless all are asked for.
_DAYS_DRAWN = 90
_A_PAGE = 25
_LONGEST_CELL, _LONGEST_RULES = 300, 4000
#: Stands in place of a value that the visitor may not see.
HIDDEN = "hidden"
_KINDS = {
    SourceKind.DECISIONS: "rows to decide about",
    SourceKind.EVENTS: "events that features are made of",
    SourceKind.LABELS: "labels: what turned out to be true",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldLine:
    """One column of a source as the contract wants it, and whether it comes."""

    name: str
    type: str
    rules: str
    description: str
    sensitive: bool
    arrives: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPromise:
    """A promise about a feed and how it stands now.

    Attributes:
        measured: What was counted, in the unit in which people say it.
    """

    sentence: str
    words: str
    measured: str
    finding: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One source.

    Attributes:
        rows: Good rows so far.
        bad: Rows that ever went to quarantine.
        waiting: Of these, those that nobody has repaired.
        version: The digest of what the contract says about the source: another one is another schema.
        unlisted: Columns that come and that the contract does not name.
        chart: Rows a day, good and bad; None where nothing ever came.
    """

    name: str
    kind: str
    last_arrival: datetime | None
    newest_event: datetime | None
    rows: int
    bad: int
    waiting: int
    promises: tuple[FeedPromise, ...]
    version: str
    fields: tuple[FieldLine, ...]
    unlisted: tuple[str, ...]
    chart: LineChart | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedsView:
    """Every feed of the product.

    Attributes:
        labels: How the truth about logged decisions comes; None where no decision is logged.
        every: Whether all days are drawn.
        longer: Whether there are more days than are drawn.
        being_counted: Whether the first count ever is being made: ask again in a moment.
    """

    now: datetime
    feeds: tuple[Feed, ...]
    labels: LabelCount | None
    label_delay_s: float
    every: bool
    longer: bool
    counted_at: datetime | None
    current: bool
    being_counted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A column of a row as it came."""

    name: str
    value: str
    hidden: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLine:
    """One row that waits."""

    id: str
    arrived_at: datetime
    reasons: tuple[str, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why rows wait, and how many wait for it."""

    words: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineView:
    """The quarantine of one source.

    Attributes:
        waiting: Rows that wait, whatever for.
        chosen: Rows that wait for the chosen reason.
        menders: The roles that may repair, and `people` who hold them.
        masked: Whether sensitive columns are hidden from this visitor.
        repair: The repair that is being written, as lines; empty where none is.
        preview: What it would do; None where it was not tried.
        wrong: Why it cannot be done.
    """

    source: str
    waiting: int
    chosen: int
    reason: str
    reasons: tuple[Reason, ...]
    rows: tuple[RowLine, ...]
    page: int
    pages: int
    columns: tuple[str, ...]
    menders: tuple[Role, ...]
    people: tuple[str, ...]
    may: bool
    masked: bool
    repair: str
    preview: Repair | None
    wrong: str


def feeds_view(asked: Asked) -> FeedsView:
    """Every source; `?show=all` draws every day instead of the last ninety."""
    contract = contract_of(asked)
    every = asked.query.get("show") == "all"
    counts, current = (
        counted_feeds(asked.workspace, contract, now=asked.now) if contract.data else (None, True)
    )
    findings = (
        judged_feeds(contract, counts, asked.workspace.history(asked.product), now=asked.now)
        if counts
        else ()
    )
    plain = words_of(asked)
    words = {clause.path: plain.promise(clause) for clause in contract.clauses if clause.section == "data"}
    return FeedsView(
        now=asked.now,
        feeds=tuple(
            _feed(contract, source, counts, findings, words, every=every) for source in contract.data.sources
        )
        if contract.data and counts
        else (),
        labels=counts.labels if counts and counts.labels.decisions else None,
        label_delay_s=contract.decision.label_delay_s,
        every=every,
        longer=any(_longer(one) for one in counts.feeds) if counts else False,
        counted_at=counts.counted_at if counts else None,
        current=current,
        being_counted=counts is None and not current,
    )


def quarantine_view(asked: Asked) -> QuarantineView:
    """The rows that wait: `?reason=` and `?page=` choose, `?repair=` shows what a repair would do."""
    contract, source = contract_of(asked), _source(asked)
    every = waiting_rows(asked.workspace, contract, source=source.name).get(source.name, ())
    told = Counter(reason for row in every for reason in row.reasons)
    reason = asked.query.get("reason", "")
    reason = reason if reason in told else ""
    chosen = [row for row in every if not reason or reason in row.reasons]
    pages = max(1, -(-len(chosen) // _A_PAGE))
    asked_page = asked.query.get("page", "1")
    page = min(max(int(asked_page), 1), pages) if asked_page.isdigit() and len(asked_page) < 10 else 1
    may = may_mend(contract, source.name, asked.visitor.person)
    text = asked.query.get("repair", "")[:_LONGEST_RULES]
    preview, wrong = (
        _preview(asked, contract, source, text, reason) if may and "repair" in asked.query else (None, "")
    )
    return QuarantineView(
        source=source.name,
        waiting=len(every),
        chosen=len(chosen),
        reason=reason,
        reasons=tuple(Reason(words=words, rows=rows) for words, rows in told.most_common()),
        rows=tuple(_row(source, row, hide=not may) for row in chosen[(page - 1) * _A_PAGE : page * _A_PAGE]),
        page=page,
        pages=pages,
        columns=tuple(one.name for one in source.fields),
        menders=menders(contract, source.name),
        people=tuple(
            dict.fromkeys(
                person for role in menders(contract, source.name) for person in contract.holders(role)
            )
        ),
        may=may,
        masked=not may and any(one.sensitive for one in source.fields),
        repair=text,
        preview=preview,
        wrong=wrong,
    )


def send_again(asked: Asked) -> Outcome:
    """Mend the rows that wait and send them through the door again."""
    contract, source = contract_of(asked), _source(asked)
    text, reason = asked.form.get("repair", "")[:_LONGEST_RULES], asked.form.get("reason", "")
    here = f"/products/{asked.product}/feeds/{source.name}"
    rules = rules_of(text)
    if isinstance(rules, str):
        return Denied(to=address(here, {"repair": text, "reason": reason}), reason=rules)
    done = repair(
        asked.workspace,
        contract,
        source.name,
        rules,
        reason=reason or None,
        person=asked.visitor.person,
        now=asked.now,
    )
    if isinstance(done, Refusal):
        return Denied(to=address(here, {"reason": reason}), reason=done.reason, do=done.do)
    if not done.rows:
        return Denied(to=here, reason="no such row waits in quarantine any more")
    return Done(
        to=here,
        said=f"{counted(done.rows, 'row')} sent again: {done.accepted:,} accepted, {done.known:,} known already,"
        f" {done.still_bad:,} still in quarantine",
    )


def _feed(
    contract: Contract,
    source: SourceTerms,
    counts: FeedsCount,
    findings: tuple[Finding, ...],
    words: Mapping[str, str],
    *,
    every: bool,
) -> Feed:
    count = next(one for one in counts.feeds if one.source == source.name)
    said = {clause.path: promise_in_words(clause) for clause in contract.clauses}
    listed = {one.name for one in source.fields} | {source.key}
    return Feed(
        name=source.name,
        kind=_KINDS[source.kind],
        last_arrival=count.last_arrival,
        newest_event=count.newest_event,
        rows=sum(one.good for one in count.days),
        bad=sum(one.bad for one in count.days),
        waiting=count.waiting,
        promises=tuple(
            FeedPromise(
                sentence=said[one.clause], words=words[one.clause], measured=_measured(one), finding=one
            )
            for one in findings
            if one.clause.startswith(f"data.{source.name}.")
        ),
        version=digest(source),
        fields=tuple(_field(one, count) for one in source.fields),
        unlisted=tuple(name for name in count.columns if name not in listed),
        chart=_chart(source, count, every=every) if count.days else None,
    )


def _measured(finding: Finding) -> str:
    if finding.value is None:
        return finding.message.rsplit("not measured, ", maxsplit=1)[-1]
    match finding.clause.rsplit(".", maxsplit=1)[-1]:
        case "freshness":
            return f"silent for {span(finding.value)}"
        case "quarantined":
            return f"{share(finding.value)} of {counted(finding.rows, 'row')} in the last 24 hours"
        case _:
            return f"{counted(int(finding.value), 'good row')} in the last 24 hours"


def _longer(count: FeedCount) -> bool:
    return bool(count.days) and count.days[-1].at - count.days[0].at > _DAYS_DRAWN * _DAY


def _chart(source: SourceTerms, count: FeedCount, *, every: bool) -> LineChart:
    """Rows a day; a day without a row is a zero, not a gap."""
    last = count.days[-1].at
    # A day that has hardly begun is no low day.
    if count.last_arrival is not None and len(count.days) > 1 and count.last_arrival < last + _BEGUN:
        last -= _DAY
    first = count.days[0].at if every else max(count.days[0].at, last - (_DAYS_DRAWN - 1) * _DAY)
    came = {one.at: one for one in count.days}
    days = [first + place * _DAY for place in range((last - first).days + 1)]
    good = tuple((at, float(came[at].good) if at in came else 0.0) for at in days)
    bad = tuple((at, float(came[at].bad) if at in came else 0.0) for at in days)
    series = [Series(name="good", points=good, leading=True)]
    if any(value for _, value in bad):
        series.append(Series(name="in quarantine", points=bad))
    least = source.rows_per_day
    return LineChart(
        title=f"Rows of {source.name}, by day of arrival",
        description="Good rows, and rows that went to quarantine, for each day; the last day may not be over",
        y_label="rows a day",
        series=tuple(series),
        bound=None if least is None else (least, f"promised: at least {number(least)}"),
    )


def _field(field: FieldTerms, count: FeedCount) -> FieldLine:
    return FieldLine(
        name=field.name,
        type=str(field.type),
        rules=", ".join(_rules(field)),
        description=field.description,
        sensitive=field.sensitive,
        arrives=field.name in count.columns,
    )


def _rules(field: FieldTerms) -> list[str]:
    """What a value must be like, in words."""
    told = ["required"] if field.required else []
    unit = f" {field.unit}" if field.unit else ""
    if field.minimum is not None:
        told.append(f"at least {number(field.minimum)}{unit}")
    if field.maximum is not None:
        told.append(f"at most {number(field.maximum)}{unit}")
    if field.values:
        told.append(f"one of {', '.join(field.values)}")
    if field.pattern is not None:
        told.append(f"like {field.pattern}")
    if field.unique:
        told.append("never twice in a delivery")
    if field.missing is Missing.SIGNAL:
        told.append("a missing value says something")
    if field.known_after_s:
        told.append(f"known {span(field.known_after_s)} after the decision")
    return told


def _source(asked: Asked) -> SourceTerms:
    contract = contract_of(asked)
    found = contract.data.source(asked.names["source"]) if contract.data else None
    if found is None:
        raise PageMissing("the contract knows no such source", found=asked.names["source"][:64])
    return found


def _preview(
    asked: Asked, contract: Contract, source: SourceTerms, text: str, reason: str
) -> tuple[Repair | None, str]:
    rules = rules_of(text)
    if isinstance(rules, str):
        return None, rules
    done = try_repair(
        asked.workspace,
        contract,
        source.name,
        rules,
        reason=reason or None,
        person=asked.visitor.person,
        now=asked.now,
    )
    return (None, f"{done.reason}. {done.do}") if isinstance(done, Refusal) else (done, "")


def _row(source: SourceTerms, row: Waiting, *, hide: bool) -> RowLine:
    came = json.loads(row.row)
    cells = came.items() if isinstance(came, dict) else (("row", came),)
    return RowLine(
        id=row.id,
        arrived_at=row.arrived_at,
        reasons=row.reasons,
        cells=tuple(
            Cell(name=str(name), value=HIDDEN, hidden=True)
            if hide and _is_sensitive(source, str(name))
            else Cell(name=str(name), value=_spelled(value), hidden=False)
            for name, value in cells
        ),
    )


def _is_sensitive(source: SourceTerms, name: str) -> bool:
    """Whether a column of a raw row may hold what must be handled with care.

    Where the source has a sensitive field, so may every column that the contract does not name: a misspelt
    one, a nested one, a line that could not be read.
    """
    if not any(one.sensitive for one in source.fields):
        return False
    named = next((one for one in source.fields if one.name == name and one.path is None), None)
    return named.sensitive if named is not None else name != source.key


def _spelled(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"


_AT = "/products/{product}/feeds"
PAGES = (
    Page(path=_AT, template="feeds.html", view=feeds_view),
    Page(path=f"{_AT}/{{source}}", template="quarantine.html", view=quarantine_view),
)
ACTIONS = (Action(path=f"{_AT}/{{source}}/repair", act=send_again),)
DOWNLOADS: tuple[Download, ...] = ()
