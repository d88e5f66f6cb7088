"""Retrain now, wait, or refuse: never without a reason that a person can check.

An alarm, a loss that outweighs a refit, or the schedule asks for a retraining; the facts may forbid it. Training on
quarantined data, immature labels or while a feed is broken teaches the model the fault;
judging with a spent holdout proves nothing; and where the previous release is cheaper,
rolling back is. All reasons are given at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.contract import Cause, RetrainingTerms
from geartrain.domain.incident import Incident, Signal

Floats = NDArray[np.float64]

#: Open incidents of these causes mean that the newest rows cannot be trusted.
DATA_CAUSES = (Cause.FEED, Cause.COLUMN, Cause.LABEL_FEED)
#: Kinds of signals that ask for a retraining by themselves.
ALARMS = frozenset({"cost", "cost-trigger"})
#: The kind of what stands in for a signal where a person asks and nothing has rung.
ASKED = "asked"
#: Standard errors that are taken off a gap before it counts: nine in ten such gaps are really larger.
CAUTION = 1.2816
#: Labels that a gap needs.
FEWEST_IN_GAP = 50


class Occasion(StrEnum):
    """What asked for a retraining."""

    ALARM = "alarm"
    COST = "cost"
    SCHEDULE = "schedule"
    PERSON = "person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What decisions cost more than the champion did when it was judged, per decision, and how many there are a day."""

    per_decision: float
    decisions_per_day: float


