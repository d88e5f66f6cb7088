"""Rows that the door refuses: a column that breaks its terms is noticed although no model ever sees it.

A renamed category or a unit that leaves the allowed range goes to quarantine. What is left
looks healthy, only thinner; so the share of refused rows is watched as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from geartrain.domain.incident import Signal
from geartrain.stats.distance import e_value

#: Fewer rows in the last span say nothing.
FEWEST = 20
#: A share of refused rows may be this many times the usual one ...
TIMES = 2.0
#: ... or this much, whichever is more.
LEAST = 0.05
#: How long the last span is, and how long before it counts as usual.
SPAN, USUAL = timedelta(days=1), timedelta(days=28)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What the door did with one delivery.

    Attributes:
        reasons: Why rows were refused, such as `amount: is above 1500`, with their number.
    """

    source: str
    at: datetime
    rows: int
    refused: int
    reasons: tuple[tuple[str, int], ...] = ()


def watch_refusals(
    deliveries: Sequence[Refused], *, now: datetime, alpha: float = 0.001
) -> tuple[Signal, ...]:
    """A signal for each source whose share of refused rows rose in the last day, about the column to blame.

    The evidence is that of one look: an e-value under the binomial law at the usual share of the
    weeks before, or at `LEAST`. Assumes that rows are refused independently of each other.
    """
    found = []
    for source in dict.fromkeys(one.source for one in deliveries):
        mine = [one for one in deliveries if one.source == source and now - USUAL < one.at <= now]
        late = [one for one in mine if one.at > now - SPAN]
        early = [one for one in mine if one.at <= now - SPAN]
        signal = _signal(source, early, late, now=now)
        if signal is not None and signal.evidence >= 1 / alpha:
            found.append(signal)
    return tuple(found)


def _signal(source: str, early: list[Refused], late: list[Refused], *, now: datetime) -> Signal | None:
    rows, refused = sum(one.rows for one in late), sum(one.refused for one in late)
    if rows < FEWEST or refused == 0:
        return None
    from scipy.special import bdtrc

    before = sum(one.rows for one in early)
    usual = sum(one.refused for one in early) / before if before else 0.0
    most = min(0.999, max(LEAST, TIMES * usual))
    reasons: dict[str, int] = {}
    for one in late:
        for reason, count in one.reasons:
            reasons[reason] = reasons.get(reason, 0) + count
    worst = max(reasons, key=lambda name: reasons[name], default="")
    column, _, what = worst.partition(": ")
    about = column if what else source
    why = f", most often because `{column}` {what}" if what else ""
    return Signal(
        kind="refused",
        about=about,
        measure="share of refused rows",
        size=refused / rows,
        evidence=e_value(float(bdtrc(refused - 1, rows, most))),
        since=min((one.at for one in late if one.refused), default=now) - SPAN,
        rows=rows,
        message=f"{refused / rows:.0%} of {rows:,} rows of `{source}` were refused at the door, usual is {usual:.1%}{why}",
    )
