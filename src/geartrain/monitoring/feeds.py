"""Feeds: a source that says nothing is a finding, not an absence of findings.

What the contract calls normal (freshness, daily volume, label delay) is compared with
what arrived. These are facts, not statistics, so their evidence is `CERTAIN`; only a
falling share of labels is a test, with the evidence of that one look.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from geartrain.domain.contract import Contract, SourceKind, SourceTerms
from geartrain.domain.incident import Signal
from geartrain.stats.distance import e_value

#: The evidence of a plain fact.
CERTAIN = 1e12
#: An event this far ahead of the clock comes from a wrong clock.
AHEAD_S = 300.0
#: More than this share of repeated rows is a feed that repeats itself: one of four batches sent twice.
MOST_REPEATED = 0.2
#: Labels may be late by this factor of the contract's delay ...
LATE = 1.5
#: ... and fall short by this share of how many usually arrive.
FEWER = 0.1
FEWEST_DUE = 20
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """What a source sent.

    Attributes:
        watched_since: When watching began; a source that never sent is silent since then.
        last_arrival: None if nothing ever arrived.
        newest_event: The newest event time, None if nothing ever arrived.
        rows: Rows that arrived in the last `window_s` seconds.
        repeated: Rows among those sent that were known already.
    """

    source: str
    watched_since: datetime
    last_arrival: datetime | None = None
    newest_event: datetime | None = None
    rows: int = 0
    repeated: int = 0
    window_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelArrivals:
    """What became of the labels that fell due in a window.

    Attributes:
        due: Decisions of the window that are older than the label delay.
        labelled: Those that have a label.
        usual_share: The share that usually has one, None if not known.
        median_delay_s: Of the labels that arrived in the window, None without any.
        since: The window's beginning.
    """

    due: int
    labelled: int
    usual_share: float | None = None
    median_delay_s: float | None = None
    since: datetime | None = None


def watch_feeds(
    contract: Contract,
    arrivals: tuple[Arrivals, ...],
    *,
    labels: LabelArrivals | None = None,
    alpha: float = 0.001,
    now: datetime,
) -> tuple[Signal, ...]:
    """Compare what arrived with what the contract calls normal; a missing data section watches nothing."""
    sources = contract.data.sources if contract.data else ()
    known = {one.source: one for one in arrivals}
    found: list[Signal] = []
    for terms in sources:
        seen = known.get(terms.name)
        if seen is not None:
            found.extend(_source_signals(terms, seen, now))
    if labels is not None:
        found.extend(_label_signals(labels, contract.decision.label_delay_s, alpha))
    return tuple(found)


def _source_signals(terms: SourceTerms, seen: Arrivals, now: datetime) -> list[Signal]:
    found: list[Signal] = []
    last = seen.last_arrival or seen.watched_since
    # A clock that went back makes an arrival look like the future: no silence, but said.
    silence = max(0.0, (now - last).total_seconds())
    kind = "label-feed" if terms.kind is SourceKind.LABELS else "silent-feed"
    if terms.freshness_s is not None and silence > terms.freshness_s:
        text = f"`{terms.name}` has been silent for {_words(silence)}, normal is at most {_words(terms.freshness_s)}"
        found.append(
            _fact(kind, terms.name, "seconds of silence", silence, since=last, rows=seen.rows, message=text)
        )
    normal = (terms.rows_per_day or 0.0) * seen.window_s / _DAY_S
    whole = _DAY_S <= seen.window_s <= (now - seen.watched_since).total_seconds()
    if whole and seen.rows < normal and not found:
        text = f"`{terms.name}` sent {seen.rows:,} rows in {_words(seen.window_s)}, normal are at least {normal:,.0f}"
        began = now - timedelta(seconds=seen.window_s)
        low = "label-feed" if terms.kind is SourceKind.LABELS else "low-volume"
        found.append(
            _fact(low, terms.name, "rows", float(seen.rows), since=began, rows=seen.rows, message=text)
        )
    if seen.repeated > MOST_REPEATED * max(1, seen.rows + seen.repeated):
        share = seen.repeated / (seen.rows + seen.repeated)
        text = f"{share:.0%} of the rows that `{terms.name}` sent were known already"
        found.append(
            _fact(
                "duplicates",
                terms.name,
                "share",
                share,
                since=now - timedelta(seconds=seen.window_s),
                rows=seen.rows,
                message=text,
            )
        )
    ahead = max(
        ((time - now).total_seconds() for time in (seen.newest_event, seen.last_arrival) if time is not None),
        default=0.0,
    )
    if ahead > AHEAD_S:
        text = f"`{terms.name}` has rows from {_words(ahead)} ahead of the clock; one of the clocks is wrong"
        found.append(
            _fact("clock", terms.name, "seconds ahead", ahead, since=now, rows=seen.rows, message=text)
        )
    return found


def _label_signals(labels: LabelArrivals, delay_s: float, alpha: float) -> list[Signal]:
    found: list[Signal] = []
    if labels.due >= FEWEST_DUE:
        share = labels.labelled / labels.due
        evidence = _shortfall(labels)
        if evidence >= 1 / alpha:
            usual = "some" if labels.usual_share is None else f"{labels.usual_share:.1%}"
            text = f"{share:.1%} of {labels.due:,} labels that are due have arrived, usual is {usual}"
            found.append(
                Signal(
                    kind="label-feed",
                    about="labels",
                    measure="share of due labels",
                    size=share,
                    evidence=evidence,
                    since=labels.since,
                    rows=labels.due,
                    message=text,
                )
            )
    if labels.median_delay_s is not None and 0 < delay_s * LATE < labels.median_delay_s:
        text = f"labels take {_words(labels.median_delay_s)}, the contract says {_words(delay_s)}"
        found.append(
            _fact(
                "label-feed",
                "label delay",
                "seconds",
                labels.median_delay_s,
                since=labels.since,
                rows=labels.labelled,
                message=text,
            )
        )
    return found


def _shortfall(labels: LabelArrivals) -> float:
    if labels.usual_share is None:
        return CERTAIN if labels.labelled == 0 else 1.0
    from scipy.special import bdtr

    least = min(1.0, labels.usual_share) * (1 - FEWER)
    return e_value(float(bdtr(labels.labelled, labels.due, least)))


def _fact(
    kind: str, about: str, measure: str, size: float, *, since: datetime | None, rows: int, message: str
) -> Signal:
    return Signal(
        kind=kind,
        about=about,
        measure=measure,
        size=size,
        evidence=CERTAIN,
        since=since,
        rows=rows,
        message=message,
    )


def _words(seconds: float) -> str:
    for size, name in ((_DAY_S, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.0f} seconds"