def gap_of(recent: Floats, reference: Floats, *, decisions_per_day: float) -> Gap | None:
    """The rise of mean cost from *reference* to *recent*, shapes (n,) and (m,), that nine in ten samples would exceed.

    Cautious, since a rise seen by chance would buy a refit that mends nothing. None with
    fewer than fifty known costs on a side. Assumes that rows are independent.

    >>> gap_of(np.ones(100), np.zeros(100), decisions_per_day=10.0)
    Gap(per_decision=1.0, decisions_per_day=10.0)
    """
    now, then = recent[np.isfinite(recent)], reference[np.isfinite(reference)]
    if min(now.size, then.size) < FEWEST_IN_GAP:
        return None
    error = math.sqrt(float(now.var(ddof=1)) / now.size + float(then.var(ddof=1)) / then.size)
    rise = float(now.mean() - then.mean()) - CAUTION * error
    return Gap(per_decision=max(0.0, rise), decisions_per_day=decisions_per_day)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known when the question is asked.

    Attributes:
        live_since: When the champion went live; None without one.
        last_retraining: When the last one *began*, whatever came of it.
        alarm: The signal that asks for it, or None.
        gap: What the champion costs more than it did, or None where too few labels tell.
        mature_labels: Labels that a training may use.
        per_class: How many of them of each class of the contract; empty for regression.
        quarantined_share: Of the rows that arrived in the training window.
        verdicts_left: How often the sealed pool may still be opened; None is not limited.
        cheaper: A release that stands by and is proven to decide cheaper on recent labels; empty without one.
    """

    live_since: datetime | None
    last_retraining: datetime | None = None
    alarm: Signal | None = None
    gap: Gap | None = None
    mature_labels: int = 0
    per_class: tuple[tuple[str, int], ...] = ()
    quarantined_share: float = 0.0
    open_incidents: tuple[Incident, ...] = ()
    verdicts_left: int | None = None
    cheaper: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A retraining should begin.

    Attributes:
        since: The estimate of when the change began, or None where nothing tells it.
    """

    occasion: Occasion
    reason: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A retraining was asked for and must not begin, with every reason."""

    occasion: Occasion
    reasons: tuple[str, ...]

    @property
    def reason(self) -> str:
        """All reasons in one line."""
        return "refused: " + "; ".join(self.reasons)


def should_retrain(terms: RetrainingTerms, facts: Facts, now: datetime) -> Trigger | Refusal | None:
    """Decide whether a retraining begins *now*; None where nothing asks for one."""
    trigger = _asked(terms, facts, now)
    if trigger is None:
        return None
    reasons = (*_too_soon(terms, facts, now), *_bad_data(terms, facts), *_better_not(facts))
    return Refusal(occasion=trigger.occasion, reasons=reasons) if reasons else trigger


def _asked(terms: RetrainingTerms, facts: Facts, now: datetime) -> Trigger | None:
    if terms.on_alarm and facts.alarm is not None:
        occasion = Occasion.PERSON if facts.alarm.kind == ASKED else Occasion.ALARM
        return Trigger(occasion=occasion, reason=facts.alarm.message, since=facts.alarm.since)
    due = _due(terms, facts)
    if terms.refit_cost is not None and facts.gap is not None:
        slot, when = next_slot(terms, due, now)
        days = max(0.0, (slot - now) / timedelta(days=1))
        loss = facts.gap.per_decision * facts.gap.decisions_per_day * days
        if loss > terms.refit_cost:
            return Trigger(
                occasion=Occasion.COST,
                reason=f"{loss:,.4g} more than promised are expected to be lost until {when}"
                f" {slot:%Y-%m-%d %H:%M} UTC; a retraining costs {terms.refit_cost:,.4g}",
            )
    if due is None or terms.every_s is None or now < due:
        return None
    return Trigger(
        occasion=Occasion.SCHEDULE,
        reason=f"{_days(terms.every_s)} since {due - timedelta(seconds=terms.every_s):%Y-%m-%d %H:%M} UTC have passed",
    )


def next_slot(terms: RetrainingTerms, due: datetime | None, now: datetime) -> tuple[datetime, str]:
    """When a retraining would begin if none does now: by the calendar, or a cool-down from now."""
    if due is not None and due > now:
        return due, "the next by the calendar on"
    if terms.every_s is not None:
        return now + timedelta(seconds=terms.every_s), "the next by the calendar on"
    return now + timedelta(seconds=terms.cool_down_s), "one could begin again on"


def _due(terms: RetrainingTerms, facts: Facts) -> datetime | None:
    """When the calendar asks; None where it never does."""
    started = max(
        (time for time in (facts.last_retraining, facts.live_since) if time is not None), default=None
    )
    return None if terms.every_s is None or started is None else started + timedelta(seconds=terms.every_s)


def _too_soon(terms: RetrainingTerms, facts: Facts, now: datetime) -> tuple[str, ...]:
    last = facts.last_retraining
    if last is None:
        return ()
    if last > now:
        return (f"the clock went back: the last retraining began at {last:%Y-%m-%d %H:%M} UTC, after now",)
    until = last + timedelta(seconds=terms.cool_down_s)
    return (f"cooling down until {until:%Y-%m-%d %H:%M} UTC",) if now < until else ()


def _bad_data(terms: RetrainingTerms, facts: Facts) -> tuple[str, ...]:
    reasons: list[str] = []
    if facts.mature_labels < terms.fewest_labels:
        reasons.append(
            f"labels immature: {facts.mature_labels:,} mature labels, {terms.fewest_labels:,} are needed"
        )
    thin = [f"{count:,} of `{name}`" for name, count in facts.per_class if count < terms.fewest_per_class]
    if thin:
        reasons.append(
            f"too few of a class: {', '.join(thin)}, {terms.fewest_per_class:,} are needed of each"
        )
    if not facts.quarantined_share <= terms.most_quarantined:
        reasons.append(
            f"{facts.quarantined_share:.1%} of the rows are in quarantine, at most"
            f" {terms.most_quarantined:.1%} may be; repair them first"
        )
    reasons.extend(
        f"the {one.cause} incident {one.id} is open: {one.message}"
        for one in facts.open_incidents
        if one.cause in DATA_CAUSES
    )
    return tuple(reasons)


def _better_not(facts: Facts) -> tuple[str, ...]:
    reasons: list[str] = []
    if facts.verdicts_left is not None and facts.verdicts_left < 1:
        reasons.append("the sealed holdout is spent: new labels must mature before another verdict")
    if facts.cheaper:
        reasons.append(
            f"rolling back is cheaper: release {facts.cheaper} would have cost less on recent labels"
        )
    return tuple(reasons)


def _days(seconds: float) -> str:
    return f"{seconds / 86_400:.3g} days" if seconds >= 86_400 else f"{seconds / 3600:.3g} hours"
